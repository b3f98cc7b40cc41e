-- What a stocktake reads of the books, in one snapshot, and what it writes of it. "-- name: x" begins a statement.

-- name: shards
SELECT checkpoints.shard
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE campaigns.state <> 'archived'
    AND (%(campaign)s::text IS NULL OR checkpoints.campaign = %(campaign)s)
    AND (%(shard)s::text IS NULL OR checkpoints.shard = %(shard)s)
ORDER BY checkpoints.campaign, split_part(checkpoints.shard, '/', 2)::integer

-- name: position
SELECT epoch, seq, entry_id,
    (SELECT count(*) FROM quarantine WHERE quarantine.shard = checkpoints.shard AND replayed_at IS NULL) AS quarantined
FROM checkpoints
WHERE shard = %(shard)s

-- name: versions
SELECT version, definition FROM campaign_versions WHERE campaign = %(campaign)s

-- name: accounts
-- Balances of both books, of one shard. What somebody paid out by hand of what is owed to merchants was spent all the
-- same, so it is left out.
SELECT commodity, account, sum(balance)::bigint AS balance
FROM (
    SELECT commodity, account, debit - credit AS balance FROM account_days WHERE shard = %(shard)s
    UNION ALL
    SELECT commodity, side.account, side.balance
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (VALUES (destination, -amount), (source, amount)) AS side (account, balance)
    WHERE journals.shard IN (SELECT 'manual:' || id FROM legal_entities) AND about = %(shard)s
        AND (split_part(source, ':', 1) = 'payable' OR split_part(destination, ':', 1) = 'payable')
) AS sides
GROUP BY commodity, account

-- name: movements
-- What never goes back, as Redis counts it: units given out and come back to the stock, codes, redemptions.
SELECT coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue')), 0)::bigint AS claimed,
    coalesce(sum(units) FILTER (WHERE verb NOT IN ('claim', 'issue', 'restock') AND destination = 'stock'), 0)::bigint
        AS returned,
    coalesce(sum(entries) FILTER (WHERE verb IN ('claim', 'issue')), 0)::bigint AS coupons,
    coalesce(sum(entries) FILTER (WHERE verb = 'redeem'), 0)::bigint AS redemptions
FROM movement_days
WHERE shard = %(shard)s

-- name: claims_of_day
-- Coupons claimed on a date by the clock: of those booked on it, without what came late from another date, and with
-- what came too late for it.
SELECT coalesce((
        SELECT sum(units) FROM movement_days WHERE shard = %(shard)s AND verb = 'claim' AND effective_date = %(day)s
    ), 0)::bigint + coalesce((
        SELECT sum(CASE WHEN original_date = %(day)s THEN amount ELSE -amount END)
        FROM journals JOIN postings ON postings.journal = journals.id
        WHERE shard = %(shard)s AND verb = 'claim' AND commodity LIKE 'coupon:%%' AND original_date IS NOT NULL
            AND (original_date = %(day)s OR effective_date = %(day)s)
    ), 0)::bigint AS claims

-- name: entries_after
-- What is in the books beyond a seq, oldest first, of the records that came after one of the stream.
SELECT seq, kind, (extract(epoch FROM at) * 1000)::bigint AS at_ms, epoch, version, code, holder, ref, minor, state,
    source, destination, units, "left", delta, detail::text AS detail
FROM coupon_entries
WHERE shard = %(shard)s AND seq > %(seq)s
    AND (split_part(entry_id, '-', 1)::bigint, split_part(entry_id, '-', 2)::bigint) > (%(ms)s, %(number)s)
ORDER BY seq

-- name: codes_of_seqs
SELECT DISTINCT code FROM coupon_entries WHERE shard = %(shard)s AND seq = ANY (%(seqs)s::bigint[]) AND code IS NOT NULL

-- name: coupons
-- *held* counts the holds on a code that many may use; what others are is in their row.
SELECT code, shard, holder, state, seq, (extract(epoch FROM claimed_at) * 1000)::bigint AS claimed_ms,
    (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms, "left", order_id,
    (extract(epoch FROM reserved_until) * 1000)::bigint AS until_ms, units,
    CASE WHEN units > 1 THEN (
        SELECT coalesce(sum(entries.units * ((destination = 'reserved')::integer - (source = 'reserved')::integer)), 0)
        FROM coupon_entries AS entries
        WHERE entries.code = coupons.code AND entries.state IS NOT NULL AND entries.source IS NOT NULL
    ) END::bigint AS held
FROM coupons
WHERE code = ANY (%(codes)s)

-- name: claims
-- What each holder has claimed of a shard, oldest first. *ends* are the ends of a coupon's life that may give back its
-- holder's place: verb, and what was left of it then.
SELECT coupons.holder, coupons.code, entries.idem, ends.kinds, ends.lefts
FROM coupons
JOIN coupon_entries AS entries ON entries.shard = coupons.shard AND entries.seq = coupons.seq
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(ended.kind ORDER BY ended.seq), '{}') AS kinds,
        coalesce(array_agg(ended."left" ORDER BY ended.seq), '{}') AS lefts
    FROM coupon_entries AS ended
    WHERE ended.code = coupons.code AND ended.state IS NOT NULL
        AND (ended.kind IN ('expired', 'revoked') OR (ended.kind = 'rolled_back' AND ended.state = 'expired'))
) AS ends
WHERE coupons.holder = ANY (%(holders)s) AND coupons.shard = %(shard)s
ORDER BY coupons.holder, coupons.seq

-- name: insert_stocktake
INSERT INTO stocktakes (shard, seq, asked_by, figures, sampled, breaks)
VALUES (%(shard)s, %(seq)s, %(asked_by)s, %(figures)s, %(sampled)s, %(breaks)s)
RETURNING id

-- name: insert_break
-- Since when it is there, and what it was then, stays as the first stocktake found it.
INSERT INTO breaks (shard, kind, figure, expected, found, seq, likely)
VALUES (%(shard)s, %(kind)s, %(figure)s, %(expected)s, %(found)s, %(seq)s, %(likely)s)
ON CONFLICT (shard, kind, md5(figure)) WHERE resolved_at IS NULL DO NOTHING

-- name: standing
-- How the last stocktakes of the shards that are not archived stand: which was compared longest ago, and last.
WITH last AS MATERIALIZED (
    SELECT checkpoints.shard, last.taken_at, last.breaks
    FROM checkpoints
    JOIN campaigns ON campaigns.id = checkpoints.campaign
    LEFT JOIN LATERAL (
        -- By a range: told "=", PostgreSQL may go back through all stocktakes by id, for each shard that has none.
        SELECT taken_at, breaks FROM stocktakes
        WHERE stocktakes.shard BETWEEN checkpoints.shard AND checkpoints.shard
        ORDER BY stocktakes.shard DESC, id DESC LIMIT 1
    ) AS last ON true
    WHERE campaigns.state <> 'archived' AND (%(campaign)s::text IS NULL OR checkpoints.campaign = %(campaign)s)
)
SELECT counted.*, oldest.shard AS oldest_shard, oldest.taken_at AS oldest_at, newest.shard AS newest_shard,
    newest.taken_at AS newest_at
FROM (
    SELECT count(*) AS shards, count(*) FILTER (WHERE taken_at IS NULL) AS never,
        coalesce(sum(breaks), 0)::bigint AS breaks
    FROM last
) AS counted
LEFT JOIN (SELECT * FROM last WHERE taken_at IS NOT NULL ORDER BY taken_at, shard LIMIT 1) AS oldest ON true
LEFT JOIN (SELECT * FROM last WHERE taken_at IS NOT NULL ORDER BY taken_at DESC, shard DESC LIMIT 1) AS newest ON true

-- name: list_stocktakes
-- All of them. There is an index for each order, here and below: a shard has half a million of them in a year.
SELECT id, shard, seq, taken_at, asked_by, figures, sampled, breaks
FROM stocktakes
WHERE {behind}
ORDER BY {order}
LIMIT %(rows_max)s

-- name: list_stocktakes_of
-- Those of a shard, or of a campaign: of each shard as many as are wanted, in order, so that the index on it has them.
SELECT taken.*
FROM checkpoints
CROSS JOIN LATERAL (
    SELECT id, shard, seq, taken_at, asked_by, figures, sampled, breaks
    FROM stocktakes
    WHERE stocktakes.shard = checkpoints.shard AND {behind}
    ORDER BY {order}
    LIMIT %(rows_max)s
) AS taken
WHERE (%(campaign)s::text IS NULL OR checkpoints.campaign = %(campaign)s)
    AND (%(shard)s::text IS NULL OR checkpoints.shard = %(shard)s)
ORDER BY {order}
LIMIT %(rows_max)s

-- name: list_breaks
-- *clean* is the last stocktake of the shard before the break was seen that had none.
SELECT breaks.*, clean.seq AS clean_seq, clean.taken_at AS clean_at
FROM (
    SELECT id, shard, kind, figure, expected, found, likely, seq, detected_at, state, explained_by, explained_at,
        explanation, resolved_by, resolved_at, resolution, compensation
    FROM breaks
    WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
        AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
        AND (%(campaign)s::text IS NULL OR split_part(shard, '/', 1) = %(campaign)s)
        AND (%(shard)s::text IS NULL OR shard = %(shard)s)
        AND {behind}
    ORDER BY {order}
    LIMIT %(rows_max)s
) AS breaks
LEFT JOIN LATERAL (
    SELECT stocktakes.seq, taken_at
    FROM stocktakes
    WHERE stocktakes.shard = breaks.shard AND stocktakes.taken_at < breaks.detected_at AND stocktakes.breaks = 0
    ORDER BY taken_at DESC, stocktakes.id DESC
    LIMIT 1
) AS clean ON breaks.seq IS NOT NULL
ORDER BY {order}

-- name: lock_break
SELECT shard, kind, figure, state FROM breaks WHERE id = %(id)s FOR UPDATE

-- name: explain_break
UPDATE breaks
SET state = 'explained', explained_by = %(actor)s, explained_at = now(), explanation = %(explanation)s
WHERE id = %(id)s

-- name: resolve_break
UPDATE breaks
SET state = 'resolved', resolved_by = %(actor)s, resolved_at = now(), resolution = %(resolution)s,
    compensation = %(compensation)s
WHERE id = %(id)s
