-- name: revocation
SELECT * FROM revocations WHERE id = %(id)s

-- name: revocation_by_key
SELECT * FROM revocations WHERE key = %(key)s

-- name: add_revocation
-- Nothing when the key has one already.
INSERT INTO revocations (id, campaign, holder, reason, key, actor)
VALUES (%(id)s, %(campaign)s, %(holder)s, %(reason)s, %(key)s, %(actor)s)
ON CONFLICT (key) DO NOTHING
RETURNING *

-- name: take_revocation
-- The open revocation that has waited longest and is nobody's now.
UPDATE revocations
SET worker = %(worker)s, leased_until = now() + make_interval(secs => %(lease_s)s), state = 'running',
    started_at = coalesce(started_at, now())
WHERE id = (
    SELECT id FROM revocations
    WHERE state IN ('pending', 'running') AND (leased_until IS NULL OR leased_until < now())
    ORDER BY leased_until NULLS FIRST, requested_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING *

-- name: advance_revocation
-- Nothing when another worker has taken it.
UPDATE revocations
SET until = %(until)s::jsonb, books = %(books)s::jsonb, place = %(place)s::jsonb, pass = %(pass)s,
    pass_revoked = %(pass_revoked)s, looked_at = %(looked_at)s, revoked = %(revoked)s, waits_for = %(waits_for)s,
    state = %(state)s, leased_until = now() + make_interval(secs => %(lease_s)s),
    worker = CASE WHEN %(keep)s THEN worker END,
    finished_at = CASE WHEN %(state)s <> 'running' THEN now() END
WHERE id = %(id)s AND worker = %(worker)s
RETURNING id

-- name: live_campaigns
-- Campaigns whose coupons may still be out.
SELECT id, (definition ->> 'shards')::integer AS shards FROM campaigns
WHERE state NOT IN ('draft', 'archived') AND (%(campaign)s::text IS NULL OR id = %(campaign)s) ORDER BY id

-- name: positions
SELECT shard, seq FROM checkpoints WHERE shard = ANY(%(shards)s)

-- name: open_of_shard
-- Coupons that are out, in the order of the index the sweeper has too.
SELECT code, seq, expires_at FROM coupons
WHERE shard = %(shard)s AND state IN ('claimed', 'reserved') AND (expires_at, seq) > (%(expires_at)s, %(seq)s)
ORDER BY expires_at, seq LIMIT %(limit)s

-- name: open_of_holder
SELECT code, shard, seq FROM coupons
WHERE holder = %(holder)s AND state IN ('claimed', 'reserved') AND code > %(code)s AND shard = ANY(%(shards)s)
ORDER BY code LIMIT %(limit)s
