-- What was sent of alerts that are long over is deleted: the alerts stay, and nobody gets the right to delete anything else.

-- Of alerts that were over days ago, and not fewer than 30, at most so many; how many these were. It runs as whoever made it.
CREATE FUNCTION forget_alert_deliveries(days integer, most integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM alert_deliveries WHERE id IN (
            SELECT alert_deliveries.id FROM alert_deliveries JOIN alerts ON alerts.id = alert_deliveries.alert
            WHERE alert_deliveries.state <> 'pending'
                AND alerts.cleared_at < now() - make_interval(days => greatest(days, 30))
            LIMIT most)
        RETURNING id)
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION forget_alert_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_alert_deliveries TO fairclaim_gateway;
