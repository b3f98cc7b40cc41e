-- Several codes redeemed as one, written down before Redis is touched, so that whoever comes after a crash finishes it
-- or undoes it. items is a list of {"code", "redemption", "discount", "reason", "answer"}, one a code.
CREATE TABLE stacks (
    id           text        NOT NULL,
    key          text        NOT NULL,  -- hash of who asked and his Idempotency-Key
    scope        text        NOT NULL,  -- hash of the order and the codes: an order does it once, whatever the key
    payload      text        NOT NULL,  -- hash of what was asked: the key stands for one
    actor        text        NOT NULL,
    body         jsonb       NOT NULL,
    items        jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'holding',
    refused      jsonb,                 -- why it was undone
    requested_at timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stacks_pkey PRIMARY KEY (id),
    CONSTRAINT stacks_state_check CHECK (state IN ('holding', 'committing', 'done', 'undoing', 'undone'))
);
CREATE UNIQUE INDEX stacks_key_key ON stacks (key) WHERE state <> 'undone';
CREATE INDEX stacks_scope_idx ON stacks (scope, requested_at) WHERE state = 'done';
CREATE INDEX stacks_open_idx ON stacks (updated_at) WHERE state IN ('holding', 'committing', 'undoing');

GRANT SELECT ON stacks TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler;
GRANT INSERT ON stacks TO fairclaim_gateway;
GRANT UPDATE (items, state, refused, updated_at) ON stacks TO fairclaim_gateway;
