-- People who use the browser's side: who they are, what they may do, and what they keep there.
-- Secrets are never here: of passwords an argon2 hash, of sessions and tokens a sha256.

CREATE TABLE app_user (
    user_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Compared as written; the rule for names keeps look-alikes out.
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    role text NOT NULL CHECK (role IN ('admin', 'operator', 'labeller', 'viewer')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    is_disabled boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    password_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE app_user IS 'People who may log in';
COMMENT ON COLUMN app_user.user_id IS 'Surrogate key';
COMMENT ON COLUMN app_user.name IS 'The name to log in with, lower case';
COMMENT ON COLUMN app_user.role IS 'viewer looks, labeller also labels, operator also starts and stops work, admin also manages people';
COMMENT ON COLUMN app_user.password_hash IS 'argon2id, with its parameters and salt';
COMMENT ON COLUMN app_user.is_disabled IS 'May not log in; what the person did stays';
COMMENT ON COLUMN app_user.create_time IS 'When the person was added';
COMMENT ON COLUMN app_user.password_time IS 'When the password was last set';

CREATE TABLE user_session (
    session_hash bytea PRIMARY KEY CHECK (octet_length(session_hash) = 32),
    user_id integer NOT NULL REFERENCES app_user (user_id) ON DELETE CASCADE,
    create_time timestamptz NOT NULL DEFAULT now(),
    seen_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz NOT NULL CHECK (expire_time > create_time),
    address text NOT NULL,
    browser text NOT NULL CHECK (octet_length(browser) <= 400)
);
-- Disabling somebody, or a new password, ends all sessions of that person.
CREATE INDEX user_session_user_id ON user_session (user_id);
COMMENT ON TABLE user_session IS 'Browsers that are logged in';
COMMENT ON COLUMN user_session.session_hash IS 'sha256 of the cookie: who reads this table cannot use it';
COMMENT ON COLUMN user_session.user_id IS 'Who logged in';
COMMENT ON COLUMN user_session.create_time IS 'When';
COMMENT ON COLUMN user_session.seen_time IS 'When it was last used, to the minute';
COMMENT ON COLUMN user_session.expire_time IS 'When it ends, whatever happens';
COMMENT ON COLUMN user_session.address IS 'From where';
COMMENT ON COLUMN user_session.browser IS 'What the browser calls itself, shortened';

CREATE TABLE api_token (
    token_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES app_user (user_id) ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    role text NOT NULL CHECK (role IN ('admin', 'operator', 'labeller', 'viewer')),
    -- Every request of a script asks for it.
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz,
    used_time timestamptz,
    -- A person tells tokens apart by their names.
    UNIQUE (user_id, name)
);
COMMENT ON TABLE api_token IS 'What scripts show in place of a password';
COMMENT ON COLUMN api_token.token_id IS 'Surrogate key';
COMMENT ON COLUMN api_token.user_id IS 'Whose it is';
COMMENT ON COLUMN api_token.name IS 'What it is for';
COMMENT ON COLUMN api_token.role IS 'What it may do at most; never more than its owner';
COMMENT ON COLUMN api_token.token_hash IS 'sha256 of the token';
COMMENT ON COLUMN api_token.create_time IS 'When it was made';
COMMENT ON COLUMN api_token.expire_time IS 'When it ends; NULL for never';
COMMENT ON COLUMN api_token.used_time IS 'When it was last used, to the minute; NULL for never';

CREATE TABLE login_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (octet_length(name) <= 400),
    address text NOT NULL,
    attempt_time timestamptz NOT NULL DEFAULT now(),
    is_successful boolean NOT NULL DEFAULT false
);
-- How often it went wrong lately, for this name, and with which addresses.
CREATE INDEX login_attempt_name ON login_attempt (name, attempt_time);
-- The same for an address that tries many names.
CREATE INDEX login_attempt_address ON login_attempt (address, attempt_time);
-- The old ones are removed by time alone.
CREATE INDEX login_attempt_time ON login_attempt (attempt_time);
COMMENT ON TABLE login_attempt IS 'Attempts to log in of the last day, so that guessing is slow';
COMMENT ON COLUMN login_attempt.attempt_id IS 'Surrogate key';
COMMENT ON COLUMN login_attempt.name IS 'The name that was tried, shortened; it need not exist';
COMMENT ON COLUMN login_attempt.address IS 'From where';
COMMENT ON COLUMN login_attempt.attempt_time IS 'When';
COMMENT ON COLUMN login_attempt.is_successful IS 'Whether the password was right; false while it is being checked';

CREATE TABLE saved_view (
    saved_view_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL REFERENCES app_user (user_id) ON DELETE CASCADE,
    page text NOT NULL CHECK (page ~ '^[a-z]{1,40}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    query text NOT NULL CHECK (octet_length(query) <= 65536),
    is_shared boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- Saving under a known name replaces it; also lists the views of a person on a page.
    UNIQUE (user_id, page, name)
);
COMMENT ON TABLE saved_view IS 'Filters of a page that somebody gave a name';
COMMENT ON COLUMN saved_view.saved_view_id IS 'Surrogate key';
COMMENT ON COLUMN saved_view.user_id IS 'Whose it is';
COMMENT ON COLUMN saved_view.page IS 'The page it belongs to, such as explorer';
COMMENT ON COLUMN saved_view.name IS 'Its name';
COMMENT ON COLUMN saved_view.query IS 'The filters, as they stand in the address';
COMMENT ON COLUMN saved_view.is_shared IS 'Whether everybody sees it';
COMMENT ON COLUMN saved_view.create_time IS 'When it was saved last';
