-- name: is_published
-- A draft that was archived has never been: it has no shards.
SELECT 1 FROM campaigns
WHERE id = %(id)s AND state <> 'draft' AND EXISTS (SELECT FROM checkpoints WHERE campaign = campaigns.id)

-- name: campaign_by_number
-- What a code made here leads to: number and shards of a published campaign never change.
SELECT id, (definition ->> 'shards')::integer AS shards FROM campaigns
WHERE number = %(number)s AND state <> 'draft' AND EXISTS (SELECT FROM checkpoints WHERE campaign = campaigns.id)

-- name: campaign
SELECT id, number, version, state, definition, created_at, updated_at FROM campaigns WHERE id = %(id)s

-- name: lock_campaign
-- Whoever changes a campaign holds its row.
SELECT id, number, version, state, definition, created_at, updated_at FROM campaigns WHERE id = %(id)s FOR UPDATE

-- name: list_campaigns
-- A page in the order of ids, from after %(after)s.
SELECT id, number, version, state, definition, created_at, updated_at
FROM campaigns WHERE id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: entity
SELECT id FROM legal_entities WHERE id = %(id)s

-- name: create_campaign
-- Nothing when there is one of this id, and then no number of the 2^20 is used up.
INSERT INTO campaigns (id, version, state, definition)
SELECT %(id)s, 1, 'draft', %(definition)s::jsonb WHERE NOT EXISTS (SELECT 1 FROM campaigns WHERE id = %(id)s)
ON CONFLICT (id) DO NOTHING
RETURNING id, number, version, state, definition, created_at, updated_at

-- name: set_campaign
UPDATE campaigns SET version = %(version)s, state = %(state)s, definition = %(definition)s::jsonb, updated_at = now()
WHERE id = %(id)s
RETURNING id, number, version, state, definition, created_at, updated_at

-- name: add_version
-- Written before Redis is touched, so that no number ever stands for two contents.
INSERT INTO campaign_versions (campaign, version, state, definition, changed_by)
VALUES (%(id)s, %(version)s, %(state)s, %(definition)s::jsonb, %(actor)s)

-- name: versions_after
-- What has been decided and may not have reached every shard.
SELECT version, state, definition, changed_by FROM campaign_versions
WHERE campaign = %(id)s AND version > %(version)s ORDER BY version

-- name: version_by
-- Asked only of whoever makes one change and no other.
SELECT version, state, definition, changed_by, EXISTS (
        SELECT 1 FROM audit_log
        WHERE subject = %(subject)s AND action = 'campaign.refused' AND audit_log.actor = changed_by
    ) AS refused
FROM campaign_versions
WHERE campaign = %(id)s AND changed_by = %(actor)s
ORDER BY version DESC
LIMIT 1

-- name: add_checkpoint
-- Where the drain of a shard begins. The reconciler owns it from then on.
INSERT INTO checkpoints (shard, campaign) VALUES (%(shard)s, %(campaign)s) ON CONFLICT (shard) DO NOTHING

-- name: checkpoints
SELECT shard, epoch, seq FROM checkpoints WHERE campaign = %(id)s

-- name: notify_campaign
SELECT pg_notify('fairclaim_campaigns', %(id)s)

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail)
VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s::jsonb)

-- name: refusals
-- Asked only when the campaign is not as a change just made would have it.
SELECT id FROM audit_log
WHERE subject = %(subject)s AND action = 'campaign.refused' AND detail ->> 'version' = %(version)s::text

-- name: adjustment
SELECT campaign, key, delta, reason, actor, steps, state FROM stock_adjustments
WHERE campaign = %(id)s AND key = %(key)s

-- name: pending_adjustments
-- Oldest first: what a crash left half done is finished before anything new.
SELECT campaign, key, delta, reason, actor, steps, state FROM stock_adjustments
WHERE campaign = %(id)s AND state = 'pending' ORDER BY requested_at, key

-- name: add_adjustment
INSERT INTO stock_adjustments (campaign, key, delta, reason, actor, steps)
VALUES (%(id)s, %(key)s, %(delta)s, %(reason)s, %(actor)s, %(steps)s::jsonb)

-- name: set_adjustment
UPDATE stock_adjustments SET steps = %(steps)s::jsonb, state = %(state)s WHERE campaign = %(id)s AND key = %(key)s

-- name: unfinished_campaigns
-- Campaigns with a version or a stock adjustment that a crash left half done.
SELECT c.id FROM campaigns c
WHERE EXISTS (SELECT 1 FROM campaign_versions v WHERE v.campaign = c.id AND v.version > c.version)
   OR EXISTS (SELECT 1 FROM stock_adjustments a WHERE a.campaign = c.id AND a.state = 'pending')
ORDER BY c.id LIMIT %(limit)s

-- name: wake_archived
-- Something happens to an archived campaign after all: its shards are drained again for a while.
WITH woken AS (
    UPDATE campaigns SET updated_at = now() WHERE id = %(id)s AND state = 'archived' RETURNING id
)
SELECT pg_notify('fairclaim_campaigns', id) FROM woken
