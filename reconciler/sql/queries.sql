-- Every statement of the reconciler. "-- name: x" begins one; ledger.py and ownership.py run them by name.

-- name: list_shards
-- Shards there is something to drain of. An archived campaign is left after an hour, and never before the books end with
-- an entry of the version that archived it: nothing is claimed after that one, and what came before it is drained. Nor
-- while one of its coupons is out, which will be spent or expire. A rollback makes it recent again.
SELECT checkpoints.shard
FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE campaigns.state <> 'archived'
    OR campaigns.updated_at > now() - interval '1 hour'
    OR NOT EXISTS (
        SELECT 1
        FROM coupon_entries AS last
        WHERE last.shard = checkpoints.shard AND last.seq = checkpoints.seq AND last.version >= campaigns.version
    )
    OR EXISTS (SELECT 1 FROM coupons WHERE coupons.shard = checkpoints.shard AND coupons.state IN ('claimed', 'reserved'))
ORDER BY checkpoints.shard

-- name: count_me
-- A shared lock that every reconciler holds, so that they can count each other.
SELECT pg_advisory_lock_shared(1717659753, 0)

-- name: count_reconcilers
SELECT count(*)
FROM pg_locks
WHERE locktype = 'advisory' AND classid = 1717659753 AND objid = 0 AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: lock_shards
-- Try each; the lock goes with the session. 64 bits of hash, so that two shards never share a lock by chance.
SELECT shard
FROM (SELECT shard, pg_try_advisory_lock(hashtextextended(shard, 0)) AS locked FROM unnest(%(shards)s::text[]) AS shard)
    AS tried
WHERE locked

-- name: unlock_shards
SELECT pg_advisory_unlock(hashtextextended(shard, 0)) FROM unnest(%(shards)s::text[]) AS shard

-- name: unlock_all
SELECT pg_advisory_unlock_all()

-- name: load_checkpoints
-- unranged: the last records of the shard were quarantined without telling what they covered.
SELECT shard, epoch, seq, entry_id, head, state,
    EXISTS (SELECT 1 FROM quarantine WHERE quarantine.shard = checkpoints.shard AND first_seq IS NULL) AS unranged
FROM checkpoints
WHERE shard = ANY (%(shards)s)

-- name: load_terms
-- Zone, currency, value and legal entity of each version of a campaign's rules.
SELECT version, definition ->> 'timezone', definition ->> 'currency', definition -> 'value',
    definition ->> 'legal_entity'
FROM campaign_versions
WHERE campaign = %(campaign)s AND version = ANY (%(versions)s)

-- name: advance
-- The fence: compare the position with the one the batch was read from, and move it. No row: somebody else moved it.
UPDATE checkpoints
SET seq = %(new_seq)s, entry_id = %(new_entry_id)s, head = %(new_head)s, updated_at = now()
WHERE shard = %(shard)s AND epoch = %(epoch)s AND seq = %(seq)s AND entry_id = %(entry_id)s AND head = %(head)s

-- name: hold_entities
-- The fence of a close, which takes the row FOR UPDATE: it waits for the batches that are on their way, and those that
-- come after it see what it has closed.
SELECT id, closed_through FROM legal_entities WHERE id = ANY (%(entities)s) ORDER BY id FOR KEY SHARE

-- name: copy_coupons
COPY coupons (code, campaign, shard, holder, state, seq, version, channel, claimed_at, expires_at, changed_seq)
FROM STDIN

-- name: copy_issued_coupons
COPY coupons (code, campaign, shard, holder, state, seq, version, channel, claimed_at, expires_at, changed_seq, batch,
    units) FROM STDIN

-- name: copy_coupon_entries
COPY coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, holder, idem, channel, expires_at,
    unit_minor, delta, detail, effective_date) FROM STDIN

-- name: copy_issued_entries
COPY coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, holder, expires_at, unit_minor, ref, units,
    effective_date) FROM STDIN

-- name: copy_step_entries
COPY coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, holder, ref, minor, state, source,
    destination, units, "left", expires_at, detail, effective_date) FROM STDIN

-- name: copy_redemptions
COPY redemptions (id, code, campaign, shard, seq, holder, order_id, minor, currency, order_minor, merchant, store, staff,
    channel, stack, lines, shipping_minor, funders, actor, redeemed_at) FROM STDIN

-- name: copy_rollbacks
COPY rollbacks (redemption, seq, shard, minor, reason, lines, shipping_minor, funders, state, actor, at) FROM STDIN

-- name: change_coupons
-- The state a batch leaves each coupon in. A hold outlives a step that leaves the coupon reserved; what a later step has
-- brought already stays. Gives the channel each was claimed in.
UPDATE coupons
SET state = step.state, changed_seq = step.seq, "left" = step."left",
    reserved_until = CASE WHEN step.state = 'reserved' THEN coalesce(step.until, coupons.reserved_until) END,
    order_id = CASE WHEN step.state = 'reserved' THEN coalesce(step.order_id, coupons.order_id) END,
    expires_at = coalesce(step.expires_at, coupons.expires_at)
FROM unnest(%(codes)s::text[], %(seqs)s::bigint[], %(states)s::text[], %(lefts)s::bigint[], %(untils)s::timestamptz[],
    %(orders)s::text[], %(expires)s::timestamptz[]) AS step (code, seq, state, "left", until, order_id, expires_at)
WHERE coupons.code = step.code AND coupons.shard = %(shard)s AND coupons.changed_seq < step.seq
RETURNING coupons.code, coupons.channel

-- name: refold_coupons
-- The state that all steps of each coupon in the sub-ledger come to, in whatever order they got there.
UPDATE coupons
SET state = last.state, changed_seq = last.seq, "left" = last."left",
    reserved_until = CASE WHEN last.state = 'reserved' THEN hold.expires_at END,
    order_id = CASE WHEN last.state = 'reserved' THEN hold.ref END,
    expires_at = coalesce(extended.expires_at, coupons.expires_at)
FROM unnest(%(codes)s::text[]) AS given (code)
CROSS JOIN LATERAL (
    SELECT seq, state, "left" FROM coupon_entries
    WHERE coupon_entries.code = given.code AND state IS NOT NULL
    ORDER BY seq DESC LIMIT 1
) AS last
LEFT JOIN LATERAL (
    SELECT ref, expires_at FROM coupon_entries
    WHERE coupon_entries.code = given.code AND state IS NOT NULL AND kind = 'reserved'
    ORDER BY seq DESC LIMIT 1
) AS hold ON true
LEFT JOIN LATERAL (
    SELECT expires_at FROM coupon_entries
    WHERE coupon_entries.code = given.code AND state IS NOT NULL AND kind = 'rolled_back' AND expires_at IS NOT NULL
    ORDER BY seq DESC LIMIT 1
) AS extended ON true
WHERE coupons.code = given.code

-- name: sum_rollbacks
-- What was given back of each redemption: the sum of its rollbacks, so that it is right in whatever order they got there.
-- Gives the store of each.
UPDATE redemptions
SET rolled_back_minor = given.minor
FROM (
    SELECT redemption, sum(minor)::bigint AS minor
    FROM rollbacks
    WHERE redemption = ANY (%(redemptions)s)
    GROUP BY redemption
) AS given
WHERE redemptions.id = given.redemption
RETURNING redemptions.id, redemptions.store

-- name: insert_journals
-- Journals with their postings, and what they add to each account of their day, in an order that all who post keep to.
WITH posted AS (
    INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, entity, original_date, about,
        ref, reason, reverses, previous_hash, hash)
    SELECT %(shard)s, sealed.*
    FROM unnest(%(verbs)s::text[], %(first_seqs)s::bigint[], %(last_seqs)s::bigint[], %(occurred)s::timestamptz[],
        %(dates)s::date[], %(entities)s::text[], %(original_dates)s::date[], %(abouts)s::text[], %(refs)s::text[],
        %(reasons)s::text[], %(reverses)s::bigint[], %(previous)s::bytea[], %(hashes)s::bytea[]) AS sealed
    RETURNING id, hash, coalesce(about, shard) AS shard, effective_date, entity
), moves AS (
    SELECT posted.*, move.line, move.source, move.destination, move.commodity, move.amount
    FROM unnest(%(of)s::bytea[], %(lines)s::integer[], %(sources)s::text[], %(destinations)s::text[],
        %(commodities)s::text[], %(amounts)s::numeric[]) AS move (hash, line, source, destination, commodity, amount)
    JOIN posted USING (hash)
), days AS (
    INSERT INTO account_days AS days (shard, effective_date, commodity, account, entity, debit, credit)
    SELECT shard, effective_date, commodity, side.account, entity, sum(side.debit), sum(side.credit)
    FROM moves
    CROSS JOIN LATERAL (
        VALUES (destination, amount, 0::numeric), (source, 0::numeric, amount)
    ) AS side (account, debit, credit)
    GROUP BY shard, effective_date, commodity, side.account, entity
    ORDER BY shard, effective_date, commodity, side.account, entity
    ON CONFLICT (shard, effective_date, commodity, account, entity)
        DO UPDATE SET debit = days.debit + excluded.debit, credit = days.credit + excluded.credit
), lines AS (
    INSERT INTO postings (journal, line, source, destination, commodity, amount)
    SELECT id, line, source, destination, commodity, amount FROM moves
)
SELECT id FROM posted ORDER BY id

-- name: add_movements
-- What state changes add to the movements of their day.
INSERT INTO movement_days AS days (shard, campaign, effective_date, verb, source, destination, channel, store, currency,
    entity, entries, units, worth_minor, out_minor, minor, order_minor)
SELECT %(shard)s, %(campaign)s, moved.*
FROM unnest(%(effective_date)s::date[], %(verb)s::text[], %(source)s::text[], %(destination)s::text[],
    %(channel)s::text[], %(store)s::text[], %(currency)s::text[], %(entity)s::text[], %(entries)s::bigint[],
    %(units)s::bigint[], %(worth_minor)s::numeric[], %(out_minor)s::numeric[], %(minor)s::numeric[],
    %(order_minor)s::numeric[]) AS moved
ON CONFLICT (shard, effective_date, verb, source, destination, channel, store, currency, entity)
    DO UPDATE SET entries = days.entries + excluded.entries, units = days.units + excluded.units,
        worth_minor = days.worth_minor + excluded.worth_minor, out_minor = days.out_minor + excluded.out_minor,
        minor = days.minor + excluded.minor, order_minor = days.order_minor + excluded.order_minor

-- name: load_movements
-- What state changes that are in the books moved: those of some numbers, and the steps of some coupons.
SELECT effective_date, verb, source, destination, channel, store, currency, entity, count(*), sum(units)::bigint,
    sum(worth_minor)::numeric, sum(out_minor)::numeric, sum(minor)::numeric, sum(order_minor)::numeric
FROM v_coupon_movements
WHERE shard = %(shard)s
    AND (seq BETWEEN %(first_seq)s AND %(last_seq)s OR (code = ANY (%(codes)s) AND state IS NOT NULL))
GROUP BY effective_date, verb, source, destination, channel, store, currency, entity

-- name: entities_to_post
SELECT DISTINCT entity FROM manual_journals WHERE state = 'approved' ORDER BY entity

-- name: hold_chain
-- Nothing where another one posts, or the entity is being closed: the next look finds what is left.
SELECT closed_through, head, journals FROM legal_entities WHERE id = %(entity)s FOR NO KEY UPDATE SKIP LOCKED

-- name: next_manual
-- about_entity: whose books the shard is in that it is about.
SELECT manual.id, manual.entity, effective_date, about, reverses, reason, lines, checked_at, (
        SELECT coalesce(definition ->> 'legal_entity', 'main')
        FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
        WHERE checkpoints.shard = manual.about
    ) AS about_entity
FROM manual_journals AS manual
WHERE manual.entity = %(entity)s AND manual.state = 'approved'
ORDER BY checked_at, manual.id
LIMIT 1
FOR UPDATE OF manual

-- name: move_chain
UPDATE legal_entities SET head = %(head)s, journals = %(journals)s WHERE id = %(entity)s

-- name: mark_posted
WITH posted AS (
    UPDATE manual_journals SET state = 'posted', journal = %(journal)s WHERE id = %(id)s RETURNING *
)
INSERT INTO audit_log (actor, action, subject, detail)
SELECT 'reconciler', 'manual_journal.posted', 'manual_journal:' || id,
    jsonb_build_object('entity', entity, 'made_by', made_by, 'journal', journal)
FROM posted

-- name: refuse_manual
WITH rejected AS (
    UPDATE manual_journals SET state = 'rejected', refused = %(refused)s WHERE id = %(id)s RETURNING *
)
INSERT INTO audit_log (actor, action, subject, detail)
SELECT 'reconciler', 'manual_journal.rejected', 'manual_journal:' || id,
    jsonb_build_object('entity', entity, 'made_by', made_by, 'reason', refused)
FROM rejected

-- name: load_journals
-- One whose postings were taken away is there too, without any.
SELECT journals.id, journals.verb, journals.first_seq, journals.last_seq, journals.occurred_at, journals.effective_date,
    journals.entity, journals.original_date, journals.about, journals.ref, journals.reason, journals.reverses,
    journals.previous_hash, journals.hash, lines.sources, lines.destinations, lines.commodities, lines.amounts
FROM journals
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(source ORDER BY line), '{}') AS sources,
        coalesce(array_agg(destination ORDER BY line), '{}') AS destinations,
        coalesce(array_agg(commodity ORDER BY line), '{}') AS commodities,
        coalesce(array_agg(amount ORDER BY line), '{}') AS amounts
    FROM postings
    WHERE postings.journal = journals.id
) AS lines
WHERE journals.shard = %(shard)s
ORDER BY journals.id

-- name: list_heads
-- Every shard that has a checkpoint or a journal, and the hash its chain ends in; null without a checkpoint. The manual
-- journals of a legal entity are a chain too, manual:<entity>.
SELECT shard, (array_agg(head) FILTER (WHERE head IS NOT NULL))[1]
FROM (
    SELECT shard, head FROM checkpoints
    UNION ALL
    SELECT 'manual:' || id, head FROM legal_entities WHERE journals > 0
    UNION ALL
    SELECT DISTINCT shard, NULL::bytea FROM journals
) AS known
WHERE %(shards)s::text[] IS NULL OR shard = ANY (%(shards)s)
GROUP BY shard
ORDER BY shard

-- name: insert_quarantine
INSERT INTO quarantine (shard, entry_id, first_seq, count, fields, reason)
VALUES (%(shard)s, %(entry_id)s, %(first_seq)s, %(count)s, %(fields)s, %(reason)s)

-- name: settle_quarantine
-- What the records before this one covered is known now.
UPDATE quarantine SET first_seq = %(first_seq)s, count = %(count)s WHERE shard = %(shard)s AND first_seq IS NULL

-- name: stop_shard
-- Fenced like advance: a reconciler that was asleep must not stop a shard that another one drains.
UPDATE checkpoints
SET state = 'stopped', updated_at = now()
WHERE shard = %(shard)s AND epoch = %(epoch)s AND seq = %(seq)s AND entry_id = %(entry_id)s AND head = %(head)s

-- name: insert_break
INSERT INTO breaks (shard, kind, expected, found)
VALUES (%(shard)s, %(kind)s, %(expected)s, %(found)s)
ON CONFLICT (shard, kind, md5(figure)) WHERE resolved_at IS NULL DO NOTHING

-- name: resume_shard
UPDATE checkpoints
SET state = 'running', updated_at = now()
WHERE shard = %(shard)s AND epoch = %(epoch)s AND seq = %(seq)s AND entry_id = %(entry_id)s AND head = %(head)s

-- name: resolve_breaks
UPDATE breaks SET resolved_at = now(), state = 'resolved'
WHERE shard = %(shard)s AND resolved_at IS NULL AND kind NOT IN ('figure', 'coupon', 'holder', 'outside')

-- name: evict
-- End the sessions of other reconcilers that stand in the way of *pid*: stopped in the middle of a transaction.
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids(%(pid)s)) AND application_name = %(application)s

-- name: list_quarantine
SELECT shard, entry_id
FROM quarantine
WHERE replayed_at IS NULL AND (%(shard)s::text IS NULL OR shard = %(shard)s)
ORDER BY shard, first_seq NULLS LAST, entry_id

-- name: lock_quarantine
SELECT fields, first_seq, count
FROM quarantine
WHERE shard = %(shard)s AND entry_id = %(entry_id)s AND replayed_at IS NULL
FOR UPDATE

-- name: lock_checkpoint
SELECT epoch, seq, entry_id, head FROM checkpoints WHERE shard = %(shard)s FOR UPDATE

-- name: mark_replayed
UPDATE quarantine SET replayed_at = now() WHERE shard = %(shard)s AND entry_id = %(entry_id)s

-- name: coupons_due_shards
-- Shards with a coupon whose time is over: one look into the index a shard, however many there are.
SELECT given.shard
FROM unnest(%(shards)s::text[]) AS given (shard)
CROSS JOIN LATERAL (
    SELECT 1
    FROM coupons
    WHERE coupons.shard = given.shard AND state IN ('claimed', 'reserved') AND expires_at <= %(now)s
    ORDER BY expires_at, seq
    LIMIT 1
) AS due

-- name: coupons_due
SELECT code, expires_at, seq
FROM coupons
WHERE shard = %(shard)s AND state IN ('claimed', 'reserved') AND expires_at <= %(now)s
    AND (expires_at, seq) > (%(after)s, %(after_seq)s)
ORDER BY expires_at, seq
LIMIT %(codes_max)s

-- name: holds_due_shards
-- Shards with a hold whose time is over: one look into the index a shard, however many there are.
SELECT given.shard
FROM unnest(%(shards)s::text[]) AS given (shard)
CROSS JOIN LATERAL (
    SELECT 1
    FROM coupons
    WHERE coupons.shard = given.shard AND state = 'reserved' AND reserved_until <= %(now)s
    ORDER BY reserved_until, seq
    LIMIT 1
) AS due

-- name: holds_due
SELECT code, reserved_until, seq
FROM coupons
WHERE shard = %(shard)s AND state = 'reserved' AND reserved_until <= %(now)s
    AND (reserved_until, seq) > (%(after)s, %(after_seq)s)
ORDER BY reserved_until, seq
LIMIT %(codes_max)s

-- name: audit
INSERT INTO audit_log (actor, action, subject, detail) VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
