-- Which ingest batches brought an observation. Observations are kept once for all batches; who may see
-- one batch only may see of a node what that batch said of it, and nothing that others said.

CREATE TABLE observation_batch (
    -- No foreign keys: a check for each row would be a tenth of the merge. Both are rows of the same
    -- write-intent or older, and neither a node nor an ingest batch is ever removed.
    node_id bigint NOT NULL,
    ingest_batch_id bigint NOT NULL,
    source_id integer NOT NULL,
    observation_hash bytea NOT NULL CHECK (octet_length(observation_hash) = 16),
    -- In this order: from an observation to the batches that brought it.
    PRIMARY KEY (node_id, source_id, observation_hash, ingest_batch_id)
);
COMMENT ON TABLE observation_batch IS 'Which ingest batches brought a row of common_metadata or of a meta table; one that is older than this table has no row here, and is for those who may see everything';
COMMENT ON COLUMN observation_batch.node_id IS 'The node that it is about';
COMMENT ON COLUMN observation_batch.ingest_batch_id IS 'A batch that brought it';
COMMENT ON COLUMN observation_batch.source_id IS 'Whose it is: tables of two sources may have rows of one hash';
COMMENT ON COLUMN observation_batch.observation_hash IS 'The observation_hash of its row';
