-- Lists in each order that the console has of them: stocktakes, of which a shard has half a million in a year, breaks, manual
-- journals, exports.

-- Made in the transaction of the migration, so until they are there nothing is written down of these four; sales, the drain and
-- pages go on.
DROP INDEX stocktakes_shard_idx;
CREATE INDEX stocktakes_shard_idx ON stocktakes (shard, id);
CREATE INDEX stocktakes_breaks_idx ON stocktakes (breaks, id);
CREATE INDEX stocktakes_shard_breaks_idx ON stocktakes (shard, breaks, id);
-- The last one before a break was seen that had none.
CREATE INDEX stocktakes_clean_idx ON stocktakes (shard, taken_at, id) WHERE breaks = 0;

CREATE INDEX breaks_shard_idx ON breaks (shard, id);
CREATE INDEX breaks_state_idx ON breaks (array_position(ARRAY['open', 'explained', 'resolved'], state), id);

CREATE INDEX exports_report_idx ON exports (report, id);
CREATE INDEX exports_state_idx ON exports (
    array_position(ARRAY['waiting', 'running', 'done', 'failed', 'cancelled', 'removed'], state), id);
CREATE INDEX exports_bytes_idx ON exports (coalesce(bytes, 0), id);

-- What the lines of a manual journal come to in the commodity of the first one, so that it sorts within that.
CREATE FUNCTION lines_come_to(lines jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(lines -> 0 ->> 'commodity' || ' ' || lpad((
    SELECT sum((line ->> 'minor')::numeric)
    FROM jsonb_array_elements(lines) AS line
    WHERE line -> 'commodity' = lines -> 0 -> 'commodity'
)::text, 20, '0'), '');
CREATE INDEX manual_journals_amount_idx ON manual_journals (lines_come_to(lines) COLLATE "C", id);
CREATE INDEX manual_journals_state_idx ON manual_journals (
    array_position(ARRAY['drafted', 'approved', 'posted', 'rejected'], state), id);
