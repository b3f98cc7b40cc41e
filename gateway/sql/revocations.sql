-- name: revocation
SELECT * FROM revocations WHERE id = %(id)s

-- name: revocation_by_key
SELECT * FROM revocations WHERE key = %(key)s

-- name: add_revocation
-- Nothing when the key has one already.
INSERT INTO revocations (id, campaign, holder, reason, key, actor, until, books)
VALUES (%(id)s, %(campaign)s, %(holder)s, %(reason)s, %(key)s, %(actor)s, %(until)s::jsonb, %(until)s::jsonb)
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

-- name: published_campaign
SELECT id FROM campaigns
WHERE id = %(campaign)s AND state <> 'draft' AND EXISTS (SELECT FROM checkpoints WHERE campaign = campaigns.id)

-- name: out_of_campaign
SELECT coalesce(sum(debit - credit), 0)::bigint AS coupons FROM account_days
WHERE shard IN (SELECT shard FROM checkpoints WHERE campaign = %(campaign)s)
    AND commodity = 'coupon:' || %(campaign)s AND account IN ('outstanding', 'reserved')

-- name: out_of_holder
SELECT count(*) AS coupons FROM coupons
WHERE holder = %(holder)s AND state IN ('claimed', 'reserved')
    AND (%(campaign)s::text IS NULL OR campaign = %(campaign)s)

-- name: live_campaigns
-- Campaigns whose coupons may still be out: also archived ones, whose coupons are good until they expire. Not those the
-- reconciler has left, as there is nothing out of them; their shards are not compared with the books any more.
SELECT id, (definition ->> 'shards')::integer AS shards FROM campaigns
WHERE state <> 'draft' AND (%(campaign)s::text IS NULL OR id = %(campaign)s)
    AND EXISTS (SELECT FROM checkpoints WHERE campaign = campaigns.id)  -- a draft that was archived has no shards
    AND (state <> 'archived' OR updated_at > now() - interval '1 hour' OR EXISTS (
        SELECT 1 FROM checkpoints
        WHERE checkpoints.campaign = campaigns.id
            AND (NOT EXISTS (
                    SELECT 1 FROM coupon_entries AS last
                    WHERE last.shard = checkpoints.shard AND last.seq = checkpoints.seq
                        AND last.version >= campaigns.version
                ) OR EXISTS (
                    SELECT 1 FROM coupons
                    WHERE coupons.shard = checkpoints.shard AND coupons.state IN ('claimed', 'reserved')
                ))
    ))
ORDER BY id

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
