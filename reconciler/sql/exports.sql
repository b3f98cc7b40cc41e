-- Every statement about exports. "-- name: x" begins one; reconciler/exports/ runs them by name.

-- name: add_export
-- What was asked for. No row: there is one of this key.
INSERT INTO exports (id, key, report, format, asked, asked_by)
VALUES (%(id)s, %(key)s, %(report)s, %(format)s, %(asked)s, %(asked_by)s)
ON CONFLICT (asked_by, key) DO NOTHING
RETURNING *

-- name: export_by_key
SELECT * FROM exports WHERE asked_by = %(asked_by)s AND key = %(key)s

-- name: export
SELECT * FROM exports WHERE id = %(id)s

-- name: list_exports
SELECT *
FROM exports
WHERE (%(report)s::text IS NULL OR report = %(report)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND {behind}
ORDER BY {order}
LIMIT %(limit)s

-- name: count_open
SELECT count(*) AS count FROM exports WHERE state IN ('waiting', 'running')

-- name: end_export
-- Give it up, or give up its file. No row: there is nothing to give up.
UPDATE exports
SET state = CASE WHEN state IN ('waiting', 'running') THEN 'cancelled' ELSE 'removed' END,
    finished_at = coalesce(finished_at, now())
WHERE id = %(id)s AND state IN ('waiting', 'running', 'done', 'failed')
RETURNING *

-- name: take_export
-- The oldest that is nobody's becomes the worker's, for as long as it says that it is there.
UPDATE exports
SET state = 'running', worker = %(worker)s, leased_until = now() + make_interval(secs => %(lease_s)s), tries = tries + 1
WHERE id = (
    SELECT id
    FROM exports
    WHERE state IN ('waiting', 'running') AND (leased_until IS NULL OR leased_until < now())
    ORDER BY asked_at, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING *

-- name: keep_export
-- The worker is there. No row, here and below: the export is another worker's now, or was cancelled.
UPDATE exports
SET leased_until = now() + make_interval(secs => %(lease_s)s)
WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: rest_export
-- Nobody's again, but not before a while; it is told why the try ended.
UPDATE exports
SET failed = %(failed)s, worker = NULL, leased_until = now() + make_interval(secs => %(rest_s)s)
WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: held_export
SELECT * FROM exports WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: state_of_export
SELECT state FROM exports WHERE id = %(id)s

-- name: advance_export
-- What came further is not what ended whoever tried it before.
UPDATE exports
SET spool = %(spool)s, parts = %(parts)s, rows = %(rows)s, rows_about = %(rows_about)s, written = 0, tries = 1,
    failed = NULL
WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: note_written
UPDATE exports SET written = %(written)s WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: finish_export
UPDATE exports
SET state = 'done', spool = %(spool)s, written = rows, bytes = %(bytes)s, manifest = %(manifest)s, failed = NULL,
    finished_at = now(), worker = NULL, leased_until = NULL
WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: fail_export
UPDATE exports
SET state = 'failed', failed = %(failed)s, finished_at = now(), worker = NULL, leased_until = NULL
WHERE id = %(id)s AND worker = %(worker)s AND state = 'running'

-- name: retire_exports
-- Those that were kept long enough, and that in the audit log.
WITH removed AS (
    UPDATE exports
    SET state = 'removed'
    WHERE state IN ('done', 'failed') AND finished_at < now() - make_interval(days => %(days)s)
    RETURNING *
)
INSERT INTO audit_log (actor, action, subject, detail)
SELECT 'clerk', 'export.removed', 'export:' || id,
    jsonb_build_object('report', report, 'format', format, 'asked', asked, 'kept_days', %(days)s::integer)
FROM removed

-- name: kept_exports
-- Those whose folder is still needed.
SELECT id FROM exports WHERE state IN ('waiting', 'running', 'done')

-- name: closed_through
-- The date up to which every legal entity that is asked for is closed.
SELECT CASE WHEN count(*) = count(closed_through) THEN min(closed_through) END AS closed_through
FROM legal_entities
WHERE %(entity)s::text IS NULL OR id = %(entity)s

-- name: chains
-- Of each chain: the seqs of the journals dated in a time, and the hash at its end. What is dated in a closed time is
-- complete, so this stays what it is.
SELECT found.shard, found.first_seq, found.last_seq, encode(journals.hash, 'hex') AS head
FROM (
    SELECT shard, max(id) AS last,
        min(first_seq) FILTER (WHERE %(since)s::date IS NULL OR effective_date >= %(since)s) AS first_seq,
        max(last_seq) FILTER (WHERE %(since)s::date IS NULL OR effective_date >= %(since)s) AS last_seq
    FROM journals
    WHERE (%(until)s::date IS NULL OR effective_date <= %(until)s)
        AND (%(entity)s::text IS NULL OR entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR split_part(coalesce(about, shard), '/', 1) = %(campaign)s)
    GROUP BY shard
) AS found
JOIN journals ON journals.id = found.last
ORDER BY found.shard
