-- Proposals: made by one, decided by another, done once. A state changes only from what it was.

-- name: add_proposal
-- Nothing where the id is there already, or one of its kind and subject waits, or as many wait as may, in all or of him.
INSERT INTO proposals (id, kind, subject, asked, before, reason, maker, maker_name, expires_at)
SELECT %(id)s, %(kind)s, %(subject)s, %(asked)s::jsonb, %(before)s::jsonb, %(reason)s, %(maker)s, %(maker_name)s,
    now() + make_interval(days => %(days)s)
WHERE (SELECT count(*) FROM proposals WHERE state IN ('pending', 'approved')) < %(open_max)s
    AND (
        SELECT count(*) FROM proposals WHERE state IN ('pending', 'approved') AND maker_name = %(maker_name)s
    ) < %(of_one_max)s
ON CONFLICT DO NOTHING
RETURNING *

-- name: proposal
SELECT * FROM proposals WHERE id = %(id)s

-- name: waiting_of
SELECT id FROM proposals WHERE kind = %(kind)s AND subject = %(subject)s AND state IN ('pending', 'approved')

-- name: open_proposals
SELECT count(*) AS open FROM proposals WHERE state IN ('pending', 'approved')

-- name: waiting_about
-- By the index that keeps one of a kind and subject.
SELECT * FROM proposals
WHERE kind = ANY(%(kinds)s) AND subject = %(subject)s AND state IN ('pending', 'approved')
ORDER BY made_at DESC, id DESC

-- name: proposals
-- Both those with a row of their own and manual journals, whose states are told in the same words; the order they are
-- read in has a place to go on after.
SELECT * FROM (
    SELECT id, kind, subject, asked, before, reason, maker, maker_name, made_at, expires_at, state, checker, decided_at,
        said, outcome
    FROM proposals
    UNION ALL
    SELECT id, 'manual_journal', 'entity:' || entity, NULL, '{"state": "drafted"}', reason, made_by,
        lower(regexp_replace(made_by, '^(key:\S+ |user:)', '')), made_at, NULL,
        CASE WHEN state = 'drafted' THEN 'pending' WHEN state = 'posted' THEN 'applied'
            WHEN state = 'rejected' AND checked_by IS NULL THEN 'withdrawn' ELSE state END,
        checked_by, checked_at, NULL, NULL
    FROM manual_journals
) AS asked
WHERE kind = ANY(%(kinds)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(waits_for)s::text IS NULL OR (state = 'pending' AND maker_name <> %(waits_for)s
        AND kind = ANY(%(checked)s)
        AND (%(admin)s OR kind <> 'period_reopening' OR before ->> 'state' <> 'closed')))
    AND (%(made_by)s::text IS NULL OR maker_name = %(made_by)s)

-- name: count_waiting
-- What waits for somebody to decide, as of those above; read from the indexes of what is pending and of the first state.
SELECT (
    SELECT count(*) FROM proposals
    WHERE state = 'pending' AND expires_at > now() AND maker_name <> %(name)s AND kind = ANY(%(checked)s)
        AND (%(admin)s OR kind <> 'period_reopening' OR before ->> 'state' <> 'closed')
) + (
    SELECT count(*) FROM manual_journals
    WHERE array_position(ARRAY['drafted', 'approved', 'posted', 'rejected'], state) = 1
        AND 'manual_journal' = ANY(%(checked)s)
        AND lower(regexp_replace(made_by, '^(key:\S+ |user:)', '')) <> %(name)s
) AS waiting

-- name: manuals_of
SELECT * FROM manual_journals WHERE id = ANY(%(ids)s)

-- name: decide_proposal
-- Nothing where somebody else has decided, or its time is over.
UPDATE proposals
SET state = %(state)s, checker = %(checker)s, checker_name = %(checker_name)s, decided_at = now(), said = %(said)s,
    outcome = %(outcome)s::jsonb
WHERE id = %(id)s AND state = 'pending' AND expires_at > now()
RETURNING *

-- name: apply_proposal
-- Done is done: whoever found at the same time that it could not be is wrong.
UPDATE proposals SET state = 'applied', outcome = %(outcome)s::jsonb
WHERE id = %(id)s AND state IN ('approved', 'failed')
RETURNING *

-- name: fail_proposal
UPDATE proposals SET state = 'failed', outcome = %(outcome)s::jsonb
WHERE id = %(id)s AND state = 'approved'
RETURNING *

-- name: expire_proposals
UPDATE proposals SET state = 'expired', decided_at = now()
WHERE state = 'pending' AND expires_at <= now()
RETURNING *

-- name: approved_proposals
-- Those that whoever approved them is no longer at.
SELECT * FROM proposals
WHERE state = 'approved' AND decided_at <= now() - make_interval(secs => %(rest_s)s)
ORDER BY decided_at LIMIT 100
