-- What a verdict is of, and what it reads beside the statements of its invariants.

-- name: list_shards
-- The shards of a campaign, of a legal entity, or all. One whose campaign is archived may have left Redis.
SELECT shard, campaigns.state = 'archived' AS archived
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE (%(campaign)s::text IS NULL OR campaign = %(campaign)s)
    AND (%(entity)s::text IS NULL OR coalesce(definition ->> 'legal_entity', 'main') = %(entity)s)
ORDER BY checkpoints.campaign, split_part(shard, '/', 2)::integer

-- name: has_entity
SELECT FROM legal_entities WHERE id = %(entity)s

-- name: find_coupons
-- Of codes somebody was told of, those that are in the books, and whose they are.
SELECT code, holder FROM coupons WHERE code = ANY (%(codes)s)

-- name: claimed_coupons
-- Every coupon somebody claimed.
SELECT code, holder FROM coupons
WHERE batch = '' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
ORDER BY shard, seq

-- name: books_at
SELECT shard, seq FROM checkpoints WHERE shard = ANY (%(shards)s)
