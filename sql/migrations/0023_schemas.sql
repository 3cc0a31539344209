-- What was decided about JSON documents of a source that nobody declared: which of them belong together,
-- and into which table they go once somebody accepts that. The documents themselves are in meta_json.

CREATE TABLE schema_def (
    schema_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,40}$'),
    version integer NOT NULL CHECK (version >= 1),
    status text NOT NULL CHECK (status IN ('provisional', 'active', 'rejected', 'former')),
    choice text NOT NULL CHECK (choice IN ('table', 'jsonb')),
    structure_hash text NOT NULL,
    plan text NOT NULL,
    table_plan text NOT NULL,
    ddl text NOT NULL,
    reason text NOT NULL,
    documents_sampled integer NOT NULL CHECK (documents_sampled >= 0),
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    decided_by text,
    decide_time timestamptz,
    activation integer NOT NULL DEFAULT 0 CHECK (activation >= 0),
    replaced_plan text,
    seen_document_id bigint NOT NULL DEFAULT 0,
    replayed_batch_id bigint,
    replay_time timestamptz,
    UNIQUE (name, version)
);
-- Of one name, one version has the rows, and one waits for somebody to decide.
CREATE UNIQUE INDEX schema_def_one_active ON schema_def (name) WHERE status = 'active';
CREATE UNIQUE INDEX schema_def_one_provisional ON schema_def (name) WHERE status = 'provisional';
COMMENT ON TABLE schema_def IS 'Versions of what was decided about JSON documents that belong together';
COMMENT ON COLUMN schema_def.schema_id IS 'Surrogate key';
COMMENT ON COLUMN schema_def.name IS 'What the documents are called; the table is meta_NAME';
COMMENT ON COLUMN schema_def.version IS 'From 1; a later difference is a later version';
COMMENT ON COLUMN schema_def.status IS 'provisional until somebody decides; active gets rows; rejected and former get none';
COMMENT ON COLUMN schema_def.choice IS 'table: columns, and extra for the rest; jsonb: the document whole';
COMMENT ON COLUMN schema_def.structure_hash IS 'BLAKE2b-128 of the paths that every document has, and their kinds';
COMMENT ON COLUMN schema_def.plan IS 'Which path goes into which column, as JSON, in the form that was chosen';
COMMENT ON COLUMN schema_def.table_plan IS 'The same as a table, also where that was not chosen';
COMMENT ON COLUMN schema_def.ddl IS 'The statements that make its tables, for people';
COMMENT ON COLUMN schema_def.reason IS 'Why it was decided so, a line each';
COMMENT ON COLUMN schema_def.documents_sampled IS 'How many documents were looked at';
COMMENT ON COLUMN schema_def.create_time IS 'When it was proposed first';
COMMENT ON COLUMN schema_def.update_time IS 'When it last changed';
COMMENT ON COLUMN schema_def.decided_by IS 'Who accepted, rejected or rolled back';
COMMENT ON COLUMN schema_def.decide_time IS 'When';
COMMENT ON COLUMN schema_def.activation IS 'How often it became active: each time has write-intents of its own';
COMMENT ON COLUMN schema_def.replaced_plan IS 'The plan whose rows in the same table it replaces';
COMMENT ON COLUMN schema_def.seen_document_id IS 'The last row of meta_json when it was decided; what came later may differ';
COMMENT ON COLUMN schema_def.replayed_batch_id IS 'The last ingest batch whose documents have their rows';
COMMENT ON COLUMN schema_def.replay_time IS 'When the documents of before had their rows; NULL while that goes on';

CREATE TABLE schema_shape (
    shape bytea PRIMARY KEY CHECK (octet_length(shape) = 16),
    keys text NOT NULL,
    name text NOT NULL
);
-- The shapes of a schema: its documents are those of meta_json with one of them.
CREATE INDEX schema_shape_name ON schema_shape (name);
COMMENT ON TABLE schema_shape IS 'Sets of top-level keys, and the schema whose documents have them';
COMMENT ON COLUMN schema_shape.shape IS 'BLAKE2b-128 of the keys';
COMMENT ON COLUMN schema_shape.keys IS 'The keys, a JSON list; * for those that are values themselves';
COMMENT ON COLUMN schema_shape.name IS 'The schema, of all its versions';
