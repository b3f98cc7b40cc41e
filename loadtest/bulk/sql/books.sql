-- The rows of the shard: coupons as their last step leaves them, and the sub-ledger.
INSERT INTO coupons (code, campaign, shard, holder, state, seq, version, channel, claimed_at, expires_at, changed_seq,
    "left", reserved_until, order_id, batch, units)
SELECT made.code, asked.campaign, asked.shard, made.holder, coalesce(last.state, 'claimed'), first.seq, 2, made.channel,
    made.at, made.expires_at, coalesce(last.seq, first.seq), last."left",
    CASE WHEN last.state = 'reserved' THEN last.at + interval '1 hour' END,
    CASE WHEN last.state = 'reserved' THEN last.ref END, asked.code_batch, 1
FROM asked
CROSS JOIN made
JOIN changes AS first ON first.no = made.no AND first.n = 0
LEFT JOIN (
    SELECT DISTINCT ON (no) no, seq, at, state, "left", ref FROM changes WHERE no > 0 AND n > 0 ORDER BY no, n DESC
) AS last ON last.no = made.no;

-- What the gateway tells of a redemption and of a rollback, as its detail.
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT changes.seq, changes.kind, changes.ref, changes.minor, changes.at, changes.state, made.code, made.holder,
    'o-' || made.code || CASE WHEN changes.ref = 'RD' || made.first_id THEN '-1' ELSE '-2' END AS order_id,
    made.minor * 9 + 1 AS order_minor, made.merchant, made.store, made.till,
    CASE WHEN changes.kind = 'redeemed'
        THEN jsonb_build_array(jsonb_build_object('sku', made.life, 'quantity', 1, 'discount_minor', changes.minor))
        ELSE jsonb_build_array(jsonb_build_object('sku', made.life, 'discount_minor', changes.minor)) END AS lines,
    CASE WHEN asked.second_funder = '' THEN jsonb_build_array(jsonb_build_object('account', asked.first_funder,
        'minor', changes.minor_first))
    ELSE jsonb_build_array(jsonb_build_object('account', asked.first_funder, 'minor', changes.minor_first),
        jsonb_build_object('account', asked.second_funder, 'minor', changes.minor - changes.minor_first)) END AS funders
FROM asked
CROSS JOIN changes
JOIN made ON made.no = changes.no
WHERE changes.kind IN ('redeemed', 'rolled_back');
CREATE UNIQUE INDEX ON told (seq);
ANALYZE told (seq);

INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, holder, idem, channel, expires_at,
    unit_minor, delta, detail, ref, minor, state, source, destination, units, "left", effective_date)
SELECT asked.shard, change.seq, change.kind, change.at, 1, 2,
    (extract(epoch FROM change.at) * 1000)::bigint || '-0', made.code, made.holder,
    CASE WHEN change.kind = 'claimed' THEN 'k-' || made.code END,
    CASE WHEN change.kind = 'claimed' THEN made.channel END,
    CASE WHEN change.kind IN ('claimed', 'issued') THEN made.expires_at
        WHEN change.kind = 'reserved' THEN change.at + interval '1 hour' END,
    CASE WHEN change.kind IN ('claimed', 'issued') THEN asked.unit_minor END,
    CASE WHEN change.kind = 'adjusted' THEN CASE change.verb WHEN 'restock' THEN change.units ELSE -change.units END END,
    CASE change.kind
        WHEN 'published' THEN '{"state": "scheduled"}'
        WHEN 'adjusted' THEN jsonb_build_object('reason', change.ref, 'actor', 'bulk', 'key', change.ref || '#0')
        WHEN 'expired' THEN '{}'
        WHEN 'reserved' THEN '{"actor": "bulk"}'
        WHEN 'released' THEN '{"reason": "asked"}'
        WHEN 'revoked' THEN '{"reason": "fraud", "actor": "bulk"}'
        WHEN 'redeemed' THEN jsonb_build_object(
            'order', jsonb_build_object('id', told.order_id, 'currency', asked.currency, 'total_minor', told.order_minor,
                'shipping_minor', 0),
            'lines', told.lines, 'shipping_discount_minor', 0, 'currency', asked.currency, 'merchant', told.merchant,
            'store', told.store, 'staff', 'e-' || made.no % 7, 'channel', told.till, 'stack', NULL, 'funders', told.funders,
            'actor', told.store, 'act', jsonb_build_array(left(md5(told.ref), 22), left(md5(told.order_id), 22)))
        WHEN 'rolled_back' THEN jsonb_build_object('reason', 'returned', 'lines', told.lines,
            'shipping_discount_minor', 0, 'currency', asked.currency, 'funders', told.funders, 'actor', told.store,
            'act', jsonb_build_array(left(md5(told.ref || change.n), 22), left(md5(told.order_id), 22)),
            'merchant', told.merchant, 'store', told.store, 'stack', NULL)
    END,
    CASE WHEN change.kind = 'issued' THEN asked.code_batch WHEN change.no > 0 THEN change.ref END,
    change.minor, change.state, CASE WHEN change.n > 0 AND change.no > 0 THEN change.source END,
    CASE WHEN change.n > 0 AND change.no > 0 THEN change.destination END,
    CASE WHEN change.kind = 'issued' OR change.state IS NOT NULL THEN change.units END, change."left", change.day
FROM asked
CROSS JOIN changes AS change
LEFT JOIN made ON made.no = change.no
LEFT JOIN told ON told.seq = change.seq
ORDER BY change.seq;

INSERT INTO redemptions (id, code, campaign, shard, seq, holder, order_id, minor, currency, order_minor, merchant, store,
    staff, channel, stack, lines, shipping_minor, funders, actor, redeemed_at, rolled_back_minor)
SELECT told.ref, told.code, asked.campaign, asked.shard, told.seq, told.holder, told.order_id, told.minor, asked.currency,
    told.order_minor, told.merchant, told.store, 'e-' || changes.no % 7, told.till, NULL, told.lines, 0, told.funders,
    told.store, told.at, coalesce(back.minor, 0)
FROM asked
CROSS JOIN told
JOIN changes USING (seq)
LEFT JOIN (SELECT ref, sum(minor)::bigint AS minor FROM told WHERE kind = 'rolled_back' GROUP BY ref) AS back
    ON back.ref = told.ref
WHERE told.kind = 'redeemed'
ORDER BY told.seq;

INSERT INTO rollbacks (redemption, seq, shard, minor, reason, lines, shipping_minor, funders, state, actor, at)
SELECT told.ref, told.seq, asked.shard, told.minor, 'returned', told.lines, 0, told.funders, told.state, told.store, told.at
FROM asked
CROSS JOIN told
WHERE told.kind = 'rolled_back'
ORDER BY told.seq;
