-- Schema version 3 of the data-asset model. Every key and index says why it is there; every table
-- and column carries its meaning as a comment, with the number the design gives it.
--
-- Conventions: sha256 and hashes are bytea; times carry a zone; a metric that nobody knows is NULL,
-- never 0. Rows come in through write-intents only (see sql/intent.py).

-- ---- 03 file_type -------------------------------------------------------------------------------
CREATE TABLE file_type (
    file_extension_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_extension text NOT NULL UNIQUE CHECK (file_extension = lower(file_extension) AND file_extension <> ''),
    type text NOT NULL CHECK (type IN ('image', 'video', 'sound', 'text'))
);
COMMENT ON TABLE file_type IS '03: the file extensions that may be physical content; all others are quarantined';
COMMENT ON COLUMN file_type.file_extension_id IS 'Surrogate key';
COMMENT ON COLUMN file_type.file_extension IS 'Lower case, without the dot';
COMMENT ON COLUMN file_type.type IS 'Exactly image, video, sound or text';

INSERT INTO file_type (file_extension, type)
SELECT extension, type
FROM (VALUES
    ('image', 'jpg jpeg jpe jfif png apng gif webp avif bmp tif tiff heic heif jxl jp2 svg ico psd mpo dng cr2 nef arw raf orf rw2'),
    ('video', 'mp4 m4v webm mkv mov avi flv wmv mpg mpeg ts m2ts 3gp ogv mts'),
    ('sound', 'mp3 m4a aac ogg oga opus flac wav wma aif aiff mid midi weba amr'),
    ('text', 'txt json json5 jsonl ndjson html htm xhtml xml rss atom csv tsv md rst vtt srt ass yaml yml nfo xmp pdf js log description')
) AS seeds (type, extensions)
CROSS JOIN LATERAL unnest(string_to_array(extensions, ' ')) AS extension;

-- ---- 00 node ------------------------------------------------------------------------------------
CREATE TABLE node (
    node_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The identity of everything: two batches that never saw each other meet here.
    sha256 bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    is_virtual boolean NOT NULL DEFAULT false,
    is_physical boolean NOT NULL DEFAULT false,
    root_id bigint NOT NULL,
    component_id bigint NOT NULL,
    depth integer NOT NULL DEFAULT 0 CHECK (depth >= 0),
    CHECK (is_virtual OR is_physical)
);
-- "Everything of this tree", 0.05 s where a recursive query over 10 M nodes takes 20 s.
CREATE INDEX node_root_id ON node (root_id);
-- Splits of datasets never separate a component; merging two components finds the members.
CREATE INDEX node_component_id ON node (component_id);
COMMENT ON TABLE node IS '00: everything that can have metadata, labels or edges';
COMMENT ON COLUMN node.node_id IS 'Surrogate key';
COMMENT ON COLUMN node.sha256 IS 'Hash of the bytes (physical) or of the canonical description (virtual)';
COMMENT ON COLUMN node.is_virtual IS 'Described by virtual_asset; may hold together with is_physical';
COMMENT ON COLUMN node.is_physical IS 'Has bytes in the store, described by physical_content';
COMMENT ON COLUMN node.root_id IS 'Derived over tree edges: itself without parents, else the least root_id of its parents';
COMMENT ON COLUMN node.component_id IS 'Derived over tree edges: the least node_id of its weakly connected component';
COMMENT ON COLUMN node.depth IS 'Derived over tree edges: 0 without parents, else 1 + the greatest depth of its parents';

-- ---- 01A physical_content, 01B archive_location -------------------------------------------------
CREATE TABLE physical_content (
    record_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL UNIQUE REFERENCES node (node_id),
    file_size_bytes bigint NOT NULL CHECK (file_size_bytes >= 0),
    create_time timestamptz NOT NULL DEFAULT now(),
    in_black_list boolean NOT NULL DEFAULT false,
    is_delete boolean NOT NULL DEFAULT false,
    file_extension_id smallint NOT NULL REFERENCES file_type (file_extension_id)
);
-- Selectors by extension or media type.
CREATE INDEX physical_content_file_extension_id ON physical_content (file_extension_id);
-- The few hidden ones are listed and counted; the many others need no entry.
CREATE INDEX physical_content_hidden ON physical_content (node_id) WHERE in_black_list OR is_delete;
COMMENT ON TABLE physical_content IS '01A: nodes that are bytes in the store';
COMMENT ON COLUMN physical_content.record_id IS 'Surrogate key';
COMMENT ON COLUMN physical_content.node_id IS 'The node whose bytes these are';
COMMENT ON COLUMN physical_content.file_size_bytes IS 'Size of the bytes';
COMMENT ON COLUMN physical_content.create_time IS 'When this row was made';
COMMENT ON COLUMN physical_content.in_black_list IS 'Never to be used; selectors leave it out by default';
COMMENT ON COLUMN physical_content.is_delete IS 'Deleted (type A): hidden here, the bytes stay until a purge of type B';
COMMENT ON COLUMN physical_content.file_extension_id IS 'The extension under which the bytes first came';

CREATE TABLE archive_location (
    record_id bigint NOT NULL REFERENCES physical_content (record_id),
    filepath text NOT NULL CHECK (filepath <> ''),
    PRIMARY KEY (record_id, filepath)
);
COMMENT ON TABLE archive_location IS '01B: where the bytes lie in TYPE1 packages; deliberately denormalised, for rebuilding when all disks are lost';
COMMENT ON COLUMN archive_location.record_id IS 'The physical content';
COMMENT ON COLUMN archive_location.filepath IS 'Package and path inside it, as PACKAGE:PATH';

-- ---- 05 source, 06 virtual_asset, 06 common_metadata --------------------------------------------
CREATE TABLE source (
    source_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    description text NOT NULL UNIQUE CHECK (description <> ''),
    meta_table_name text NOT NULL UNIQUE CHECK (meta_table_name LIKE 'meta\_%')
);
COMMENT ON TABLE source IS '05: where things come from, one row per platform';
COMMENT ON COLUMN source.source_id IS 'Surrogate key';
COMMENT ON COLUMN source.description IS 'Name of the platform, such as twitter';
COMMENT ON COLUMN source.meta_table_name IS 'Its 07xx table of declared metadata';

CREATE TABLE virtual_asset (
    record_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    description text NOT NULL CHECK (description <> ''),
    node_id bigint NOT NULL UNIQUE REFERENCES node (node_id)
);
-- Finding one by its description goes over node.sha256 = sha256(description): an index on long
-- texts would be larger than the table. This one is for "everything of twitter:user:".
CREATE INDEX virtual_asset_description_prefix ON virtual_asset (left(description, 64) text_pattern_ops);
COMMENT ON TABLE virtual_asset IS '06: nodes that are a description: an author, a post, an album';
COMMENT ON COLUMN virtual_asset.record_id IS 'Surrogate key';
COMMENT ON COLUMN virtual_asset.description IS 'Canonical description such as twitter:user:783214; its sha256 is the key of the node';
COMMENT ON COLUMN virtual_asset.node_id IS 'The node that it describes';

CREATE TABLE common_metadata (
    metadata_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL REFERENCES node (node_id),
    source_id integer NOT NULL REFERENCES source (source_id),
    is_raw boolean NOT NULL,
    is_root boolean NOT NULL,
    title text,
    view bigint,
    update_time timestamptz,
    download_time timestamptz,
    author_description text,
    "user" text,
    raw_metadata text CHECK (octet_length(raw_metadata) <= 1024),
    observation_hash bytea NOT NULL CHECK (octet_length(observation_hash) = 16),
    -- The same observation again is no new row; another one of the same node is kept beside it.
    -- node_id in front also serves "all metadata of a node".
    UNIQUE (node_id, observation_hash)
);
-- Selectors by source and time: what was posted on X in March.
CREATE INDEX common_metadata_source_time ON common_metadata (source_id, update_time);
COMMENT ON TABLE common_metadata IS '06: what every source can say about a node; several rows per node, one per observation';
COMMENT ON COLUMN common_metadata.metadata_id IS 'Surrogate key';
COMMENT ON COLUMN common_metadata.node_id IS 'The node, virtual or physical';
COMMENT ON COLUMN common_metadata.source_id IS 'Who said it';
COMMENT ON COLUMN common_metadata.is_raw IS 'Entered by UA_1 (scraped), not made by an action';
COMMENT ON COLUMN common_metadata.is_root IS 'A sample point in the user''s eyes: a key frame yes, a crop no';
COMMENT ON COLUMN common_metadata.title IS 'Title, or the text of a post that has none';
COMMENT ON COLUMN common_metadata.view IS 'How often it was viewed; NULL when unknown';
COMMENT ON COLUMN common_metadata.update_time IS 'When its author published or last changed it';
COMMENT ON COLUMN common_metadata.download_time IS 'When it was scraped';
COMMENT ON COLUMN common_metadata.author_description IS 'Canonical description of the author''s node';
COMMENT ON COLUMN common_metadata."user" IS 'The person who collected it';
COMMENT ON COLUMN common_metadata.raw_metadata IS 'The raw record as JSON, shortened to 1,024 bytes; the complete one is an object in the store';
COMMENT ON COLUMN common_metadata.observation_hash IS 'BLAKE2b-128 of the other values: the same observation is kept once';

-- ---- 09 action, 8 relationship, 9 edge ----------------------------------------------------------
CREATE TABLE action (
    action_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    type text NOT NULL CHECK (type IN ('AC0', 'AC1', 'AC2', 'AC3', 'AC4', 'AC5'))
);
COMMENT ON TABLE action IS '09: what can be done to nodes; action 0 is UA_1, the ingest';
COMMENT ON COLUMN action.action_id IS 'Number that its contract states';
COMMENT ON COLUMN action.name IS 'Name that its contract states';
COMMENT ON COLUMN action.type IS 'AC0 ingest, AC1 SQL, AC2 CPU, AC3 GPU, AC4 makes children, AC5 human labels';
INSERT INTO action (action_id, name, type) VALUES (0, 'UA_1', 'AC0');

CREATE TABLE relationship (
    relationship_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    description text NOT NULL,
    action_id integer NOT NULL REFERENCES action (action_id),
    forms_tree boolean NOT NULL,
    -- One action may not mean two things by one word; two actions may both make "crop".
    UNIQUE (action_id, description)
);
COMMENT ON TABLE relationship IS '8: what an edge means';
COMMENT ON COLUMN relationship.relationship_id IS 'Surrogate key';
COMMENT ON COLUMN relationship.description IS 'The word, such as contains or authored';
COMMENT ON COLUMN relationship.action_id IS 'The action whose edges these are; 0 for every adapter';
COMMENT ON COLUMN relationship.forms_tree IS 'Whether its edges define root_id, depth and component_id: a post contains an image, but an author does not weld all posts together';

CREATE TABLE edge (
    edge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_node_id bigint NOT NULL REFERENCES node (node_id),
    child_node_id bigint NOT NULL REFERENCES node (node_id),
    relationship_id integer NOT NULL REFERENCES relationship (relationship_id),
    position integer,
    -- Also the way down: the children of a parent.
    UNIQUE (parent_node_id, child_node_id, relationship_id),
    CHECK (parent_node_id <> child_node_id)
);
-- The way up: the parents of a child.
CREATE INDEX edge_child_node_id ON edge (child_node_id, parent_node_id);
COMMENT ON TABLE edge IS '9: the graph between nodes';
COMMENT ON COLUMN edge.edge_id IS 'Surrogate key';
COMMENT ON COLUMN edge.parent_node_id IS 'From';
COMMENT ON COLUMN edge.child_node_id IS 'To';
COMMENT ON COLUMN edge.relationship_id IS 'Meaning';
COMMENT ON COLUMN edge.position IS 'Order among the children, from 0; NULL where there is none';

-- ---- 10 action batches, 11 events, 12 pipelines -------------------------------------------------
CREATE TABLE action_batch (
    action_batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    create_date timestamptz NOT NULL DEFAULT now(),
    seal_date timestamptz CHECK (seal_date >= create_date)
);
COMMENT ON TABLE action_batch IS '10a: the frozen input of actions; not an ingest batch';
COMMENT ON COLUMN action_batch.action_batch_id IS 'Surrogate key';
COMMENT ON COLUMN action_batch.create_date IS 'When it was begun';
COMMENT ON COLUMN action_batch.seal_date IS 'When it was sealed; no node enters afterwards';

CREATE TABLE action_batch_node (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_batch_id bigint NOT NULL REFERENCES action_batch (action_batch_id),
    node_id bigint NOT NULL REFERENCES node (node_id),
    created_date timestamptz NOT NULL DEFAULT now(),
    UNIQUE (action_batch_id, node_id)
);
-- Whether a node has been through an action: from the node to its batches.
CREATE INDEX action_batch_node_node_id ON action_batch_node (node_id, action_batch_id);
COMMENT ON TABLE action_batch_node IS '10b: the nodes of an action batch';
COMMENT ON COLUMN action_batch_node.id IS 'Surrogate key';
COMMENT ON COLUMN action_batch_node.action_batch_id IS 'The batch';
COMMENT ON COLUMN action_batch_node.node_id IS 'The node';
COMMENT ON COLUMN action_batch_node.created_date IS 'When it entered; never after the seal';

-- Once per statement, not per row: a batch of a million nodes is one INSERT. Moving a row changes
-- both batches, so an update looks at the old and the new ones.
CREATE FUNCTION refuse_sealed_batch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    refused record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'action batches may have been sealed; their nodes cannot be truncated'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- FOR SHARE: a seal and an insert at the same moment wait for each other.
    FOR refused IN
        SELECT batch.action_batch_id, batch.seal_date FROM action_batch AS batch
        WHERE batch.action_batch_id IN (SELECT changed.action_batch_id FROM changed)
        ORDER BY batch.action_batch_id FOR SHARE
    LOOP
        IF refused.seal_date IS NOT NULL THEN
            RAISE EXCEPTION 'action batch % was sealed at %; its nodes cannot change: make another batch',
                refused.action_batch_id, refused.seal_date
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION refuse_sealed_batch() IS 'Keeps the nodes of a sealed batch as they were';
CREATE TRIGGER action_batch_node_insert AFTER INSERT ON action_batch_node
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed_batch();
CREATE TRIGGER action_batch_node_update_from AFTER UPDATE ON action_batch_node
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed_batch();
CREATE TRIGGER action_batch_node_update_to AFTER UPDATE ON action_batch_node
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed_batch();
CREATE TRIGGER action_batch_node_delete AFTER DELETE ON action_batch_node
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed_batch();
CREATE TRIGGER action_batch_node_truncate BEFORE TRUNCATE ON action_batch_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_sealed_batch();

CREATE FUNCTION refuse_unseal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'action batch % was sealed at % and stays so', OLD.action_batch_id, OLD.seal_date
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION refuse_unseal() IS 'A seal is for ever';
CREATE TRIGGER action_batch_unseal BEFORE UPDATE ON action_batch
    FOR EACH ROW WHEN (OLD.seal_date IS NOT NULL AND NEW IS DISTINCT FROM OLD)
    EXECUTE FUNCTION refuse_unseal();
CREATE TRIGGER action_batch_sealed_delete BEFORE DELETE ON action_batch
    FOR EACH ROW WHEN (OLD.seal_date IS NOT NULL) EXECUTE FUNCTION refuse_unseal();

CREATE TABLE action_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id integer NOT NULL REFERENCES action (action_id),
    action_batch_id bigint NOT NULL REFERENCES action_batch (action_batch_id),
    start_time timestamptz,
    end_time timestamptz CHECK (end_time >= start_time),
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'failed', 'cancelled'))
);
-- Has this action been done for this batch?
CREATE INDEX action_event_batch ON action_event (action_batch_id, action_id, status);
-- All batches for which an action is done.
CREATE INDEX action_event_done ON action_event (action_id, action_batch_id) WHERE status = 'done';
COMMENT ON TABLE action_event IS '11: the history of actions over batches';
COMMENT ON COLUMN action_event.id IS 'Surrogate key';
COMMENT ON COLUMN action_event.action_id IS 'The action';
COMMENT ON COLUMN action_event.action_batch_id IS 'Its input';
COMMENT ON COLUMN action_event.start_time IS 'When it started; NULL while it waits';
COMMENT ON COLUMN action_event.end_time IS 'When it ended; NULL before';
COMMENT ON COLUMN action_event.status IS 'waiting, running, done, failed or cancelled';

CREATE TABLE pipeline (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> '')
);
COMMENT ON TABLE pipeline IS '12a: actions in an order';
COMMENT ON COLUMN pipeline.id IS 'Surrogate key';
COMMENT ON COLUMN pipeline.name IS 'Its name';

CREATE TABLE pipeline_stage (
    pipeline_id integer NOT NULL REFERENCES pipeline (id),
    stage_id integer NOT NULL CHECK (stage_id >= 1),
    action_id integer NOT NULL REFERENCES action (action_id),
    PRIMARY KEY (pipeline_id, stage_id),
    UNIQUE (pipeline_id, action_id)
);
COMMENT ON TABLE pipeline_stage IS '12b: the actions of a pipeline';
COMMENT ON COLUMN pipeline_stage.pipeline_id IS 'The pipeline';
COMMENT ON COLUMN pipeline_stage.stage_id IS 'Its place in the order, from 1';
COMMENT ON COLUMN pipeline_stage.action_id IS 'The action';

-- 12c is derived from 10, 11 and 12 and never written. A batch is in a pipeline when it has an event
-- of one of the pipeline's actions. A stage is done when every node of the batch has been in some
-- batch for which its action is done: an action that two pipelines share runs once. A batch without
-- nodes, for which nothing can have been done, stays in the first stage.
CREATE VIEW pipeline_batch AS
WITH entered AS (
    SELECT DISTINCT event.action_batch_id, stage.pipeline_id
    FROM action_event AS event JOIN pipeline_stage AS stage USING (action_id)
)
SELECT entered.action_batch_id, entered.pipeline_id, (
    SELECT min(stage.stage_id)
    FROM pipeline_stage AS stage
    WHERE stage.pipeline_id = entered.pipeline_id AND (EXISTS (
        SELECT FROM action_batch_node AS member
        WHERE member.action_batch_id = entered.action_batch_id AND NOT EXISTS (
            SELECT FROM action_batch_node AS other JOIN action_event AS event USING (action_batch_id)
            WHERE other.node_id = member.node_id AND event.action_id = stage.action_id
                AND event.status = 'done'
        )
    ) OR NOT EXISTS (
        SELECT FROM action_batch_node AS member
        WHERE member.action_batch_id = entered.action_batch_id
    ))
) AS current_stage
FROM entered;
COMMENT ON VIEW pipeline_batch IS '12c: where a batch stands in a pipeline; derived, never written';
COMMENT ON COLUMN pipeline_batch.action_batch_id IS 'The batch';
COMMENT ON COLUMN pipeline_batch.pipeline_id IS 'The pipeline';
COMMENT ON COLUMN pipeline_batch.current_stage IS 'The first stage that is not done for every node; NULL when all are';

-- ---- Ours: intents, declared tables, ingest, outbox ---------------------------------------------
CREATE TABLE write_intent (
    intent_id text PRIMARY KEY CHECK (length(intent_id) BETWEEN 1 AND 200),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    applied_time timestamptz NOT NULL DEFAULT now(),
    result text NOT NULL
);
COMMENT ON TABLE write_intent IS 'Intents that were applied: the same id again changes nothing';
COMMENT ON COLUMN write_intent.intent_id IS 'Given by whoever wrote the intent';
COMMENT ON COLUMN write_intent.digest IS 'sha256 of the intent: one id cannot mean two things';
COMMENT ON COLUMN write_intent.applied_time IS 'When it was applied';
COMMENT ON COLUMN write_intent.result IS 'What it did, as the JSON that was answered';

CREATE TABLE declared_table (
    table_name text PRIMARY KEY CHECK (table_name ~ '^(meta|result)_[a-z][a-z0-9_]*$'),
    version integer NOT NULL CHECK (version >= 1),
    definition text NOT NULL,
    declared_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE declared_table IS 'The schemas that meta_SOURCE (07xx) and result_ACTION (13.x) tables were made from';
COMMENT ON COLUMN declared_table.table_name IS 'The table';
COMMENT ON COLUMN declared_table.version IS 'Version of its schema';
COMMENT ON COLUMN declared_table.definition IS 'The schema as JSON';
COMMENT ON COLUMN declared_table.declared_time IS 'When this version came';

CREATE TABLE ingest_batch (
    ingest_batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    adapter text NOT NULL,
    "user" text,
    folder text NOT NULL,
    state text NOT NULL CHECK (state IN ('frozen', 'stored', 'described', 'packed', 'confirmed', 'stopped')),
    state_reason text,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    file_count bigint NOT NULL DEFAULT 0,
    size_bytes bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE ingest_batch IS 'UA_1: one scraped folder on its way in';
COMMENT ON COLUMN ingest_batch.ingest_batch_id IS 'Surrogate key';
COMMENT ON COLUMN ingest_batch.name IS 'Its name, the same in the store';
COMMENT ON COLUMN ingest_batch.adapter IS 'Which adapter read it';
COMMENT ON COLUMN ingest_batch."user" IS 'Who signalled it';
COMMENT ON COLUMN ingest_batch.folder IS 'The folder it came from';
COMMENT ON COLUMN ingest_batch.state IS 'How far it is: frozen, stored, described, packed, confirmed; stopped when it cannot go on';
COMMENT ON COLUMN ingest_batch.state_reason IS 'Why it stopped';
COMMENT ON COLUMN ingest_batch.create_time IS 'When it was signalled';
COMMENT ON COLUMN ingest_batch.update_time IS 'When its state last changed';
COMMENT ON COLUMN ingest_batch.file_count IS 'Files of the frozen listing';
COMMENT ON COLUMN ingest_batch.size_bytes IS 'Their size together';

CREATE TABLE ingest_batch_node (
    ingest_batch_id bigint NOT NULL REFERENCES ingest_batch (ingest_batch_id),
    node_id bigint NOT NULL REFERENCES node (node_id),
    PRIMARY KEY (ingest_batch_id, node_id)
);
-- From a node to the batches that brought it.
CREATE INDEX ingest_batch_node_node_id ON ingest_batch_node (node_id);
COMMENT ON TABLE ingest_batch_node IS 'The nodes that an ingest batch brought, new or known';
COMMENT ON COLUMN ingest_batch_node.ingest_batch_id IS 'The batch';
COMMENT ON COLUMN ingest_batch_node.node_id IS 'The node';

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ingest_batch_id bigint NOT NULL REFERENCES ingest_batch (ingest_batch_id),
    path text NOT NULL,
    record_number integer NOT NULL DEFAULT -1,
    reason text NOT NULL,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    quarantine_time timestamptz NOT NULL DEFAULT now(),
    replayed_time timestamptz,
    -- Reading the same folder again finds the same bad rows.
    UNIQUE (ingest_batch_id, path, record_number)
);
COMMENT ON TABLE quarantine IS 'What could not be understood; its bytes are in the store, in the batch of the same name';
COMMENT ON COLUMN quarantine.quarantine_id IS 'Surrogate key';
COMMENT ON COLUMN quarantine.ingest_batch_id IS 'The batch it came with';
COMMENT ON COLUMN quarantine.path IS 'Path in the batch';
COMMENT ON COLUMN quarantine.record_number IS 'Row or record in the file, from 0; -1 for the whole file';
COMMENT ON COLUMN quarantine.reason IS 'What is wrong, for a person';
COMMENT ON COLUMN quarantine.sha256 IS 'Key of the file in the store';
COMMENT ON COLUMN quarantine.quarantine_time IS 'When it was set aside';
COMMENT ON COLUMN quarantine.replayed_time IS 'When a later reading understood it; NULL before';

CREATE TABLE outbox_package (
    package_id text PRIMARY KEY CHECK (package_id <> ''),
    ingest_batch_id bigint NOT NULL REFERENCES ingest_batch (ingest_batch_id),
    file_count bigint NOT NULL CHECK (file_count >= 0),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    create_time timestamptz NOT NULL DEFAULT now(),
    confirm_time timestamptz,
    confirmed_copy text
);
-- What is still waiting for its copy, oldest first.
CREATE INDEX outbox_package_waiting ON outbox_package (create_time) WHERE confirm_time IS NULL;
COMMENT ON TABLE outbox_package IS '3B: packages for cold storage (TYPE1)';
COMMENT ON COLUMN outbox_package.package_id IS 'Name of its folder';
COMMENT ON COLUMN outbox_package.ingest_batch_id IS 'The batch whose files it holds';
COMMENT ON COLUMN outbox_package.file_count IS 'Files inside';
COMMENT ON COLUMN outbox_package.size_bytes IS 'Size of all files of the package';
COMMENT ON COLUMN outbox_package.sha256 IS 'Hash of its SHA256SUMS, which covers all its files';
COMMENT ON COLUMN outbox_package.create_time IS 'When it was made';
COMMENT ON COLUMN outbox_package.confirm_time IS 'When its TYPE1 copy was verified; NULL before';
COMMENT ON COLUMN outbox_package.confirmed_copy IS 'Where that copy was';
