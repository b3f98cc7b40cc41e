-- name: open_campaigns
-- Those whose window is open, the ones that end first before the others.
SELECT id, number, version, state, definition, created_at, updated_at
FROM campaigns
WHERE state IN ('scheduled', 'paused')
  AND (definition ->> 'starts_at')::timestamptz <= now()
  AND (definition ->> 'ends_at')::timestamptz > now()
ORDER BY (definition ->> 'ends_at')::timestamptz, id
LIMIT %(limit)s

-- name: troubles
SELECT (SELECT count(*) FROM breaks WHERE resolved_at IS NULL) AS breaks,
       (SELECT count(*) FROM checkpoints WHERE state = 'stopped') AS stopped
