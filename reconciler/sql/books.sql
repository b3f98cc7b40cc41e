-- What is asked of the books: balances, statements, journals, heads. books/*.py runs them by name.

-- name: balances_by_days
-- By the effective date, from the totals a day. The name is what is asked for: a campaign, a funder, a merchant.
WITH grouped AS (
    SELECT CASE %(by)s
            WHEN 'campaign' THEN CASE WHEN shard LIKE 'manual:%%' THEN '' ELSE split_part(shard, '/', 1) END
            WHEN 'funder' THEN substr(account, 19)
            WHEN 'merchant' THEN substr(account, 9)
            ELSE account
        END AS name,
        account, commodity, sum(debit) AS debit, sum(credit) AS credit
    FROM account_days
    WHERE (%(before)s::timestamptz IS NULL OR effective_date < (%(before)s::timestamptz AT TIME ZONE 'UTC')::date)
        AND (%(entity)s::text IS NULL OR entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR starts_with(shard, %(campaign)s || '/'))
        AND (%(account)s::text IS NULL OR account = %(account)s)
        AND (%(kind)s::text IS NULL OR account = %(kind)s OR starts_with(account, %(kind)s || ':'))
        AND (%(units)s::boolean IS NULL OR (commodity LIKE 'coupon:%%') = %(units)s)
    GROUP BY 1, 2, 3
)

-- name: balances_by_instants
-- The same by the clock of the sale or by when it was posted, from the postings.
WITH grouped AS (
    SELECT CASE %(by)s
            WHEN 'campaign' THEN CASE WHEN told.place LIKE 'manual:%%' THEN '' ELSE split_part(told.place, '/', 1) END
            WHEN 'funder' THEN substr(side.account, 19)
            WHEN 'merchant' THEN substr(side.account, 9)
            ELSE side.account
        END AS name,
        side.account, postings.commodity, sum(side.debit) AS debit, sum(side.credit) AS credit
    FROM journals
    CROSS JOIN LATERAL (
        SELECT coalesce(about, shard) AS place,
            CASE %(basis)s WHEN 'posted' THEN posted_at ELSE occurred_at END AS at
    ) AS told
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (
        VALUES (postings.destination, postings.amount, 0::numeric), (postings.source, 0::numeric, postings.amount)
    ) AS side (account, debit, credit)
    WHERE (%(before)s::timestamptz IS NULL OR told.at < %(before)s)
        AND (%(entity)s::text IS NULL OR journals.entity = %(entity)s)
        AND (%(campaign)s::text IS NULL OR starts_with(told.place, %(campaign)s || '/'))
        AND (%(account)s::text IS NULL OR side.account = %(account)s)
        AND (%(kind)s::text IS NULL OR side.account = %(kind)s OR starts_with(side.account, %(kind)s || ':'))
        AND (%(units)s::boolean IS NULL OR (postings.commodity LIKE 'coupon:%%') = %(units)s)
    GROUP BY 1, 2, 3
)

-- name: page_of_balances
-- Follows one of the two above.
SELECT name, account, commodity, debit, credit
FROM grouped
WHERE (name COLLATE "C", account COLLATE "C", commodity COLLATE "C") > (%(after)s, %(after_account)s, %(after_commodity)s)
ORDER BY name COLLATE "C", account COLLATE "C", commodity COLLATE "C"
LIMIT %(limit)s

-- name: totals_of_balances
-- Follows one of the two above.
SELECT commodity, sum(debit) AS debit, sum(credit) AS credit FROM grouped GROUP BY commodity ORDER BY commodity COLLATE "C"

-- name: movements
-- One side of a posting of the account each, in the order of its dates. By the effective date a date is its midnight.
SELECT told.at, journals.id AS journal, postings.line, journals.shard, journals.entity, journals.about, journals.verb,
    journals.effective_date, journals.original_date, journals.occurred_at, journals.posted_at, postings.commodity,
    CASE WHEN postings.source = %(account)s THEN postings.destination ELSE postings.source END AS counter,
    CASE WHEN postings.source = %(account)s THEN 0 ELSE postings.amount END AS debit,
    CASE WHEN postings.source = %(account)s THEN postings.amount ELSE 0 END AS credit,
    journals.ref, journals.reason
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    SELECT coalesce(about, shard) AS place, CASE %(basis)s
            WHEN 'posted' THEN posted_at
            WHEN 'occurred' THEN occurred_at
            ELSE effective_date::timestamp AT TIME ZONE 'UTC'
        END AS at
) AS told
WHERE (postings.source = %(account)s OR postings.destination = %(account)s)
    AND (%(since)s::timestamptz IS NULL OR told.at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR told.at < %(before)s)
    AND (%(entity)s::text IS NULL OR journals.entity = %(entity)s)
    AND (%(campaign)s::text IS NULL OR starts_with(told.place, %(campaign)s || '/'))
    AND (%(after)s::timestamptz IS NULL
        OR (told.at, journals.id, postings.line) > (%(after)s, %(after_journal)s, %(after_line)s))
ORDER BY told.at, journals.id, postings.line
LIMIT %(limit)s

-- name: moved_up_to
-- What the account moved in the bounds, up to and with a place among its movements.
SELECT postings.commodity,
    coalesce(sum(postings.amount) FILTER (WHERE postings.destination = %(account)s), 0) AS debit,
    coalesce(sum(postings.amount) FILTER (WHERE postings.source = %(account)s), 0) AS credit
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    SELECT coalesce(about, shard) AS place, CASE %(basis)s
            WHEN 'posted' THEN posted_at
            WHEN 'occurred' THEN occurred_at
            ELSE effective_date::timestamp AT TIME ZONE 'UTC'
        END AS at
) AS told
WHERE (postings.source = %(account)s OR postings.destination = %(account)s)
    AND (%(since)s::timestamptz IS NULL OR told.at >= %(since)s)
    AND (%(entity)s::text IS NULL OR journals.entity = %(entity)s)
    AND (%(campaign)s::text IS NULL OR starts_with(told.place, %(campaign)s || '/'))
    AND (told.at, journals.id, postings.line) <= (%(after)s, %(after_journal)s, %(after_line)s)
GROUP BY postings.commodity

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
WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
    AND (%(under)s::bigint IS NULL OR id < %(under)s)
    AND (%(since)s::timestamptz IS NULL OR told.at >= %(since)s)
    AND (%(before)s::timestamptz IS NULL OR told.at < %(before)s)
    AND (%(entity)s::text IS NULL OR entity = %(entity)s)
    AND (%(campaign)s::text IS NULL OR starts_with(told.place, %(campaign)s || '/'))
    AND (%(shard)s::text IS NULL OR shard = %(shard)s)
    AND (%(verb)s::text IS NULL OR verb = %(verb)s)
    AND (%(account)s::text IS NULL OR EXISTS (
        SELECT 1 FROM postings WHERE journal = journals.id AND %(account)s IN (source, destination)
    ))
ORDER BY id DESC
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
