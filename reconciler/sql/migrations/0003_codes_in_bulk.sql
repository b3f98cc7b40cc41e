-- Codes in the hands of people: made in bulk, shared by many, brought from elsewhere; and the revocation of many.

-- A request for codes and how far it is. parts is a list of {"next", "issued"}, one a shard; flight is the one chunk
-- that may be on its way to Redis, {"shard", "chunk", "count"}: written down before it is sent.
CREATE TABLE code_batches (
    id           text        NOT NULL,
    campaign     text        NOT NULL,
    key          text        NOT NULL,
    asked        bytea       NOT NULL,  -- SHA-256 of the request: the key stands for one
    kind         text        NOT NULL,
    code         text,                  -- the shared one, as it was asked for
    count        integer     NOT NULL,
    units        integer     NOT NULL,  -- of each code: its uses
    expires_at   timestamptz NOT NULL,
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    reason       text,                  -- the problem it waits for or was stopped by
    parts        jsonb       NOT NULL,
    flight       jsonb,
    done         integer     NOT NULL DEFAULT 0,
    refused      integer     NOT NULL DEFAULT 0,  -- lines of an import that gave no code
    rate         real        NOT NULL DEFAULT 0,  -- codes a second, lately
    cancelled_by text,
    worker       text,                  -- whose it is until leased_until
    leased_until timestamptz,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT code_batches_pkey PRIMARY KEY (id),
    CONSTRAINT code_batches_key_key UNIQUE (campaign, key),
    CONSTRAINT code_batches_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id),
    CONSTRAINT code_batches_asked_check CHECK (octet_length(asked) = 32),
    CONSTRAINT code_batches_kind_check CHECK (kind IN ('single', 'shared', 'imported')),
    CONSTRAINT code_batches_count_check CHECK (count >= 0 AND units >= 1 AND done BETWEEN 0 AND count),
    CONSTRAINT code_batches_state_check CHECK (state IN ('pending', 'running', 'done', 'cancelled', 'stopped'))
);
CREATE INDEX code_batches_open_idx ON code_batches (requested_at) WHERE state IN ('pending', 'running');
CREATE INDEX code_batches_campaign_idx ON code_batches (campaign, requested_at DESC, id);

-- Codes that do not say of themselves where they are: shared and imported ones, each of one campaign only.
CREATE TABLE named_codes (
    code        text        NOT NULL,  -- upper case, without hyphens and blanks
    shown       text        NOT NULL,
    campaign    text        NOT NULL,
    batch       text        NOT NULL,
    line        integer     NOT NULL,
    shard       integer,               -- once it is on its way there
    chunk       integer,
    state       text        NOT NULL DEFAULT 'pending',  -- taken: Redis has it already; free: never issued, to be had again
    CONSTRAINT named_codes_pkey PRIMARY KEY (code),
    CONSTRAINT named_codes_batch_fkey FOREIGN KEY (batch) REFERENCES code_batches (id),
    CONSTRAINT named_codes_state_check CHECK (state IN ('pending', 'issued', 'taken', 'free'))
);
CREATE INDEX named_codes_batch_idx ON named_codes (batch, line);
CREATE INDEX named_codes_pending_idx ON named_codes (batch, line) WHERE state = 'pending';

-- A line of an import that gave no code, and why not.
CREATE TABLE import_refusals (
    batch       text        NOT NULL,
    line        integer     NOT NULL,
    code        text        NOT NULL,
    problem     text        NOT NULL,
    CONSTRAINT import_refusals_pkey PRIMARY KEY (batch, line),
    CONSTRAINT import_refusals_batch_fkey FOREIGN KEY (batch) REFERENCES code_batches (id)
);

-- A request to revoke many coupons. until maps shard to seq: what was out when it was asked for. The books have to be at
-- books (the same form) before a pass through them begins; place is where the pass is.
CREATE TABLE revocations (
    id           text        NOT NULL,
    campaign     text,
    holder       text,
    reason       text        NOT NULL,
    key          text        NOT NULL,
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    waits_for    text,                  -- the problem it waits for
    until        jsonb,
    books        jsonb,
    place        jsonb,
    pass         integer     NOT NULL DEFAULT 1,
    pass_revoked bigint      NOT NULL DEFAULT 0,
    looked_at    bigint      NOT NULL DEFAULT 0,
    revoked      bigint      NOT NULL DEFAULT 0,
    worker       text,
    leased_until timestamptz,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT revocations_pkey PRIMARY KEY (id),
    CONSTRAINT revocations_key_key UNIQUE (key),
    CONSTRAINT revocations_scope_check CHECK (campaign IS NOT NULL OR holder IS NOT NULL),
    CONSTRAINT revocations_state_check CHECK (state IN ('pending', 'running', 'done'))
);
CREATE INDEX revocations_open_idx ON revocations (requested_at) WHERE state IN ('pending', 'running');

GRANT SELECT ON code_batches, named_codes, import_refusals, revocations TO fairclaim_reader, fairclaim_gateway,
    fairclaim_reconciler;
GRANT INSERT ON code_batches, named_codes, import_refusals, revocations TO fairclaim_gateway;
GRANT UPDATE (state, reason, parts, flight, count, done, refused, rate, cancelled_by, worker, leased_until, started_at,
    finished_at) ON code_batches TO fairclaim_gateway;
GRANT UPDATE (shown, campaign, batch, line, shard, chunk, state) ON named_codes TO fairclaim_gateway;
GRANT UPDATE (state, waits_for, until, books, place, pass, pass_revoked, looked_at, revoked, worker, leased_until,
    started_at, finished_at) ON revocations TO fairclaim_gateway;
