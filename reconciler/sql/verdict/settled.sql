-- Of a verdict, what `settled` looks for; every statement is light, because a close asks again under its lock.

-- name: nothing_in_quarantine
WITH bad AS (
    SELECT shard, entry_id, first_seq, count, reason
    FROM quarantine
    WHERE replayed_at IS NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS quarantined, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, first_seq NULLS FIRST, entry_id LIMIT 1) AS first
FROM bad

-- name: nothing_in_suspense
-- By the totals of the days, which `totals` proves.
WITH bad AS (
    SELECT entity, account, commodity AS currency, sum(debit - credit) AS balance
    FROM account_days
    WHERE account LIKE 'suspense:%%' AND (%(entity)s::text IS NULL OR entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR account = 'suspense:promotion:' || %(campaign)s)
    GROUP BY entity, account, commodity
    HAVING sum(debit - credit) <> 0
)
SELECT count(*) AS in_suspense, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY entity, account, currency LIMIT 1) AS first
FROM bad

-- name: no_break_unresolved
WITH bad AS (
    SELECT id AS break, shard, kind, figure, state, expected, found, detected_at
    FROM breaks
    WHERE resolved_at IS NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS breaks_open, count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY break LIMIT 1) AS first FROM bad

-- name: no_shard_stopped
WITH bad AS (
    SELECT shard, seq, updated_at
    FROM checkpoints
    WHERE state = 'stopped' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS shards_stopped, count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard LIMIT 1) AS first FROM bad
