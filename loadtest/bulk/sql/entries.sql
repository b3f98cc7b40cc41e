-- Every state change of the shard up to the end of the time that is asked for, in its order: seq, and what it moves.
CREATE TEMPORARY TABLE changes ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY at, no, n) AS seq, (row_number() OVER (ORDER BY at, no, n) - 1) / asked.batch AS batch,
    (at AT TIME ZONE asked.zone)::date AS day, change.*
FROM asked
CROSS JOIN LATERAL (
    SELECT 0 AS no, 0 AS n, 'published' AS kind, NULL AS verb, asked.starts - interval '1 day' AS at, NULL AS state,
        NULL AS source, NULL AS destination, 0 AS units, NULL::bigint AS "left", NULL::bigint AS minor,
        NULL::bigint AS minor_first, NULL AS ref
    UNION ALL
    SELECT 0, step.n, 'adjusted', step.verb, step.at, NULL, step.source, step.destination, step.units::integer, NULL,
        NULL, NULL, step.ref
    FROM (VALUES
        (1, 'restock', 'initial', 'supply', 'stock', asked.coupons::bigint, asked.starts - interval '23 hours'),
        (2, 'restock', 'more', 'supply', 'stock', asked.coupons / 5 + 1, asked.starts + interval '1 day'),
        (3, 'withdraw', 'less', 'stock', 'supply', asked.coupons / 10 + 1, asked.starts + interval '5 days')
    ) AS step (n, verb, ref, source, destination, units, at)
    UNION ALL
    SELECT made.no, 0, CASE WHEN asked.issued THEN 'issued' ELSE 'claimed' END,
        CASE WHEN asked.issued THEN 'issue' ELSE 'claim' END, made.at, NULL, 'stock', 'outstanding', 1, NULL, NULL, NULL,
        NULL
    FROM made
    UNION ALL
    SELECT made.no, step.n, step.kind,
        CASE step.kind WHEN 'reserved' THEN 'reserve' WHEN 'released' THEN 'release' WHEN 'redeemed' THEN 'redeem'
            WHEN 'rolled_back' THEN 'rollback' WHEN 'expired' THEN 'expire' ELSE 'revoke' END,
        -- Nobody comes after the end of his coupon; the sweeper does.
        date_trunc('milliseconds', made.at + (made.expires_at - made.at)
            * (CASE WHEN step.place = 1 THEN 1 ELSE step.place * (0.4 + 0.6 * made.jitter) END)
            + interval '1 second' * step.after_s),
        step.state, step.source,
        CASE WHEN step.kind = 'expired' AND asked.restocks THEN 'stock' ELSE step.destination END, step.units,
        CASE WHEN asked.stored THEN asked.unit_minor / 4 * step.left_quarters ELSE step.left_quarters / 4 END,
        took.minor,
        CASE WHEN step.quarters = 3 AND NOT asked.stored THEN (made.minor * asked.share + 5000) / 10000
            - (made.minor / 4 * asked.share + 5000) / 10000
            ELSE (took.minor * asked.share + 5000) / 10000 END,
        CASE WHEN step.redemption = 1 THEN 'RD' || made.first_id WHEN step.redemption = 2 THEN 'RD' || made.second_id
            WHEN step.kind IN ('reserved', 'released') THEN 'o-' || made.code || '-1' END
    FROM made
    JOIN life_steps AS step ON step.life = made.life AND step.stored = asked.stored
    CROSS JOIN LATERAL (
        SELECT CASE WHEN asked.stored THEN asked.unit_minor / 4 * step.quarters
            WHEN step.quarters = 4 THEN made.minor
            WHEN step.quarters = 1 THEN made.minor / 4
            ELSE made.minor - made.minor / 4 END AS minor
        WHERE step.quarters IS NOT NULL
        UNION ALL SELECT NULL WHERE step.quarters IS NULL
    ) AS took
) AS change
WHERE change.at < asked.ends;
CREATE UNIQUE INDEX ON changes (seq);
ANALYZE changes;
