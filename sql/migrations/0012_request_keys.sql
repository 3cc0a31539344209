-- Requests that carry a key are done once: whoever got no answer asks again and learns what came of it.

CREATE TABLE request_key (
    account text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    operation text NOT NULL,
    request_sha256 bytea NOT NULL CHECK (length(request_sha256) = 32),
    holder text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    done_time timestamptz,
    answer text,
    PRIMARY KEY (account, key),
    CHECK (answer IS NULL OR done_time IS NOT NULL)
);
-- The oldest are forgotten first.
CREATE INDEX request_key_create_time ON request_key (create_time);
COMMENT ON TABLE request_key IS 'Changes that were asked for with an Idempotency-Key, kept for a day';
COMMENT ON COLUMN request_key.account IS 'Who asked; keys of others are other keys';
COMMENT ON COLUMN request_key.key IS 'The key, as it was sent';
COMMENT ON COLUMN request_key.operation IS 'What was asked for, such as run.start';
COMMENT ON COLUMN request_key.request_sha256 IS 'Of the checked request: the same key with another one is refused';
COMMENT ON COLUMN request_key.holder IS 'The process that does it, or did';
COMMENT ON COLUMN request_key.create_time IS 'When it was first asked for';
COMMENT ON COLUMN request_key.done_time IS 'When it was done, written by the transaction that did it; NULL before';
COMMENT ON COLUMN request_key.answer IS 'The answer as JSON; NULL until it is known, or when the process died before it was written';
