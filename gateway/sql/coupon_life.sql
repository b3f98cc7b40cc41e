-- name: booked
-- A coupon as the books have it, with what its rules say and how many uses or minor units are left of it.
SELECT c.code, c.campaign, c.shard, c.holder, c.state, c.seq, c.changed_seq, c.version, c.channel, c.claimed_at,
       c.expires_at, c.reserved_until, c.order_id, c.batch, c.units, c."left",
       v.definition -> 'value' AS value, v.definition ->> 'currency' AS currency, v.definition ->> 'name' AS name
FROM coupons c LEFT JOIN campaign_versions v ON v.campaign = c.campaign AND v.version = c.version
WHERE c.code = %(code)s

-- name: life
-- The changes of a coupon after seq %(after)s, its claim first, each with the journal it is in: that of its verb and date
-- whose range it is in, and the narrower one where a late change was booked inside the range of an earlier one.
SELECT changes.seq, changes.kind, changes.at, changes.ref, changes.minor, changes."left", changes.detail,
       changes.effective_date, changes.source, changes.destination, changes.units, posted.id AS journal
FROM (
    SELECT * FROM v_changes WHERE code = %(code)s AND state IS NOT NULL
    UNION ALL
    SELECT * FROM v_changes WHERE shard = %(shard)s AND seq = %(seq)s AND state IS NULL
) AS changes
LEFT JOIN LATERAL (
    SELECT id FROM journals
    WHERE shard = changes.shard AND verb = changes.verb AND effective_date = changes.effective_date
      AND changes.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS posted ON true
WHERE changes.seq > %(after)s
ORDER BY changes.seq
LIMIT %(limit)s

-- name: redeemed
-- The last redemptions of a coupon, the newest first.
SELECT id, seq, order_id, minor, currency, order_minor, merchant, store, staff, stack, actor, redeemed_at,
       rolled_back_minor
FROM redemptions WHERE code = %(code)s
ORDER BY redeemed_at DESC, id
LIMIT %(limit)s

-- name: given_back
-- What was given back of redemptions, in order.
SELECT redemption, seq, minor, reason, state, actor, at
FROM rollbacks WHERE redemption = ANY(%(ids)s)
ORDER BY redemption, seq
