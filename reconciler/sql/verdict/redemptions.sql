-- Of a verdict, what `redemptions` and `once` look for.

-- name: redemptions_are_the_changes
-- Each redemption and rollback is one state change of the same amount, and each such change is one of them. Of whom, when and
-- what else is kept of it is what the change tells; that is compared by its hash, so that it is not carried along.
WITH told AS (
    SELECT shard, seq, kind, ref, minor, CASE kind
            WHEN 'redeemed' THEN hash_record_extended(ROW(code, holder, at, nullif(detail #>> '{order,id}', ''),
                coalesce(nullif(detail ->> 'currency', ''), nullif(detail #>> '{order,currency}', '')),
                (detail #>> '{order,total_minor}')::numeric::bigint, nullif(detail ->> 'merchant', ''),
                nullif(detail ->> 'store', ''), nullif(detail ->> 'staff', ''), nullif(detail ->> 'channel', ''),
                nullif(detail ->> 'stack', ''), more.lines, more.shipping_minor, nullif(detail ->> 'actor', '')), 0)
            ELSE hash_record_extended(ROW(state, at, nullif(detail ->> 'reason', ''), more.lines, more.shipping_minor,
                nullif(detail ->> 'actor', '')), 0)
        END AS facts
    FROM coupon_entries
    CROSS JOIN LATERAL (
        SELECT coalesce(nullif(detail -> 'lines', 'null'), '[]') AS lines,
            coalesce((detail ->> 'shipping_discount_minor')::numeric::bigint, 0) AS shipping_minor
    ) AS more
    WHERE kind IN ('redeemed', 'rolled_back') AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
), kept AS (
    SELECT shard, seq, 'redeemed' AS kind, id AS ref, minor,
        hash_record_extended(ROW(code, holder, redeemed_at, order_id, currency, order_minor, merchant, store, staff, channel,
            stack, lines, shipping_minor, actor), 0) AS facts
    FROM redemptions
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    UNION ALL
    SELECT shard, seq, 'rolled_back', redemption, minor,
        hash_record_extended(ROW(state, at, reason, lines, shipping_minor, actor), 0)
    FROM rollbacks
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, seq, kind, coalesce(kept.ref, told.ref) AS redemption, kept.minor, told.minor AS minor_of_change,
        told.facts = kept.facts AS is_what_the_change_tells
    FROM told FULL JOIN kept USING (shard, seq, kind)
    WHERE (told.ref, told.minor, told.facts) IS DISTINCT FROM (kept.ref, kept.minor, kept.facts)
)
SELECT (SELECT count(*) FROM kept WHERE kind = 'redeemed') AS redemptions,
    (SELECT count(*) FROM kept WHERE kind = 'rolled_back') AS rollbacks, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first
FROM bad

-- name: given_back_is_the_rollbacks
-- Of no redemption came back more than it took, and what is kept as given back is what its rollbacks add up to.
WITH back AS (
    SELECT redemption, sum(minor) AS minor
    FROM rollbacks
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY redemption
), bad AS (
    SELECT redemptions.shard, coalesce(redemptions.id, back.redemption) AS redemption, redemptions.minor,
        redemptions.rolled_back_minor, coalesce(back.minor, 0) AS rollbacks
    FROM redemptions FULL JOIN back ON back.redemption = redemptions.id
    WHERE (redemptions.shard IS NULL OR %(shards)s::text[] IS NULL OR redemptions.shard = ANY (%(shards)s))
        AND (
            redemptions.id IS NULL OR redemptions.rolled_back_minor <> coalesce(back.minor, 0)
            OR coalesce(back.minor, 0) > redemptions.minor
        )
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, redemption LIMIT 1) AS first FROM bad

-- name: one_live_redemption
-- A coupon that is redeemed was redeemed once and not given back; another one has no redemption that stands. A code that
-- many may use has one a use at most, and of a balance never more was spent than was on it.
WITH standing AS (
    SELECT code, count(*) AS redemptions, sum(minor - rolled_back_minor) AS minor
    FROM redemptions
    WHERE (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
        AND (
            rolled_back_minor < minor
            OR NOT EXISTS (SELECT 1 FROM rollbacks WHERE rollbacks.redemption = redemptions.id)
        )
    GROUP BY code
), worth AS (
    SELECT id AS campaign, (definition #>> '{value,minor}')::numeric AS minor
    FROM campaigns
    WHERE definition #>> '{value,type}' = 'balance'
), bad AS (
    SELECT coupons.shard, coupons.code, coupons.state, coupons.units, coalesce(standing.redemptions, 0) AS redemptions,
        standing.minor
    FROM coupons LEFT JOIN worth USING (campaign) LEFT JOIN standing USING (code)
    WHERE (%(shards)s::text[] IS NULL OR coupons.shard = ANY (%(shards)s))
        AND CASE
            WHEN worth.minor IS NOT NULL THEN standing.minor > worth.minor
            WHEN coupons.units > 1 THEN standing.redemptions > coupons.units
            ELSE coalesce(standing.redemptions, 0) <> (coupons.state = 'redeemed')::int
        END
)
SELECT (SELECT coalesce(sum(redemptions), 0)::bigint FROM standing) AS standing, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, code LIMIT 1) AS first
FROM bad

-- name: nothing_done_twice
-- An Idempotency-Key did one thing: one claim of a holder (8 characters of its hash), one adjustment, one rollback; and
-- an order took a coupon once.
WITH twice AS (
    SELECT shard, 'claim' AS act, holder AS of, left(idem, 8) AS key, count(*) AS times, min(seq) AS seq
    FROM coupon_entries
    WHERE kind = 'claimed' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, holder, left(idem, 8)
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'adjustment', '', detail ->> 'key', count(*), min(seq)
    FROM coupon_entries
    WHERE kind = 'adjusted' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, detail ->> 'key'
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'rollback', ref, detail #>> '{act,0}', count(*), min(seq)
    FROM coupon_entries
    WHERE kind = 'rolled_back' AND detail #>> '{act,0}' IS NOT NULL
        AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, ref, detail #>> '{act,0}'
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'redemption', code, order_id, count(*), min(seq)
    FROM redemptions
    WHERE order_id IS NOT NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
        AND (
            rolled_back_minor < minor
            OR NOT EXISTS (SELECT 1 FROM rollbacks WHERE rollbacks.redemption = redemptions.id)
        )
    GROUP BY shard, code, order_id
    HAVING count(*) > 1
)
SELECT count(*) AS done_twice, count(*) AS wrong, (SELECT to_json(twice) FROM twice ORDER BY shard, seq, act LIMIT 1) AS first FROM twice
