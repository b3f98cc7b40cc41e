-- Of a verdict, what `control` looks for.

-- name: accounts_are_the_changes
-- Each account of the unit book, and the state changes that moved units in and out of it.
WITH moves AS (
    SELECT shard, source, destination, sum(units) AS units
    FROM (
        SELECT shard,
            CASE kind WHEN 'claimed' THEN 'stock' WHEN 'issued' THEN 'stock' WHEN 'adjusted' THEN 'supply' ELSE source END
                AS source,
            CASE kind WHEN 'claimed' THEN 'outstanding' WHEN 'issued' THEN 'outstanding' WHEN 'adjusted' THEN 'stock'
                ELSE destination END AS destination,
            CASE kind WHEN 'claimed' THEN 1 WHEN 'adjusted' THEN delta ELSE units END AS units
        FROM coupon_entries
        WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    ) AS changes
    WHERE source IS NOT NULL
    GROUP BY shard, source, destination
), told AS (
    SELECT shard, account, sum(units) AS changes
    FROM (
        SELECT shard, destination AS account, units FROM moves UNION ALL SELECT shard, source, -units FROM moves
    ) AS sides
    GROUP BY shard, account
), booked AS (
    SELECT shard, account, sum(side.units) AS balance
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (VALUES (destination, amount), (source, -amount)) AS side (account, units)
    WHERE commodity LIKE 'coupon:%%' AND shard NOT LIKE 'manual:%%'
        AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, account
), compared AS (
    SELECT shard, account, coalesce(balance, 0) AS balance, coalesce(changes, 0) AS changes
    FROM booked FULL JOIN told USING (shard, account)
), bad AS (
    SELECT * FROM compared WHERE balance <> changes
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, account LIMIT 1) AS first,
    (
        SELECT jsonb_object_agg(account, total)
        FROM (SELECT account, sum(balance) AS total FROM compared GROUP BY account) AS totals
    ) AS figures
FROM bad

-- name: coupons_are_their_last_change
-- Each coupon stands as its last step left it, or as it was claimed; on hold as it was held, and else not at all.
WITH last AS (
    SELECT DISTINCT ON (code) code, seq, state, "left"
    FROM coupon_entries
    WHERE state IS NOT NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    ORDER BY code, seq DESC
), bad AS (
    SELECT coupons.shard, code, coupons.state, coalesce(last.state, 'claimed') AS state_of_changes,
        coupons.changed_seq, coalesce(last.seq, coupons.seq) AS last_seq, coupons."left", last."left" AS left_of_changes
    FROM coupons FULL JOIN last USING (code)
    WHERE (coupons.shard IS NULL OR %(shards)s::text[] IS NULL OR coupons.shard = ANY (%(shards)s))
        AND (
            coupons.state IS DISTINCT FROM coalesce(last.state, 'claimed')
            OR coupons.changed_seq IS DISTINCT FROM coalesce(last.seq, coupons.seq)
            OR coupons."left" IS DISTINCT FROM last."left"
            OR (coupons.state <> 'reserved' AND (coupons.reserved_until IS NOT NULL OR coupons.order_id IS NOT NULL))
            OR (coupons.state = 'reserved' AND NOT EXISTS (
                SELECT FROM (
                    SELECT expires_at, ref FROM coupon_entries AS steps
                    WHERE steps.code = coupons.code AND steps.state IS NOT NULL AND kind = 'reserved'
                    ORDER BY steps.seq DESC LIMIT 1
                ) AS hold
                WHERE (hold.expires_at, hold.ref) IS NOT DISTINCT FROM (coupons.reserved_until, coupons.order_id)
            ))
        )
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, code LIMIT 1) AS first FROM bad

-- name: money_is_the_redemptions
-- What merchants are owed and funders bear, and what was redeemed and given back. Of a balance nobody bears it: it was
-- paid for. What no funder was named for is in suspense.
WITH stored AS (
    SELECT id AS campaign, definition ->> 'currency' AS currency, definition #>> '{value,type}' = 'balance' AS is_stored
    FROM campaigns
), given AS (
    SELECT redemptions.campaign, coalesce(redemptions.currency, stored.currency) AS currency, is_stored, merchant, minor,
        funders
    FROM redemptions LEFT JOIN stored USING (campaign)
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    UNION ALL
    SELECT stored.campaign, coalesce(entries.detail ->> 'currency', stored.currency), is_stored,
        entries.detail ->> 'merchant', -rollbacks.minor, rollbacks.funders
    FROM rollbacks
    JOIN coupon_entries AS entries USING (shard, seq)
    LEFT JOIN stored ON stored.campaign = split_part(rollbacks.shard, '/', 1)
    WHERE %(shards)s::text[] IS NULL OR rollbacks.shard = ANY (%(shards)s)
), shares AS (
    SELECT given.*, share.account AS funder, sign(given.minor::numeric) * share.minor AS share
    FROM given
    CROSS JOIN LATERAL jsonb_to_recordset(given.funders) AS share (account text, minor numeric)
    WHERE NOT is_stored
), told AS (
    SELECT account, currency, sum(minor) AS minor
    FROM (
        SELECT 'payable' || coalesce(':' || nullif(merchant, ''), '') AS account, currency, -minor AS minor FROM given
        UNION ALL
        SELECT 'expense:promotion:' || funder, currency, share FROM shares
        UNION ALL
        SELECT 'suspense:promotion:' || campaign, currency, minor FROM given WHERE NOT is_stored
        UNION ALL
        SELECT 'suspense:promotion:' || campaign, currency, -share FROM shares
    ) AS sides
    WHERE currency IS NOT NULL
    GROUP BY account, currency
), booked AS (
    SELECT account, currency, sum(debit - credit) AS balance
    FROM v_money_movements
    WHERE (account = 'payable' OR account LIKE 'payable:%%' OR account LIKE 'expense:promotion:%%'
            OR account LIKE 'suspense:promotion:%%')
        AND shard NOT LIKE 'manual:%%' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY account, currency
), compared AS (
    SELECT account, currency, coalesce(balance, 0) AS balance, coalesce(minor, 0) AS redeemed
    FROM booked FULL JOIN told USING (account, currency)
), bad AS (
    SELECT * FROM compared WHERE balance <> redeemed
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY account, currency LIMIT 1) AS first,
    (
        SELECT jsonb_object_agg(currency || ' owed to merchants', owed)
        FROM (
            SELECT currency, -sum(balance) AS owed
            FROM compared
            WHERE account = 'payable' OR account LIKE 'payable:%%'
            GROUP BY currency
        ) AS totals
    ) AS figures
FROM bad
