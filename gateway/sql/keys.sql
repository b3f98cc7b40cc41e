-- name: key_by_id
-- The one key of this id, revoked or not.
SELECT id, name, role, digest, revoked_at FROM api_keys WHERE id = %(id)s

-- name: create_key
INSERT INTO api_keys (id, name, role, digest, created_by)
VALUES (%(id)s, %(name)s, %(role)s, %(digest)s, %(actor)s)

-- name: list_keys
-- Oldest first; the digest stays here.
SELECT id, name, role, created_at, created_by, revoked_at FROM api_keys ORDER BY created_at, id

-- name: revoke_key
-- A key that is revoked stays revoked since then.
UPDATE api_keys SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL RETURNING id

-- name: key_exists
SELECT 1 AS found FROM api_keys WHERE id = %(id)s

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail) VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
