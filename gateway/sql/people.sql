-- name: user_by_name
-- With what proves the password and what ends the sessions: for signing in and for each page.
SELECT name, display, roles, password, stamp, must_change, language, theme, zone, disabled_at FROM users
WHERE name = %(name)s

-- name: list_users
-- In an order, from after the place (%(key)s, %(after)s); the hash and the stamp stay here.
WITH seen AS (
    SELECT name, display, roles, must_change, created_at, created_by, changed_at, changed_by, disabled_at, disabled_by,
           CASE %(by)s
               WHEN 'called' THEN lower(display)
               WHEN 'changed' THEN to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
               ELSE ''
           END COLLATE "C" AS key
    FROM users
    WHERE (%(text)s::text = '' OR strpos(name, lower(%(text)s)) > 0 OR strpos(lower(display), lower(%(text)s)) > 0)
      AND (%(role)s::text = '' OR %(role)s = ANY (roles))
)
SELECT * FROM seen
WHERE %(after)s::text = '' OR CASE WHEN %(down)s THEN (key, name COLLATE "C") < (%(key)s, %(after)s)
                                   ELSE (key, name COLLATE "C") > (%(key)s, %(after)s) END
ORDER BY CASE WHEN %(down)s THEN key END DESC, CASE WHEN %(down)s THEN name COLLATE "C" END DESC, key,
    name COLLATE "C"
LIMIT %(limit)s

-- name: user_listed
SELECT name, display, roles, must_change, created_at, created_by, changed_at, changed_by, disabled_at, disabled_by
FROM users WHERE name = %(name)s

-- name: any_user
SELECT 1 AS found FROM users LIMIT 1

-- name: lock_users
-- Changes of users come one after the other: who takes the last admin's role away must see who else did.
SELECT pg_advisory_xact_lock(hashtext('fairclaim users'))

-- name: admins_but
-- How many others may administer.
SELECT count(*) AS others FROM users WHERE 'admin' = ANY (roles) AND disabled_at IS NULL AND name <> %(name)s

-- name: create_user
INSERT INTO users (name, display, roles, password, stamp, must_change, created_by, changed_by)
VALUES (%(name)s, %(display)s, %(roles)s, %(password)s, %(stamp)s, %(must_change)s, %(actor)s, %(actor)s)
ON CONFLICT (name) DO NOTHING
RETURNING name

-- name: set_roles
UPDATE users SET roles = %(roles)s, display = %(display)s, stamp = %(stamp)s, changed_at = now(), changed_by = %(actor)s
WHERE name = %(name)s

-- name: set_password
UPDATE users
SET password = %(password)s, must_change = %(must_change)s, stamp = %(stamp)s, changed_at = now(), changed_by = %(actor)s
WHERE name = %(name)s

-- name: disable_user
UPDATE users
SET disabled_at = now(), disabled_by = %(actor)s, stamp = %(stamp)s, changed_at = now(), changed_by = %(actor)s
WHERE name = %(name)s

-- name: enable_user
UPDATE users
SET disabled_at = NULL, disabled_by = NULL, stamp = %(stamp)s, changed_at = now(), changed_by = %(actor)s
WHERE name = %(name)s

-- name: end_sessions
UPDATE users SET stamp = %(stamp)s WHERE name = %(name)s

-- name: set_look
UPDATE users SET language = %(language)s, theme = %(theme)s, zone = %(zone)s, changed_at = now(), changed_by = %(actor)s
WHERE name = %(name)s

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail) VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)

-- name: audit_user
INSERT INTO audit_log (actor, action, subject, detail)
SELECT %(actor)s, %(action)s, %(subject)s, %(detail)s FROM users WHERE name = %(name)s

-- name: audit_last
-- The last line, or the last before an id.
SELECT max(id) AS id FROM audit_log WHERE id < coalesce(%(after)s::bigint, 9223372036854775807)

-- name: audit_first
-- The first line, or the first after an id.
SELECT min(id) AS id FROM audit_log WHERE id > coalesce(%(after)s::bigint, 0)

-- name: audited
-- Of a range of ids; each filter is a part of the text, whatever its case.
SELECT id, at, actor, action, subject, detail
FROM audit_log
WHERE id BETWEEN %(first)s AND %(last)s
  AND (%(actor)s::text = '' OR strpos(lower(actor), lower(%(actor)s)) > 0)
  AND (%(action)s::text = '' OR strpos(lower(action), lower(%(action)s)) > 0)
  AND (%(subject)s::text = '' OR strpos(lower(subject), lower(%(subject)s)) > 0)
ORDER BY id
LIMIT %(limit)s

-- name: audited_down
-- The same, the newest first.
SELECT id, at, actor, action, subject, detail
FROM audit_log
WHERE id BETWEEN %(first)s AND %(last)s
  AND (%(actor)s::text = '' OR strpos(lower(actor), lower(%(actor)s)) > 0)
  AND (%(action)s::text = '' OR strpos(lower(action), lower(%(action)s)) > 0)
  AND (%(subject)s::text = '' OR strpos(lower(subject), lower(%(subject)s)) > 0)
ORDER BY id DESC
LIMIT %(limit)s
