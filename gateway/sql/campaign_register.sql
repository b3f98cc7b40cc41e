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
               WHEN 'name' THEN lower(definition ->> 'name')
               WHEN 'starts' THEN definition ->> 'starts_at'
               WHEN 'ends' THEN definition ->> 'ends_at'
               WHEN 'changed' THEN to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
               ELSE id
           END COLLATE "C" AS key
    FROM campaigns
)
SELECT * FROM seen
WHERE (%(text)s = '' OR strpos(id, lower(%(text)s)) > 0 OR strpos(lower(definition ->> 'name'), lower(%(text)s)) > 0)
  AND (effective = %(state)s OR (%(state)s = '' AND effective <> 'archived'))
  AND (%(id)s = '' OR CASE WHEN %(down)s THEN (key, id COLLATE "C") < (%(key)s, %(id)s)
                           ELSE (key, id COLLATE "C") > (%(key)s, %(id)s) END)
ORDER BY CASE WHEN %(down)s THEN key END DESC, CASE WHEN %(down)s THEN id COLLATE "C" END DESC, key, id COLLATE "C"
LIMIT %(limit)s

-- name: called
SELECT id, definition ->> 'name' AS name, definition ->> 'currency' AS currency FROM campaigns WHERE id = ANY (%(ids)s)

-- name: versions
-- The newest first, from before %(before)s.
SELECT version, state, definition, changed_by, changed_at FROM campaign_versions
WHERE campaign = %(id)s AND (%(before)s::integer IS NULL OR version < %(before)s)
ORDER BY version DESC LIMIT %(limit)s

-- name: version
SELECT version, state, definition, changed_by, changed_at FROM campaign_versions
WHERE campaign = %(id)s AND version = %(version)s

-- name: stock_moved
-- What the unit book says went in and out of stock, summed over %(buckets)s equal parts of the time there is.
WITH moved AS (
    SELECT j.occurred_at AS at,
           sum(CASE WHEN p.destination = 'stock' THEN p.amount ELSE -p.amount END)::bigint AS delta
    FROM journals j JOIN postings p ON p.journal = j.id
    WHERE j.shard = ANY(%(shards)s) AND p.commodity LIKE 'coupon:%%' AND 'stock' IN (p.source, p.destination)
    GROUP BY j.id, j.occurred_at
), ends AS (
    SELECT min(at) AS first, max(at) AS last FROM moved
)
SELECT max(at) AS at, sum(delta)::bigint AS delta
FROM (
    SELECT m.*, CASE WHEN e.first = e.last THEN 1 ELSE width_bucket(
        extract(epoch FROM m.at), extract(epoch FROM e.first), extract(epoch FROM e.last), %(buckets)s) END AS bucket
    FROM moved m, ends e
) parts
GROUP BY bucket ORDER BY bucket

-- name: channels
-- Coupons by the channel they were claimed in, and those of them that were redeemed, by the days' sums.
SELECT channel,
       coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue')), 0)::bigint AS claimed,
       coalesce(sum(entries) FILTER (WHERE verb = 'redeem'), 0)::bigint AS redeemed,
       coalesce(sum(minor) FILTER (WHERE verb = 'redeem'), 0)::bigint AS minor
FROM movement_days
WHERE shard = ANY(%(shards)s)
GROUP BY channel
HAVING coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue', 'redeem')), 0) > 0
ORDER BY claimed DESC, channel

-- name: holders
-- Who has claimed most, from after the place (%(count)s, %(holder)s).
SELECT holder, count, last_at FROM (
    SELECT holder, count(*) AS count, max(at) AS last_at
    FROM coupon_entries WHERE shard = ANY(%(shards)s) AND kind = 'claimed' GROUP BY holder
) each
WHERE %(holder)s::text IS NULL OR count < %(count)s OR (count = %(count)s AND holder > %(holder)s)
ORDER BY count DESC, holder LIMIT %(limit)s

-- name: acts
-- What was done with a campaign, the newest first.
SELECT id, at, actor, action, subject, detail FROM audit_log
WHERE subject = %(subject)s ORDER BY id DESC LIMIT %(limit)s
