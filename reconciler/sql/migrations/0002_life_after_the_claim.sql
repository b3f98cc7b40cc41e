-- The life after the claim: holds, redemptions, rollbacks, expiry, revocation, and codes that nobody claimed.

ALTER TABLE coupons
    ADD COLUMN changed_seq bigint,
    ADD COLUMN "left" bigint,
    ADD COLUMN reserved_until timestamptz,
    ADD COLUMN order_id text,
    ADD COLUMN batch text NOT NULL DEFAULT '',
    ADD COLUMN units integer NOT NULL DEFAULT 1,
    ADD CONSTRAINT coupons_left_check CHECK ("left" >= 0),
    ADD CONSTRAINT coupons_units_check CHECK (units >= 1);
UPDATE coupons SET changed_seq = seq;
ALTER TABLE coupons ALTER COLUMN changed_seq SET NOT NULL;
CREATE INDEX coupons_batch_idx ON coupons (batch, code) WHERE batch <> '';
-- What the sweeper reads. seq and not code comes last, because it only grows: a claim goes in at the end of its shard.
CREATE INDEX coupons_due_idx ON coupons (shard, expires_at, seq) WHERE state IN ('claimed', 'reserved');
CREATE INDEX coupons_held_idx ON coupons (shard, reserved_until, seq) WHERE state = 'reserved';

ALTER TABLE coupon_entries
    ADD COLUMN ref text,
    ADD COLUMN minor bigint,
    ADD COLUMN state text,
    ADD COLUMN source text,
    ADD COLUMN destination text,
    ADD COLUMN units bigint,
    ADD COLUMN "left" bigint,
    DROP CONSTRAINT coupon_entries_kind_check,
    ADD CONSTRAINT coupon_entries_kind_check CHECK (kind IN ('claimed', 'issued', 'adjusted', 'published', 'attached',
        'reserved', 'released', 'redeemed', 'rolled_back', 'expired', 'revoked'));
-- The steps of one coupon. A claim is no step, so it costs the claims nothing.
CREATE INDEX coupon_entries_code_idx ON coupon_entries (code, seq) WHERE state IS NOT NULL;

-- What was redeemed: one row a redemption, and how much of it was given back since. It is fixed but for that.
CREATE TABLE redemptions (
    id                text        NOT NULL,
    code              text        NOT NULL,
    campaign          text        NOT NULL,
    shard             text        NOT NULL,
    seq               bigint      NOT NULL,
    holder            text        NOT NULL,
    order_id          text,
    minor             bigint      NOT NULL,  -- the discount
    currency          text,
    order_minor       bigint,
    merchant          text,
    store             text,
    staff             text,
    channel           text,
    stack             text,                  -- what the redemptions of one order with several coupons share
    lines             jsonb       NOT NULL,
    shipping_minor    bigint      NOT NULL,  -- of the discount, what was taken off the shipping
    funders           jsonb       NOT NULL,
    actor             text,
    redeemed_at       timestamptz NOT NULL,
    rolled_back_minor bigint      NOT NULL DEFAULT 0,
    CONSTRAINT redemptions_pkey PRIMARY KEY (id),
    CONSTRAINT redemptions_minor_check CHECK (minor >= 0),
    CONSTRAINT redemptions_rolled_back_check CHECK (rolled_back_minor >= 0 AND rolled_back_minor <= minor)
);
CREATE INDEX redemptions_code_idx ON redemptions (code);

CREATE TABLE rollbacks (
    redemption     text        NOT NULL,
    seq            bigint      NOT NULL,
    shard          text        NOT NULL,
    minor          bigint      NOT NULL,
    reason         text,
    lines          jsonb       NOT NULL,  -- parallel to those of the redemption
    shipping_minor bigint      NOT NULL,
    funders        jsonb       NOT NULL,
    state          text        NOT NULL,  -- of the coupon after it
    actor          text,
    at             timestamptz NOT NULL,
    CONSTRAINT rollbacks_pkey PRIMARY KEY (shard, seq),
    CONSTRAINT rollbacks_minor_check CHECK (minor >= 0)
);
CREATE INDEX rollbacks_redemption_idx ON rollbacks (redemption);

CREATE TRIGGER rollbacks_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rollbacks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_kept BEFORE DELETE OR TRUNCATE ON redemptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_fixed BEFORE UPDATE OF id, code, campaign, shard, seq, holder, order_id, minor, currency,
    order_minor, merchant, store, staff, channel, stack, lines, shipping_minor, funders, actor, redeemed_at ON redemptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON redemptions, rollbacks TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler;
GRANT INSERT ON redemptions, rollbacks TO fairclaim_reconciler;
GRANT UPDATE (state, changed_seq, "left", reserved_until, order_id, expires_at) ON coupons TO fairclaim_reconciler;
GRANT UPDATE (rolled_back_minor) ON redemptions TO fairclaim_reconciler;
