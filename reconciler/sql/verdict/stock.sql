-- Of a verdict, what `units`, `sequence` and `answers` look for.

-- name: stock_accounted_for
-- What was put in is in stock or went out and did not come back: the sub-ledger, the book and the coupons in one sum.
WITH put AS (
    SELECT shard, coalesce(sum(delta) FILTER (WHERE kind = 'adjusted'), 0) AS put_in,
        coalesce(sum(units) FILTER (WHERE destination = 'stock'), 0) AS came_back
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), given AS (
    SELECT shard, sum(units) AS went_out
    FROM coupons
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), stock AS (
    SELECT journals.shard, sum(CASE destination WHEN 'stock' THEN amount ELSE -amount END) AS in_stock
    FROM journals JOIN postings ON postings.journal = journals.id
    WHERE 'stock' IN (source, destination) AND journals.shard NOT LIKE 'manual:%%'
        AND (%(shards)s::text[] IS NULL OR journals.shard = ANY (%(shards)s))
    GROUP BY journals.shard
), compared AS (
    SELECT shard, coalesce(put_in, 0) AS put_in, coalesce(in_stock, 0) AS in_stock, coalesce(went_out, 0) AS went_out,
        coalesce(came_back, 0) AS came_back
    FROM put FULL JOIN given USING (shard) FULL JOIN stock USING (shard)
), bad AS (
    SELECT * FROM compared WHERE put_in <> in_stock + went_out - came_back
)
SELECT coalesce(sum(put_in), 0)::bigint AS put_in, coalesce(sum(in_stock), 0)::bigint AS in_stock,
    coalesce(sum(went_out), 0)::bigint AS went_out, coalesce(sum(came_back), 0)::bigint AS came_back,
    (SELECT count(*) FROM bad) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard LIMIT 1) AS first
FROM compared

-- name: stock_never_below_zero
WITH running AS (
    SELECT shard, seq, kind, sum(
        CASE
            WHEN kind = 'claimed' THEN -1
            WHEN kind = 'issued' THEN -units
            WHEN kind = 'adjusted' THEN delta
            WHEN destination = 'stock' THEN units
            ELSE 0
        END
    ) OVER (PARTITION BY shard ORDER BY seq) AS stock
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, seq, kind, stock FROM running WHERE stock < 0
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first FROM bad

-- name: no_number_missing
-- The numbers of each shard are 1 to its checkpoint, each once: (shard, seq) is a key, so counting suffices.
WITH numbered AS (
    SELECT shard, count(*) AS rows, min(seq) AS first_seq, max(seq) AS last_seq
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), kept AS (
    SELECT shard, seq FROM checkpoints WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), compared AS (
    SELECT shard, seq AS checkpoint, coalesce(rows, 0) AS rows, coalesce(first_seq, 1) AS first_seq,
        coalesce(last_seq, 0) AS last_seq
    FROM kept FULL JOIN numbered USING (shard)
), bad AS (
    SELECT * FROM compared
    WHERE checkpoint IS NULL OR rows <> checkpoint OR last_seq <> checkpoint OR first_seq <> 1
    ORDER BY shard
    LIMIT 1
), missing AS (
    SELECT min(number) AS number
    FROM bad
    CROSS JOIN LATERAL (
        SELECT 1 AS number WHERE bad.first_seq <> 1
        UNION ALL
        (
            SELECT seq + 1
            FROM coupon_entries AS here
            WHERE here.shard = bad.shard
                AND NOT EXISTS (SELECT 1 FROM coupon_entries AS after WHERE after.shard = here.shard AND after.seq = here.seq + 1)
            ORDER BY seq
            LIMIT 1
        )
    ) AS gap
)
SELECT count(*) AS shards, coalesce(sum(rows), 0)::bigint AS changes,
    count(*) FILTER (
        WHERE checkpoint IS NULL OR rows <> checkpoint OR last_seq <> checkpoint OR first_seq <> 1
    ) AS wrong,
    (SELECT to_json(told) FROM (SELECT bad.*, number AS first_missing FROM bad CROSS JOIN missing) AS told) AS first
FROM compared

-- name: claims_are_coupons
-- One coupon a claim, and one claim a coupon, for the same holder. Its campaign, rules, channel, batch, uses and time are
-- compared by their hash.
WITH claimed AS (
    SELECT shard, seq, kind, code, coalesce(holder, '') AS holder, hash_record_extended(ROW(split_part(shard, '/', 1), version,
        coalesce(channel, ''), CASE kind WHEN 'issued' THEN ref ELSE '' END, coalesce(units, 1), at), 0) AS facts
    FROM coupon_entries
    WHERE kind IN ('claimed', 'issued') AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
), kept AS (
    SELECT shard, seq, code, holder,
        hash_record_extended(ROW(campaign, version, channel, batch, units::bigint, claimed_at), 0) AS facts
    FROM coupons
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT coalesce(claimed.shard, kept.shard) AS shard, coalesce(claimed.seq, kept.seq) AS seq,
        claimed.code AS claimed, kept.code AS coupon, claimed.holder AS claimed_by, kept.holder AS holder,
        claimed.facts = kept.facts AS is_what_was_claimed
    FROM claimed FULL JOIN kept USING (shard, seq)
    WHERE (claimed.code, claimed.holder, claimed.facts) IS DISTINCT FROM (kept.code, kept.holder, kept.facts)
)
SELECT (SELECT count(*) FROM claimed WHERE kind = 'claimed') AS claims, (SELECT count(*) FROM kept) AS coupons,
    count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first
FROM bad
