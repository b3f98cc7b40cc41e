-- Of a verdict, what `balanced` and `commitment` look for.

-- name: debits_are_credits
-- Of each currency and commodity, on each day and shard: what the accounts were debited is what others were credited.
WITH sums AS (
    SELECT shard, effective_date, commodity, sum(debit) AS debit, sum(credit) AS credit
    FROM account_days
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard, effective_date, commodity
), bad AS (
    SELECT * FROM sums WHERE debit <> credit
), of_commodity AS (
    SELECT CASE WHEN commodity LIKE 'coupon:%%' THEN 'units' ELSE commodity END AS of, sum(debit) AS debit,
        sum(credit) AS credit
    FROM sums
    GROUP BY 1
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, effective_date, commodity LIMIT 1) AS first,
    (
        SELECT jsonb_object_agg(of || ' debit', debit) || jsonb_object_agg(of || ' credit', credit) FROM of_commodity
    ) AS figures
FROM bad

-- name: journals_have_postings
-- A journal moves something, its lines are numbered from 1 without a gap, and its commodities keep to their books.
WITH lines AS (
    SELECT journals.id AS journal, journals.shard, count(line) AS lines, coalesce(max(line), 0) AS last_line,
        count(*) FILTER (WHERE amount <= 0 OR source = destination) AS idle
    FROM journals LEFT JOIN postings ON postings.journal = journals.id
    WHERE %(shards)s::text[] IS NULL OR journals.shard = ANY (%(shards)s)
    GROUP BY journals.id
), bad AS (
    SELECT * FROM lines WHERE lines = 0 OR lines <> last_line OR idle > 0
)
SELECT (SELECT count(*) FROM lines) AS journals, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY journal LIMIT 1) AS first
FROM bad

-- name: commitments_are_the_worst_case
-- The account commitment:<campaign>, and what its coupons that are out may cost; of a campaign of balances the liability
-- and what is left on them. Of a code that many may use, what is reserved stands in its changes only.
WITH rules AS (
    SELECT id AS campaign, definition ->> 'currency' AS currency, definition #>> '{value,type}' = 'balance' AS stored,
        CASE
            WHEN (definition #>> '{value,every}')::boolean THEN (definition #>> '{value,cap_minor}')::numeric
            WHEN definition #>> '{value,type}' IN ('amount_off', 'balance') THEN (definition #>> '{value,minor}')::numeric
            ELSE (definition #>> '{value,cap_minor}')::numeric
        END AS unit
    FROM campaigns
    WHERE %(shards)s::text[] IS NULL OR id IN (SELECT campaign FROM checkpoints WHERE shard = ANY (%(shards)s))
), live AS (
    SELECT campaign,
        sum(
            CASE
                WHEN state = 'claimed' AND units > 1 THEN coalesce("left", units)
                WHEN units = 1 THEN 1
                ELSE 0
            END
        )::numeric AS units,
        sum("left") AS told_left, count(*) FILTER (WHERE "left" IS NULL) AS untold
    FROM coupons
    WHERE state IN ('claimed', 'reserved') AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY campaign
), held AS (
    SELECT coupons.campaign,
        sum(CASE WHEN entries.destination = 'reserved' THEN entries.units ELSE -entries.units END) AS units
    FROM coupons
    JOIN coupon_entries AS entries ON entries.code = coupons.code AND entries.state IS NOT NULL
    WHERE coupons.units > 1 AND 'reserved' IN (entries.source, entries.destination)
        AND (%(shards)s::text[] IS NULL OR coupons.shard = ANY (%(shards)s))
    GROUP BY coupons.campaign
), reckoned AS (
    SELECT rules.campaign, rules.currency,
        CASE WHEN stored THEN 'liability:gift:' ELSE 'commitment:' END || rules.campaign AS account,
        CASE
            WHEN unit IS NULL OR currency IS NULL THEN 0
            WHEN stored THEN -(coalesce(told_left, 0) + coalesce(untold, 0) * unit)
            ELSE (coalesce(live.units, 0) + coalesce(held.units, 0)) * unit
        END AS worst_case
    FROM rules LEFT JOIN live USING (campaign) LEFT JOIN held USING (campaign)
), booked AS (
    SELECT account, currency, sum(debit - credit) AS balance
    FROM v_money_movements
    WHERE (account LIKE 'commitment:%%' OR account LIKE 'liability:gift:%%') AND shard NOT LIKE 'manual:%%'
        AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY account, currency
), compared AS (
    SELECT account, currency, coalesce(balance, 0) AS balance, coalesce(worst_case, 0) AS worst_case
    FROM reckoned FULL JOIN booked USING (account, currency)
), bad AS (
    SELECT * FROM compared WHERE balance <> worst_case
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY account, currency LIMIT 1) AS first,
    (
        SELECT jsonb_object_agg(currency || CASE WHEN account LIKE 'commitment:%%' THEN ' committed' ELSE ' owed on balances' END, total)
        FROM (
            SELECT currency, min(account) AS account, abs(sum(balance)) AS total
            FROM compared
            WHERE currency IS NOT NULL
            GROUP BY currency, account LIKE 'commitment:%%'
        ) AS totals
    ) AS figures
FROM bad

-- name: budget_is_whole
-- What was authorised is available or committed.
WITH sums AS (
    SELECT shard, currency, sum(debit - credit) AS rest
    FROM v_money_movements
    WHERE (account IN ('budget:authorised', 'budget:available') OR account LIKE 'commitment:%%')
        AND shard NOT LIKE 'manual:%%' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, currency
), bad AS (
    SELECT * FROM sums WHERE rest <> 0
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, currency LIMIT 1) AS first FROM bad
