-- People who sign in to the console.

-- password is argon2id as its library writes it, parameters and salt within. stamp is in every session of this person: with
-- a new one all of them are over. An empty language, theme or zone is as the browser has it.
CREATE TABLE users (
    name         text        NOT NULL,
    display      text        NOT NULL,
    roles        text[]      NOT NULL,
    password     text        NOT NULL,
    stamp        text        NOT NULL,
    must_change  boolean     NOT NULL,
    language     text        NOT NULL DEFAULT '',
    theme        text        NOT NULL DEFAULT '',
    zone         text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text        NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    changed_by   text        NOT NULL,
    disabled_at  timestamptz,
    disabled_by  text,
    CONSTRAINT users_pkey PRIMARY KEY (name),
    CONSTRAINT users_name_check CHECK (name ~ '^[a-z0-9._-]{1,64}$'),
    CONSTRAINT users_display_check CHECK (char_length(display) BETWEEN 1 AND 100),
    CONSTRAINT users_roles_check CHECK (cardinality(roles) > 0
        AND roles <@ ARRAY['admin', 'marketer', 'store', 'finance', 'auditor', 'operator']),
    CONSTRAINT users_password_check CHECK (password LIKE '$argon2id$%'),
    CONSTRAINT users_theme_check CHECK (theme IN ('', 'light', 'dark')),
    CONSTRAINT users_disabled_check CHECK ((disabled_at IS NULL) = (disabled_by IS NULL))
);
CREATE TRIGGER users_kept BEFORE DELETE OR TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Nobody else reads it: what a password is checked with is nothing for reports.
GRANT SELECT, INSERT ON users TO fairclaim_gateway;
GRANT UPDATE (display, roles, password, stamp, must_change, language, theme, zone, changed_at, changed_by, disabled_at,
    disabled_by) ON users TO fairclaim_gateway;
