-- What finance signs: totals a day, legal entities and their periods, manual journals, stocktakes, exports.

-- A legal entity keeps books of its own. Everything up to closed_through is closed: nothing is posted there any more. Who
-- posts has the row locked FOR KEY SHARE, and who closes FOR UPDATE.
CREATE TABLE legal_entities (
    id             text        NOT NULL,
    zone           text        NOT NULL DEFAULT 'UTC',
    closed_through date,
    head           bytea       NOT NULL DEFAULT '\x',  -- hash of the last manual journal
    journals       bigint      NOT NULL DEFAULT 0,     -- manual journals so far
    CONSTRAINT legal_entities_pkey PRIMARY KEY (id),
    CONSTRAINT legal_entities_id_check CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT legal_entities_journals_check CHECK (journals >= 0)
);
INSERT INTO legal_entities (id) VALUES ('main');

-- original_date is the date of a late journal, whose effective_date is the first one that was open. A manual journal
-- (shard is manual:<entity>) is about a shard where it moves units, and ref is its id.
ALTER TABLE journals
    ADD COLUMN entity text NOT NULL DEFAULT 'main',
    ADD COLUMN original_date date,
    ADD COLUMN about text,
    ADD COLUMN ref text,
    ADD COLUMN reason text,
    ADD CONSTRAINT journals_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id);

CREATE INDEX journals_verb_idx ON journals (shard, verb, effective_date);
-- The late ones, of which there are few.
CREATE INDEX journals_late_idx ON journals (shard, original_date) WHERE original_date IS NOT NULL;

-- The date each state change is booked on, as its journal.
ALTER TABLE coupon_entries ADD COLUMN effective_date date;
ALTER TABLE coupon_entries DISABLE TRIGGER coupon_entries_append_only;
UPDATE coupon_entries
SET effective_date = (at AT TIME ZONE coalesce((
    SELECT zones.name
    FROM campaign_versions AS versions
    JOIN pg_timezone_names AS zones ON zones.name = versions.definition ->> 'timezone'
    WHERE versions.campaign = split_part(shard, '/', 1) AND versions.version = coupon_entries.version
), 'UTC'))::date;
ALTER TABLE coupon_entries
    ENABLE TRIGGER coupon_entries_append_only,
    ALTER COLUMN effective_date SET NOT NULL;

-- What journals moved, a day: written in the statement that posts them. Reports read this, and a verdict compares it
-- with the postings. shard is that of the journal, or what a manual journal is about.
CREATE TABLE account_days (
    shard          text        NOT NULL,
    effective_date date        NOT NULL,
    commodity      text        NOT NULL,
    account        text        NOT NULL,
    entity         text        NOT NULL,
    debit          numeric(38) NOT NULL,
    credit         numeric(38) NOT NULL,
    CONSTRAINT account_days_pkey PRIMARY KEY (shard, effective_date, commodity, account, entity)
);

-- What state changes moved, a day, by what reports ask for: channel is that of the claim, store that of the redemption.
-- worth_minor is what the units may cost at worst, minor what was given away or given back, order_minor what the orders
-- were worth (of redemptions only). It is the sum of v_coupon_movements, which a verdict compares it with.
CREATE TABLE movement_days (
    shard          text        NOT NULL,
    effective_date date        NOT NULL,
    verb           text        NOT NULL,
    source         text        NOT NULL,
    destination    text        NOT NULL,
    channel        text        NOT NULL,
    store          text        NOT NULL,
    currency       text        NOT NULL,
    campaign       text        NOT NULL,
    entity         text        NOT NULL,
    entries        bigint      NOT NULL,
    units          bigint      NOT NULL,
    worth_minor    numeric(38) NOT NULL,
    minor          numeric(38) NOT NULL,
    order_minor    numeric(38) NOT NULL,
    CONSTRAINT movement_days_pkey PRIMARY KEY (shard, effective_date, verb, source, destination, channel, store, currency,
        entity)
);

DROP VIEW v_balances, v_reversals, v_trial_balance, v_merchant_money, v_funder_money, v_campaign_money, v_money_balances,
    v_money_movements;

-- The balance of every account of the unit book, a campaign: what came in less what went out.
CREATE VIEW v_balances AS
SELECT commodity, account, sum(debit - credit)::bigint AS balance
FROM account_days
WHERE commodity LIKE 'coupon:%'
GROUP BY commodity, account;

-- Each side of each posting of the money book: debit is what came into the account, credit what went out of it. A manual
-- journal is of no campaign, unless it is about a shard of one.
CREATE VIEW v_money_movements AS
SELECT journals.id AS journal, journals.entity, journals.shard,
    CASE WHEN coalesce(journals.about, journals.shard) LIKE 'manual:%' THEN ''
        ELSE split_part(coalesce(journals.about, journals.shard), '/', 1) END AS campaign,
    journals.verb, journals.first_seq, journals.last_seq, journals.occurred_at, journals.effective_date,
    journals.original_date, journals.posted_at, postings.line, postings.commodity AS currency, side.account, side.debit,
    side.credit
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    VALUES (postings.destination, postings.amount, 0::numeric), (postings.source, 0::numeric, postings.amount)
) AS side (account, debit, credit)
WHERE postings.commodity NOT LIKE 'coupon:%';

-- What each account of the money book came to, a campaign and day of booking.
CREATE VIEW v_money_days AS
SELECT entity, CASE WHEN shard LIKE 'manual:%' THEN '' ELSE split_part(shard, '/', 1) END AS campaign, effective_date,
    commodity AS currency, account, sum(debit) AS debit, sum(credit) AS credit
FROM account_days
WHERE commodity NOT LIKE 'coupon:%'
GROUP BY entity, campaign, effective_date, currency, account;

-- The balance of every account of the money book in each currency, a legal entity; those of a currency sum to zero.
CREATE VIEW v_money_balances AS
SELECT entity, commodity AS currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM account_days
WHERE commodity NOT LIKE 'coupon:%'
GROUP BY entity, currency, account;

-- The same, a campaign.
CREATE VIEW v_campaign_money AS
SELECT entity, campaign, currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM v_money_days
GROUP BY entity, campaign, currency, account;

-- What each funder bears of each campaign: spent by redemptions, given back by rollbacks.
CREATE VIEW v_funder_money AS
SELECT substr(account, 19) AS funder, entity, campaign, currency, sum(debit) AS spent, sum(credit) AS given_back,
    sum(debit - credit) AS balance
FROM v_money_days
WHERE account LIKE 'expense:promotion:%'
GROUP BY funder, entity, campaign, currency;

-- What each merchant is owed for each campaign: discounts it gave, less those it took back. Empty: no merchant was named.
CREATE VIEW v_merchant_money AS
SELECT substr(account, 9) AS merchant, entity, campaign, currency, sum(credit) AS given, sum(debit) AS taken_back,
    sum(credit - debit) AS owed
FROM v_money_days
WHERE account = 'payable' OR account LIKE 'payable:%'
GROUP BY merchant, entity, campaign, currency;

-- The trial balance of each legal entity: the totals of each currency, whose debits and credits are the same.
CREATE VIEW v_trial_balance AS
SELECT entity, currency, account, greatest(balance, 0) AS debit, greatest(-balance, 0) AS credit
FROM v_money_balances
WHERE balance <> 0;

-- Each rollback with its journal, and the journal of the redemption that it gives back of: that of its verb and date
-- whose range it is in. Where a late record was booked inside the range of an earlier journal, the narrower one is its own.
CREATE VIEW v_reversals AS
SELECT rollbacks.shard, rollbacks.seq, back.journal, rollbacks.minor, rollbacks.redemption,
    redemptions.seq AS redeemed_seq, redeemed.journal AS reverses
FROM rollbacks
JOIN redemptions ON redemptions.id = rollbacks.redemption
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM coupon_entries AS entries
    JOIN journals USING (shard, effective_date)
    WHERE entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq AND journals.verb = 'rollback'
        AND entries.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS back ON true
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM coupon_entries AS entries
    JOIN journals USING (shard, effective_date)
    WHERE entries.shard = redemptions.shard AND entries.seq = redemptions.seq AND journals.verb = 'redeem'
        AND entries.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS redeemed ON true;

-- What each state change moved: its units, the most they may cost by the rules of its version, and what was given away or
-- back, in one currency; 0 where that is not the campaign's. movement_days is the sum of it.
CREATE VIEW v_coupon_movements AS
SELECT entries.shard, entries.seq, split_part(entries.shard, '/', 1) AS campaign, terms.entity, entries.effective_date,
    entries.at, entries.code, entries.state, moved.verb, moved.source, moved.destination,
    coalesce(entries.channel, coupons.channel, '') AS channel, coalesce(redemptions.store, '') AS store,
    coalesce(told.currency, terms.currency, '') AS currency, moved.units,
    CASE WHEN coalesce(told.currency, terms.currency) = terms.currency THEN terms.unit_minor * moved.units ELSE 0 END
        AS worth_minor,
    CASE WHEN entries.kind IN ('redeemed', 'rolled_back') THEN entries.minor ELSE 0 END AS minor,
    CASE WHEN entries.kind = 'redeemed' THEN coalesce(redemptions.order_minor, 0) ELSE 0 END AS order_minor
FROM coupon_entries AS entries
LEFT JOIN campaign_versions AS versions
    ON versions.campaign = split_part(entries.shard, '/', 1) AND versions.version = entries.version
LEFT JOIN coupons ON coupons.code = entries.code AND entries.state IS NOT NULL
LEFT JOIN redemptions ON redemptions.id = entries.ref AND entries.kind IN ('redeemed', 'rolled_back')
CROSS JOIN LATERAL (
    SELECT coalesce(nullif(versions.definition ->> 'legal_entity', ''), 'main') AS entity,
        substring(versions.definition ->> 'currency' FROM '^[A-Z]{3}$') AS currency,
        coalesce(CASE
            WHEN versions.definition #>> '{value,type}' = 'balance' OR (versions.definition #>> '{value,type}' = 'amount_off'
                AND (versions.definition #> '{value,every}') IS DISTINCT FROM 'true')
                THEN (versions.definition #>> '{value,minor}')::numeric
            ELSE (versions.definition #>> '{value,cap_minor}')::numeric
        END, 0) AS unit_minor
) AS terms
CROSS JOIN LATERAL (
    SELECT CASE WHEN entries.kind IN ('redeemed', 'rolled_back') THEN
        coalesce(nullif(entries.detail ->> 'currency', ''), nullif(entries.detail #>> '{order,currency}', '')) END AS currency
) AS told
CROSS JOIN LATERAL (
    SELECT
        CASE entries.kind WHEN 'claimed' THEN 'claim' WHEN 'issued' THEN 'issue'
            WHEN 'adjusted' THEN CASE WHEN entries.delta > 0 THEN 'restock' ELSE 'withdraw' END
            WHEN 'reserved' THEN 'reserve' WHEN 'released' THEN 'release' WHEN 'redeemed' THEN 'redeem'
            WHEN 'rolled_back' THEN 'rollback' WHEN 'expired' THEN 'expire' WHEN 'revoked' THEN 'revoke' END AS verb,
        CASE WHEN entries.kind IN ('claimed', 'issued') THEN 'stock'
            WHEN entries.kind <> 'adjusted' THEN coalesce(entries.source, '')
            WHEN entries.delta > 0 THEN 'supply' ELSE 'stock' END AS source,
        CASE WHEN entries.kind IN ('claimed', 'issued') THEN 'outstanding'
            WHEN entries.kind <> 'adjusted' THEN coalesce(entries.destination, '')
            WHEN entries.delta > 0 THEN 'stock' ELSE 'supply' END AS destination,
        CASE WHEN entries.kind = 'claimed' THEN 1 ELSE coalesce(entries.units, abs(entries.delta), 1) END AS units
) AS moved
WHERE entries.kind NOT IN ('published', 'attached') AND entries.delta IS DISTINCT FROM 0;

-- What is there already.
INSERT INTO account_days (shard, effective_date, commodity, account, entity, debit, credit)
SELECT shard, effective_date, commodity, side.account, entity, sum(side.debit), sum(side.credit)
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    VALUES (postings.destination, postings.amount, 0::numeric), (postings.source, 0::numeric, postings.amount)
) AS side (account, debit, credit)
GROUP BY shard, effective_date, commodity, side.account, entity;
INSERT INTO movement_days (shard, effective_date, verb, source, destination, channel, store, currency, campaign, entity,
    entries, units, worth_minor, minor, order_minor)
SELECT shard, effective_date, verb, source, destination, channel, store, currency, campaign, entity, count(*), sum(units),
    sum(worth_minor), sum(minor), sum(order_minor)
FROM v_coupon_movements
GROUP BY shard, effective_date, verb, source, destination, channel, store, currency, campaign, entity;

-- A month or a day of an entity: open where there is no row.
CREATE TABLE periods (
    entity     text        NOT NULL,
    kind       text        NOT NULL,
    starts     date        NOT NULL,
    ends       date        NOT NULL,  -- the last day of it
    state      text        NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT periods_pkey PRIMARY KEY (entity, kind, starts),
    CONSTRAINT periods_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT periods_kind_check CHECK (kind IN ('month', 'day')),
    CONSTRAINT periods_state_check CHECK (state IN ('open', 'hold', 'closed')),
    CONSTRAINT periods_ends_check CHECK (ends >= starts)
);

-- What a close was signed on: json and not jsonb, which keeps it as it was written. A period that was reopened and closed
-- again has several.
CREATE TABLE close_reports (
    id        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    entity    text        NOT NULL,
    kind      text        NOT NULL,
    starts    date        NOT NULL,
    report    json        NOT NULL,
    closed_by text        NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT close_reports_pkey PRIMARY KEY (id),
    CONSTRAINT close_reports_period_fkey FOREIGN KEY (entity, kind, starts) REFERENCES periods (entity, kind, starts)
);

-- A journal that a person makes and another one approves. lines is a list of {debit, credit, commodity, minor}.
CREATE TABLE manual_journals (
    id             text        NOT NULL,
    entity         text        NOT NULL,
    effective_date date        NOT NULL,
    about          text,
    reverses       bigint,
    reason         text        NOT NULL,
    attachment     text        NOT NULL DEFAULT '',
    lines          jsonb       NOT NULL,
    state          text        NOT NULL DEFAULT 'drafted',
    made_by        text        NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    checked_by     text,
    checked_at     timestamptz,
    refused        text,   -- why it was rejected, or could not be posted
    journal        bigint,
    CONSTRAINT manual_journals_pkey PRIMARY KEY (id),
    CONSTRAINT manual_journals_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT manual_journals_journal_fkey FOREIGN KEY (journal) REFERENCES journals (id),
    CONSTRAINT manual_journals_reverses_fkey FOREIGN KEY (reverses) REFERENCES journals (id),
    CONSTRAINT manual_journals_state_check CHECK (state IN ('drafted', 'approved', 'posted', 'rejected')),
    CONSTRAINT manual_journals_checker_check CHECK (checked_by IS DISTINCT FROM made_by)
);
CREATE INDEX manual_journals_approved_idx ON manual_journals (made_at) WHERE state = 'approved';
-- A journal is reversed once.
CREATE UNIQUE INDEX manual_journals_reverses_key ON manual_journals (reverses) WHERE state <> 'rejected';

-- One comparison of a shard in Redis with the books, at one seq.
CREATE TABLE stocktakes (
    id       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    shard    text        NOT NULL,
    seq      bigint      NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    asked_by text        NOT NULL,  -- 'clerk' where it was nobody
    figures  jsonb       NOT NULL,  -- figure -> [expected, found]
    sampled  jsonb       NOT NULL,  -- how many coupons and holders were compared field by field
    breaks   integer     NOT NULL,
    CONSTRAINT stocktakes_pkey PRIMARY KEY (id)
);
CREATE INDEX stocktakes_shard_idx ON stocktakes (shard, id DESC);

-- A break lives: open, explained, resolved. The drain's resolve themselves when the shard resumes.
DROP INDEX breaks_open_key;
ALTER TABLE breaks
    DROP CONSTRAINT breaks_kind_check,
    ADD CONSTRAINT breaks_kind_check CHECK (kind IN ('seq_gap', 'epoch_changed', 'behind', 'rules_missing',
        'shard_unreadable', 'rows_refused', 'figure', 'coupon', 'holder', 'outside')),
    ADD COLUMN figure text NOT NULL DEFAULT '',   -- which one: stock, reserved, …; a code or a holder
    ADD COLUMN likely text NOT NULL DEFAULT '',   -- what is likely
    ADD COLUMN seq bigint,
    ADD COLUMN state text NOT NULL DEFAULT 'open',
    ADD COLUMN explained_by text,
    ADD COLUMN explained_at timestamptz,
    ADD COLUMN explanation text,
    ADD COLUMN resolved_by text,
    ADD COLUMN resolution text,
    ADD COLUMN compensation text,                 -- the change that made it good: a manual journal, a stock adjustment
    ADD CONSTRAINT breaks_state_check CHECK (state IN ('open', 'explained', 'resolved')),
    ADD CONSTRAINT breaks_resolved_check CHECK ((state = 'resolved') = (resolved_at IS NOT NULL));
CREATE UNIQUE INDEX breaks_open_key ON breaks (shard, kind, figure) WHERE resolved_at IS NULL;

-- A file of orders or payments that another system has, to be matched with the redemptions by order. What a line's minor
-- is compared with says measure: the discount that was given, what of it did not come back, or what the order was worth.
CREATE TABLE outside_files (
    id         text        NOT NULL,
    name       text        NOT NULL,
    entity     text        NOT NULL,
    currency   text        NOT NULL,
    since      date        NOT NULL,
    until      date        NOT NULL,
    zone       text        NOT NULL,
    merchant   text,
    store      text,
    measure    text        NOT NULL,
    rows       bigint      NOT NULL,
    sha256     text        NOT NULL,
    uploaded_by text       NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outside_files_pkey PRIMARY KEY (id),
    CONSTRAINT outside_files_entity_fkey FOREIGN KEY (entity) REFERENCES legal_entities (id),
    CONSTRAINT outside_files_measure_check CHECK (measure IN ('discount', 'net', 'order')),
    CONSTRAINT outside_files_until_check CHECK (until >= since)
);
-- Its lines. No foreign key, because that would cost the COPY of a million lines a look-up each.
CREATE TABLE outside_rows (
    file     text   NOT NULL,
    line     bigint NOT NULL,
    order_id text   NOT NULL,
    minor    bigint NOT NULL,
    CONSTRAINT outside_rows_pkey PRIMARY KEY (file, line)
);
CREATE TABLE outside_runs (
    id      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    file    text        NOT NULL,
    ran_by  text        NOT NULL,
    ran_at  timestamptz NOT NULL DEFAULT now(),
    summary jsonb       NOT NULL,
    CONSTRAINT outside_runs_pkey PRIMARY KEY (id),
    CONSTRAINT outside_runs_file_fkey FOREIGN KEY (file) REFERENCES outside_files (id)
);
-- What a run found that does not match. here_minor or there_minor is null where the order is missing on that side.
CREATE TABLE outside_differences (
    run         bigint  NOT NULL,
    order_id    text    NOT NULL,
    outcome     text    NOT NULL,
    line        bigint,            -- the first of the order
    lines       bigint  NOT NULL,
    redemptions bigint  NOT NULL,
    here_minor  numeric(38),
    there_minor numeric(38),
    note        text    NOT NULL,
    CONSTRAINT outside_differences_pkey PRIMARY KEY (run, order_id),
    CONSTRAINT outside_differences_run_fkey FOREIGN KEY (run) REFERENCES outside_runs (id),
    CONSTRAINT outside_differences_outcome_check CHECK (outcome IN ('missing_here', 'missing_there', 'amount_differs',
        'duplicate'))
);

-- A report that is made in the background, in parts, so that another process goes on where one died.
CREATE TABLE exports (
    id           text        NOT NULL,
    key          text        NOT NULL,  -- its Idempotency-Key
    report       text        NOT NULL,
    format       text        NOT NULL,
    asked        jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    parts        integer     NOT NULL DEFAULT 0,
    rows         bigint      NOT NULL DEFAULT 0,   -- read from the books, in parts
    rows_about   bigint,                           -- as estimated at the start
    written      bigint      NOT NULL DEFAULT 0,   -- of them, into the file
    spool        jsonb       NOT NULL DEFAULT '{}',  -- the files that count, and of what books they are
    bytes        bigint,
    manifest     jsonb,
    failed       text,
    asked_by     text        NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    worker       text,
    tries        integer     NOT NULL DEFAULT 0,   -- since it last came further
    leased_until timestamptz,
    finished_at  timestamptz,
    CONSTRAINT exports_pkey PRIMARY KEY (id),
    CONSTRAINT exports_key UNIQUE (asked_by, key),
    CONSTRAINT exports_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'removed'))
);
CREATE INDEX exports_asked_idx ON exports (asked_at, id);
CREATE INDEX exports_open_idx ON exports (asked_at) WHERE state IN ('waiting', 'running');

CREATE TRIGGER close_reports_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON close_reports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stocktakes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stocktakes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER breaks_kept BEFORE DELETE OR TRUNCATE ON breaks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER manual_journals_kept BEFORE DELETE OR TRUNCATE ON manual_journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_days_kept BEFORE DELETE OR TRUNCATE ON account_days
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER movement_days_kept BEFORE DELETE OR TRUNCATE ON movement_days
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON v_balances, v_money_movements, v_money_days, v_money_balances, v_campaign_money, v_funder_money,
    v_merchant_money, v_trial_balance, v_reversals, v_coupon_movements TO fairclaim_reader, fairclaim_gateway,
    fairclaim_reconciler;
GRANT SELECT ON legal_entities, account_days, movement_days, periods, close_reports, manual_journals, stocktakes,
    outside_files, outside_rows, outside_runs, outside_differences, exports TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO fairclaim_clerk;
GRANT INSERT, UPDATE (debit, credit) ON account_days TO fairclaim_reconciler;
GRANT INSERT, UPDATE (entries, units, worth_minor, minor, order_minor) ON movement_days TO fairclaim_reconciler;
GRANT UPDATE (head, journals) ON legal_entities TO fairclaim_reconciler;
GRANT UPDATE (state, refused, journal) ON manual_journals TO fairclaim_reconciler;
GRANT UPDATE (state) ON breaks TO fairclaim_reconciler;
GRANT INSERT ON legal_entities, periods, close_reports, manual_journals, exports, outside_files, outside_rows,
    outside_runs, outside_differences, stocktakes, breaks TO fairclaim_gateway;
GRANT UPDATE (zone, closed_through) ON legal_entities TO fairclaim_gateway;
GRANT UPDATE (state, changed_by, changed_at) ON periods TO fairclaim_gateway;
GRANT UPDATE (state, checked_by, checked_at, refused) ON manual_journals TO fairclaim_gateway;
GRANT UPDATE (state, explained_by, explained_at, explanation, resolved_at, resolved_by, resolution, compensation)
    ON breaks TO fairclaim_gateway;
GRANT UPDATE (state, failed, finished_at) ON exports TO fairclaim_gateway;
GRANT INSERT ON stocktakes, breaks TO fairclaim_clerk;
GRANT UPDATE (state, parts, rows, rows_about, written, spool, bytes, manifest, failed, worker, tries, leased_until,
    finished_at) ON exports TO fairclaim_clerk;

-- For whoever brings a BI tool ------------------------------------------------------------------------

-- What fairclaim_analyst may read: views, whose names and columns stay as they are, and no table. None of them shows a
-- code, because a code is money to whoever has it; a coupon is told by its shard and the seq it was given out with.

-- A campaign as it is now; worst_minor is the most that one coupon can cost, null where nothing bounds it.
CREATE VIEW v_campaigns AS
SELECT id AS campaign, definition ->> 'name' AS name, state, coalesce(definition ->> 'legal_entity', 'main') AS entity,
    definition ->> 'currency' AS currency, definition #>> '{value,type}' AS kind,
    (CASE WHEN definition #>> '{value,type}' = 'balance' OR (definition #>> '{value,type}' = 'amount_off'
            AND definition #>> '{value,every}' IS DISTINCT FROM 'true')
        THEN definition #>> '{value,minor}' ELSE definition #>> '{value,cap_minor}' END)::bigint AS worst_minor,
    (definition ->> 'stock')::bigint AS initial_stock, (definition ->> 'starts_at')::timestamptz AS starts_at,
    (definition ->> 'ends_at')::timestamptz AS ends_at, definition ->> 'timezone' AS timezone, created_at
FROM campaigns;

-- How many decimal places the minor unit of each currency in use is away: 2 for EUR, 0 for JPY, 3 for KWD.
CREATE VIEW v_currencies AS
SELECT currency, CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF',
            'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        ELSE 2
    END AS decimals
FROM (SELECT DISTINCT definition ->> 'currency' AS currency FROM campaign_versions) AS used
WHERE currency IS NOT NULL;

-- A coupon as it stands. What is left is uses, or minor units of a balance; null is all of it. An empty holder: on paper.
CREATE VIEW v_coupons AS
SELECT campaign, shard, seq, holder, state, version, channel, claimed_at, expires_at, units, "left", reserved_until, batch
FROM coupons;

-- A state change in its order: from where to where units went, and the discount or what was given back of it.
CREATE VIEW v_state_changes AS
SELECT split_part(shard, '/', 1) AS campaign, shard, seq, kind, at, effective_date, version, holder, channel, state, source,
    destination, coalesce(units, CASE kind WHEN 'claimed' THEN 1 END, delta, 0) AS units, minor,
    CASE WHEN kind IN ('redeemed', 'rolled_back') THEN ref END AS redemption
FROM coupon_entries;

-- A redemption: what its order was worth, what it took off and how much of that came back, who gave it and where; and of
-- the coupon, when and in which channel it was claimed.
CREATE VIEW v_redemptions AS
SELECT redemptions.id AS redemption, redemptions.campaign, redemptions.shard, redemptions.seq, redemptions.redeemed_at,
    entries.effective_date, redemptions.order_id, redemptions.stack, redemptions.currency, redemptions.order_minor,
    redemptions.minor AS discount_minor, redemptions.rolled_back_minor,
    redemptions.minor - redemptions.rolled_back_minor AS net_minor, redemptions.merchant, redemptions.store,
    redemptions.staff, redemptions.channel, redemptions.holder, coupons.channel AS claim_channel, coupons.claimed_at,
    coupons.seq AS coupon_seq, coupons.batch
FROM redemptions
LEFT JOIN coupon_entries AS entries ON entries.shard = redemptions.shard AND entries.seq = redemptions.seq
LEFT JOIN coupons ON coupons.code = redemptions.code;

-- Who bears a redemption, funder by funder.
CREATE VIEW v_redemption_funders AS
SELECT redemptions.id AS redemption, redemptions.campaign, redemptions.redeemed_at, redemptions.currency,
    funder ->> 'account' AS funder, (funder ->> 'minor')::bigint AS minor
FROM redemptions
CROSS JOIN LATERAL jsonb_array_elements(redemptions.funders) AS funder;

-- One part of a redemption, or all of it, that was given back.
CREATE VIEW v_rollbacks AS
SELECT rollbacks.redemption, redemptions.campaign, rollbacks.shard, rollbacks.seq, rollbacks.at, entries.effective_date,
    redemptions.currency, rollbacks.minor, rollbacks.reason, redemptions.merchant, redemptions.store
FROM rollbacks
LEFT JOIN redemptions ON redemptions.id = rollbacks.redemption
LEFT JOIN coupon_entries AS entries ON entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq;

-- What state changes moved on a day: the quick way to any count or sum of them.
CREATE VIEW v_daily_movements AS
SELECT effective_date, entity, campaign, shard, verb, source, destination, channel, store, currency, entries, units,
    worth_minor, minor, order_minor
FROM movement_days;

-- What each account of both books came to on a day; the commodity is a currency, or coupon:<campaign> of the unit book.
CREATE VIEW v_daily_accounts AS
SELECT effective_date, entity, CASE WHEN shard LIKE 'manual:%' THEN '' ELSE split_part(shard, '/', 1) END AS campaign, shard,
    commodity, commodity NOT LIKE 'coupon:%' AS is_money, account, debit, credit
FROM account_days;

-- A journal; late ones have the date they are of in original_date.
CREATE VIEW v_journals AS
SELECT id AS journal, entity, CASE WHEN coalesce(about, shard) LIKE 'manual:%' THEN ''
        ELSE split_part(coalesce(about, shard), '/', 1) END AS campaign, shard, verb, first_seq, last_seq, occurred_at,
    effective_date, original_date, posted_at, reverses, ref, reason, encode(hash, 'hex') AS hash
FROM journals;

-- Months and days of each legal entity that were ever on hold or closed.
CREATE VIEW v_periods AS
SELECT entity, kind, starts, ends, state, changed_by, changed_at FROM periods;

-- What was not as the books expected, and what became of it; without what may tell a code.
CREATE VIEW v_breaks AS
SELECT id, shard, split_part(shard, '/', 1) AS campaign, kind, CASE WHEN kind <> 'coupon' THEN figure END AS figure, likely,
    CASE WHEN kind NOT IN ('coupon', 'rows_refused') THEN expected END AS expected,
    CASE WHEN kind NOT IN ('coupon', 'rows_refused') THEN found END AS found, seq, state,
    detected_at, explained_by, explained_at, explanation, resolved_by, resolved_at, resolution, compensation
FROM breaks;

GRANT SELECT ON v_campaigns, v_currencies, v_coupons, v_state_changes, v_redemptions, v_redemption_funders, v_rollbacks,
    v_daily_movements, v_daily_accounts, v_journals, v_periods, v_breaks
    TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
GRANT SELECT ON v_campaigns, v_currencies, v_coupons, v_state_changes, v_redemptions, v_redemption_funders, v_rollbacks,
    v_daily_movements, v_daily_accounts, v_journals, v_periods, v_breaks, v_balances, v_money_movements, v_money_balances,
    v_campaign_money, v_funder_money, v_merchant_money, v_trial_balance, v_reversals
    TO fairclaim_analyst;
