-- Of a verdict, what `limits` looks for.

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
