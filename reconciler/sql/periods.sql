-- Every statement of reconciler/periods. "-- name: x" begins one.

-- name: entity
SELECT id, zone, closed_through FROM legal_entities WHERE id = %(entity)s

-- name: lock_entity
-- Whoever has this row is the only one to close, and no batch of the entity is being written.
SELECT id, zone, closed_through, (now() AT TIME ZONE zone)::date AS today
FROM legal_entities WHERE id = %(entity)s FOR UPDATE

-- name: entities
SELECT id, zone, closed_through FROM legal_entities ORDER BY id

-- name: add_entity
-- What every other one has closed is closed in its books too, so that what all of them come to stays what it was.
INSERT INTO legal_entities (id, zone, closed_through)
SELECT %(entity)s, %(zone)s, CASE WHEN count(*) = count(closed_through) THEN min(closed_through) END
FROM legal_entities
ON CONFLICT (id) DO NOTHING
RETURNING closed_through

-- name: period
-- Its own row, and whether a closed period has all of it: a day of a closed month is closed without a row.
SELECT state, changed_by, changed_at, EXISTS (
        SELECT 1 FROM periods AS around
        WHERE around.entity = %(entity)s AND around.state = 'closed'
            AND around.starts <= %(starts)s AND around.ends >= %(ends)s
    ) AS closed
FROM (VALUES (1)) AS one
LEFT JOIN periods ON entity = %(entity)s AND kind = %(kind)s AND starts = %(starts)s

-- name: set_period
INSERT INTO periods (entity, kind, starts, ends, state, changed_by)
VALUES (%(entity)s, %(kind)s, %(starts)s, %(ends)s, %(state)s, %(actor)s)
ON CONFLICT (entity, kind, starts)
DO UPDATE SET state = excluded.state, changed_by = excluded.changed_by, changed_at = now()

-- name: close_through
UPDATE legal_entities SET closed_through = greatest(closed_through, %(ends)s) WHERE id = %(entity)s

-- name: reopen_through
-- Back to where the periods that stay closed end; to nothing where none does.
UPDATE legal_entities
SET closed_through = (SELECT max(ends) FROM periods WHERE entity = %(entity)s AND state = 'closed')
WHERE id = %(entity)s
RETURNING closed_through

-- name: closed_after
-- What was closed on top of a period: a later one, or the month around a day.
SELECT kind, starts FROM periods
WHERE entity = %(entity)s AND state = 'closed'
    AND (ends > %(ends)s OR (%(kind)s = 'day' AND kind = 'month' AND ends = %(ends)s))
ORDER BY ends DESC, kind DESC
LIMIT 1

-- name: add_report
INSERT INTO close_reports (entity, kind, starts, report, closed_by)
VALUES (%(entity)s, %(kind)s, %(starts)s, %(report)s::json, %(actor)s)
RETURNING id, closed_at

-- name: reports
SELECT id, closed_by, closed_at FROM close_reports
WHERE entity = %(entity)s AND kind = %(kind)s AND starts = %(starts)s ORDER BY id DESC

-- name: report
-- The last one, or the one of an id.
SELECT id, report, closed_by, closed_at FROM close_reports
WHERE entity = %(entity)s AND kind = %(kind)s AND starts = %(starts)s
    AND (%(id)s::bigint IS NULL OR id = %(id)s)
ORDER BY id DESC LIMIT 1

-- name: span
-- The first and the last day on which anything is booked or a period was touched.
SELECT min(first) AS first, max(last) AS last
FROM (
    SELECT min(effective_date), max(effective_date) FROM account_days WHERE entity = %(entity)s
    UNION ALL
    SELECT min(starts), max(ends) FROM periods WHERE entity = %(entity)s
) AS known (first, last)

-- name: period_rows
SELECT kind, starts, ends, state, changed_by, changed_at FROM periods
WHERE entity = %(entity)s AND starts <= %(last)s AND ends >= %(first)s

-- name: first_day
SELECT min(effective_date) AS first FROM account_days WHERE entity = %(entity)s

-- name: zones
-- Every zone in which a state change of the entity may be dated, and its own.
SELECT DISTINCT coalesce(definition ->> 'timezone', 'UTC') AS zone
FROM campaign_versions
WHERE coalesce(definition ->> 'legal_entity', 'main') = %(entity)s
    AND EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.campaign = campaign_versions.campaign)
UNION
SELECT zone FROM legal_entities WHERE id = %(entity)s
ORDER BY zone

-- name: positions
-- Where the drain of each shard of the entity stands. An archived campaign may be gone from Redis.
SELECT checkpoints.shard, checkpoints.seq, checkpoints.entry_id, campaigns.state = 'archived' AS archived
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE coalesce(campaigns.definition ->> 'legal_entity', 'main') = %(entity)s
ORDER BY checkpoints.shard

-- name: zone_of_version
SELECT coalesce(definition ->> 'timezone', 'UTC') AS zone FROM campaign_versions
WHERE campaign = %(campaign)s AND version = %(version)s

-- name: undecided
-- Manual journals of the period that nobody has decided, or that are approved and not posted.
SELECT id, state FROM manual_journals
WHERE entity = %(entity)s AND state IN ('drafted', 'approved')
    AND effective_date BETWEEN %(starts)s AND %(ends)s
ORDER BY made_at, id

-- name: suspense
SELECT commodity AS currency, account, sum(debit - credit)::bigint AS minor
FROM account_days
WHERE entity = %(entity)s AND effective_date <= %(ends)s AND account LIKE 'suspense:%%'
GROUP BY commodity, account
HAVING sum(debit - credit) <> 0
ORDER BY commodity, account

-- name: booked
-- What would change if anything more were booked up to the end of the period.
SELECT count(*) AS totals, coalesce(sum(debit), 0)::text AS debit, coalesce(sum(credit), 0)::text AS credit
FROM account_days
WHERE entity = %(entity)s AND effective_date <= %(ends)s

-- name: accounts
SELECT commodity AS currency, account,
    coalesce(sum(debit - credit) FILTER (WHERE effective_date < %(starts)s), 0)::bigint AS opening,
    coalesce(sum(debit) FILTER (WHERE effective_date >= %(starts)s), 0)::bigint AS debit,
    coalesce(sum(credit) FILTER (WHERE effective_date >= %(starts)s), 0)::bigint AS credit,
    sum(debit - credit)::bigint AS closing
FROM account_days
WHERE entity = %(entity)s AND effective_date <= %(ends)s AND commodity NOT LIKE 'coupon:%%'
GROUP BY commodity, account
HAVING sum(debit - credit) <> 0 OR sum(debit + credit) FILTER (WHERE effective_date >= %(starts)s) > 0
ORDER BY commodity, account

-- name: campaigns
WITH balances AS (
    SELECT substr(commodity, 8) AS campaign,
        coalesce(sum(debit - credit) FILTER (WHERE account = 'stock' AND effective_date < %(starts)s), 0)::bigint
            AS opening_stock,
        coalesce(sum(debit - credit) FILTER (WHERE account = 'stock'), 0)::bigint AS closing_stock,
        coalesce(sum(debit - credit) FILTER (
            WHERE account IN ('outstanding', 'reserved') AND effective_date < %(starts)s), 0)::bigint AS opening_out,
        coalesce(sum(debit - credit) FILTER (WHERE account IN ('outstanding', 'reserved')), 0)::bigint AS closing_out
    FROM account_days
    WHERE entity = %(entity)s AND effective_date <= %(ends)s AND commodity LIKE 'coupon:%%'
    GROUP BY commodity
), moves AS (
    SELECT campaign, coalesce(max(currency), '') AS currency,
        coalesce(sum(units) FILTER (WHERE verb = 'restock'), 0)::bigint AS restocked,
        coalesce(sum(units) FILTER (WHERE verb = 'withdraw'), 0)::bigint AS withdrawn,
        coalesce(sum(units) FILTER (WHERE verb <> 'restock' AND destination = 'stock'), 0)::bigint AS returned,
        coalesce(sum(units) FILTER (WHERE verb = 'claim'), 0)::bigint AS claimed,
        coalesce(sum(units) FILTER (WHERE verb = 'issue'), 0)::bigint AS issued,
        coalesce(sum(-out) FILTER (WHERE verb = 'redeem'), 0)::bigint AS redeemed,
        coalesce(sum(out) FILTER (WHERE verb = 'rollback'), 0)::bigint AS rolled_back,
        -- A use of a code that is on hold when the code ends does so once it is let go.
        coalesce(sum(-out) FILTER (WHERE verb = 'expire' OR verb = 'release' AND destination <> 'revoked'), 0)::bigint
            AS expired,
        coalesce(sum(-out) FILTER (WHERE verb = 'revoke' OR verb = 'release' AND destination = 'revoked'), 0)::bigint
            AS revoked,
        coalesce(sum(minor) FILTER (WHERE verb = 'redeem'), 0)::bigint AS given_minor,
        coalesce(sum(minor) FILTER (WHERE verb = 'rollback'), 0)::bigint AS given_back_minor
    FROM movement_days
    CROSS JOIN LATERAL (
        SELECT units * ((destination IN ('outstanding', 'reserved'))::int - (source IN ('outstanding', 'reserved'))::int)
            AS out
    ) AS moved
    WHERE entity = %(entity)s AND effective_date BETWEEN %(starts)s AND %(ends)s
    GROUP BY campaign
), by_hand AS (
    SELECT substr(postings.commodity, 8) AS campaign,
        sum(CASE WHEN destination = 'stock' THEN amount WHEN source = 'stock' THEN -amount ELSE 0 END)::bigint AS stock,
        sum(CASE WHEN destination IN ('outstanding', 'reserved') THEN amount ELSE 0 END
            - CASE WHEN source IN ('outstanding', 'reserved') THEN amount ELSE 0 END)::bigint AS out
    FROM journals JOIN postings ON postings.journal = journals.id
    WHERE journals.shard = 'manual:' || %(entity)s AND effective_date BETWEEN %(starts)s AND %(ends)s
        AND postings.commodity LIKE 'coupon:%%'
    GROUP BY postings.commodity
)
SELECT campaign, coalesce(currency, '') AS currency, opening_stock, coalesce(restocked, 0) AS restocked,
    coalesce(withdrawn, 0) AS withdrawn, coalesce(returned, 0) AS returned, coalesce(by_hand.stock, 0) AS manual_stock,
    closing_stock, opening_out, coalesce(claimed, 0) AS claimed, coalesce(issued, 0) AS issued,
    coalesce(redeemed, 0) AS redeemed, coalesce(rolled_back, 0) AS rolled_back, coalesce(expired, 0) AS expired,
    coalesce(revoked, 0) AS revoked, coalesce(by_hand.out, 0) AS manual_out, closing_out,
    coalesce(given_minor, 0) AS given_minor, coalesce(given_back_minor, 0) AS given_back_minor
FROM balances
LEFT JOIN moves USING (campaign)
LEFT JOIN by_hand USING (campaign)
WHERE opening_stock <> 0 OR closing_stock <> 0 OR opening_out <> 0 OR closing_out <> 0 OR moves.campaign IS NOT NULL
    OR by_hand.campaign IS NOT NULL
ORDER BY campaign

-- name: late
SELECT journals.id AS journal, shard, verb, original_date, effective_date, posted_at, first_seq, last_seq, lines.lines
FROM journals
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('source', source, 'destination', destination, 'commodity', commodity,
        'amount', amount) ORDER BY line), '[]') AS lines
    FROM postings WHERE postings.journal = journals.id
) AS lines
WHERE entity = %(entity)s AND effective_date BETWEEN %(starts)s AND %(ends)s AND original_date IS NOT NULL
ORDER BY journals.original_date, journals.id
LIMIT %(listed)s

-- name: late_counts
-- What came late into the period, and what of it came late into a later one.
SELECT count(*) FILTER (WHERE effective_date BETWEEN %(starts)s AND %(ends)s) AS into,
    count(*) FILTER (WHERE original_date BETWEEN %(starts)s AND %(ends)s AND effective_date > %(ends)s) AS onward
FROM journals
WHERE entity = %(entity)s AND original_date IS NOT NULL

-- name: manual
SELECT journals.id AS journal, manual_journals.id, journals.effective_date, made_by, coalesce(checked_by, '') AS checked_by,
    manual_journals.reason, attachment, posted.lines
FROM manual_journals
JOIN journals ON journals.id = manual_journals.journal
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('source', source, 'destination', destination, 'commodity', commodity,
        'amount', amount) ORDER BY line), '[]') AS lines
    FROM postings WHERE postings.journal = journals.id
) AS posted
WHERE manual_journals.entity = %(entity)s AND manual_journals.state = 'posted'
    AND journals.effective_date BETWEEN %(starts)s AND %(ends)s
ORDER BY journals.id
LIMIT %(listed)s

-- name: manual_count
SELECT count(*) AS manual FROM journals
WHERE shard = 'manual:' || %(entity)s AND effective_date BETWEEN %(starts)s AND %(ends)s
