-- Files of other systems and their runs. "-- name: x" begins a statement; reconciler/outside runs them by name.

-- name: copy_rows
COPY outside_rows (file, line, order_id, minor) FROM STDIN

-- name: add_file
INSERT INTO outside_files (id, name, entity, currency, since, until, zone, merchant, store, measure, rows, sha256,
    uploaded_by, corrects)
VALUES (%(id)s, %(name)s, %(entity)s, %(currency)s, %(since)s, %(until)s, %(zone)s, %(merchant)s, %(store)s, %(measure)s,
    %(rows)s, %(sha256)s, %(actor)s, %(corrects)s)
RETURNING *

-- name: same_file
-- The same bytes asked to be compared with the same are the same file, unless another one corrected the same after it.
SELECT * FROM outside_files
WHERE sha256 = %(sha256)s AND entity = %(entity)s AND currency = %(currency)s AND since = %(since)s AND until = %(until)s
    AND zone = %(zone)s AND merchant IS NOT DISTINCT FROM %(merchant)s AND store IS NOT DISTINCT FROM %(store)s
    AND measure = %(measure)s AND corrects IS NOT DISTINCT FROM %(corrects)s
    AND NOT EXISTS (
        SELECT 1 FROM outside_files AS later
        WHERE later.corrects = outside_files.corrects
            AND (later.uploaded_at, later.id) > (outside_files.uploaded_at, outside_files.id)
    )
ORDER BY uploaded_at
LIMIT 1

-- name: list_files
-- Newest first, each with its last run.
SELECT outside_files.*, last.id AS run, last.ran_at, last.summary
FROM outside_files
LEFT JOIN LATERAL (
    SELECT id, ran_at, summary FROM outside_runs WHERE outside_runs.file = outside_files.id ORDER BY id DESC LIMIT 1
) AS last ON true
WHERE (uploaded_at, outside_files.id) < (%(before)s, %(before_id)s)
ORDER BY uploaded_at DESC, outside_files.id DESC
LIMIT %(rows_max)s

-- name: see_file
SELECT * FROM outside_files WHERE id = %(id)s

-- name: current_file
-- The file that counts: the last one that corrects the same as this, or corrects this.
SELECT id FROM outside_files
WHERE coalesce(corrects, id) = (SELECT coalesce(corrects, id) FROM outside_files WHERE id = %(id)s)
ORDER BY uploaded_at DESC, id DESC
LIMIT 1

-- name: list_runs
-- Newest first.
SELECT * FROM outside_runs WHERE file = %(file)s AND id < %(before)s ORDER BY id DESC LIMIT %(rows_max)s

-- name: see_run
SELECT * FROM outside_runs WHERE file = %(file)s AND id = %(run)s

-- name: compare
-- The beginning of the statements on compared: one row an order of either side, with what became of it. An order whose
-- discount came back whole is missing nowhere. What manual journals credited to merchants for an order, to settle a
-- difference of this file or of one whose days, merchant and store are within its own, is on our side as well; one that
-- is reversed is not, unless its reversal is.
WITH RECURSIVE file AS (
    SELECT * FROM outside_files WHERE id = %(file)s
), theirs AS (
    SELECT order_id, min(line) AS line, count(*) AS lines, sum(minor) AS minor
    FROM outside_rows
    WHERE outside_rows.file = %(file)s
    GROUP BY order_id
), taken AS (
    SELECT order_id, redemptions.minor, rolled_back_minor, order_minor,
        (redeemed_at AT TIME ZONE file.zone)::date BETWEEN file.since AND file.until
            AND (file.merchant IS NULL OR redemptions.merchant = file.merchant)
            AND (file.store IS NULL OR redemptions.store = file.store)
            AND coalesce(redemptions.currency, definition ->> 'currency') = file.currency AS asked
    FROM file
    CROSS JOIN redemptions
    JOIN campaigns ON campaigns.id = redemptions.campaign
    WHERE coalesce(nullif(definition ->> 'legal_entity', ''), 'main') = file.entity
), settling AS (
    SELECT manual.id, manual.journal, manual.lines
    FROM file
    JOIN outside_files AS settled USING (entity, currency, zone, measure)
    JOIN manual_journals AS manual ON manual.settles = settled.id AND manual.state = 'posted'
    WHERE settled.since >= file.since AND settled.until <= file.until
        AND (file.merchant IS NULL OR settled.merchant = file.merchant)
        AND (file.store IS NULL OR settled.store = file.store)
), reversals AS (
    SELECT id, journal FROM settling
    UNION ALL
    SELECT reversals.id, undone.journal
    FROM reversals JOIN manual_journals AS undone ON undone.reverses = reversals.journal AND undone.state = 'posted'
), booked AS (
    SELECT line ->> 'order_id' AS order_id, sum(
            CASE WHEN split_part(line ->> 'credit', ':', 1) = 'payable' THEN 1 ELSE -1 END * (line ->> 'minor')::numeric
        ) AS minor
    FROM settling
    JOIN (SELECT id FROM reversals GROUP BY id HAVING count(*) %% 2 = 1) AS standing USING (id)
    CROSS JOIN LATERAL jsonb_array_elements(lines) AS line
    WHERE line ->> 'order_id' IS NOT NULL
    GROUP BY line ->> 'order_id'
), ours AS (
    SELECT order_id, count(*) FILTER (WHERE asked) AS redemptions, CASE (SELECT measure FROM file)
            WHEN 'discount' THEN sum(minor) FILTER (WHERE asked)
            WHEN 'net' THEN sum(minor - rolled_back_minor) FILTER (WHERE asked)
            ELSE max(order_minor) FILTER (WHERE asked)
        END::numeric AS minor
    FROM taken
    WHERE order_id IS NOT NULL
    GROUP BY order_id
), sides AS (
    SELECT order_id, coalesce(redemptions, 0) AS redemptions, redemptions = 0 AS elsewhere, theirs.line,
        coalesce(theirs.lines, 0) AS lines, booked.minor AS booked, theirs.minor AS there_minor,
        CASE WHEN booked.minor IS NULL THEN ours.minor ELSE coalesce(ours.minor, 0) + booked.minor END AS here_minor
    FROM theirs FULL JOIN ours USING (order_id) FULL JOIN booked USING (order_id)
), compared AS (
    SELECT order_id, redemptions, line, lines, here_minor, there_minor,
        CASE
            WHEN booked IS NOT NULL AND here_minor = coalesce(there_minor, 0) THEN 'matched'
            WHEN lines > 1 THEN 'duplicate'
            WHEN redemptions = 0 AND booked IS NULL THEN 'missing_here'
            WHEN lines = 0 THEN 'missing_there'
            WHEN here_minor IS DISTINCT FROM there_minor THEN 'amount_differs'
            ELSE 'matched'
        END AS outcome,
        CASE
            WHEN lines > 1 THEN 'it is in the file ' || lines || ' times'
            WHEN booked IS NOT NULL THEN 'here are ' || booked || ' minor units that were booked by hand'
            WHEN elsewhere THEN 'it was redeemed on another day, or by another merchant, store or currency'
            ELSE ''
        END AS note
    FROM sides
    WHERE lines > 0 OR booked IS NOT NULL OR (redemptions > 0 AND (here_minor <> 0 OR (SELECT measure FROM file) <> 'net'))
)

-- name: sum_up
SELECT outcome, count(*) AS orders, coalesce(sum(here_minor), 0) AS here_minor,
    coalesce(sum(there_minor), 0) AS there_minor
FROM compared
GROUP BY outcome

-- name: count_without_order
-- Redemptions that name no order: nobody can match them.
SELECT count(*) AS redemptions, coalesce(sum(redemptions.minor - rolled_back_minor), 0) AS minor
FROM redemptions JOIN campaigns ON campaigns.id = redemptions.campaign CROSS JOIN outside_files AS file
WHERE file.id = %(file)s AND order_id IS NULL AND coalesce(nullif(definition ->> 'legal_entity', ''), 'main') = file.entity
    AND (redeemed_at AT TIME ZONE file.zone)::date BETWEEN file.since AND file.until
    AND (file.merchant IS NULL OR redemptions.merchant = file.merchant)
    AND (file.store IS NULL OR redemptions.store = file.store)
    AND coalesce(redemptions.currency, definition ->> 'currency') = file.currency

-- name: first_differences
SELECT order_id, outcome, line, lines, redemptions, here_minor, there_minor, note
FROM compared
WHERE outcome <> 'matched'
ORDER BY order_id COLLATE "C"
LIMIT %(rows_max)s

-- name: add_run
INSERT INTO outside_runs (file, ran_by, summary) VALUES (%(file)s, %(actor)s, %(summary)s) RETURNING *

-- name: keep_differences
INSERT INTO outside_differences (run, order_id, outcome, line, lines, redemptions, here_minor, there_minor, note)
SELECT %(run)s, order_id, outcome, line, lines, redemptions, here_minor, there_minor, note
FROM compared
WHERE outcome <> 'matched'

-- name: open_break
INSERT INTO breaks (shard, kind, figure, expected, found, likely)
VALUES (%(entity)s, 'outside', %(first)s, %(expected)s, %(found)s, %(likely)s)
ON CONFLICT (shard, kind, md5(figure)) WHERE resolved_at IS NULL DO NOTHING

-- name: list_differences
-- In the order of order ids, byte by byte.
SELECT order_id, outcome, line, lines, redemptions, here_minor, there_minor, note
FROM outside_differences
WHERE run = %(run)s AND order_id COLLATE "C" > %(after)s
ORDER BY order_id COLLATE "C"
LIMIT %(rows_max)s

-- name: see_entity
SELECT id FROM legal_entities WHERE id = %(entity)s
