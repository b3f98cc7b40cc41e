-- What is asked of the books: balances, statements, journals, heads. books/*.py runs them by name.

-- name: balances
-- What counts before an instant: the totals of the days before `day`, which are over by then in every zone, and those
-- journals that are on the other side of the instant than their date is of the day. By the effective date there are none; by
-- the clock of the sale they can only be of the days about it, late ones or made by hand, and then there is what lies before
-- it of the journals that it cuts. The name is what is asked for: a campaign, a funder, a merchant.
WITH moved AS (
    SELECT shard AS place, entity, account, commodity, debit, credit
    FROM account_days
    WHERE %(before)s::timestamptz IS NULL OR effective_date < %(day)s::date
    UNION ALL
    SELECT coalesce(journals.about, journals.shard), journals.entity, side.account, parts.commodity, side.debit, side.credit
    FROM (
        SELECT journals.id AS journal, lines.source, lines.destination, lines.commodity,
            CASE WHEN told.at < %(before)s THEN lines.amount ELSE -lines.amount END AS amount
        FROM journals
        CROSS JOIN LATERAL (SELECT CASE %(basis)s WHEN 'posted' THEN posted_at ELSE occurred_at END AS at) AS told
        CROSS JOIN LATERAL (
            SELECT * FROM postings WHERE journal = journals.id
            OFFSET 0  -- has those few looked up, where PostgreSQL would read every posting there is
        ) AS lines
        WHERE %(basis)s <> 'effective' AND (told.at < %(before)s) <> (effective_date < %(day)s::date)
            AND (
                %(basis)s = 'posted' OR original_date IS NOT NULL
                OR coalesce(original_date, effective_date) BETWEEN %(day)s::date AND %(day)s::date + 2
                OR verb = 'manual'
            )
        UNION ALL
        SELECT journal, source, destination, commodity, amount
        FROM postings_cut_by(NULL, %(before)s)
        WHERE %(basis)s = 'occurred'
    ) AS parts
    JOIN journals ON journals.id = parts.journal
    CROSS JOIN LATERAL (
        VALUES (parts.destination, parts.amount, 0::numeric), (parts.source, 0::numeric, parts.amount)
    ) AS side (account, debit, credit)
), grouped AS (
    SELECT CASE %(by)s
            WHEN 'campaign' THEN CASE WHEN place LIKE 'manual:%%' THEN '' ELSE split_part(place, '/', 1) END
            WHEN 'funder' THEN substr(account, 19)
            WHEN 'merchant' THEN substr(account, 9)
            ELSE account
        END AS name,
        account, commodity, sum(debit) AS debit, sum(credit) AS credit
    FROM moved
    WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR starts_with(place, %(campaign)s || '/'))
        AND (%(account)s::text IS NULL OR account = %(account)s)
        AND (%(kind)s::text IS NULL OR account = %(kind)s OR starts_with(account, %(kind)s || ':'))
        AND (%(units)s::boolean IS NULL OR (commodity LIKE 'coupon:%%') = %(units)s)
    GROUP BY 1, 2, 3
    HAVING sum(debit) <> 0 OR sum(credit) <> 0
)

-- name: page_of_balances
-- Follows balances.
SELECT name, account, commodity, debit, credit
FROM grouped
WHERE (name COLLATE "C", account COLLATE "C", commodity COLLATE "C") > (%(after)s, %(after_account)s, %(after_commodity)s)
ORDER BY name COLLATE "C", account COLLATE "C", commodity COLLATE "C"
LIMIT %(limit)s

-- name: totals_of_balances
-- Follows balances.
SELECT commodity, sum(debit) AS debit, sum(credit) AS credit FROM grouped GROUP BY commodity ORDER BY commodity COLLATE "C"

-- name: moved
-- One side of a posting of the account each, that counts in the bounds.
WITH moved AS (
    SELECT part.at, part.journal, part.line, journals.shard, journals.entity, journals.about, journals.verb,
        journals.effective_date, journals.original_date,
        CASE %(basis)s WHEN 'occurred' THEN part.at ELSE journals.occurred_at END AS occurred_at, journals.posted_at,
        part.commodity, CASE WHEN part.source = %(account)s THEN part.destination ELSE part.source END AS counter,
        CASE WHEN part.source = %(account)s THEN 0 ELSE part.amount END AS debit,
        CASE WHEN part.source = %(account)s THEN part.amount ELSE 0 END AS credit, journals.ref, journals.reason
    FROM postings_in(%(basis)s, %(since)s, %(before)s) AS part
    JOIN journals ON journals.id = part.journal
    WHERE (part.source = %(account)s OR part.destination = %(account)s)
        AND (%(entity)s::text IS NULL OR journals.entity = %(entity)s)
        AND (%(campaign)s::text IS NULL
            OR starts_with(coalesce(journals.about, journals.shard), %(campaign)s || '/'))
)

-- name: movements
-- Follows moved: a page of it, in the order of time.
SELECT *
FROM moved
WHERE %(after)s::timestamptz IS NULL OR (at, journal, line) > (%(after)s, %(after_journal)s, %(after_line)s)
ORDER BY at, journal, line
LIMIT %(limit)s

-- name: moved_up_to
-- Follows moved: what it comes to, up to and with a place in it.
SELECT commodity, sum(debit) AS debit, sum(credit) AS credit
FROM moved
WHERE (at, journal, line) <= (%(after)s, %(after_journal)s, %(after_line)s)
GROUP BY commodity

-- name: accounts
-- Accounts that ever moved, each with its commodities and first and last day.
SELECT account, array_agg(commodity) AS commodities, min(first_date) AS first_date, max(last_date) AS last_date
FROM (
    SELECT account, commodity, min(effective_date) AS first_date, max(effective_date) AS last_date
    FROM account_days
    WHERE (%(entity)s::text IS NULL OR entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR starts_with(shard, %(campaign)s || '/'))
        AND account COLLATE "C" > %(after)s
    GROUP BY account, commodity
) AS moved
GROUP BY account
ORDER BY account COLLATE "C"
LIMIT %(limit)s

-- name: journals
SELECT journals.id, journals.shard, journals.verb, journals.first_seq, journals.last_seq, journals.occurred_at,
    journals.effective_date, journals.original_date, journals.posted_at, journals.entity, journals.about, journals.ref,
    journals.reason, journals.reverses, journals.previous_hash, journals.hash
FROM journals
CROSS JOIN LATERAL (
    SELECT coalesce(about, shard) AS place, CASE %(basis)s
            WHEN 'posted' THEN posted_at
            WHEN 'occurred' THEN occurred_at
            ELSE effective_date::timestamp AT TIME ZONE 'UTC'
        END AS at
) AS told
WHERE {behind}
    AND (%(since)s::timestamptz IS NULL OR told.at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR told.at < %(before)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(campaign)s::text IS NULL OR starts_with(told.place, %(campaign)s || '/'))
    AND (%(shard)s::text IS NULL OR shard = %(shard)s)
    AND (%(verb)s::text IS NULL OR verb = %(verb)s)
    AND (%(account)s::text IS NULL OR EXISTS (
        SELECT 1 FROM postings WHERE journal = journals.id AND %(account)s IN (source, destination)
    ))
ORDER BY {order}
LIMIT %(limit)s

-- name: postings
SELECT line, source, destination, commodity, amount FROM postings WHERE journal = %(journal)s ORDER BY line

-- name: reversed_by
SELECT id FROM journals WHERE reverses = %(journal)s ORDER BY id

-- name: day_heads
-- Each chain at an instant: its last journal, the hash that stands for all before it, and how many journals that is.
WITH last AS (
    SELECT shard, max(id) AS id FROM journals WHERE posted_at < %(before)s GROUP BY shard
), counted AS (
    SELECT last.shard, last.id, count(*) AS journals
    FROM last JOIN journals AS earlier ON earlier.shard = last.shard AND earlier.id <= last.id
    GROUP BY last.shard, last.id
)
SELECT counted.shard, counted.id AS journal, tip.last_seq, tip.hash, counted.journals
FROM counted JOIN journals AS tip ON tip.id = counted.id
ORDER BY counted.shard COLLATE "C"

-- name: now
SELECT now() AS at
