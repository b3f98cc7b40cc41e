-- Alerts: one worker finds them, people acknowledge them, every worker sends what is due.

-- name: lead
-- The watch, for so many seconds: where it is one's own already, or its time is over. Nothing where it is another's.
UPDATE alert_watch SET worker = %(worker)s, until = now() + make_interval(secs => %(lease_s)s)
WHERE worker = %(worker)s OR until < now()
RETURNING worker

-- name: open_breaks
-- By campaign; those of files of others are of none.
SELECT CASE WHEN kind = 'outside' THEN '' ELSE split_part(shard, '/', 1) END AS subject, count(*) AS count,
    jsonb_build_object('kinds', array_agg(DISTINCT kind ORDER BY kind), 'first', min(id)) AS about
FROM breaks WHERE resolved_at IS NULL
GROUP BY 1 ORDER BY 1 LIMIT 1000

-- name: expiring
-- Coupons that are out and expire within so many hours, a campaign: read from the index that the sweeper reads.
SELECT checkpoints.campaign AS subject, sum(due.coupons)::bigint AS coupons,
    jsonb_build_object('name', campaigns.definition ->> 'name', 'first_at', min(due.first_at)) AS about
FROM checkpoints
JOIN campaigns ON campaigns.id = checkpoints.campaign
CROSS JOIN LATERAL (
    SELECT count(*) AS coupons, min(expires_at) AS first_at
    FROM (SELECT expires_at FROM coupons
          WHERE coupons.shard = checkpoints.shard AND coupons.state IN ('claimed', 'reserved')
              AND expires_at > now() AND expires_at <= now() + make_interval(hours => %(hours)s)
          LIMIT %(most)s) AS each
) AS due
WHERE due.coupons > 0
GROUP BY checkpoints.campaign, campaigns.definition ->> 'name'

-- name: thresholds
-- A campaign that goes by that of everything again has none of its own.
SELECT kind, campaign, value, is_off, changed_by, changed_at FROM alert_thresholds
WHERE campaign = '' OR value IS NOT NULL OR is_off
ORDER BY kind, campaign

-- name: lock_threshold
SELECT value, is_off FROM alert_thresholds WHERE kind = %(kind)s AND campaign = %(campaign)s FOR UPDATE

-- name: set_threshold
INSERT INTO alert_thresholds (kind, campaign, value, is_off, changed_by)
VALUES (%(kind)s, %(campaign)s, %(value)s, %(is_off)s, %(actor)s)
ON CONFLICT (kind, campaign) DO UPDATE
SET value = excluded.value, is_off = excluded.is_off, changed_by = excluded.changed_by, changed_at = now()

-- name: campaign_exists
SELECT 1 AS found FROM campaigns WHERE id = %(id)s

-- name: open_alerts
SELECT * FROM alerts WHERE cleared_at IS NULL ORDER BY id LIMIT 10000

-- name: raise_alert
-- Nothing where one of it is open.
INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit, about)
VALUES (%(kind)s, %(subject)s, %(severity)s, %(figure)s, %(figure)s, %(threshold)s, %(unit)s, %(about)s::jsonb)
ON CONFLICT DO NOTHING
RETURNING *

-- name: hold_alert
UPDATE alerts SET figure = %(figure)s, about = %(about)s::jsonb, seen_at = now(),
    worst = CASE WHEN %(is_floor)s THEN least(worst, %(figure)s) ELSE greatest(worst, %(figure)s) END
WHERE id = %(id)s AND cleared_at IS NULL

-- name: clear_alert
UPDATE alerts SET cleared_at = now() WHERE id = %(id)s AND cleared_at IS NULL
RETURNING *

-- name: acknowledge_alert
-- Nothing where somebody has, or it is over.
UPDATE alerts SET acknowledged_by = %(actor)s, acknowledged_at = now(), note = %(note)s
WHERE id = %(id)s AND acknowledged_at IS NULL AND cleared_at IS NULL
RETURNING *

-- name: alert
SELECT * FROM alerts WHERE id = %(id)s

-- name: alerts
-- The orders they are read in have a place to go on after.
SELECT * FROM alerts
WHERE kind = ANY(%(kinds)s)
  AND (%(is_open)s::boolean IS NULL OR (cleared_at IS NULL) = %(is_open)s)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)

-- name: count_open
-- Read from the index of open alerts.
SELECT kind, count(*) AS count, count(*) FILTER (WHERE severity = 'critical') AS critical
FROM alerts WHERE cleared_at IS NULL GROUP BY kind

-- name: receivers
SELECT * FROM alert_receivers WHERE state <> 'removed' ORDER BY made_at, id

-- name: receiver
SELECT * FROM alert_receivers WHERE id = %(id)s AND state <> 'removed'

-- name: lock_receiver
SELECT * FROM alert_receivers WHERE id = %(id)s AND state <> 'removed' FOR UPDATE

-- name: count_receivers
SELECT count(*) AS count FROM alert_receivers WHERE state <> 'removed'

-- name: add_receiver
INSERT INTO alert_receivers (id, by, name, address, kinds, secret, made_by, changed_by)
VALUES (%(id)s, %(by)s, %(name)s, %(address)s, %(kinds)s, %(secret)s, %(actor)s, %(actor)s)
RETURNING *

-- name: move_receiver
UPDATE alert_receivers SET state = %(state)s, reason = %(reason)s, changed_by = %(actor)s, changed_at = now(),
    failing_since = CASE WHEN %(state)s = 'on' THEN NULL ELSE failing_since END,
    last_error = CASE WHEN %(state)s = 'on' THEN NULL ELSE last_error END
WHERE id = %(id)s
RETURNING *

-- name: rotate_secret
-- Another one within five minutes, as after a second click, takes the place of the new one: the receiver has that of before.
UPDATE alert_receivers SET
    old_secret = CASE WHEN old_until > now() + make_interval(hours => %(hours)s) - interval '5 minutes' THEN old_secret
                      ELSE secret END,
    old_until = now() + make_interval(hours => %(hours)s),
    secret = %(secret)s, changed_by = %(actor)s, changed_at = now()
WHERE id = %(id)s
RETURNING *

-- name: receiver_arrived
UPDATE alert_receivers SET last_sent_at = now(), failing_since = NULL, last_error = NULL WHERE id = %(id)s

-- name: receiver_failed
UPDATE alert_receivers SET failing_since = coalesce(failing_since, now()), last_error = %(error)s
WHERE id = %(id)s
RETURNING state, failing_since < now() - make_interval(days => %(days)s) AS is_hopeless

-- name: add_delivery
-- For one receiver that wants it; an id that is there already is the same event.
INSERT INTO alert_deliveries (id, receiver, alert, type, payload)
SELECT %(id)s, id, %(alert)s, %(type)s, %(payload)s FROM alert_receivers
WHERE id = %(receiver)s AND state = 'on'
ON CONFLICT DO NOTHING

-- name: listeners
-- Who is told of a kind.
SELECT id, by FROM alert_receivers WHERE state = 'on' AND (kinds = '{}' OR %(kind)s = ANY(kinds)) ORDER BY id

-- name: is_listening
SELECT 1 AS found FROM alert_receivers WHERE id = %(id)s AND state = 'on'

-- name: take_deliveries
-- What is due, for one worker until its lease is over: at once or again, oldest first.
UPDATE alert_deliveries AS due SET leased_until = now() + make_interval(secs => %(lease_s)s)
FROM alert_receivers AS receiver
WHERE due.id IN (
        SELECT id FROM alert_deliveries
        WHERE state = 'pending' AND next_at <= now() AND (leased_until IS NULL OR leased_until < now())
        ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    AND receiver.id = due.receiver
RETURNING due.id, due.receiver, due.type, due.payload, due.tries, receiver.by, receiver.address, receiver.secret,
    CASE WHEN receiver.old_until > now() THEN receiver.old_secret ELSE '' END AS old_secret

-- name: delivery_arrived
UPDATE alert_deliveries SET state = 'sent', tries = tries + 1, leased_until = NULL, error = NULL, ended_at = now()
WHERE id = %(id)s AND state = 'pending'

-- name: delivery_again
UPDATE alert_deliveries SET tries = tries + 1, leased_until = NULL, error = %(error)s,
    next_at = now() + make_interval(secs => %(wait_s)s)
WHERE id = %(id)s AND state = 'pending'

-- name: delivery_failed
UPDATE alert_deliveries SET state = 'failed', tries = tries + 1, leased_until = NULL, error = %(error)s, ended_at = now()
WHERE id = %(id)s AND state = 'pending'

-- name: drop_deliveries
-- What waits for a receiver that gets nothing any more.
UPDATE alert_deliveries SET state = 'dropped', leased_until = NULL, ended_at = now()
WHERE receiver = %(receiver)s AND state = 'pending'

-- name: deliveries_of
SELECT alert_deliveries.id, receiver, alert_receivers.name, alert_receivers.by, type, alert_deliveries.state, tries, next_at,
    error, alert_deliveries.made_at, ended_at
FROM alert_deliveries JOIN alert_receivers ON alert_receivers.id = receiver
WHERE alert = %(alert)s
ORDER BY alert_deliveries.made_at, alert_deliveries.id LIMIT 200

-- name: forget_deliveries
-- What was sent of alerts that are over for so many days; how many these were.
SELECT forget_alert_deliveries(%(days)s, %(most)s) AS gone

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail) VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
