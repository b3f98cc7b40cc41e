-- name: stack
SELECT id, key, payload, actor, body, items, state, refused, updated_at FROM stacks WHERE id = %(id)s

-- name: lock_stack
-- Whoever takes a stack further holds its row.
SELECT id, key, payload, actor, body, items, state, refused, updated_at FROM stacks WHERE id = %(id)s FOR UPDATE

-- name: stack_by_key
-- The stack of this key, unless it was undone: then the key may try again.
SELECT id, key, payload, actor, body, items, state, refused, updated_at FROM stacks
WHERE key = %(key)s AND state <> 'undone'

-- name: open_stack_by_scope
-- What this order is doing with these codes now, under whatever key.
SELECT id, key, payload, actor, body, items, state, refused, updated_at FROM stacks
WHERE scope = %(scope)s AND state IN ('holding', 'committing') ORDER BY requested_at DESC LIMIT 1

-- name: stack_by_scope
-- What this order did with these codes last.
SELECT id, key, payload, actor, body, items, state, refused, updated_at FROM stacks
WHERE scope = %(scope)s AND state = 'done' ORDER BY requested_at DESC LIMIT 1

-- name: lost_to_another
-- Whether the order has its codes, or is getting them, by another request just now.
SELECT other.id FROM stacks AS mine JOIN stacks AS other USING (scope)
WHERE mine.id = %(id)s AND other.id <> mine.id AND other.updated_at > now() - interval '1 minute'
  AND other.state IN ('committing', 'done')
LIMIT 1

-- name: add_stack
-- Nothing when there is one of this key.
INSERT INTO stacks (id, key, scope, payload, actor, body, items)
VALUES (%(id)s, %(key)s, %(scope)s, %(payload)s, %(actor)s, %(body)s::jsonb, %(items)s::jsonb)
ON CONFLICT (key) WHERE state <> 'undone' DO NOTHING
RETURNING id

-- name: move_stack
-- From one state to the next; no row when somebody else moved it first.
UPDATE stacks SET state = %(to)s, items = %(items)s::jsonb, refused = %(refused)s::jsonb, updated_at = now()
WHERE id = %(id)s AND state = %(was)s
RETURNING id

-- name: take_open
-- A stack that nobody has taken further for a while: a crash left it half done. Nobody else gets it for as long.
UPDATE stacks SET updated_at = now()
WHERE id = (
    SELECT id FROM stacks
    WHERE state IN ('holding', 'committing', 'undoing') AND updated_at < now() - make_interval(secs => %(idle_s)s)
      AND id <> ALL(%(tried)s::text[])
    ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
