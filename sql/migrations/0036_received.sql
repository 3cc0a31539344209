-- What programs sent, as the port told the database of it, and parts of it that could not be stored or
-- described: dead letters, until they came in after all.

CREATE TABLE received_request (
    request_id text PRIMARY KEY CHECK (request_id ~ '^[0-9a-f]{32}$'),
    account text NOT NULL,
    owner text NOT NULL,
    source text NOT NULL,
    accept_time timestamptz NOT NULL,
    keys bytea NOT NULL CHECK (octet_length(keys) % 32 = 0),
    about text NOT NULL,
    batch text,
    first_place integer NOT NULL DEFAULT 0,
    outcome text CHECK (outcome IN ('described', 'failed'))
);
-- The newest of an account, and of all; the oldest are forgotten.
CREATE INDEX received_request_account ON received_request (account, accept_time);
CREATE INDEX received_request_accept_time ON received_request (accept_time);
-- Those of a window.
CREATE INDEX received_request_batch ON received_request (batch);
-- Those of which nobody knows yet what became, and those that are gathered still.
CREATE INDEX received_request_open ON received_request (batch) WHERE outcome IS NULL;
COMMENT ON TABLE received_request IS 'Requests with data that the port accepted';
COMMENT ON COLUMN received_request.request_id IS 'As its sender was told';
COMMENT ON COLUMN received_request.account IS 'Who sent it';
COMMENT ON COLUMN received_request.owner IS 'Whose its parts are, where that is another; else empty';
COMMENT ON COLUMN received_request.source IS 'What the sender calls where it is from';
COMMENT ON COLUMN received_request.accept_time IS 'When it was durable on the SSD';
COMMENT ON COLUMN received_request.keys IS 'The SHA-256 of its parts, one after the other: objects, then files';
COMMENT ON COLUMN received_request.about IS 'What was said with it, and its files, as JSON';
COMMENT ON COLUMN received_request.batch IS 'The ingest batch of its window; NULL while that is gathered';
COMMENT ON COLUMN received_request.first_place IS 'The place of its first part in the window';
COMMENT ON COLUMN received_request.outcome IS 'described or failed; NULL while nobody knows';

CREATE TABLE received_progress (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    sequence bigint NOT NULL
);
COMMENT ON TABLE received_progress IS 'How far the journal of requests was told: one row, or none at the beginning';
COMMENT ON COLUMN received_progress.only_one IS 'Always true';
COMMENT ON COLUMN received_progress.sequence IS 'The last record that was told';

CREATE TABLE dead_letter (
    letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL REFERENCES received_request (request_id) ON DELETE CASCADE,
    place integer NOT NULL CHECK (place >= 0),
    batch text NOT NULL,
    path text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replaying', 'done')),
    reason text NOT NULL,
    failures integer NOT NULL DEFAULT 1,
    fail_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (request_id, place)
);
-- Those that did not come in, by the batch that they are in: few among many that did.
CREATE INDEX dead_letter_not_done ON dead_letter (batch) WHERE state <> 'done';
COMMENT ON TABLE dead_letter IS 'Parts of requests that were not stored or described';
COMMENT ON COLUMN dead_letter.letter_id IS 'Surrogate key';
COMMENT ON COLUMN dead_letter.request_id IS 'The request';
COMMENT ON COLUMN dead_letter.place IS 'The part, counted from 0';
COMMENT ON COLUMN dead_letter.batch IS 'The ingest batch that it is in now: that of its window, or of a replay';
COMMENT ON COLUMN dead_letter.path IS 'Its path in there';
COMMENT ON COLUMN dead_letter.state IS 'open, replaying while its new batch comes in, done when that is described';
COMMENT ON COLUMN dead_letter.reason IS 'Why it failed the last time';
COMMENT ON COLUMN dead_letter.failures IS 'How often it failed';
COMMENT ON COLUMN dead_letter.fail_time IS 'When it failed the last time';

-- Folders of the inbox whose parts came in by another batch: they are removed when all of them did.
CREATE TABLE replaced_batch (
    batch text NOT NULL,
    letter_id bigint NOT NULL REFERENCES dead_letter (letter_id) ON DELETE CASCADE,
    PRIMARY KEY (letter_id, batch)
);
COMMENT ON TABLE replaced_batch IS 'Batches that a dead letter was in before it was replayed';
COMMENT ON COLUMN replaced_batch.batch IS 'The batch, whose folder has the part still';
COMMENT ON COLUMN replaced_batch.letter_id IS 'The dead letter';

-- What a batch failed of: the last run of its name.
CREATE INDEX run_in_vain ON run (run_key, run_id) WHERE state IN ('failed', 'cancelled');

ALTER TABLE event ADD COLUMN account text;
COMMENT ON COLUMN event.account IS 'Who alone reads it, beside admins; NULL for everybody';
