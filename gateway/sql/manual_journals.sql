-- Journals that people make: drafted by one, approved by another; the reconciler posts them.

-- name: lock_entity
-- A close moves closed_through: it and a draft can't cross.
SELECT zone, closed_through, (now() AT TIME ZONE zone)::date AS today FROM legal_entities WHERE id = %(entity)s FOR SHARE

-- name: period_of
-- The strictest state of the periods that a date is in; nothing where all are open.
SELECT kind, starts, state
FROM periods
WHERE entity = %(entity)s AND %(date)s BETWEEN starts AND ends AND state <> 'open'
ORDER BY state
LIMIT 1

-- name: entity_of_shard
SELECT coalesce(definition ->> 'legal_entity', 'main') AS entity
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE shard = %(shard)s

-- name: campaigns_there
SELECT id FROM campaigns
WHERE id = ANY(%(campaigns)s) AND state <> 'draft' AND EXISTS (SELECT FROM checkpoints WHERE campaign = campaigns.id)

-- name: journal_by_hand
-- The manual journal that was posted as this one, and its lines the other way round; nothing for one of the drain.
SELECT manual_journals.entity, manual_journals.about,
    (
        SELECT jsonb_agg(
            jsonb_build_object('debit', source, 'credit', destination, 'commodity', commodity, 'minor', amount)
            ORDER BY line)
        FROM postings
        WHERE postings.journal = manual_journals.journal
    ) AS lines
FROM manual_journals
WHERE journal = %(journal)s

-- name: file_to_settle
-- A file of another system, the one that counts in its place, and its last run; nothing where it is not the entity's.
SELECT files.currency, files.measure, files.merchant, (
        SELECT id FROM outside_files
        WHERE coalesce(corrects, id) = coalesce(files.corrects, files.id)
        ORDER BY uploaded_at DESC, id DESC
        LIMIT 1
    ) AS counts, (SELECT max(id) FROM outside_runs WHERE file = files.id) AS run
FROM outside_files AS files
WHERE files.id = %(file)s AND entity = %(entity)s

-- name: orders_that_differ
SELECT order_id FROM outside_differences WHERE run = %(run)s AND order_id = ANY(%(orders)s)

-- name: has_journal
SELECT 1 AS found FROM journals WHERE id = %(journal)s

-- name: insert_manual
-- Nothing where the id has one already, or another one reverses the same journal.
INSERT INTO manual_journals (id, entity, effective_date, about, reverses, settles, reason, attachment, lines, made_by)
VALUES (%(id)s, %(entity)s, %(effective_date)s, %(about)s, %(reverses)s, %(settles)s, %(reason)s, %(attachment)s,
    %(lines)s::jsonb, %(made_by)s)
ON CONFLICT DO NOTHING
RETURNING *

-- name: manual
SELECT * FROM manual_journals WHERE id = %(id)s

-- name: lock_manual
SELECT * FROM manual_journals WHERE id = %(id)s FOR UPDATE

-- name: manuals
-- In an order, from behind a place.
SELECT * FROM manual_journals
WHERE (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND {behind}
ORDER BY {order}
LIMIT %(limit)s

-- name: reversal_of
SELECT id FROM manual_journals WHERE reverses = %(journal)s AND state <> 'rejected'

-- name: check_manual
UPDATE manual_journals
SET state = %(state)s, checked_by = %(checked_by)s, checked_at = now(), refused = %(refused)s
WHERE id = %(id)s AND state = 'drafted'
RETURNING *
