-- The coupons of the shard that is asked for, each with all that chance has to say of it: one hash of its number.
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT given.no, given.code, given.first_id, given.second_id, lives.life, lucky.jitter, when_at.at, when_at.expires_at,
    CASE WHEN asked.issued THEN '' ELSE 'h-' || (asked.first_holder + given.no) / 2 END AS holder,
    CASE WHEN asked.issued THEN '' ELSE (ARRAY['app', 'web', 'mini', 'partner'])[1 + (lucky.draw >> 30 & 3)] END AS channel,
    'store-' || lucky.store AS store,
    'm-' || lucky.store % asked.merchants AS merchant,
    (ARRAY['pos', 'web'])[1 + (lucky.draw >> 46 & 1)] AS till,
    CASE WHEN asked.stored THEN asked.unit_minor
        ELSE asked.unit_minor - asked.unit_minor / 10 * (lucky.draw >> 48 & 3) END AS minor
FROM asked
CROSS JOIN given
CROSS JOIN LATERAL (
    SELECT hashint8extended(asked.first_coupon + given.no, 5) AS draw
) AS drawn
CROSS JOIN LATERAL (
    SELECT drawn.draw, (drawn.draw >> 10 & 1023) / 1024.0::real AS jitter, (drawn.draw >> 20 & 1023) % asked.stores AS store
) AS lucky
JOIN lives ON (lucky.draw & 1023) >= lives.low AND (lucky.draw & 1023) < lives.high
CROSS JOIN LATERAL (
    -- A rush: half of them in the first eighth of the window. Codes on paper are all made in the first minutes.
    SELECT date_trunc('milliseconds', asked.starts + interval '1 second' *
        CASE WHEN asked.issued THEN given.no * 0.001 ELSE asked.window_s * power((lucky.draw >> 50 & 4095) / 4096.0
            + given.no % 1000 * 0.00000024, 3) * 0.99 END) AS at
) AS claimed
CROSS JOIN LATERAL (
    SELECT claimed.at, CASE WHEN asked.issued THEN asked.starts + interval '1 second' * (asked.validity_s + asked.window_s)
        ELSE claimed.at + interval '1 second' * asked.validity_s END AS expires_at
) AS when_at;
CREATE UNIQUE INDEX ON made (no);
ANALYZE made (no, life);
