-- What moves money and takes two people.

-- asked is the request, before what it would change as it was then; outcome is what became of it. A proposal is decided by
-- somebody else than who made it, told by name: maker_name and checker_name are the names as they are compared.
CREATE TABLE proposals (
    id           text        NOT NULL,
    kind         text        NOT NULL,
    subject      text        NOT NULL,
    asked        jsonb       NOT NULL,
    before       jsonb       NOT NULL,
    reason       text        NOT NULL,
    maker        text        NOT NULL,
    maker_name   text        NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    state        text        NOT NULL DEFAULT 'pending',
    checker      text,
    checker_name text,
    decided_at   timestamptz,
    said         text,
    outcome      jsonb,
    CONSTRAINT proposals_pkey PRIMARY KEY (id),
    CONSTRAINT proposals_kind_check
        CHECK (kind IN ('campaign_change', 'stock_adjustment', 'revocation', 'period_reopening')),
    CONSTRAINT proposals_state_check
        CHECK (state IN ('pending', 'approved', 'applied', 'failed', 'rejected', 'withdrawn', 'expired')),
    CONSTRAINT proposals_checker_check CHECK (checker_name IS DISTINCT FROM maker_name),
    CONSTRAINT proposals_checked_check
        CHECK ((checker_name IS NOT NULL) = (state IN ('approved', 'applied', 'failed', 'rejected')))
);
-- One of a kind waits for the same thing at most.
CREATE UNIQUE INDEX proposals_waiting_key ON proposals (kind, subject) WHERE state IN ('pending', 'approved');
CREATE INDEX proposals_made_idx ON proposals (made_at DESC, id DESC);
CREATE INDEX proposals_expiring_idx ON proposals (expires_at) WHERE state = 'pending';

CREATE TRIGGER proposals_kept BEFORE DELETE OR TRUNCATE ON proposals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON proposals TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler, fairclaim_clerk;
GRANT INSERT ON proposals TO fairclaim_gateway;
GRANT UPDATE (state, checker, checker_name, decided_at, said, outcome) ON proposals TO fairclaim_gateway;
