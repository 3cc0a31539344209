-- One quarantine, and each row has one owner: an ingest batch, or a run of an action.
ALTER TABLE quarantine RENAME COLUMN replayed_time TO replay_time;
ALTER TABLE quarantine
    ALTER COLUMN ingest_batch_id DROP NOT NULL,
    ADD COLUMN action_event_id bigint REFERENCES action_event (id),
    ADD COLUMN part integer NOT NULL DEFAULT 0 CHECK (part >= 0),
    ADD COLUMN node_id bigint REFERENCES node (node_id),
    ADD COLUMN store_batch text,
    ADD COLUMN owner bigint GENERATED ALWAYS AS (coalesce(ingest_batch_id, -action_event_id)) STORED,
    DROP CONSTRAINT quarantine_ingest_batch_id_path_record_number_key,
    -- Reading the same folder or outputs again finds the same bad rows.
    ADD CONSTRAINT quarantine_owner_part_path_record_number_key UNIQUE (owner, part, path, record_number),
    ADD CONSTRAINT quarantine_has_one_owner CHECK (num_nonnulls(ingest_batch_id, action_event_id) = 1);

INSERT INTO quarantine (
    action_event_id, part, path, record_number, node_id, reason, sha256, store_batch, quarantine_time,
    replay_time
)
SELECT action_event_id, part, path, record_number, node_id, reason, sha256, store_batch, quarantine_time,
    replay_time
FROM action_quarantine ORDER BY action_quarantine_id;
DROP TABLE action_quarantine;

COMMENT ON TABLE quarantine IS 'What could not be understood, of a scraped folder or of the outputs of an action; its bytes are in the store';
COMMENT ON COLUMN quarantine.ingest_batch_id IS 'The batch it came with; NULL for outputs of an action';
COMMENT ON COLUMN quarantine.action_event_id IS 'The run that wrote it; NULL for what came with a batch';
COMMENT ON COLUMN quarantine.owner IS 'The number of the batch, or of the run as a negative one';
COMMENT ON COLUMN quarantine.part IS 'The part of the run; 0 for a batch';
COMMENT ON COLUMN quarantine.path IS 'Path in the batch, or below the output folder; printable';
COMMENT ON COLUMN quarantine.node_id IS 'The input that it is about; NULL where that is unknown';
COMMENT ON COLUMN quarantine.sha256 IS 'Key of the file in the store; NULL for what is no file, or too large to keep';
COMMENT ON COLUMN quarantine.store_batch IS 'Of outputs, the batch of the store that holds the file and the list of inputs; a scraped folder''s has the name of its batch';
