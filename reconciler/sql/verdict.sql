-- What a verdict asks of the books. "-- name: x" begins one; reconciler/verdict/invariants.py says which belong together.
--
-- Every statement gives one row: figures, then wrong (how many rows violate it) and first (the first of them, as JSON).
-- shards is null for all of them, else those of one campaign, which is campaign. Journals made by hand (manual:<entity>)
-- correct accounts and not the sub-ledger, so they are left out where accounts are compared with it.

-- name: stock_accounted_for
-- What was put in is in stock or went out and did not come back: the sub-ledger, the book and the coupons in one sum.
WITH put AS (
    SELECT shard, coalesce(sum(delta) FILTER (WHERE kind = 'adjusted'), 0) AS put_in,
        coalesce(sum(units) FILTER (WHERE destination = 'stock'), 0) AS came_back
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), given AS (
    SELECT shard, sum(units) AS went_out
    FROM coupons
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), stock AS (
    SELECT journals.shard, sum(CASE destination WHEN 'stock' THEN amount ELSE -amount END) AS in_stock
    FROM journals JOIN postings ON postings.journal = journals.id
    WHERE 'stock' IN (source, destination) AND journals.shard NOT LIKE 'manual:%%'
        AND (%(shards)s::text[] IS NULL OR journals.shard = ANY (%(shards)s))
    GROUP BY journals.shard
), compared AS (
    SELECT shard, coalesce(put_in, 0) AS put_in, coalesce(in_stock, 0) AS in_stock, coalesce(went_out, 0) AS went_out,
        coalesce(came_back, 0) AS came_back
    FROM put FULL JOIN given USING (shard) FULL JOIN stock USING (shard)
), bad AS (
    SELECT * FROM compared WHERE put_in <> in_stock + went_out - came_back
)
SELECT coalesce(sum(put_in), 0)::bigint AS put_in, coalesce(sum(in_stock), 0)::bigint AS in_stock,
    coalesce(sum(went_out), 0)::bigint AS went_out, coalesce(sum(came_back), 0)::bigint AS came_back,
    (SELECT count(*) FROM bad) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard LIMIT 1) AS first
FROM compared

-- name: stock_never_below_zero
WITH running AS (
    SELECT shard, seq, kind, sum(
        CASE
            WHEN kind = 'claimed' THEN -1
            WHEN kind = 'issued' THEN -units
            WHEN kind = 'adjusted' THEN delta
            WHEN destination = 'stock' THEN units
            ELSE 0
        END
    ) OVER (PARTITION BY shard ORDER BY seq) AS stock
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, seq, kind, stock FROM running WHERE stock < 0
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first FROM bad

-- name: no_number_missing
-- The numbers of each shard are 1 to its checkpoint, each once: (shard, seq) is a key, so counting suffices.
WITH numbered AS (
    SELECT shard, count(*) AS rows, min(seq) AS first_seq, max(seq) AS last_seq
    FROM coupon_entries
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard
), kept AS (
    SELECT shard, seq FROM checkpoints WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), compared AS (
    SELECT shard, seq AS checkpoint, coalesce(rows, 0) AS rows, coalesce(first_seq, 1) AS first_seq,
        coalesce(last_seq, 0) AS last_seq
    FROM kept FULL JOIN numbered USING (shard)
), bad AS (
    SELECT * FROM compared
    WHERE checkpoint IS NULL OR rows <> checkpoint OR last_seq <> checkpoint OR first_seq <> 1
    ORDER BY shard
    LIMIT 1
), missing AS (
    SELECT min(number) AS number
    FROM bad
    CROSS JOIN LATERAL (
        SELECT 1 AS number WHERE bad.first_seq <> 1
        UNION ALL
        (
            SELECT seq + 1
            FROM coupon_entries AS here
            WHERE here.shard = bad.shard
                AND NOT EXISTS (SELECT 1 FROM coupon_entries AS after WHERE after.shard = here.shard AND after.seq = here.seq + 1)
            ORDER BY seq
            LIMIT 1
        )
    ) AS gap
)
SELECT count(*) AS shards, coalesce(sum(rows), 0)::bigint AS changes,
    count(*) FILTER (
        WHERE checkpoint IS NULL OR rows <> checkpoint OR last_seq <> checkpoint OR first_seq <> 1
    ) AS wrong,
    (SELECT to_json(told) FROM (SELECT bad.*, number AS first_missing FROM bad CROSS JOIN missing) AS told) AS first
FROM compared

-- name: nobody_above_the_limit
-- Every claim again, in its order: how many the holder had then, against the limit of the rules it was claimed under. An
-- end gives the place back where the rules of then say so and nothing was spent of the coupon.
WITH several AS (
    SELECT shard, holder
    FROM coupon_entries
    WHERE kind = 'claimed' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, holder
    HAVING count(*) > 1
), rules AS (
    SELECT campaign, version, coalesce(definition ->> 'timezone', 'UTC') AS zone,
        coalesce((definition #>> '{limits,per_holder}')::bigint, 1) AS per_holder,
        (definition #>> '{limits,per_holder_per_day}')::bigint AS per_holder_per_day,
        definition #>> '{on_expiry,holder_slot}' AS on_expiry, definition #>> '{on_revoke,holder_slot}' AS on_revoke,
        definition #>> '{on_rollback,holder_slot}' AS on_rollback,
        CASE definition #>> '{value,type}' WHEN 'balance' THEN (definition #>> '{value,minor}')::bigint ELSE 1 END AS whole
    FROM campaign_versions
), held AS (
    SELECT entries.shard, entries.holder, entries.seq, entries.kind, entries.code, rules.per_holder,
        rules.per_holder_per_day,
        (CASE entries.kind WHEN 'claimed' THEN entries.at ELSE coupons.claimed_at END AT TIME ZONE rules.zone)::date AS day,
        CASE entries.kind WHEN 'claimed' THEN 1 ELSE -1 END AS places
    FROM several
    JOIN coupon_entries AS entries USING (shard, holder)
    JOIN rules ON rules.campaign = split_part(entries.shard, '/', 1) AND rules.version = entries.version
    LEFT JOIN coupons ON coupons.code = CASE WHEN entries.kind <> 'claimed' THEN entries.code END
    WHERE entries.kind = 'claimed'
        OR (
            coalesce(entries."left", rules.whole) = rules.whole
            AND CASE entries.kind
                WHEN 'expired' THEN rules.on_expiry = 'restore'
                WHEN 'revoked' THEN rules.on_revoke = 'restore'
                WHEN 'rolled_back' THEN rules.on_rollback = 'restore' AND entries.state = 'expired'
                ELSE false
            END
        )
), running AS (
    SELECT *, sum(places) OVER (PARTITION BY shard, holder ORDER BY seq) AS held,
        sum(places) OVER (PARTITION BY shard, holder, day ORDER BY seq) AS held_of_day
    FROM held
), bad AS (
    SELECT shard, seq, holder, code, held, per_holder, held_of_day, per_holder_per_day
    FROM running
    WHERE kind = 'claimed' AND (held > per_holder OR held_of_day > per_holder_per_day)
)
SELECT (SELECT count(*) FROM several) AS holders_of_several, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first
FROM bad

-- name: no_day_above_the_limit
-- A shard has its slice of the limit a day, the first ones one more, so that the slices add up to it.
WITH rules AS (
    SELECT campaign, version, coalesce(definition ->> 'timezone', 'UTC') AS zone,
        (definition #>> '{limits,per_day}')::bigint AS per_day, coalesce((definition ->> 'shards')::bigint, 1) AS shards
    FROM campaign_versions
    WHERE definition #>> '{limits,per_day}' IS NOT NULL
), limited AS (
    SELECT DISTINCT campaign FROM rules
), running AS (
    SELECT entries.shard, entries.seq, entries.version, row_number() OVER (
        PARTITION BY entries.shard, (entries.at AT TIME ZONE zones.zone)::date ORDER BY entries.seq
    ) AS claimed, (entries.at AT TIME ZONE zones.zone)::date AS day
    FROM limited
    JOIN (SELECT campaign, max(zone) AS zone FROM rules GROUP BY campaign) AS zones USING (campaign)
    JOIN checkpoints USING (campaign)
    JOIN coupon_entries AS entries ON entries.shard = checkpoints.shard AND entries.kind = 'claimed'
    WHERE %(shards)s::text[] IS NULL OR entries.shard = ANY (%(shards)s)
), bad AS (
    SELECT running.shard, running.seq, running.day, running.claimed,
        rules.per_day / rules.shards
            + (split_part(running.shard, '/', 2)::bigint < rules.per_day %% rules.shards)::int AS limit_of_shard
    FROM running
    JOIN rules ON rules.campaign = split_part(running.shard, '/', 1) AND rules.version = running.version
    WHERE running.claimed > rules.per_day / rules.shards
        + (split_part(running.shard, '/', 2)::bigint < rules.per_day %% rules.shards)::int
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first FROM bad

-- name: no_budget_exceeded
-- What the coupons that are out or used may cost, after each change, against the shard's slice of the budget: whole
-- coupons, and the first shard has what is left over. What is spent of a balance is spent of the budget.
WITH rules AS (
    SELECT campaign, version, (definition #>> '{limits,budget_minor}')::numeric AS budget,
        coalesce((definition ->> 'shards')::numeric, 1) AS shards, definition #>> '{value,type}' = 'balance' AS stored,
        CASE
            WHEN (definition #>> '{value,every}')::boolean THEN (definition #>> '{value,cap_minor}')::numeric
            WHEN definition #>> '{value,type}' IN ('amount_off', 'balance') THEN (definition #>> '{value,minor}')::numeric
            ELSE (definition #>> '{value,cap_minor}')::numeric
        END AS unit
    FROM campaign_versions
    WHERE definition #>> '{limits,budget_minor}' IS NOT NULL
), sliced AS (
    SELECT rules.*, checkpoints.shard,
        (div(div(budget, unit), shards) + (split_part(checkpoints.shard, '/', 2)::numeric < div(budget, unit) %% shards)::int) * unit
            + CASE WHEN checkpoints.shard LIKE '%%/0' THEN budget %% unit ELSE 0 END AS slice
    FROM rules JOIN checkpoints USING (campaign)
    WHERE unit > 0 AND (%(shards)s::text[] IS NULL OR checkpoints.shard = ANY (%(shards)s))
), running AS (
    SELECT entries.shard, entries.seq, entries.kind, sliced.slice, sum(
        CASE
            WHEN kind = 'claimed' THEN unit
            WHEN kind = 'issued' THEN unit * units
            WHEN NOT stored THEN unit * units * (
                (destination IN ('outstanding', 'reserved', 'redeemed'))::int
                - (source IN ('outstanding', 'reserved', 'redeemed'))::int
            )
            WHEN kind IN ('expired', 'revoked') THEN -"left"
            WHEN kind = 'rolled_back' AND source = 'expired' AND destination IN ('outstanding', 'reserved') THEN "left" - minor
            WHEN kind = 'rolled_back' AND state IN ('expired', 'revoked') THEN -minor
            ELSE 0
        END
    ) OVER (PARTITION BY entries.shard ORDER BY entries.seq) AS used
    FROM sliced JOIN coupon_entries AS entries ON entries.shard = sliced.shard AND entries.version = sliced.version
), bad AS (
    SELECT shard, seq, kind, used, slice FROM running WHERE kind IN ('claimed', 'issued') AND used > slice
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first FROM bad

-- name: claims_are_coupons
-- One coupon a claim, and one claim a coupon, for the same holder.
WITH claimed AS (
    SELECT shard, seq, kind, code, coalesce(holder, '') AS holder
    FROM coupon_entries
    WHERE kind IN ('claimed', 'issued') AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
), kept AS (
    SELECT shard, seq, code, holder FROM coupons WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT coalesce(claimed.shard, kept.shard) AS shard, coalesce(claimed.seq, kept.seq) AS seq,
        claimed.code AS claimed, kept.code AS coupon, claimed.holder AS claimed_by, kept.holder AS holder
    FROM claimed FULL JOIN kept USING (shard, seq)
    WHERE claimed.code IS DISTINCT FROM kept.code OR claimed.holder IS DISTINCT FROM kept.holder
)
SELECT (SELECT count(*) FROM claimed WHERE kind = 'claimed') AS claims, (SELECT count(*) FROM kept) AS coupons,
    count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first
FROM bad

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
    WHERE %(campaign)s::text IS NULL OR id = %(campaign)s
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
-- Each coupon stands as its last step left it, or as it was claimed.
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

-- name: redemptions_are_the_changes
-- Each redemption and rollback is one state change of the same amount, and each such change is one of them.
WITH told AS (
    SELECT shard, seq, kind, ref, minor
    FROM coupon_entries
    WHERE kind IN ('redeemed', 'rolled_back') AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
), kept AS (
    SELECT shard, seq, 'redeemed' AS kind, id AS ref, minor FROM redemptions
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    UNION ALL
    SELECT shard, seq, 'rolled_back', redemption, minor FROM rollbacks
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, seq, kind, coalesce(kept.ref, told.ref) AS redemption, kept.minor, told.minor AS minor_of_change
    FROM told FULL JOIN kept USING (shard, seq, kind)
    WHERE told.ref IS DISTINCT FROM kept.ref OR told.minor IS DISTINCT FROM kept.minor
)
SELECT (SELECT count(*) FROM kept WHERE kind = 'redeemed') AS redemptions,
    (SELECT count(*) FROM kept WHERE kind = 'rolled_back') AS rollbacks, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, seq LIMIT 1) AS first
FROM bad

-- name: given_back_is_the_rollbacks
-- Of no redemption came back more than it took, and what is kept as given back is what its rollbacks add up to.
WITH back AS (
    SELECT redemption, sum(minor) AS minor
    FROM rollbacks
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY redemption
), bad AS (
    SELECT redemptions.shard, coalesce(redemptions.id, back.redemption) AS redemption, redemptions.minor,
        redemptions.rolled_back_minor, coalesce(back.minor, 0) AS rollbacks
    FROM redemptions FULL JOIN back ON back.redemption = redemptions.id
    WHERE (redemptions.shard IS NULL OR %(shards)s::text[] IS NULL OR redemptions.shard = ANY (%(shards)s))
        AND (
            redemptions.id IS NULL OR redemptions.rolled_back_minor <> coalesce(back.minor, 0)
            OR coalesce(back.minor, 0) > redemptions.minor
        )
)
SELECT count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard, redemption LIMIT 1) AS first FROM bad

-- name: one_live_redemption
-- A coupon that is redeemed was redeemed once and not given back; another one has no redemption that stands. A code that
-- many may use has one a use at most, and of a balance never more was spent than was on it.
WITH standing AS (
    SELECT code, count(*) AS redemptions, sum(minor - rolled_back_minor) AS minor
    FROM redemptions
    WHERE (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
        AND (
            rolled_back_minor < minor
            OR NOT EXISTS (SELECT 1 FROM rollbacks WHERE rollbacks.redemption = redemptions.id)
        )
    GROUP BY code
), worth AS (
    SELECT id AS campaign, (definition #>> '{value,minor}')::numeric AS minor
    FROM campaigns
    WHERE definition #>> '{value,type}' = 'balance'
), bad AS (
    SELECT coupons.shard, coupons.code, coupons.state, coupons.units, coalesce(standing.redemptions, 0) AS redemptions,
        standing.minor
    FROM coupons LEFT JOIN worth USING (campaign) LEFT JOIN standing USING (code)
    WHERE (%(shards)s::text[] IS NULL OR coupons.shard = ANY (%(shards)s))
        AND CASE
            WHEN worth.minor IS NOT NULL THEN standing.minor > worth.minor
            WHEN coupons.units > 1 THEN standing.redemptions > coupons.units
            ELSE coalesce(standing.redemptions, 0) <> (coupons.state = 'redeemed')::int
        END
)
SELECT (SELECT coalesce(sum(redemptions), 0)::bigint FROM standing) AS standing, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, code LIMIT 1) AS first
FROM bad

-- name: nothing_done_twice
-- An Idempotency-Key did one thing: one claim of a holder (8 characters of its hash), one adjustment, one rollback; and
-- an order took a coupon once.
WITH twice AS (
    SELECT shard, 'claim' AS act, holder AS of, left(idem, 8) AS key, count(*) AS times, min(seq) AS seq
    FROM coupon_entries
    WHERE kind = 'claimed' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, holder, left(idem, 8)
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'adjustment', '', detail ->> 'key', count(*), min(seq)
    FROM coupon_entries
    WHERE kind = 'adjusted' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, detail ->> 'key'
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'rollback', ref, detail #>> '{act,0}', count(*), min(seq)
    FROM coupon_entries
    WHERE kind = 'rolled_back' AND detail #>> '{act,0}' IS NOT NULL
        AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
    GROUP BY shard, ref, detail #>> '{act,0}'
    HAVING count(*) > 1
    UNION ALL
    SELECT shard, 'redemption', code, order_id, count(*), min(seq)
    FROM redemptions
    WHERE order_id IS NOT NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
        AND (
            rolled_back_minor < minor
            OR NOT EXISTS (SELECT 1 FROM rollbacks WHERE rollbacks.redemption = redemptions.id)
        )
    GROUP BY shard, code, order_id
    HAVING count(*) > 1
)
SELECT count(*) AS wrong, (SELECT to_json(twice) FROM twice ORDER BY shard, seq, act LIMIT 1) AS first FROM twice

-- name: nothing_in_quarantine
WITH bad AS (
    SELECT shard, entry_id, first_seq, count, reason
    FROM quarantine
    WHERE replayed_at IS NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS quarantined, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY shard, first_seq NULLS FIRST, entry_id LIMIT 1) AS first
FROM bad

-- name: nothing_in_suspense
WITH bad AS (
    SELECT account, currency, sum(debit - credit) AS balance
    FROM v_money_movements
    WHERE account LIKE 'suspense:%%' AND (%(campaign)s::text IS NULL OR account = 'suspense:promotion:' || %(campaign)s)
    GROUP BY account, currency
    HAVING sum(debit - credit) <> 0
)
SELECT count(*) AS in_suspense, count(*) AS wrong,
    (SELECT to_json(bad) FROM bad ORDER BY account, currency LIMIT 1) AS first
FROM bad

-- name: no_break_unresolved
WITH bad AS (
    SELECT id AS break, shard, kind, figure, state, expected, found, detected_at
    FROM breaks
    WHERE resolved_at IS NULL AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS breaks, count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY break LIMIT 1) AS first FROM bad

-- name: no_shard_stopped
WITH bad AS (
    SELECT shard, seq, updated_at
    FROM checkpoints
    WHERE state = 'stopped' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
)
SELECT count(*) AS stopped, count(*) AS wrong, (SELECT to_json(bad) FROM bad ORDER BY shard LIMIT 1) AS first FROM bad

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
-- What stands a day of each verb is what the state changes booked on the day moved.
WITH moved AS (
    SELECT shard, effective_date, verb, source, destination, channel, store, currency, entity, count(*) AS entries,
        sum(units) AS units, sum(worth_minor) AS worth_minor, sum(out_minor) AS out_minor, sum(minor) AS minor,
        sum(order_minor) AS order_minor
    FROM v_coupon_movements
    WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
    GROUP BY shard, effective_date, verb, source, destination, channel, store, currency, entity
), kept AS (
    SELECT * FROM movement_days WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
), bad AS (
    SELECT shard, effective_date, verb, source, destination, channel, store, currency, entity, kept.entries, kept.units,
        kept.worth_minor, kept.out_minor, kept.minor, kept.order_minor, moved.entries AS entries_of_changes,
        moved.units AS units_of_changes, moved.worth_minor AS worth_of_changes, moved.out_minor AS out_minor_of_changes,
        moved.minor AS minor_of_changes,
        moved.order_minor AS order_minor_of_changes
    FROM moved
    FULL JOIN kept USING (shard, effective_date, verb, source, destination, channel, store, currency, entity)
    WHERE (moved.entries, moved.units, moved.worth_minor, moved.out_minor, moved.minor, moved.order_minor)
        IS DISTINCT FROM (kept.entries, kept.units, kept.worth_minor, kept.out_minor, kept.minor, kept.order_minor)
)
SELECT (SELECT count(*) FROM kept) AS totals_of_movements, count(*) AS wrong,
    (
        SELECT to_json(bad) FROM bad
        ORDER BY shard, effective_date, verb, source, destination, channel, store, currency, entity LIMIT 1
    ) AS first
FROM bad

-- name: list_shards
-- The shards of a campaign, or of all, where the books stand with them.
SELECT shard FROM checkpoints WHERE %(campaign)s::text IS NULL OR campaign = %(campaign)s ORDER BY shard

-- name: find_coupons
-- Of codes somebody was told of, those that are in the books, and whose they are.
SELECT code, holder FROM coupons WHERE code = ANY (%(codes)s)

-- name: claimed_coupons
-- Every coupon somebody claimed.
SELECT code, holder FROM coupons
WHERE batch = '' AND (%(shards)s::text[] IS NULL OR shard = ANY (%(shards)s))
ORDER BY shard, seq

-- name: books_at
SELECT shard, seq FROM checkpoints WHERE shard = ANY (%(shards)s)
