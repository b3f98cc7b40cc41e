-- name: listed
-- Campaigns by their true state at %(now)s, filtered, in an order, from after the place (%(key)s, %(id)s).
WITH seen AS (
    SELECT id, number, version, state, definition, created_at, updated_at,
           CASE
               WHEN state IN ('draft', 'ended', 'archived') THEN state
               WHEN (definition ->> 'ends_at')::timestamptz <= %(now)s THEN 'ended'
               WHEN state = 'paused' THEN 'paused'
               WHEN (definition ->> 'starts_at')::timestamptz > %(now)s THEN 'scheduled'
               ELSE 'active'
           END AS effective,
           CASE %(sort)s
               WHEN 'name' THEN left(lower(definition ->> 'name'), 40)
               WHEN 'starts' THEN definition ->> 'starts_at'
               WHEN 'ends' THEN definition ->> 'ends_at'
               WHEN 'changed' THEN to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
               ELSE ''
           END COLLATE "C" AS key
    FROM campaigns
)
SELECT * FROM seen
WHERE (%(text)s = '' OR strpos(id, lower(%(text)s)) > 0 OR strpos(lower(definition ->> 'name'), lower(%(text)s)) > 0)
  AND CASE WHEN %(state)s = '' THEN state <> 'archived' ELSE effective = %(state)s END  -- no clock archives anything
  AND (%(id)s = '' OR CASE WHEN %(down)s THEN (key, id COLLATE "C") < (%(key)s, %(id)s)
                           ELSE (key, id COLLATE "C") > (%(key)s, %(id)s) END)
ORDER BY CASE WHEN %(down)s THEN key END DESC, CASE WHEN %(down)s THEN id COLLATE "C" END DESC, key, id COLLATE "C"
LIMIT %(limit)s

-- name: called
SELECT id, definition ->> 'name' AS name, definition ->> 'currency' AS currency FROM campaigns WHERE id = ANY (%(ids)s)

-- name: taken
-- What only the books can tell of a new campaign: whether its id is taken, and whether its legal entity keeps books here.
SELECT EXISTS (SELECT FROM campaigns WHERE id = %(id)s) AS is_taken,
       EXISTS (SELECT FROM legal_entities WHERE id = %(entity)s) AS has_books

-- name: versions
-- From after the number %(after)s, each with the one before it.
SELECT seen.version, seen.state, seen.definition, seen.changed_by, seen.changed_at, to_jsonb(old) AS old
FROM campaign_versions AS seen
LEFT JOIN LATERAL (
    SELECT version, state, definition, changed_by, changed_at FROM campaign_versions
    WHERE campaign = seen.campaign AND version < seen.version ORDER BY version DESC LIMIT 1
) AS old ON true
WHERE seen.campaign = %(id)s AND seen.version > %(after)s
ORDER BY seen.version LIMIT %(limit)s

-- name: versions_down
-- The same the newest first, from before the number %(after)s; null is the newest.
SELECT seen.version, seen.state, seen.definition, seen.changed_by, seen.changed_at, to_jsonb(old) AS old
FROM campaign_versions AS seen
LEFT JOIN LATERAL (
    SELECT version, state, definition, changed_by, changed_at FROM campaign_versions
    WHERE campaign = seen.campaign AND version < seen.version ORDER BY version DESC LIMIT 1
) AS old ON true
WHERE seen.campaign = %(id)s AND (%(after)s::integer IS NULL OR seen.version < %(after)s)
ORDER BY seen.version DESC LIMIT %(limit)s

-- name: version
SELECT version, state, definition, changed_by, changed_at FROM campaign_versions
WHERE campaign = %(id)s AND version = %(version)s

-- name: stock_journals
-- How many journals moved stock, counted up to %(most)s of them.
SELECT count(*) FROM (
    SELECT FROM journals WHERE shard = ANY(%(shards)s) AND verb = ANY(%(verbs)s) LIMIT %(most)s
) counted

-- name: stock_moved
-- What the unit book says went in and out of stock: part 0 is what did before %(starts)s, then come %(parts)s equal parts
-- of the time up to the last move or to %(ends)s, and one for what came later.
WITH moved AS (
    SELECT own.at, CASE WHEN moves.destination = 'stock' THEN moves.amount ELSE -moves.amount END AS delta
    FROM (
        SELECT id, occurred_at AS at FROM journals WHERE shard = ANY(%(shards)s) AND verb = ANY(%(verbs)s)
        UNION ALL
        SELECT id, occurred_at FROM journals WHERE shard = 'manual:' || %(entity)s AND about = ANY(%(shards)s)
    ) AS own
    CROSS JOIN LATERAL (
        SELECT destination, amount FROM postings
        WHERE journal = own.id AND commodity = 'coupon:' || %(id)s AND 'stock' IN (source, destination)
        OFFSET 0  -- looked up one by one: all postings there are may be a thousand times as many
    ) AS moves
), window_of AS (
    SELECT CASE WHEN max(at) >= %(starts)s THEN greatest(%(starts)s, min(at)) ELSE min(at) END AS first,
           coalesce(max(at) FILTER (WHERE at BETWEEN %(starts)s AND %(ends)s), min(at)) AS last
    FROM moved
), parted AS (
    SELECT delta, at, first, last, CASE
            WHEN at < first THEN 0
            WHEN at > last AND first < last THEN %(parts)s + 1
            WHEN first >= last THEN 1
            WHEN at = last THEN %(parts)s
            ELSE width_bucket(extract(epoch FROM at), extract(epoch FROM first), extract(epoch FROM last), %(parts)s)
        END AS part
    FROM moved, window_of
)
SELECT part, CASE WHEN part = 0 THEN min(first) ELSE max(at) END AS at, sum(delta)::bigint AS delta
FROM parted GROUP BY part ORDER BY part

-- name: stock_days
-- The same by days, from their sums, for campaigns of very many journals: at is the end of a day. What came in on the
-- first day stands at its beginning, so that what went out that day is seen.
WITH days AS (
    SELECT effective_date AS day, sum(debit)::bigint AS came, sum(credit)::bigint AS went
    FROM account_days
    WHERE shard = ANY(%(shards)s) AND commodity = 'coupon:' || %(id)s AND account = 'stock'
    GROUP BY effective_date
), edge AS (
    SELECT min(day) AS first FROM days
)
SELECT 1 AS part, (day + moment.days)::timestamp AT TIME ZONE %(zone)s AS at, moment.delta
FROM days CROSS JOIN edge CROSS JOIN LATERAL (
    VALUES (0, CASE WHEN day = first THEN came END), (1, CASE WHEN day = first THEN 0 ELSE came END - went)
) AS moment (days, delta)
WHERE moment.delta IS NOT NULL
ORDER BY at

-- name: channels
-- Coupons by the channel they were claimed in, and what became of those, by the days' sums.
SELECT channel,
       coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue')), 0)::bigint AS claimed,
       coalesce(sum(entries) FILTER (WHERE verb = 'redeem'), 0)::bigint AS redeemed,
       coalesce(sum(CASE verb WHEN 'redeem' THEN minor WHEN 'rollback' THEN -minor END), 0)::bigint AS minor
FROM movement_days
WHERE shard = ANY(%(shards)s) AND verb IN ('claim', 'issue', 'redeem', 'rollback')
GROUP BY channel
ORDER BY claimed DESC, channel

-- name: claim_places
-- Where each shard's claims end: the number after its last state change.
SELECT shard, seq + 1 AS seq FROM checkpoints WHERE shard = ANY(%(shards)s)

-- name: last_claims
-- The last %(limit)s claims of each shard from before its place, among its last %(span)s state changes.
SELECT entries.shard, entries.seq, entries.at, entries.holder, entries.channel, entries.code
FROM unnest(%(shards)s::text[], %(places)s::bigint[]) AS place (shard, seq)
CROSS JOIN LATERAL (
    SELECT * FROM coupon_entries
    WHERE shard = place.shard AND seq < place.seq AND seq >= place.seq - %(span)s AND kind = 'claimed'
    ORDER BY seq DESC LIMIT %(limit)s
) AS entries

-- name: claims_by_journal
-- The same, however far back: a journal of claims says which state changes it is of, and its posting how many claims.
SELECT entries.shard, entries.seq, entries.at, entries.holder, entries.channel, entries.code
FROM unnest(%(shards)s::text[], %(places)s::bigint[]) AS place (shard, seq)
CROSS JOIN LATERAL (
    SELECT found.* FROM (
        SELECT first_seq, last_seq, effective_date, sum(claimed) OVER (ORDER BY first_seq DESC) - claimed AS before
        FROM (
            -- The newest one may reach beyond the place: what is in it does not count.
            SELECT last.*, CASE WHEN row_number() OVER (ORDER BY first_seq DESC) = 1 THEN 0 ELSE amount END AS claimed
            FROM (
                SELECT id, first_seq, last_seq, effective_date FROM journals
                WHERE journals.shard = place.shard AND verb = 'claim' AND first_seq < place.seq
                ORDER BY first_seq DESC LIMIT %(limit)s + 1
            ) AS last
            JOIN postings ON postings.journal = last.id AND postings.destination = 'outstanding'
        ) AS counted
    ) AS claims
    CROSS JOIN LATERAL (
        SELECT * FROM coupon_entries
        WHERE shard = place.shard AND seq BETWEEN claims.first_seq AND least(claims.last_seq, place.seq - 1)
            AND kind = 'claimed' AND effective_date = claims.effective_date
        OFFSET 0
    ) AS found
    WHERE claims.before < %(limit)s
    ORDER BY found.seq DESC LIMIT %(limit)s
) AS entries

-- name: first_claims
-- The next %(limit)s claims of each shard from after its place, among the %(span)s state changes that follow.
SELECT entries.shard, entries.seq, entries.at, entries.holder, entries.channel, entries.code
FROM unnest(%(shards)s::text[], %(places)s::bigint[]) AS place (shard, seq)
CROSS JOIN LATERAL (
    SELECT * FROM coupon_entries
    WHERE shard = place.shard AND seq > place.seq AND seq <= place.seq + %(span)s AND kind = 'claimed'
    ORDER BY seq LIMIT %(limit)s
) AS entries

-- name: first_claims_by_journal
-- The same, however far ahead. What begins before the place may end after it, and is no part of the count.
SELECT entries.shard, entries.seq, entries.at, entries.holder, entries.channel, entries.code
FROM unnest(%(shards)s::text[], %(places)s::bigint[]) AS place (shard, seq)
CROSS JOIN LATERAL (
    SELECT found.* FROM (
        SELECT first_seq, last_seq, effective_date, sum(claimed) OVER (ORDER BY first_seq) - claimed AS before
        FROM (
            SELECT next.*, CASE WHEN first_seq <= place.seq THEN 0 ELSE amount END AS claimed
            FROM (
                SELECT id, first_seq, last_seq, effective_date FROM journals
                WHERE journals.shard = place.shard AND verb = 'claim' AND last_seq > place.seq
                ORDER BY first_seq LIMIT %(limit)s + 2
            ) AS next
            JOIN postings ON postings.journal = next.id AND postings.destination = 'outstanding'
        ) AS counted
    ) AS claims
    CROSS JOIN LATERAL (
        SELECT * FROM coupon_entries
        WHERE shard = place.shard AND seq BETWEEN greatest(claims.first_seq, place.seq + 1) AND claims.last_seq
            AND kind = 'claimed' AND effective_date = claims.effective_date
        OFFSET 0
    ) AS found
    WHERE claims.before < %(limit)s
    ORDER BY found.seq LIMIT %(limit)s
) AS entries

-- name: claims_of
-- What one person claimed, the first one first, from after the place (%(at)s, %(code)s).
SELECT shard, seq, claimed_at AS at, holder, channel, code FROM coupons
WHERE holder = %(holder)s AND campaign = %(id)s AND batch = ''
    AND (%(at)s::timestamptz IS NULL OR claimed_at > %(at)s OR (claimed_at = %(at)s AND code < %(code)s))
ORDER BY claimed_at, code DESC LIMIT %(limit)s

-- name: claims_of_down
-- The same the newest first.
SELECT shard, seq, claimed_at AS at, holder, channel, code FROM coupons
WHERE holder = %(holder)s AND campaign = %(id)s AND batch = ''
    AND (%(at)s::timestamptz IS NULL OR claimed_at < %(at)s OR (claimed_at = %(at)s AND code > %(code)s))
ORDER BY claimed_at DESC, code LIMIT %(limit)s

-- name: held
-- Of some coupons, how they are now and how many their holder claimed of the campaign, counted up to %(most)s.
SELECT coupons.code, coupons.state, each.count
FROM coupons CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT FROM coupons AS other WHERE other.holder = coupons.holder AND other.campaign = %(id)s LIMIT %(most)s
    ) AS counted
) AS each
WHERE coupons.code = ANY(%(codes)s)

-- name: adjustments
-- What went in or out of stock, the newest first.
SELECT key, delta, reason, actor, steps, state, requested_at FROM stock_adjustments
WHERE campaign = %(id)s AND state <> 'pending' ORDER BY requested_at DESC, key LIMIT %(limit)s
