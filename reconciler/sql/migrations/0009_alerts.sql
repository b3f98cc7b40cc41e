-- What somebody should know of before customers do: alerts, how far is too far, who is told, and what was sent.

-- subject is a campaign, or empty for the system as a whole; figure and worst are in unit, as threshold is. Of one kind and
-- subject one alert is open at most. about is what else there is to say: names and figures.
CREATE TABLE alerts (
    id              bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind            text             NOT NULL,
    subject         text             NOT NULL,
    severity        text             NOT NULL,
    figure          double precision NOT NULL,
    worst           double precision NOT NULL,
    threshold       double precision NOT NULL,
    unit            text             NOT NULL,
    about           jsonb            NOT NULL DEFAULT '{}',
    raised_at       timestamptz      NOT NULL DEFAULT now(),
    seen_at         timestamptz      NOT NULL DEFAULT now(),
    cleared_at      timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    note            text,
    CONSTRAINT alerts_pkey PRIMARY KEY (id),
    CONSTRAINT alerts_severity_check CHECK (severity IN ('critical', 'warning', 'info')),
    CONSTRAINT alerts_acknowledged_check CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL)),
    CONSTRAINT alerts_note_check CHECK (note IS NULL OR char_length(note) <= 500)
);
CREATE UNIQUE INDEX alerts_open_key ON alerts (kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alerts_subject_idx ON alerts (subject, id DESC);

-- A threshold that somebody chose, of one campaign or (campaign is empty) of all there is. Without a value it is the default.
CREATE TABLE alert_thresholds (
    kind       text             NOT NULL,
    campaign   text             NOT NULL DEFAULT '',
    value      double precision,
    is_off     boolean          NOT NULL DEFAULT false,
    changed_by text             NOT NULL,
    changed_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT alert_thresholds_pkey PRIMARY KEY (kind, campaign),
    CONSTRAINT alert_thresholds_value_check CHECK (value >= 0)
);

-- Who is told. secret signs what is sent to a webhook, and so does old_secret until it ends. No kinds are all kinds.
CREATE TABLE alert_receivers (
    id            text        NOT NULL,
    by            text        NOT NULL,
    name          text        NOT NULL,
    address       text        NOT NULL,
    kinds         text[]      NOT NULL DEFAULT '{}',
    secret        text        NOT NULL DEFAULT '',
    old_secret    text        NOT NULL DEFAULT '',
    old_until     timestamptz,
    state         text        NOT NULL DEFAULT 'on',
    reason        text,                              -- why it was turned off by itself
    failing_since timestamptz,
    last_sent_at  timestamptz,
    last_error    text,
    made_by       text        NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT now(),
    changed_by    text        NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_receivers_pkey PRIMARY KEY (id),
    CONSTRAINT alert_receivers_by_check CHECK (by IN ('webhook', 'email')),
    CONSTRAINT alert_receivers_state_check CHECK (state IN ('on', 'off', 'failed', 'removed')),
    CONSTRAINT alert_receivers_secret_check CHECK ((by = 'webhook') = (secret <> ''))
);

-- One event on its way to one receiver. The id is what the receiver tells repetitions by; payload is sent as it is here.
CREATE TABLE alert_deliveries (
    id           text        NOT NULL,
    receiver     text        NOT NULL,
    alert        bigint,                             -- none of a trial
    type         text        NOT NULL,
    payload      text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    tries        integer     NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    error        text,
    made_at      timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    CONSTRAINT alert_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT alert_deliveries_receiver_fkey FOREIGN KEY (receiver) REFERENCES alert_receivers (id),
    CONSTRAINT alert_deliveries_alert_fkey FOREIGN KEY (alert) REFERENCES alerts (id),
    CONSTRAINT alert_deliveries_state_check CHECK (state IN ('pending', 'sent', 'failed', 'dropped'))
);
CREATE INDEX alert_deliveries_due_idx ON alert_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX alert_deliveries_alert_idx ON alert_deliveries (alert, made_at);

-- Whose watch it is: one worker looks, until its time is over.
CREATE TABLE alert_watch (
    one    boolean     NOT NULL DEFAULT true,
    worker text        NOT NULL DEFAULT '',
    until  timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT alert_watch_pkey PRIMARY KEY (one),
    CONSTRAINT alert_watch_one_check CHECK (one)
);
INSERT INTO alert_watch DEFAULT VALUES;

CREATE TRIGGER alerts_kept BEFORE DELETE OR TRUNCATE ON alerts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER alert_receivers_kept BEFORE DELETE OR TRUNCATE ON alert_receivers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON alerts, alert_thresholds, alert_deliveries, alert_watch
    TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
-- Nobody else reads the receivers: their addresses and secrets are nothing for reports.
GRANT SELECT ON alert_receivers TO fairclaim_gateway;
GRANT INSERT ON alerts, alert_thresholds, alert_receivers, alert_deliveries TO fairclaim_gateway;
GRANT UPDATE (figure, worst, about, seen_at, cleared_at, acknowledged_by, acknowledged_at, note) ON alerts TO fairclaim_gateway;
GRANT UPDATE (value, is_off, changed_by, changed_at) ON alert_thresholds TO fairclaim_gateway;
GRANT UPDATE (secret, old_secret, old_until, state, reason, failing_since, last_sent_at, last_error, changed_by, changed_at)
    ON alert_receivers TO fairclaim_gateway;
GRANT UPDATE (state, tries, next_at, leased_until, error, ended_at) ON alert_deliveries TO fairclaim_gateway;
GRANT UPDATE (worker, until) ON alert_watch TO fairclaim_gateway;
