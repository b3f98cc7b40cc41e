-- name: wallet_page
-- A page of a holder's coupons, newest first, from after the place (%(claimed_at)s, %(code)s).
-- The first comparison is what the index serves; the second settles equal times.
SELECT c.code, c.campaign, c.shard, c.holder, c.state, c.seq, c.version, c.channel, c.claimed_at, c.expires_at,
       CASE WHEN c.state IN ('claimed', 'reserved')
            THEN coalesce(c."left", CASE v.definition -> 'value' ->> 'type' WHEN 'balance'
                          THEN (v.definition -> 'value' ->> 'minor')::bigint ELSE c.units END)
            ELSE coalesce(c."left", 0) END AS "left",
       c.reserved_until, c.order_id,
       v.definition -> 'value' AS value, v.definition ->> 'currency' AS currency
FROM coupons c LEFT JOIN campaign_versions v ON v.campaign = c.campaign AND v.version = c.version
WHERE c.holder = %(holder)s
  AND c.claimed_at <= %(claimed_at)s
  AND (c.claimed_at < %(claimed_at)s OR c.code > %(code)s)
  AND (%(state)s::text IS NULL OR c.state = %(state)s)
ORDER BY c.claimed_at DESC, c.code
LIMIT %(limit)s

-- name: coupon_by_code
-- One coupon; where %(holder)s is given, his own. Another's is as absent as one that is not there, down to what is read
-- of its campaign: nothing.
SELECT c.code, c.campaign, c.shard, c.holder, c.state, c.seq, c.version, c.channel, c.claimed_at, c.expires_at,
       CASE WHEN c.state IN ('claimed', 'reserved')
            THEN coalesce(c."left", CASE v.definition -> 'value' ->> 'type' WHEN 'balance'
                          THEN (v.definition -> 'value' ->> 'minor')::bigint ELSE c.units END)
            ELSE coalesce(c."left", 0) END AS "left",
       c.reserved_until, c.order_id,
       v.definition -> 'value' AS value, v.definition ->> 'currency' AS currency
FROM coupons c LEFT JOIN campaign_versions v ON v.campaign = c.campaign AND v.version = c.version
WHERE c.code = %(code)s AND (%(holder)s::text IS NULL OR c.holder = %(holder)s)
