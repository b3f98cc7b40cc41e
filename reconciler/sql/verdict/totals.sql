-- Of a verdict, what `totals` looks for.

-- name: totals_are_the_postings
-- What stands a day and account is what the journals of the day moved there.
WITH moved AS (
    SELECT coalesce(journals.about, journals.shard) AS shard, journals.effective_date, postings.commodity, side.account,
        journals.entity, sum(side.debit) AS debit, sum(side.credit) AS credit
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (VALUES (destination, amount, 0::numeric), (source, 0::numeric, amount))
        AS side (account, debit, credit)
    WHERE %(shards)s::text[] IS NULL OR coalesce(journals.about, journals.shard) = ANY (%(shards)s)
    GROUP BY 1, 2, 3, 4, 5
), kept AS (
    SELECT * FROM account_days WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, effective_date, commodity, account, entity, kept.debit, kept.credit,
        moved.debit AS debit_of_postings, moved.credit AS credit_of_postings
    FROM moved FULL JOIN kept USING (shard, effective_date, commodity, account, entity)
    WHERE moved.debit IS DISTINCT FROM kept.debit OR moved.credit IS DISTINCT FROM kept.credit
)
SELECT (SELECT count(*) FROM kept) AS totals_of_accounts, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, effective_date, commodity, account LIMIT 1) AS first
FROM bad

-- name: movements_are_the_changes
-- What stands a day of each verb is what the state changes booked on the day moved. A record that comes late may tell
-- that it was another way, channel or store; then nothing is left of the first one, and its row of zeros stays.
WITH moved AS (
    SELECT shard, effective_date, verb, source, destination, channel, store, currency, entity, count(*) AS entries,
        sum(units) AS units, sum(worth_minor) AS worth_minor, sum(out_minor) AS out_minor, sum(minor) AS minor,
        sum(order_minor) AS order_minor
    FROM v_coupon_movements
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard, effective_date, verb, source, destination, channel, store, currency, entity
), kept AS (
    SELECT * FROM movement_days
    WHERE (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
        AND (entries, units, worth_minor, out_minor, minor, order_minor) <> (0, 0, 0, 0, 0, 0)
), bad AS (
    SELECT shard, effective_date, verb, source, destination, channel, store, currency, entity, kept.entries, kept.units,
        kept.worth_minor, kept.out_minor, kept.minor, kept.order_minor, moved.entries AS entries_of_changes,
        moved.units AS units_of_changes, moved.worth_minor AS worth_of_changes,
        moved.out_minor AS out_minor_of_changes, moved.minor AS minor_of_changes,
        moved.order_minor AS order_minor_of_changes
    FROM moved
    FULL JOIN kept USING (shard, effective_date, verb, source, destination, channel, store, currency, entity)
    WHERE (moved.entries, moved.units, moved.worth_minor, moved.out_minor, moved.minor, moved.order_minor)
        IS DISTINCT FROM (kept.entries, kept.units, kept.worth_minor, kept.out_minor, kept.minor, kept.order_minor)
        OR kept.campaign <> split_part(shard, '/', 1)
)
SELECT (SELECT count(*) FROM kept) AS totals_of_movements, count(*) AS wrong,
    (
        SELECT to_json(bad) FROM bad
        ORDER BY shard, effective_date, verb, source, destination, channel, store, currency, entity LIMIT 1
    ) AS first
FROM bad

-- name: movements_are_what_is_out
-- What each day and verb added to what coupons may still cost is what its journals committed, and owe on balances, more.
WITH moved AS (
    SELECT shard, effective_date, verb, currency, entity, sum(out_minor) AS out_minor
    FROM movement_days
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard, effective_date, verb, currency, entity
    HAVING sum(out_minor) <> 0
), posted AS (
    SELECT shard, effective_date, verb, commodity AS currency, entity, sum(side.minor) AS out_minor
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (
        VALUES (source, 'commitment:', -amount), (destination, 'commitment:', amount),
            (source, 'liability:gift:', amount), (destination, 'liability:gift:', -amount)
    ) AS side (account, kind, minor)
    WHERE (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)) AND verb <> 'manual'
        AND starts_with(side.account, side.kind)
    GROUP BY shard, effective_date, verb, commodity, entity
    HAVING sum(side.minor) <> 0
), bad AS (
    SELECT shard, effective_date, verb, currency, entity, moved.out_minor, posted.out_minor AS out_minor_of_postings
    FROM moved FULL JOIN posted USING (shard, effective_date, verb, currency, entity)
    WHERE moved.out_minor IS DISTINCT FROM posted.out_minor
)
SELECT (SELECT count(*) FROM moved) AS totals_of_coupons_out, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, effective_date, verb, currency, entity LIMIT 1) AS first
FROM bad
