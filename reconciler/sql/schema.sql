-- The whole schema as it stands today. migrations/ leads here; a test compares the two.
-- Roles are made by the migration runner (roles belong to the server, not to a database).

-- What is sold -------------------------------------------------------------------------------------

CREATE TABLE campaigns (
    id          text        NOT NULL,
    number      integer     NOT NULL GENERATED ALWAYS AS IDENTITY (MINVALUE 1 MAXVALUE 1048575),
    version     integer     NOT NULL,
    state       text        NOT NULL,  -- as last asked for; scheduled covers active and ended by the clock
    definition  jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT campaigns_pkey PRIMARY KEY (id),
    CONSTRAINT campaigns_number_key UNIQUE (number),
    CONSTRAINT campaigns_id_check CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT campaigns_version_check CHECK (version >= 1),
    CONSTRAINT campaigns_state_check CHECK (state IN ('draft', 'scheduled', 'paused', 'ended', 'archived'))
);
CREATE INDEX campaigns_kept_idx ON campaigns (id) WHERE state <> 'archived';

CREATE TABLE campaign_versions (
    campaign    text        NOT NULL,
    version     integer     NOT NULL,
    state       text        NOT NULL,
    definition  jsonb       NOT NULL,
    changed_by  text        NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT campaign_versions_pkey PRIMARY KEY (campaign, version),
    CONSTRAINT campaign_versions_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id)
);

-- A stock adjustment and how it was split over shards: steps is a list of {"shard", "delta", "state"}.
CREATE TABLE stock_adjustments (
    campaign     text        NOT NULL,
    key          text        NOT NULL,
    delta        bigint      NOT NULL,
    reason       text        NOT NULL,
    actor        text        NOT NULL,
    steps        jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    requested_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_adjustments_pkey PRIMARY KEY (campaign, key),
    CONSTRAINT stock_adjustments_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id),
    CONSTRAINT stock_adjustments_delta_check CHECK (delta <> 0),
    CONSTRAINT stock_adjustments_state_check CHECK (state IN ('pending', 'done', 'refused'))
);

-- Codes in the hands of people ---------------------------------------------------------------------

-- A request for codes and how far it is. parts is a list of {"next", "issued"}, one a shard; flight is the one chunk
-- that may be on its way to Redis, {"shard", "chunk", "count"}: written down before it is sent.
CREATE TABLE code_batches (
    id           text        NOT NULL,
    campaign     text        NOT NULL,
    key          text        NOT NULL,
    asked        bytea       NOT NULL,  -- SHA-256 of the request: the key stands for one
    kind         text        NOT NULL,
    code         text,                  -- the shared one, as it was asked for
    count        integer     NOT NULL,
    units        integer     NOT NULL,  -- of each code: its uses
    expires_at   timestamptz NOT NULL,
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    reason       text,                  -- the problem it waits for or was stopped by
    parts        jsonb       NOT NULL,
    flight       jsonb,
    done         integer     NOT NULL DEFAULT 0,
    refused      integer     NOT NULL DEFAULT 0,  -- lines of an import that gave no code
    rate         real        NOT NULL DEFAULT 0,  -- codes a second, lately
    cancelled_by text,
    worker       text,                  -- whose it is until leased_until
    leased_until timestamptz,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT code_batches_pkey PRIMARY KEY (id),
    CONSTRAINT code_batches_key_key UNIQUE (campaign, key),
    CONSTRAINT code_batches_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id),
    CONSTRAINT code_batches_asked_check CHECK (octet_length(asked) = 32),
    CONSTRAINT code_batches_kind_check CHECK (kind IN ('single', 'shared', 'imported')),
    CONSTRAINT code_batches_count_check CHECK (count >= 0 AND units >= 1 AND done BETWEEN 0 AND count),
    CONSTRAINT code_batches_state_check CHECK (state IN ('pending', 'running', 'done', 'cancelled', 'stopped'))
);
CREATE INDEX code_batches_open_idx ON code_batches (requested_at) WHERE state IN ('pending', 'running');
CREATE INDEX code_batches_campaign_idx ON code_batches (campaign, requested_at DESC, id);

-- Codes that do not say of themselves where they are: shared and imported ones, each of one campaign only.
CREATE TABLE named_codes (
    code        text        NOT NULL,  -- upper case, without hyphens and blanks
    shown       text        NOT NULL,
    campaign    text        NOT NULL,
    batch       text        NOT NULL,
    line        integer     NOT NULL,
    shard       integer,               -- once it is on its way there
    chunk       integer,
    state       text        NOT NULL DEFAULT 'pending',  -- taken: Redis has it already; free: never issued, to be had again
    CONSTRAINT named_codes_pkey PRIMARY KEY (code),
    CONSTRAINT named_codes_batch_fkey FOREIGN KEY (batch) REFERENCES code_batches (id),
    CONSTRAINT named_codes_state_check CHECK (state IN ('pending', 'issued', 'taken', 'free'))
);
CREATE INDEX named_codes_batch_idx ON named_codes (batch, line);
CREATE INDEX named_codes_pending_idx ON named_codes (batch, line) WHERE state = 'pending';

-- A line of an import that gave no code, and why not.
CREATE TABLE import_refusals (
    batch       text        NOT NULL,
    line        integer     NOT NULL,
    code        text        NOT NULL,
    problem     text        NOT NULL,
    CONSTRAINT import_refusals_pkey PRIMARY KEY (batch, line),
    CONSTRAINT import_refusals_batch_fkey FOREIGN KEY (batch) REFERENCES code_batches (id)
);

-- A request to revoke many coupons. until maps shard to seq: what was out when it was asked for. The books have to be at
-- books (the same form) before a pass through them begins; place is where the pass is.
CREATE TABLE revocations (
    id           text        NOT NULL,
    campaign     text,
    holder       text,
    reason       text        NOT NULL,
    key          text        NOT NULL,
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    waits_for    text,                  -- the problem it waits for
    until        jsonb,
    books        jsonb,
    place        jsonb,
    pass         integer     NOT NULL DEFAULT 1,
    pass_revoked bigint      NOT NULL DEFAULT 0,
    looked_at    bigint      NOT NULL DEFAULT 0,
    revoked      bigint      NOT NULL DEFAULT 0,
    worker       text,
    leased_until timestamptz,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT revocations_pkey PRIMARY KEY (id),
    CONSTRAINT revocations_key_key UNIQUE (key),
    CONSTRAINT revocations_scope_check CHECK (campaign IS NOT NULL OR holder IS NOT NULL),
    CONSTRAINT revocations_state_check CHECK (state IN ('pending', 'running', 'done'))
);
CREATE INDEX revocations_open_idx ON revocations (requested_at) WHERE state IN ('pending', 'running');

-- Who may, and who did -------------------------------------------------------------------------------

CREATE TABLE api_keys (
    id          text        NOT NULL,
    name        text        NOT NULL,
    role        text        NOT NULL,
    digest      bytea       NOT NULL,  -- SHA-256 of the whole key: 256 random bits need no slow hash
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text        NOT NULL,
    revoked_at  timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_digest_check CHECK (octet_length(digest) = 32),
    CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'marketer', 'store', 'finance', 'auditor'))
);

CREATE TABLE audit_log (
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT now(),
    actor       text        NOT NULL,
    action      text        NOT NULL,
    subject     text        NOT NULL,
    detail      jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);

-- Where the drain stands ---------------------------------------------------------------------------

-- One row a shard, made when the campaign is first published. Position, books and chain move together.
CREATE TABLE checkpoints (
    shard       text        NOT NULL,
    campaign    text        NOT NULL,
    epoch       integer     NOT NULL DEFAULT 1,
    seq         bigint      NOT NULL DEFAULT 0,
    entry_id    text        NOT NULL DEFAULT '0-0',
    head        bytea       NOT NULL DEFAULT '\x',  -- hash of the shard's last journal
    state       text        NOT NULL DEFAULT 'running',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT checkpoints_pkey PRIMARY KEY (shard),
    CONSTRAINT checkpoints_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id),
    CONSTRAINT checkpoints_seq_check CHECK (seq >= 0),
    CONSTRAINT checkpoints_state_check CHECK (state IN ('running', 'stopped'))
);

CREATE TABLE breaks (
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    shard       text        NOT NULL,
    kind        text        NOT NULL,
    expected    jsonb       NOT NULL,
    found       jsonb       NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    figure      text        NOT NULL DEFAULT '',  -- which one: stock, reserved, …; a code or a holder
    likely      text        NOT NULL DEFAULT '',  -- what is likely
    seq         bigint,
    state       text        NOT NULL DEFAULT 'open',
    explained_by text,
    explained_at timestamptz,
    explanation text,
    resolved_by text,
    resolution  text,
    compensation text,                            -- the change that made it good: a manual journal, a stock adjustment
    CONSTRAINT breaks_pkey PRIMARY KEY (id),
    CONSTRAINT breaks_kind_check CHECK (kind IN ('seq_gap', 'epoch_changed', 'behind', 'rules_missing',
        'shard_unreadable', 'rows_refused', 'figure', 'coupon', 'holder', 'outside')),
    CONSTRAINT breaks_state_check CHECK (state IN ('open', 'explained', 'resolved')),
    CONSTRAINT breaks_resolved_check CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
-- By the hash of its figure: what is found in Redis under a holder's name may be longer than an index takes.
CREATE UNIQUE INDEX breaks_open_key ON breaks (shard, kind, md5(figure)) WHERE resolved_at IS NULL;
CREATE INDEX breaks_shard_idx ON breaks (shard, id);
CREATE INDEX breaks_state_idx ON breaks (array_position(ARRAY['open', 'explained', 'resolved'], state), id);

-- A stream record that could not be read, whole. fields maps name to hex.
CREATE TABLE quarantine (
    shard          text        NOT NULL,
    entry_id       text        NOT NULL,
    first_seq      bigint,
    count          bigint,
    fields         jsonb       NOT NULL,
    reason         text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    replayed_at    timestamptz,
    CONSTRAINT quarantine_pkey PRIMARY KEY (shard, entry_id)
);

-- Several codes redeemed as one, written down before Redis is touched, so that whoever comes after a crash finishes it
-- or undoes it. items is a list of {"code", "redemption", "discount", "reason", "answer"}, one a code.
CREATE TABLE stacks (
    id           text        NOT NULL,
    key          text        NOT NULL,  -- hash of who asked and his Idempotency-Key
    scope        text        NOT NULL,  -- hash of the order and the codes: an order does it once, whatever the key
    payload      text        NOT NULL,  -- hash of what was asked: the key stands for one
    actor        text        NOT NULL,
    body         jsonb       NOT NULL,
    items        jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'holding',
    refused      jsonb,                 -- why it was undone
    requested_at timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stacks_pkey PRIMARY KEY (id),
    CONSTRAINT stacks_state_check CHECK (state IN ('holding', 'committing', 'done', 'undoing', 'undone'))
);
CREATE UNIQUE INDEX stacks_key_key ON stacks (key) WHERE state <> 'undone';
CREATE INDEX stacks_scope_idx ON stacks (scope, requested_at) WHERE state = 'done';
CREATE INDEX stacks_open_idx ON stacks (updated_at) WHERE state IN ('holding', 'committing', 'undoing');

-- The books ----------------------------------------------------------------------------------------

-- Every coupon as it stands. Written by the drain only; no foreign key, because each costs the COPY a look-up.
CREATE TABLE coupons (
    code        text        NOT NULL,
    campaign    text        NOT NULL,
    shard       text        NOT NULL,
    holder      text        NOT NULL,
    state       text        NOT NULL,
    seq         bigint      NOT NULL,  -- of the claim
    version     integer     NOT NULL,  -- of the rules it was claimed under
    channel     text        NOT NULL,
    claimed_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    changed_seq bigint      NOT NULL,  -- of the last step; the claim's at first
    "left"      bigint,                -- uses or minor units; null: all of it
    reserved_until timestamptz,        -- of the hold
    order_id    text,                  -- of the hold
    batch       text        NOT NULL DEFAULT '',  -- the code batch; empty for a claim
    units       integer     NOT NULL DEFAULT 1,   -- in the unit book; the uses of a code that many may use
    CONSTRAINT coupons_pkey PRIMARY KEY (code),
    CONSTRAINT coupons_state_check CHECK (state IN ('claimed', 'reserved', 'redeemed', 'expired', 'revoked')),
    CONSTRAINT coupons_left_check CHECK ("left" >= 0),
    CONSTRAINT coupons_units_check CHECK (units >= 1)
);
CREATE INDEX coupons_holder_idx ON coupons (holder, claimed_at DESC, code);
CREATE INDEX coupons_batch_idx ON coupons (batch, code) WHERE batch <> '';
-- What the sweeper reads. seq and not code comes last, because it only grows: a claim goes in at the end of its shard.
CREATE INDEX coupons_due_idx ON coupons (shard, expires_at, seq) WHERE state IN ('claimed', 'reserved');
CREATE INDEX coupons_held_idx ON coupons (shard, reserved_until, seq) WHERE state = 'reserved';
CREATE INDEX coupons_order_idx ON coupons (order_id) WHERE state = 'reserved';

-- The sub-ledger: one row a state change, numbered without a gap within a shard, append-only. With it Redis can be
-- rebuilt: holder, code, idem, expires_at and version of every claim; delta of every adjustment.
CREATE TABLE coupon_entries (
    shard       text        NOT NULL,
    seq         bigint      NOT NULL,
    kind        text        NOT NULL,
    at          timestamptz NOT NULL,  -- Redis TIME
    epoch       integer     NOT NULL,
    version     integer     NOT NULL,
    entry_id    text        NOT NULL,
    code        text,
    holder      text,
    idem        text,
    channel     text,
    expires_at  timestamptz,
    unit_minor  bigint,
    delta       bigint,
    detail      jsonb,
    ref         text,    -- the redemption, the order of a hold, or the code batch
    minor       bigint,  -- the discount, or what a rollback gives back
    state       text,    -- of the coupon after a step; null for what is none
    source      text,    -- the account that units leave
    destination text,    -- the account they go to
    units       bigint,
    "left"      bigint,
    effective_date date NOT NULL,  -- the date it is booked on, as its journal
    CONSTRAINT coupon_entries_pkey PRIMARY KEY (shard, seq),
    CONSTRAINT coupon_entries_seq_check CHECK (seq >= 1),
    CONSTRAINT coupon_entries_kind_check CHECK (kind IN ('claimed', 'issued', 'adjusted', 'published', 'attached',
        'reserved', 'released', 'redeemed', 'rolled_back', 'expired', 'revoked'))
);
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
CREATE INDEX redemptions_order_idx ON redemptions (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX redemptions_shard_idx ON redemptions (shard, seq);
-- Those of a merchant, for his statement.
CREATE INDEX redemptions_merchant_idx ON redemptions (merchant) WHERE merchant IS NOT NULL;

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

-- A legal entity keeps books of its own. Everything up to closed_through is closed: nothing is posted there any more. Who
-- posts has the row locked FOR KEY SHARE, and who closes FOR UPDATE.
CREATE TABLE legal_entities (
    id             text        NOT NULL,
    zone           text        NOT NULL DEFAULT 'UTC',
    closed_through date,
    head           bytea       NOT NULL DEFAULT '\x',  -- hash of the last manual journal
    journals       bigint      NOT NULL DEFAULT 0,     -- manual journals so far
    CONSTRAINT legal_entities_pkey PRIMARY KEY (id),
    CONSTRAINT legal_entities_id_check CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT legal_entities_journals_check CHECK (journals >= 0)
);
INSERT INTO legal_entities (id) VALUES ('main');

CREATE TABLE journals (
    id             bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    shard          text        NOT NULL,
    verb           text        NOT NULL,
    first_seq      bigint      NOT NULL,
    last_seq       bigint      NOT NULL,
    occurred_at    timestamptz NOT NULL,  -- of the last state change in it
    effective_date date        NOT NULL,  -- in the campaign's zone
    posted_at      timestamptz NOT NULL DEFAULT now(),
    reverses       bigint,
    previous_hash  bytea       NOT NULL,
    hash           bytea       NOT NULL,
    entity         text        NOT NULL DEFAULT 'main',
    original_date  date,  -- of a late journal, whose effective_date is the first one that was open
    about          text,  -- the shard that a manual journal moves units of; its own is manual:<entity>
    ref            text,  -- the id of a manual journal
    reason         text,
    CONSTRAINT journals_pkey PRIMARY KEY (id),
    CONSTRAINT journals_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT journals_reverses_fkey FOREIGN KEY (reverses) REFERENCES journals (id),
    CONSTRAINT journals_chain_key UNIQUE (shard, previous_hash),
    CONSTRAINT journals_seq_check CHECK (first_seq <= last_seq)
);
CREATE INDEX journals_verb_idx ON journals (shard, verb, effective_date);
-- Their dates by the clock.
CREATE INDEX journals_clock_idx ON journals ((coalesce(original_date, effective_date)));
-- The late ones, of which there are few.
CREATE INDEX journals_late_idx ON journals (shard, original_date) WHERE original_date IS NOT NULL;
-- Those that reverse another.
CREATE INDEX journals_reverses_idx ON journals (reverses) WHERE reverses IS NOT NULL;

-- A posting moves a positive amount of one commodity, so it can't be unbalanced. Units are a commodity too, and keep to
-- the accounts of the unit book; money is in minor units of a currency of ISO 4217, and keeps out of them.
CREATE TABLE postings (
    journal     bigint      NOT NULL,
    line        integer     NOT NULL,
    source      text        NOT NULL,
    destination text        NOT NULL,
    commodity   text        NOT NULL,
    amount      numeric(38) NOT NULL,
    CONSTRAINT postings_pkey PRIMARY KEY (journal, line),
    CONSTRAINT postings_journal_fkey FOREIGN KEY (journal) REFERENCES journals (id),
    CONSTRAINT postings_amount_check CHECK (amount > 0),
    CONSTRAINT postings_accounts_check CHECK (source <> destination),
    CONSTRAINT postings_commodity_check CHECK (commodity LIKE 'coupon:%' OR commodity ~ '^[A-Z]{3}$'),
    CONSTRAINT postings_book_check CHECK (
        (source ~ '^(supply|stock|outstanding|reserved|redeemed|expired|revoked)$') = (commodity LIKE 'coupon:%')
        AND (destination ~ '^(supply|stock|outstanding|reserved|redeemed|expired|revoked)$') = (commodity LIKE 'coupon:%')
    )
);

-- What journals moved, a day: written in the statement that posts them. Reports read this, and a verdict compares it
-- with the postings. shard is that of the journal, or what a manual journal is about.
CREATE TABLE account_days (
    shard          text        NOT NULL,
    effective_date date        NOT NULL,
    commodity      text        NOT NULL,
    account        text        NOT NULL,
    entity         text        NOT NULL,
    debit          numeric(38) NOT NULL,
    credit         numeric(38) NOT NULL,
    CONSTRAINT account_days_pkey PRIMARY KEY (shard, effective_date, commodity, account, entity)
);

-- What state changes moved, a day, by what reports ask for: channel is that of the claim, store that of the redemption.
-- worth_minor is what the units may cost at worst, out_minor what is committed, or owed on balances, more than before;
-- minor what was given away or given back, order_minor what the orders were worth (of redemptions only). It is the sum of v_coupon_movements, which a verdict compares it with.
CREATE TABLE movement_days (
    shard          text        NOT NULL,
    effective_date date        NOT NULL,
    verb           text        NOT NULL,
    source         text        NOT NULL,
    destination    text        NOT NULL,
    channel        text        NOT NULL,
    store          text        NOT NULL,
    currency       text        NOT NULL,
    campaign       text        NOT NULL,
    entity         text        NOT NULL,
    entries        bigint      NOT NULL,
    units          bigint      NOT NULL,
    worth_minor    numeric(38) NOT NULL,
    out_minor      numeric(38) NOT NULL,
    minor          numeric(38) NOT NULL,
    order_minor    numeric(38) NOT NULL,
    CONSTRAINT movement_days_pkey PRIMARY KEY (shard, effective_date, verb, source, destination, channel, store, currency,
        entity)
);

-- The balance of every account of the unit book, a campaign: what came in less what went out.
CREATE VIEW v_balances AS
SELECT commodity, account, sum(debit - credit)::bigint AS balance
FROM account_days
WHERE commodity LIKE 'coupon:%'
GROUP BY commodity, account;

-- Each side of each posting of the money book: debit is what came into the account, credit what went out of it. A manual
-- journal is of no campaign, unless it is about a shard of one.
CREATE VIEW v_money_movements AS
SELECT journals.id AS journal, journals.entity, journals.shard,
    CASE WHEN coalesce(journals.about, journals.shard) LIKE 'manual:%' THEN ''
        ELSE split_part(coalesce(journals.about, journals.shard), '/', 1) END AS campaign,
    journals.verb, journals.first_seq, journals.last_seq, journals.occurred_at, journals.effective_date,
    journals.original_date, journals.posted_at, postings.line, postings.commodity AS currency, side.account, side.debit,
    side.credit
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    VALUES (postings.destination, postings.amount, 0::numeric), (postings.source, 0::numeric, postings.amount)
) AS side (account, debit, credit)
WHERE postings.commodity NOT LIKE 'coupon:%';

-- What each account of the money book came to, a campaign and day of booking.
CREATE VIEW v_money_days AS
SELECT entity, CASE WHEN shard LIKE 'manual:%' THEN '' ELSE split_part(shard, '/', 1) END AS campaign, effective_date,
    commodity AS currency, account, sum(debit) AS debit, sum(credit) AS credit
FROM account_days
WHERE commodity NOT LIKE 'coupon:%'
GROUP BY entity, campaign, effective_date, currency, account;

-- The balance of every account of the money book in each currency, a legal entity; those of a currency sum to zero.
CREATE VIEW v_money_balances AS
SELECT entity, commodity AS currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM account_days
WHERE commodity NOT LIKE 'coupon:%'
GROUP BY entity, currency, account;

-- The same, a campaign.
CREATE VIEW v_campaign_money AS
SELECT entity, campaign, currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM v_money_days
GROUP BY entity, campaign, currency, account;

-- What each funder bears of each campaign: spent by redemptions, given back by rollbacks.
CREATE VIEW v_funder_money AS
SELECT substr(account, 19) AS funder, entity, campaign, currency, sum(debit) AS spent, sum(credit) AS given_back,
    sum(debit - credit) AS balance
FROM v_money_days
WHERE account LIKE 'expense:promotion:%'
GROUP BY funder, entity, campaign, currency;

-- What each merchant is owed for each campaign: discounts it gave, less those it took back. Empty: no merchant was named.
CREATE VIEW v_merchant_money AS
SELECT substr(account, 9) AS merchant, entity, campaign, currency, sum(credit) AS given, sum(debit) AS taken_back,
    sum(credit - debit) AS owed
FROM v_money_days
WHERE account = 'payable' OR account LIKE 'payable:%'
GROUP BY merchant, entity, campaign, currency;

-- The trial balance of each legal entity: the totals of each currency, whose debits and credits are the same.
CREATE VIEW v_trial_balance AS
SELECT entity, currency, account, greatest(balance, 0) AS debit, greatest(-balance, 0) AS credit
FROM v_money_balances
WHERE balance <> 0;

-- Each rollback with its journal, and the journal of the redemption that it gives back of: that of its verb and date
-- whose range it is in. Where a late record was booked inside the range of an earlier journal, the narrower one is its own.
CREATE VIEW v_reversals AS
SELECT rollbacks.shard, rollbacks.seq, back.journal, rollbacks.minor, rollbacks.redemption,
    redemptions.seq AS redeemed_seq, redeemed.journal AS reverses
FROM rollbacks
JOIN redemptions ON redemptions.id = rollbacks.redemption
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM coupon_entries AS entries
    JOIN journals USING (shard, effective_date)
    WHERE entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq AND journals.verb = 'rollback'
        AND entries.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS back ON true
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM coupon_entries AS entries
    JOIN journals USING (shard, effective_date)
    WHERE entries.shard = redemptions.shard AND entries.seq = redemptions.seq AND journals.verb = 'redeem'
        AND entries.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS redeemed ON true;

-- Each state change that may move something, with its verb and way, and what the books need of the rules of its version:
-- entity, zone, currency, unit_minor (the most that a unit may cost, 0 where nothing bounds it) and whether a coupon is
-- stored, a balance to spend. told_currency is that of a redemption or rollback, where it names one.
CREATE VIEW v_changes AS
SELECT entries.shard, entries.seq, split_part(entries.shard, '/', 1) AS campaign, entries.kind, entries.at,
    entries.effective_date, entries.code, entries.state, entries.ref, entries.channel, entries.minor, entries."left",
    entries.detail, moved.verb, moved.source, moved.destination, moved.units,
    coalesce(nullif(terms.definition ->> 'legal_entity', ''), 'main') AS entity,
    coalesce(nullif(terms.definition ->> 'timezone', ''), 'UTC') AS zone,
    substring(terms.definition ->> 'currency' FROM '^[A-Z]{3}$') AS currency,
    coalesce(CASE
        WHEN terms.value ->> 'type' = 'balance'
            OR (terms.value ->> 'type' = 'amount_off' AND (terms.value -> 'every') IS DISTINCT FROM 'true')
            THEN (terms.value ->> 'minor')::numeric
        ELSE (terms.value ->> 'cap_minor')::numeric
    END, 0) AS unit_minor,
    coalesce(terms.value ->> 'type' = 'balance', false) AS stored,
    CASE WHEN entries.kind IN ('redeemed', 'rolled_back') THEN
        coalesce(nullif(entries.detail ->> 'currency', ''), nullif(entries.detail #>> '{order,currency}', ''))
    END AS told_currency
FROM coupon_entries AS entries
LEFT JOIN campaign_versions AS versions
    ON versions.campaign = split_part(entries.shard, '/', 1) AND versions.version = entries.version
CROSS JOIN LATERAL (SELECT versions.definition, versions.definition -> 'value' AS value) AS terms
CROSS JOIN LATERAL (
    SELECT
        CASE entries.kind WHEN 'claimed' THEN 'claim' WHEN 'issued' THEN 'issue'
            WHEN 'adjusted' THEN CASE WHEN entries.delta > 0 THEN 'restock' ELSE 'withdraw' END
            WHEN 'reserved' THEN 'reserve' WHEN 'released' THEN 'release' WHEN 'redeemed' THEN 'redeem'
            WHEN 'rolled_back' THEN 'rollback' WHEN 'expired' THEN 'expire' WHEN 'revoked' THEN 'revoke' END AS verb,
        CASE WHEN entries.kind IN ('claimed', 'issued') THEN 'stock'
            WHEN entries.kind <> 'adjusted' THEN coalesce(entries.source, '')
            WHEN entries.delta > 0 THEN 'supply' ELSE 'stock' END AS source,
        CASE WHEN entries.kind IN ('claimed', 'issued') THEN 'outstanding'
            WHEN entries.kind <> 'adjusted' THEN coalesce(entries.destination, '')
            WHEN entries.delta > 0 THEN 'stock' ELSE 'supply' END AS destination,
        CASE WHEN entries.kind = 'claimed' THEN 1 ELSE coalesce(entries.units, abs(entries.delta), 1) END AS units
) AS moved
WHERE entries.kind NOT IN ('published', 'attached') AND entries.delta IS DISTINCT FROM 0;

-- What each state change moved: its units, the most they may cost by the rules of its version, what is committed or owed on
-- balances more than before, and what was given away or back, in one currency; 0 where that is not the campaign's. What
-- ends of a balance is what is left on it. movement_days is the sum of it.
CREATE VIEW v_coupon_movements AS
SELECT changes.shard, changes.seq, changes.campaign, changes.entity, changes.effective_date, changes.at, changes.code,
    changes.state, changes.verb, changes.source, changes.destination,
    coalesce(changes.channel, coupons.channel, '') AS channel, coalesce(redemptions.store, '') AS store,
    coalesce(changes.told_currency, changes.currency, '') AS currency, changes.units,
    worth.worth_minor,
    CASE WHEN NOT changes.stored OR changes.state IS NULL THEN worth.worth_minor
            * ((changes.destination IN ('outstanding', 'reserved'))::integer
                - (changes.source IN ('outstanding', 'reserved'))::integer)
        WHEN changes.kind = 'redeemed' THEN -worth.minor
        ELSE worth.minor - worth.ended_minor END AS out_minor,
    worth.minor,
    CASE WHEN changes.kind = 'redeemed' THEN coalesce(redemptions.order_minor, 0) ELSE 0 END AS order_minor
FROM v_changes AS changes
LEFT JOIN coupons ON coupons.code = changes.code AND changes.state IS NOT NULL
LEFT JOIN redemptions ON redemptions.id = changes.ref AND changes.kind IN ('redeemed', 'rolled_back')
CROSS JOIN LATERAL (
    SELECT coalesce(coalesce(changes.told_currency, changes.currency) = changes.currency, false) AS is_own
) AS told
CROSS JOIN LATERAL (
    SELECT CASE WHEN told.is_own THEN changes.unit_minor * changes.units ELSE 0 END AS worth_minor,
        CASE WHEN changes.kind IN ('redeemed', 'rolled_back') THEN changes.minor ELSE 0 END AS minor,
        CASE WHEN NOT told.is_own THEN 0
            WHEN changes.kind = 'rolled_back' AND changes.source = 'expired'
                AND changes.destination IN ('outstanding', 'reserved') THEN least(changes.minor - changes."left", 0)
            WHEN changes.kind = 'rolled_back' AND changes.state IN ('expired', 'revoked') THEN changes.minor
            WHEN changes.kind IN ('expired', 'revoked') THEN coalesce(changes."left", 0)
            ELSE 0 END AS ended_minor
) AS worth;

-- The postings of each state change in both books, of which journals are the sums; original_date as theirs.
CREATE VIEW v_change_postings AS
SELECT changes.shard, changes.seq, changes.at, changes.campaign, changes.entity, changes.verb, changes.effective_date,
    nullif((changes.at AT TIME ZONE changes.zone)::date, changes.effective_date) AS original_date, posting.source,
    posting.destination, posting.commodity, posting.amount
FROM v_changes AS changes
CROSS JOIN LATERAL (
    SELECT changes.unit_minor * changes.units AS worth, changes.source IN ('outstanding', 'reserved') AS was_live,
        changes.destination IN ('outstanding', 'reserved') AS is_live,
        'commitment:' || changes.campaign AS commitment, 'clearing:gift:' || changes.campaign AS clearing,
        'liability:gift:' || changes.campaign AS liability, 'income:breakage:' || changes.campaign AS breakage,
        'suspense:promotion:' || changes.campaign AS suspense,
        'payable' || coalesce(':' || nullif(changes.detail ->> 'merchant', ''), '') AS payable,
        CASE WHEN jsonb_typeof(changes.detail -> 'funders') = 'array' THEN changes.detail -> 'funders' ELSE '[]' END
            AS funders
) AS told
CROSS JOIN LATERAL (
    SELECT changes.source, changes.destination, 'coupon:' || changes.campaign AS commodity, changes.units::numeric AS amount
    WHERE changes.source <> ''
    UNION ALL  -- the budget, and what is committed of it
    SELECT way.source, way.destination, changes.currency, told.worth
    FROM (VALUES
        ('budget:authorised', 'budget:available', changes.verb = 'restock'),
        ('budget:available', 'budget:authorised', changes.verb = 'withdraw'),
        ('budget:available', told.commitment, NOT told.was_live AND told.is_live),
        (told.commitment, 'budget:available', told.was_live AND NOT told.is_live)
    ) AS way (source, destination, is_gone)
    WHERE NOT changes.stored AND way.is_gone
    UNION ALL  -- a balance: what is owed on it, and owed no more
    SELECT way.source, way.destination, changes.currency, way.minor
    FROM (VALUES
        (told.liability, told.clearing, CASE WHEN changes.kind IN ('claimed', 'issued') THEN told.worth END),
        (CASE changes.destination WHEN 'stock' THEN told.clearing ELSE told.breakage END, told.liability, CASE
            WHEN changes.kind IN ('expired', 'revoked') THEN changes."left"
            WHEN changes.kind = 'rolled_back' AND changes.state IN ('expired', 'revoked') THEN changes.minor
        END),
        (told.liability, told.breakage, CASE
            WHEN changes.kind = 'rolled_back' AND changes.source = 'expired' AND told.is_live
                THEN changes."left" - changes.minor
        END)
    ) AS way (source, destination, minor)
    WHERE changes.stored
    UNION ALL  -- a discount, from whoever gave it to whoever bears it; a rollback takes it back
    SELECT CASE changes.kind WHEN 'redeemed' THEN told.payable ELSE share.bearer END,
        CASE changes.kind WHEN 'redeemed' THEN share.bearer ELSE told.payable END,
        coalesce(changes.told_currency, changes.currency), share.minor
    FROM (
        SELECT told.liability AS bearer, changes.minor::numeric AS minor WHERE changes.stored
        UNION ALL
        SELECT 'expense:promotion:' || funder.account, funder.minor
        FROM jsonb_to_recordset(told.funders) AS funder (account text, minor numeric)
        WHERE NOT changes.stored
        UNION ALL
        SELECT told.suspense, changes.minor - coalesce(sum(funder.minor), 0)
        FROM jsonb_to_recordset(told.funders) AS funder (minor numeric)
        HAVING NOT changes.stored
    ) AS share
    WHERE changes.kind IN ('redeemed', 'rolled_back')
) AS posting
WHERE posting.commodity IS NOT NULL AND posting.amount > 0;

-- What makes the lines of journals exact between two instants by the clock of the sale: of each journal that one of them
-- cuts, what its state changes before `before` moved, less what those before `since` did; and when the last of them was.
-- All of a journal is of one date by the clock in some zone, which leaves the journals of three days to look at, and of
-- those the ones that had begun by then, or within a minute, should the clock have been set back meanwhile. What came out
-- of quarantine has a journal of its own inside the range of another one.
CREATE FUNCTION postings_cut_by(since timestamptz, before timestamptz)
RETURNS TABLE (journal bigint, line integer, source text, destination text, commodity text, amount numeric, at timestamptz)
LANGUAGE sql STABLE AS $$
SELECT postings.journal, postings.line, postings.source, postings.destination, postings.commodity,
    sum(parts.amount * cut.sign), max(parts.at)
FROM (VALUES (since, -1), (before, 1)) AS cut (at, sign)
JOIN journals ON journals.occurred_at >= cut.at AND journals.first_seq < journals.last_seq
    AND coalesce(journals.original_date, journals.effective_date)
        BETWEEN (cut.at AT TIME ZONE 'UTC')::date - 1 AND (cut.at AT TIME ZONE 'UTC')::date + 1
JOIN coupon_entries AS firsts ON firsts.shard = journals.shard AND firsts.seq = journals.first_seq
    AND firsts.at < cut.at + interval '1 minute'
CROSS JOIN LATERAL (
    SELECT coalesce(range_agg(int8range(late.first_seq, late.last_seq, '[]')), '{}') AS seqs
    FROM journals AS late
    WHERE late.shard = journals.shard AND late.verb = journals.verb AND late.effective_date = journals.effective_date
        AND late.first_seq > journals.first_seq AND late.last_seq < journals.last_seq AND late.entity = journals.entity
        AND late.original_date IS NOT DISTINCT FROM journals.original_date
) AS others
CROSS JOIN LATERAL (
    SELECT source, destination, commodity, sum(amount) AS amount, max(changes.at) AS at
    FROM v_change_postings AS changes
    WHERE changes.shard = firsts.shard AND seq BETWEEN firsts.seq AND journals.last_seq AND NOT seq <@ others.seqs
        AND changes.at < cut.at AND changes.verb = journals.verb AND changes.entity = journals.entity
        AND changes.effective_date = journals.effective_date
        AND changes.original_date IS NOT DISTINCT FROM journals.original_date
    GROUP BY source, destination, commodity
) AS parts
JOIN postings ON postings.journal = journals.id AND postings.source = parts.source
    AND postings.destination = parts.destination AND postings.commodity = parts.commodity
GROUP BY postings.journal, postings.line
$$;

-- The lines of journals that count between two instants by a basis, each at its time: by the effective date that is its
-- midnight; by the clock of the sale what lies between them counts of a journal that is cut, at the last of it.
CREATE FUNCTION postings_in(basis text, since timestamptz, before timestamptz)
RETURNS TABLE (journal bigint, line integer, source text, destination text, commodity text, amount numeric, at timestamptz)
LANGUAGE sql STABLE AS $$
WITH cut AS (
    SELECT * FROM postings_cut_by(since, before) WHERE basis = 'occurred'
)
SELECT postings.journal, postings.line, postings.source, postings.destination, postings.commodity,
    postings.amount + coalesce(cut.amount, 0), told.at
FROM journals
CROSS JOIN LATERAL (
    SELECT CASE basis
            WHEN 'posted' THEN journals.posted_at
            WHEN 'occurred' THEN journals.occurred_at
            ELSE journals.effective_date::timestamp AT TIME ZONE 'UTC'
        END AS at
) AS told
JOIN postings ON postings.journal = journals.id
LEFT JOIN cut ON basis = 'occurred' AND cut.journal = postings.journal AND cut.line = postings.line
WHERE (since IS NULL OR told.at >= since) AND (before IS NULL OR told.at < before)
    AND postings.amount + coalesce(cut.amount, 0) <> 0
UNION ALL
SELECT cut.journal, cut.line, cut.source, cut.destination, cut.commodity, cut.amount, cut.at
FROM cut
JOIN journals ON journals.id = cut.journal
WHERE basis = 'occurred' AND journals.occurred_at >= before AND cut.amount <> 0
$$;

-- What finance signs ---------------------------------------------------------------------------------

-- A month or a day of an entity: open where there is no row.
CREATE TABLE periods (
    entity     text        NOT NULL,
    kind       text        NOT NULL,
    starts     date        NOT NULL,
    ends       date        NOT NULL,  -- the last day of it
    state      text        NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT periods_pkey PRIMARY KEY (entity, kind, starts),
    CONSTRAINT periods_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT periods_kind_check CHECK (kind IN ('month', 'day')),
    CONSTRAINT periods_state_check CHECK (state IN ('open', 'hold', 'closed')),
    CONSTRAINT periods_ends_check CHECK (ends >= starts)
);

-- What a close was signed on: json and not jsonb, which keeps it as it was written. A period that was reopened and closed
-- again has several.
CREATE TABLE close_reports (
    id        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    entity    text        NOT NULL,
    kind      text        NOT NULL,
    starts    date        NOT NULL,
    report    json        NOT NULL,
    closed_by text        NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT close_reports_pkey PRIMARY KEY (id),
    CONSTRAINT close_reports_period_fkey FOREIGN KEY (entity, kind, starts) REFERENCES periods (entity, kind, starts)
);

-- A file of orders or payments that another system has, to be matched with the redemptions by order. What a line's minor
-- is compared with says measure: the discount that was given, what of it did not come back, or what the order was worth.
CREATE TABLE outside_files (
    id         text        NOT NULL,
    name       text        NOT NULL,
    entity     text        NOT NULL,
    currency   text        NOT NULL,
    since      date        NOT NULL,
    until      date        NOT NULL,
    zone       text        NOT NULL,
    merchant   text,
    store      text,
    measure    text        NOT NULL,
    rows       bigint      NOT NULL,
    sha256     text        NOT NULL,
    uploaded_by text       NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    corrects   text,  -- the first of the files that it takes the place of; the last one that came in counts
    CONSTRAINT outside_files_pkey PRIMARY KEY (id),
    CONSTRAINT outside_files_corrects_fkey FOREIGN KEY (corrects) REFERENCES outside_files (id),
    CONSTRAINT outside_files_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT outside_files_measure_check CHECK (measure IN ('discount', 'net', 'order')),
    CONSTRAINT outside_files_until_check CHECK (until >= since)
);
-- Its lines. No foreign key, because that would cost the COPY of a million lines a look-up each.
CREATE TABLE outside_rows (
    file     text   NOT NULL,
    line     bigint NOT NULL,
    order_id text   NOT NULL,
    minor    bigint NOT NULL,
    CONSTRAINT outside_rows_pkey PRIMARY KEY (file, line)
);
CREATE TABLE outside_runs (
    id      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    file    text        NOT NULL,
    ran_by  text        NOT NULL,
    ran_at  timestamptz NOT NULL DEFAULT now(),
    summary jsonb       NOT NULL,
    CONSTRAINT outside_runs_pkey PRIMARY KEY (id),
    CONSTRAINT outside_runs_file_fkey FOREIGN KEY (file) REFERENCES outside_files (id)
);
-- What a run found that does not match. here_minor or there_minor is null where the order is missing on that side.
CREATE TABLE outside_differences (
    run         bigint  NOT NULL,
    order_id    text    NOT NULL,
    outcome     text    NOT NULL,
    line        bigint,            -- the first of the order
    lines       bigint  NOT NULL,
    redemptions bigint  NOT NULL,
    here_minor  numeric(38),
    there_minor numeric(38),
    note        text    NOT NULL,
    CONSTRAINT outside_differences_pkey PRIMARY KEY (run, order_id),
    CONSTRAINT outside_differences_run_fkey FOREIGN KEY (run) REFERENCES outside_runs (id),
    CONSTRAINT outside_differences_outcome_check CHECK (outcome IN ('missing_here', 'missing_there', 'amount_differs',
        'duplicate'))
);

-- A journal that a person makes and another one approves. lines is a list of {debit, credit, commodity, minor, order_id}.
CREATE TABLE manual_journals (
    id             text        NOT NULL,
    entity         text        NOT NULL,
    effective_date date        NOT NULL,
    about          text,
    reverses       bigint,
    reason         text        NOT NULL,
    attachment     text        NOT NULL DEFAULT '',
    lines          jsonb       NOT NULL,
    state          text        NOT NULL DEFAULT 'drafted',
    made_by        text        NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    checked_by     text,
    checked_at     timestamptz,
    refused        text,   -- why it was rejected, or could not be posted
    journal        bigint,
    settles        text,   -- a file of another system: the lines that name an order settle what differs of it
    CONSTRAINT manual_journals_pkey PRIMARY KEY (id),
    CONSTRAINT manual_journals_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT manual_journals_journal_fkey FOREIGN KEY (journal) REFERENCES journals (id),
    CONSTRAINT manual_journals_reverses_fkey FOREIGN KEY (reverses) REFERENCES journals (id),
    CONSTRAINT manual_journals_settles_fkey FOREIGN KEY (settles) REFERENCES outside_files (id),
    CONSTRAINT manual_journals_state_check CHECK (state IN ('drafted', 'approved', 'posted', 'rejected')),
    CONSTRAINT manual_journals_checker_check CHECK (checked_by IS DISTINCT FROM made_by)
);
CREATE INDEX manual_journals_approved_idx ON manual_journals (made_at) WHERE state = 'approved';
-- A journal is reversed once.
CREATE UNIQUE INDEX manual_journals_reverses_key ON manual_journals (reverses) WHERE state <> 'rejected';
-- What the lines of a manual journal come to in the commodity of the first one, so that it sorts within that.
CREATE FUNCTION lines_come_to(lines jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(lines -> 0 ->> 'commodity' || ' ' || lpad((
    SELECT sum((line ->> 'minor')::numeric)
    FROM jsonb_array_elements(lines) AS line
    WHERE line -> 'commodity' = lines -> 0 -> 'commodity'
)::text, 20, '0'), '');
CREATE INDEX manual_journals_amount_idx ON manual_journals (lines_come_to(lines) COLLATE "C", id);
CREATE INDEX manual_journals_state_idx ON manual_journals (
    array_position(ARRAY['drafted', 'approved', 'posted', 'rejected'], state), id);

-- One comparison of a shard in Redis with the books, at one seq.
CREATE TABLE stocktakes (
    id       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    shard    text        NOT NULL,
    seq      bigint      NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    asked_by text        NOT NULL,  -- 'clerk' where it was nobody
    figures  jsonb       NOT NULL,  -- figure -> [expected, found]
    sampled  jsonb       NOT NULL,  -- how many coupons and holders were compared field by field
    breaks   integer     NOT NULL,
    CONSTRAINT stocktakes_pkey PRIMARY KEY (id)
);
CREATE INDEX stocktakes_shard_idx ON stocktakes (shard, id);
CREATE INDEX stocktakes_breaks_idx ON stocktakes (breaks, id);
CREATE INDEX stocktakes_shard_breaks_idx ON stocktakes (shard, breaks, id);
-- The last one before a break was seen that had none.
CREATE INDEX stocktakes_clean_idx ON stocktakes (shard, taken_at, id) WHERE breaks = 0;

-- A report that is made in the background, in parts, so that another process goes on where one died.
CREATE TABLE exports (
    id           text        NOT NULL,
    key          text        NOT NULL,  -- its Idempotency-Key
    report       text        NOT NULL,
    format       text        NOT NULL,
    asked        jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    parts        integer     NOT NULL DEFAULT 0,
    rows         bigint      NOT NULL DEFAULT 0,   -- read from the books, in parts
    rows_about   bigint,                           -- as estimated at the start
    written      bigint      NOT NULL DEFAULT 0,   -- of them, into the file
    spool        jsonb       NOT NULL DEFAULT '{}',  -- the files that count, and of what books they are
    bytes        bigint,
    manifest     jsonb,
    failed       text,
    asked_by     text        NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    worker       text,
    tries        integer     NOT NULL DEFAULT 0,   -- since it last came further
    leased_until timestamptz,
    finished_at  timestamptz,
    CONSTRAINT exports_pkey PRIMARY KEY (id),
    CONSTRAINT exports_key UNIQUE (asked_by, key),
    CONSTRAINT exports_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'removed'))
);
CREATE INDEX exports_asked_idx ON exports (asked_at, id);
CREATE INDEX exports_open_idx ON exports (asked_at) WHERE state IN ('waiting', 'running');
CREATE INDEX exports_report_idx ON exports (report, id);
CREATE INDEX exports_state_idx ON exports (
    array_position(ARRAY['waiting', 'running', 'done', 'failed', 'cancelled', 'removed'], state), id);
CREATE INDEX exports_bytes_idx ON exports (coalesce(bytes, 0), id);

-- Nothing in the books is changed or removed; a correction is a new journal that names what it reverses.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER campaign_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON campaign_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER coupon_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON coupon_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER journals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rollbacks_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rollbacks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER coupons_kept BEFORE DELETE OR TRUNCATE ON coupons
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_kept BEFORE DELETE OR TRUNCATE ON redemptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER redemptions_fixed BEFORE UPDATE OF id, code, campaign, shard, seq, holder, order_id, minor, currency,
    order_minor, merchant, store, staff, channel, stack, lines, shipping_minor, funders, actor, redeemed_at ON redemptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER close_reports_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON close_reports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stocktakes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stocktakes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER breaks_kept BEFORE DELETE OR TRUNCATE ON breaks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER manual_journals_kept BEFORE DELETE OR TRUNCATE ON manual_journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_days_kept BEFORE DELETE OR TRUNCATE ON account_days
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER movement_days_kept BEFORE DELETE OR TRUNCATE ON movement_days
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Least privilege: each process takes the role of its work (SET ROLE) after it connects. -------------

GRANT SELECT ON ALL TABLES IN SCHEMA public TO fairclaim_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO fairclaim_gateway;
GRANT INSERT ON campaigns, campaign_versions, stock_adjustments, api_keys, audit_log, checkpoints TO fairclaim_gateway;
GRANT UPDATE (version, state, definition, updated_at) ON campaigns TO fairclaim_gateway;
GRANT UPDATE (steps, state) ON stock_adjustments TO fairclaim_gateway;
GRANT UPDATE (revoked_at) ON api_keys TO fairclaim_gateway;
GRANT INSERT ON code_batches, named_codes, import_refusals, revocations TO fairclaim_gateway;
GRANT UPDATE (state, reason, parts, flight, count, done, refused, rate, cancelled_by, worker, leased_until, started_at,
    finished_at) ON code_batches TO fairclaim_gateway;
GRANT UPDATE (shown, campaign, batch, line, shard, chunk, state) ON named_codes TO fairclaim_gateway;
GRANT UPDATE (state, waits_for, until, books, place, pass, pass_revoked, looked_at, revoked, worker, leased_until,
    started_at, finished_at) ON revocations TO fairclaim_gateway;
GRANT INSERT ON stacks TO fairclaim_gateway;
GRANT UPDATE (items, state, refused, updated_at) ON stacks TO fairclaim_gateway;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO fairclaim_reconciler;
GRANT INSERT ON coupons, coupon_entries, redemptions, rollbacks, journals, postings, breaks, quarantine
    TO fairclaim_reconciler;
GRANT UPDATE (seq, entry_id, head, state, updated_at) ON checkpoints TO fairclaim_reconciler;
GRANT UPDATE (state, changed_seq, "left", reserved_until, order_id, expires_at) ON coupons TO fairclaim_reconciler;
GRANT UPDATE (rolled_back_minor) ON redemptions TO fairclaim_reconciler;
GRANT UPDATE (resolved_at) ON breaks TO fairclaim_reconciler;
GRANT UPDATE (first_seq, count, replayed_at) ON quarantine TO fairclaim_reconciler;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO fairclaim_clerk;
GRANT INSERT, UPDATE (debit, credit) ON account_days TO fairclaim_reconciler;
GRANT INSERT, UPDATE (entries, units, worth_minor, out_minor, minor, order_minor) ON movement_days TO fairclaim_reconciler;
GRANT UPDATE (head, journals) ON legal_entities TO fairclaim_reconciler;
GRANT UPDATE (state, refused, journal) ON manual_journals TO fairclaim_reconciler;
GRANT UPDATE (state) ON breaks TO fairclaim_reconciler;
GRANT INSERT ON legal_entities, periods, close_reports, manual_journals, exports, outside_files, outside_rows,
    outside_runs, outside_differences, stocktakes, breaks TO fairclaim_gateway;
GRANT UPDATE (zone, closed_through) ON legal_entities TO fairclaim_gateway;
GRANT UPDATE (state, changed_by, changed_at) ON periods TO fairclaim_gateway;
GRANT UPDATE (state, checked_by, checked_at, refused) ON manual_journals TO fairclaim_gateway;
GRANT UPDATE (state, explained_by, explained_at, explanation, resolved_at, resolved_by, resolution, compensation)
    ON breaks TO fairclaim_gateway;
GRANT UPDATE (state, failed, finished_at) ON exports TO fairclaim_gateway;
GRANT INSERT ON stocktakes, breaks, audit_log TO fairclaim_clerk;
GRANT INSERT ON audit_log TO fairclaim_reconciler;
GRANT UPDATE (state, parts, rows, rows_about, written, spool, bytes, manifest, failed, worker, tries, leased_until,
    finished_at) ON exports TO fairclaim_clerk;

-- People who sign in to the console ------------------------------------------------------------------

-- password is argon2id as its library writes it, parameters and salt within. stamp is in every session of this person: with
-- a new one all of them are over. An empty language, theme or zone is as the browser has it.
CREATE TABLE users (
    name         text        NOT NULL,
    display      text        NOT NULL,
    roles        text[]      NOT NULL,
    password     text        NOT NULL,
    stamp        text        NOT NULL,
    must_change  boolean     NOT NULL,
    language     text        NOT NULL DEFAULT '',
    theme        text        NOT NULL DEFAULT '',
    zone         text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text        NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    changed_by   text        NOT NULL,
    disabled_at  timestamptz,
    disabled_by  text,
    CONSTRAINT users_pkey PRIMARY KEY (name),
    CONSTRAINT users_name_check CHECK (name ~ '^[a-z0-9._-]{1,64}$'),
    CONSTRAINT users_display_check CHECK (char_length(display) BETWEEN 1 AND 100),
    CONSTRAINT users_roles_check CHECK (cardinality(roles) > 0
        AND roles <@ ARRAY['admin', 'marketer', 'store', 'finance', 'auditor', 'operator']),
    CONSTRAINT users_password_check CHECK (password LIKE '$argon2id$%'),
    CONSTRAINT users_theme_check CHECK (theme IN ('', 'light', 'dark')),
    CONSTRAINT users_disabled_check CHECK ((disabled_at IS NULL) = (disabled_by IS NULL))
);
CREATE TRIGGER users_kept BEFORE DELETE OR TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Nobody else reads it: what a password is checked with is nothing for reports.
GRANT SELECT, INSERT ON users TO fairclaim_gateway;
GRANT UPDATE (display, roles, password, stamp, must_change, language, theme, zone, changed_at, changed_by, disabled_at,
    disabled_by) ON users TO fairclaim_gateway;

-- What moves money and takes two people ------------------------------------------------------------

-- asked is the request, before what it would change as it was then; outcome is what became of it. A proposal is decided by
-- somebody else than who made it, told by name: maker_name and checker_name are the names as they are compared.
CREATE TABLE proposals (
    id           text        NOT NULL,
    kind         text        NOT NULL,
    subject      text        NOT NULL,
    asked        jsonb       NOT NULL,
    before       jsonb       NOT NULL,
    reason       text        NOT NULL,
    maker        text        NOT NULL,
    maker_name   text        NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    checker      text,
    checker_name text,
    decided_at   timestamptz,
    said         text,
    outcome      jsonb,
    CONSTRAINT proposals_pkey PRIMARY KEY (id),
    CONSTRAINT proposals_kind_check
        CHECK (kind IN ('campaign_change', 'stock_adjustment', 'revocation', 'period_reopening')),
    CONSTRAINT proposals_state_check
        CHECK (state IN ('pending', 'approved', 'applied', 'failed', 'rejected', 'withdrawn', 'expired')),
    CONSTRAINT proposals_checker_check CHECK (checker_name IS DISTINCT FROM maker_name),
    CONSTRAINT proposals_checked_check
        CHECK ((checker_name IS NOT NULL) = (state IN ('approved', 'applied', 'failed', 'rejected')))
);
-- One of a kind waits for the same thing at most.
CREATE UNIQUE INDEX proposals_waiting_key ON proposals (kind, subject) WHERE state IN ('pending', 'approved');
CREATE INDEX proposals_made_idx ON proposals (made_at DESC, id DESC);
CREATE INDEX proposals_expiring_idx ON proposals (expires_at) WHERE state = 'pending';

CREATE TRIGGER proposals_kept BEFORE DELETE OR TRUNCATE ON proposals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON proposals TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
GRANT INSERT ON proposals TO fairclaim_gateway;
GRANT UPDATE (state, checker, checker_name, decided_at, said, outcome) ON proposals TO fairclaim_gateway;

-- What somebody should know of ----------------------------------------------------------------------

-- subject is a campaign, or empty for the system as a whole; figure and worst are in unit, as threshold is. Of one kind and
-- subject one alert is open at most. about is what else there is to say: names and figures.
CREATE TABLE alerts (
    id              bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind            text             NOT NULL,
    subject         text             NOT NULL,
    severity        text             NOT NULL,
    figure          double precision NOT NULL,
    worst           double precision NOT NULL,
    threshold       double precision NOT NULL,
    unit            text             NOT NULL,
    about           jsonb            NOT NULL DEFAULT '{}',
    raised_at       timestamptz      NOT NULL DEFAULT now(),
    seen_at         timestamptz      NOT NULL DEFAULT now(),
    cleared_at      timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    note            text,
    CONSTRAINT alerts_pkey PRIMARY KEY (id),
    CONSTRAINT alerts_severity_check CHECK (severity IN ('critical', 'warning', 'info')),
    CONSTRAINT alerts_acknowledged_check CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL)),
    CONSTRAINT alerts_note_check CHECK (note IS NULL OR char_length(note) <= 500)
);
CREATE UNIQUE INDEX alerts_open_key ON alerts (kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alerts_subject_idx ON alerts (subject, id DESC);

-- A threshold that somebody chose, of one campaign or (campaign is empty) of all there is. Without a value it is the default.
CREATE TABLE alert_thresholds (
    kind       text             NOT NULL,
    campaign   text             NOT NULL DEFAULT '',
    value      double precision,
    is_off     boolean          NOT NULL DEFAULT false,
    changed_by text             NOT NULL,
    changed_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT alert_thresholds_pkey PRIMARY KEY (kind, campaign),
    CONSTRAINT alert_thresholds_value_check CHECK (value >= 0)
);

-- Who is told. secret signs what is sent to a webhook, and so does old_secret until it ends. No kinds are all kinds.
CREATE TABLE alert_receivers (
    id            text        NOT NULL,
    by            text        NOT NULL,
    name          text        NOT NULL,
    address       text        NOT NULL,
    kinds         text[]      NOT NULL DEFAULT '{}',
    secret        text        NOT NULL DEFAULT '',
    old_secret    text        NOT NULL DEFAULT '',
    old_until     timestamptz,
    state         text        NOT NULL DEFAULT 'on',
    reason        text,                              -- why it was turned off by itself
    failing_since timestamptz,
    last_sent_at  timestamptz,
    last_error    text,
    made_by       text        NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT now(),
    changed_by    text        NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_receivers_pkey PRIMARY KEY (id),
    CONSTRAINT alert_receivers_by_check CHECK (by IN ('webhook', 'email')),
    CONSTRAINT alert_receivers_state_check CHECK (state IN ('on', 'off', 'failed', 'removed')),
    CONSTRAINT alert_receivers_secret_check CHECK ((by = 'webhook') = (secret <> ''))
);

-- One event on its way to one receiver. The id is what the receiver tells repetitions by; payload is sent as it is here.
CREATE TABLE alert_deliveries (
    id           text        NOT NULL,
    receiver     text        NOT NULL,
    alert        bigint,                             -- none of a trial
    type         text        NOT NULL,
    payload      text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    tries        integer     NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    error        text,
    made_at      timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    CONSTRAINT alert_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT alert_deliveries_receiver_fkey FOREIGN KEY (receiver) REFERENCES alert_receivers (id),
    CONSTRAINT alert_deliveries_alert_fkey FOREIGN KEY (alert) REFERENCES alerts (id),
    CONSTRAINT alert_deliveries_state_check CHECK (state IN ('pending', 'sent', 'failed', 'dropped'))
);
CREATE INDEX alert_deliveries_due_idx ON alert_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX alert_deliveries_alert_idx ON alert_deliveries (alert, made_at);

-- Whose watch it is: one worker looks, until its time is over.
CREATE TABLE alert_watch (
    one    boolean     NOT NULL DEFAULT true,
    worker text        NOT NULL DEFAULT '',
    until  timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT alert_watch_pkey PRIMARY KEY (one),
    CONSTRAINT alert_watch_one_check CHECK (one)
);
INSERT INTO alert_watch DEFAULT VALUES;

CREATE TRIGGER alerts_kept BEFORE DELETE OR TRUNCATE ON alerts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER alert_receivers_kept BEFORE DELETE OR TRUNCATE ON alert_receivers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON alerts, alert_thresholds, alert_deliveries, alert_watch
    TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
-- Nobody else reads the receivers: their addresses and secrets are nothing for reports.
GRANT SELECT ON alert_receivers TO fairclaim_gateway;
GRANT INSERT ON alerts, alert_thresholds, alert_receivers, alert_deliveries TO fairclaim_gateway;
GRANT UPDATE (figure, worst, about, seen_at, cleared_at, acknowledged_by, acknowledged_at, note) ON alerts TO fairclaim_gateway;
GRANT UPDATE (value, is_off, changed_by, changed_at) ON alert_thresholds TO fairclaim_gateway;
GRANT UPDATE (secret, old_secret, old_until, state, reason, failing_since, last_sent_at, last_error, changed_by, changed_at)
    ON alert_receivers TO fairclaim_gateway;
GRANT UPDATE (state, tries, next_at, leased_until, error, ended_at) ON alert_deliveries TO fairclaim_gateway;
GRANT UPDATE (worker, until) ON alert_watch TO fairclaim_gateway;

-- Of alerts that were over days ago, and not fewer than 30, at most so many; how many these were. It runs as whoever made it.
CREATE FUNCTION forget_alert_deliveries(days integer, most integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM alert_deliveries WHERE id IN (
            SELECT alert_deliveries.id FROM alert_deliveries JOIN alerts ON alerts.id = alert_deliveries.alert
            WHERE alert_deliveries.state <> 'pending'
                AND alerts.cleared_at < now() - make_interval(days => greatest(days, 30))
            LIMIT most)
        RETURNING id)
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION forget_alert_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_alert_deliveries TO fairclaim_gateway;

-- For whoever brings a BI tool ------------------------------------------------------------------------

-- What fairclaim_analyst may read: views, whose names and columns stay as they are, and no table. None of them shows a
-- code, because a code is money to whoever has it; a coupon is told by its shard and the seq it was given out with.

-- A campaign as it is now; worst_minor is the most that one coupon can cost, null where nothing bounds it.
CREATE VIEW v_campaigns AS
SELECT id AS campaign, definition ->> 'name' AS name, state, coalesce(definition ->> 'legal_entity', 'main') AS entity,
    definition ->> 'currency' AS currency, definition #>> '{value,type}' AS kind,
    (CASE WHEN definition #>> '{value,type}' = 'balance' OR (definition #>> '{value,type}' = 'amount_off'
            AND definition #>> '{value,every}' IS DISTINCT FROM 'true')
        THEN definition #>> '{value,minor}' ELSE definition #>> '{value,cap_minor}' END)::bigint AS worst_minor,
    (definition ->> 'stock')::bigint AS initial_stock, (definition ->> 'starts_at')::timestamptz AS starts_at,
    (definition ->> 'ends_at')::timestamptz AS ends_at, definition ->> 'timezone' AS timezone, created_at
FROM campaigns;

-- How many decimal places the minor unit of each currency in use is away: 2 for EUR, 0 for JPY, 3 for KWD.
CREATE VIEW v_currencies AS
SELECT currency, CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF',
            'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        ELSE 2
    END AS decimals
FROM (SELECT DISTINCT definition ->> 'currency' AS currency FROM campaign_versions) AS used
WHERE currency IS NOT NULL;

-- A coupon as it stands. What is left is uses, or minor units of a balance; null is all of it. An empty holder: on paper.
CREATE VIEW v_coupons AS
SELECT campaign, shard, seq, holder, state, version, channel, claimed_at, expires_at, units, "left", reserved_until, batch
FROM coupons;

-- A state change in its order: from where to where units went, and the discount or what was given back of it.
CREATE VIEW v_state_changes AS
SELECT split_part(shard, '/', 1) AS campaign, shard, seq, kind, at, effective_date, version, holder, channel, state, source,
    destination, coalesce(units, CASE kind WHEN 'claimed' THEN 1 END, delta, 0) AS units, minor,
    CASE WHEN kind IN ('redeemed', 'rolled_back') THEN ref END AS redemption
FROM coupon_entries;

-- A redemption: what its order was worth, what it took off and how much of that came back, who gave it and where; and of
-- the coupon, when and in which channel it was claimed.
CREATE VIEW v_redemptions AS
SELECT redemptions.id AS redemption, redemptions.campaign, redemptions.shard, redemptions.seq, redemptions.redeemed_at,
    entries.effective_date, redemptions.order_id, redemptions.stack, redemptions.currency, redemptions.order_minor,
    redemptions.minor AS discount_minor, redemptions.rolled_back_minor,
    redemptions.minor - redemptions.rolled_back_minor AS net_minor, redemptions.merchant, redemptions.store,
    redemptions.staff, redemptions.channel, redemptions.holder, coupons.channel AS claim_channel, coupons.claimed_at,
    coupons.seq AS coupon_seq, coupons.batch
FROM redemptions
LEFT JOIN coupon_entries AS entries ON entries.shard = redemptions.shard AND entries.seq = redemptions.seq
LEFT JOIN coupons ON coupons.code = redemptions.code;

-- Who bears a redemption, funder by funder.
CREATE VIEW v_redemption_funders AS
SELECT redemptions.id AS redemption, redemptions.campaign, redemptions.redeemed_at, redemptions.currency,
    funder ->> 'account' AS funder, (funder ->> 'minor')::bigint AS minor
FROM redemptions
CROSS JOIN LATERAL jsonb_array_elements(redemptions.funders) AS funder;

-- One part of a redemption, or all of it, that was given back.
CREATE VIEW v_rollbacks AS
SELECT rollbacks.redemption, redemptions.campaign, rollbacks.shard, rollbacks.seq, rollbacks.at, entries.effective_date,
    redemptions.currency, rollbacks.minor, rollbacks.reason, redemptions.merchant, redemptions.store
FROM rollbacks
LEFT JOIN redemptions ON redemptions.id = rollbacks.redemption
LEFT JOIN coupon_entries AS entries ON entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq;

-- What state changes moved on a day: the quick way to any count or sum of them.
CREATE VIEW v_daily_movements AS
SELECT effective_date, entity, campaign, shard, verb, source, destination, channel, store, currency, entries, units,
    worth_minor, out_minor, minor, order_minor
FROM movement_days;

-- What each account of both books came to on a day; the commodity is a currency, or coupon:<campaign> of the unit book.
CREATE VIEW v_daily_accounts AS
SELECT effective_date, entity, CASE WHEN shard LIKE 'manual:%' THEN '' ELSE split_part(shard, '/', 1) END AS campaign, shard,
    commodity, commodity NOT LIKE 'coupon:%' AS is_money, account, debit, credit
FROM account_days;

-- A journal; late ones have the date they are of in original_date.
CREATE VIEW v_journals AS
SELECT id AS journal, entity, CASE WHEN coalesce(about, shard) LIKE 'manual:%' THEN ''
        ELSE split_part(coalesce(about, shard), '/', 1) END AS campaign, shard, verb, first_seq, last_seq, occurred_at,
    effective_date, original_date, posted_at, reverses, ref, reason, encode(hash, 'hex') AS hash
FROM journals;

-- Months and days of each legal entity that were ever on hold or closed.
CREATE VIEW v_periods AS
SELECT entity, kind, starts, ends, state, changed_by, changed_at FROM periods;

-- What was not as the books expected, and what became of it; without what may tell a code.
CREATE VIEW v_breaks AS
SELECT id, shard, split_part(shard, '/', 1) AS campaign, kind, CASE WHEN kind <> 'coupon' THEN figure END AS figure, likely,
    CASE WHEN kind NOT IN ('coupon', 'rows_refused') THEN expected END AS expected,
    CASE WHEN kind NOT IN ('coupon', 'rows_refused') THEN found END AS found, seq, state,
    detected_at, explained_by, explained_at, explanation, resolved_by, resolved_at, resolution, compensation
FROM breaks;

GRANT SELECT ON v_campaigns, v_currencies, v_coupons, v_state_changes, v_redemptions, v_redemption_funders, v_rollbacks,
    v_daily_movements, v_daily_accounts, v_journals, v_periods, v_breaks
    TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
GRANT SELECT ON v_campaigns, v_currencies, v_coupons, v_state_changes, v_redemptions, v_redemption_funders, v_rollbacks,
    v_daily_movements, v_daily_accounts, v_journals, v_periods, v_breaks, v_balances, v_money_movements, v_money_balances,
    v_campaign_money, v_funder_money, v_merchant_money, v_trial_balance, v_reversals, v_change_postings
    TO fairclaim_analyst;
