-- name: batch
SELECT * FROM code_batches WHERE campaign = %(campaign)s AND id = %(id)s

-- name: batch_by_key
SELECT * FROM code_batches WHERE campaign = %(campaign)s AND key = %(key)s

-- name: list_batches
-- A page of a campaign's batches, newest first, from after the place (%(requested_at)s, %(id)s).
SELECT * FROM code_batches
WHERE campaign = %(campaign)s AND (requested_at, id) < (%(requested_at)s, %(id)s)
ORDER BY requested_at DESC, id DESC LIMIT %(limit)s

-- name: add_batch
-- Nothing when the key has one already.
INSERT INTO code_batches (id, campaign, key, asked, kind, code, count, units, expires_at, actor, parts, refused)
VALUES (%(id)s, %(campaign)s, %(key)s, %(asked)s, %(kind)s, %(code)s, %(count)s, %(units)s,
    %(expires_at)s, %(actor)s, %(parts)s::jsonb, %(refused)s)
ON CONFLICT (campaign, key) DO NOTHING
RETURNING *

-- name: cancel_batch
UPDATE code_batches SET cancelled_by = coalesce(cancelled_by, %(actor)s)
WHERE campaign = %(campaign)s AND id = %(id)s AND state IN ('pending', 'running') RETURNING *

-- name: take_batch
-- The open batch that has waited longest and is nobody's now; for %(lease_s)s seconds it is %(worker)s's.
UPDATE code_batches
SET worker = %(worker)s, leased_until = now() + make_interval(secs => %(lease_s)s), state = 'running',
    started_at = coalesce(started_at, now())
WHERE id = (
    SELECT id FROM code_batches
    WHERE state IN ('pending', 'running') AND (leased_until IS NULL OR leased_until < now())
    ORDER BY leased_until NULLS FIRST, requested_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING *

-- name: lock_batch
-- The batch if it is still this worker's; who cancelled it may be new.
SELECT * FROM code_batches WHERE id = %(id)s AND worker = %(worker)s FOR UPDATE

-- name: advance_batch
-- Written and committed before the flight is sent.
UPDATE code_batches
SET parts = %(parts)s::jsonb, flight = %(flight)s::jsonb, done = %(done)s, rate = %(rate)s, reason = %(reason)s,
    state = %(state)s, leased_until = now() + make_interval(secs => %(lease_s)s),
    worker = CASE WHEN %(keep)s THEN worker END,
    finished_at = CASE WHEN %(state)s <> 'running' THEN now() END
WHERE id = %(id)s

-- name: named_code
-- Where a named code is; none that was never sent there.
SELECT campaign, shard, state FROM named_codes
WHERE code = %(code)s AND shard IS NOT NULL AND state IN ('pending', 'issued')

-- name: add_named
-- Those that nobody has, or that were never issued; the others stay what they are, and are not among what is returned.
INSERT INTO named_codes (code, shown, campaign, batch, line)
SELECT code, shown, %(campaign)s, %(batch)s, line
FROM unnest(%(codes)s::text[], %(shown)s::text[], %(lines)s::integer[]) AS given (code, shown, line) ORDER BY code
ON CONFLICT (code) DO UPDATE
SET shown = excluded.shown, campaign = excluded.campaign, batch = excluded.batch, line = excluded.line,
    shard = NULL, chunk = NULL, state = 'pending'
WHERE named_codes.state = 'free'
RETURNING code

-- name: named_taken
-- Which of the codes are somebody's.
SELECT code FROM named_codes WHERE code = ANY(%(codes)s) AND state <> 'free'

-- name: add_refusals
INSERT INTO import_refusals (batch, line, code, problem)
SELECT %(batch)s, line, code, problem
FROM unnest(%(lines)s::integer[], %(codes)s::text[], %(problems)s::text[]) AS given (line, code, problem)
ON CONFLICT (batch, line) DO NOTHING

-- name: set_counts
-- What an import came to, once its codes are reserved.
UPDATE code_batches SET count = %(count)s, refused = %(refused)s WHERE id = %(id)s RETURNING *

-- name: list_refusals
SELECT line, code, problem FROM import_refusals WHERE batch = %(batch)s AND line > %(after)s ORDER BY line LIMIT %(limit)s

-- name: list_lines
-- Every line of an import with what became of it, a page from after line %(after)s.
SELECT line, shown AS code, state AS result FROM named_codes
WHERE batch = %(batch)s AND line > %(after)s AND state <> 'taken'
UNION ALL
SELECT line, code, problem FROM import_refusals WHERE batch = %(batch)s AND line > %(after)s
ORDER BY line LIMIT %(limit)s

-- name: named_shown
-- How codes were written where they come from.
SELECT code, shown FROM named_codes WHERE batch = %(batch)s AND code = ANY(%(codes)s)

-- name: named_left
-- Codes that wait for a chunk.
SELECT count(*) AS count FROM named_codes WHERE batch = %(batch)s AND state = 'pending' AND shard IS NULL

-- name: board_named
-- The next codes go into a chunk.
UPDATE named_codes SET shard = %(shard)s, chunk = %(chunk)s
WHERE code IN (
    SELECT code FROM named_codes WHERE batch = %(batch)s AND state = 'pending' AND shard IS NULL
    ORDER BY line LIMIT %(count)s
)

-- name: aboard
SELECT code FROM named_codes
WHERE batch = %(batch)s AND state = 'pending' AND shard = %(shard)s AND chunk = %(chunk)s ORDER BY line

-- name: named_issued
UPDATE named_codes SET state = 'issued'
WHERE batch = %(batch)s AND state = 'pending' AND shard = %(shard)s AND chunk = %(chunk)s

-- name: unboard_named
-- What Redis does not have of a shard's chunks waits for another one.
UPDATE named_codes SET state = 'pending', shard = NULL, chunk = NULL
WHERE batch = %(batch)s AND state IN ('pending', 'issued') AND shard = %(shard)s AND chunk >= %(chunk)s

-- name: take_named
-- Redis has them already: refused, with their lines.
WITH gone AS (
    UPDATE named_codes SET state = 'taken' WHERE batch = %(batch)s AND code = ANY(%(codes)s) RETURNING line, shown
), noted AS (
    INSERT INTO import_refusals (batch, line, code, problem) SELECT %(batch)s, line, shown, 'exists' FROM gone
    ON CONFLICT (batch, line) DO NOTHING
)
UPDATE code_batches SET refused = refused + (SELECT count(*) FROM gone) WHERE id = %(batch)s

-- name: free_named
-- What was never issued may be had by others.
UPDATE named_codes SET state = 'free', shard = NULL, chunk = NULL WHERE batch = %(batch)s AND state = 'pending'

-- name: codes_page
-- A page of a batch's codes from the books.
SELECT code, state, expires_at, units FROM coupons
WHERE batch = %(batch)s AND code > %(after)s ORDER BY code LIMIT %(limit)s

-- name: count_codes
SELECT count(*) AS count FROM coupons WHERE batch = %(batch)s

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail)
VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s::jsonb)
