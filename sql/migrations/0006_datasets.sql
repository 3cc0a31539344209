-- Datasets (UA_3): what was frozen, what is in it, and where it was exported to. The truth about a
-- built version is its manifest in the store; here is what can be asked about it.

CREATE TABLE dataset (
    dataset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Versions are counted by name.
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    create_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE dataset IS 'The names of datasets';
COMMENT ON COLUMN dataset.dataset_id IS 'Surrogate key';
COMMENT ON COLUMN dataset.name IS 'Name that its definition states';
COMMENT ON COLUMN dataset.create_time IS 'When its first version was built';

CREATE TABLE dataset_version (
    dataset_version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset_id integer NOT NULL REFERENCES dataset (dataset_id),
    version integer NOT NULL CHECK (version >= 1),
    state text NOT NULL DEFAULT 'built' CHECK (state IN ('built', 'retired')),
    definition text NOT NULL,
    selector text NOT NULL,
    statement text NOT NULL,
    seed bigint NOT NULL,
    layout_id text NOT NULL CHECK (layout_id <> ''),
    manifest_key bytea NOT NULL CHECK (octet_length(manifest_key) = 32),
    document_key bytea NOT NULL CHECK (octet_length(document_key) = 32),
    store_batches text NOT NULL,
    file_count bigint NOT NULL CHECK (file_count >= 0),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    entry_count bigint NOT NULL CHECK (entry_count >= 0),
    entry_size_bytes bigint NOT NULL CHECK (entry_size_bytes >= 0),
    report text NOT NULL,
    build_time timestamptz NOT NULL DEFAULT now(),
    retire_time timestamptz,
    UNIQUE (dataset_id, version),
    -- The same content again is the version that is there; also finds a version by its manifest.
    UNIQUE (manifest_key, dataset_id)
);
COMMENT ON TABLE dataset_version IS 'A dataset as it was frozen: never changed afterwards, only retired';
COMMENT ON COLUMN dataset_version.dataset_version_id IS 'Surrogate key';
COMMENT ON COLUMN dataset_version.dataset_id IS 'The dataset';
COMMENT ON COLUMN dataset_version.version IS 'Counted from 1 for each dataset';
COMMENT ON COLUMN dataset_version.state IS 'built, or retired: nothing of it is exported or pinned any more';
COMMENT ON COLUMN dataset_version.definition IS 'The definition as canonical JSON';
COMMENT ON COLUMN dataset_version.selector IS 'Its selector as JSON';
COMMENT ON COLUMN dataset_version.statement IS 'The SQL that the selector became, with its parameters, as JSON';
COMMENT ON COLUMN dataset_version.seed IS 'Seed of splits and samples';
COMMENT ON COLUMN dataset_version.layout_id IS 'The layout of its tree';
COMMENT ON COLUMN dataset_version.manifest_key IS 'Key of the manifest in the store, which is the hash of its bytes';
COMMENT ON COLUMN dataset_version.document_key IS 'Key of the document in the store: definition, selector, SQL, versions, seed, report';
COMMENT ON COLUMN dataset_version.store_batches IS 'Batches of the store that refer to manifest, document and generated files, as JSON';
COMMENT ON COLUMN dataset_version.file_count IS 'Members, that is files of data';
COMMENT ON COLUMN dataset_version.size_bytes IS 'Their size together';
COMMENT ON COLUMN dataset_version.entry_count IS 'Files of its tree, generated ones and sidecars too';
COMMENT ON COLUMN dataset_version.entry_size_bytes IS 'Size of the tree';
COMMENT ON COLUMN dataset_version.report IS 'Splits, classes, leakage and what was excluded, as JSON';
COMMENT ON COLUMN dataset_version.build_time IS 'When it was frozen';
COMMENT ON COLUMN dataset_version.retire_time IS 'When it was retired; NULL before';

-- No foreign keys: ten million of their checks would be most of the time of a build, and members are
-- copied from nodes within one transaction; neither nodes nor versions are ever removed.
CREATE TABLE dataset_member (
    dataset_version_id bigint NOT NULL,
    node_id bigint NOT NULL,
    split text NOT NULL,
    label text,
    other_labels text,
    -- The members of a version, and both sides of a comparison in the same order.
    PRIMARY KEY (dataset_version_id, node_id)
);
-- Lineage: from a node to every dataset that it is in.
CREATE INDEX dataset_member_node_id ON dataset_member (node_id);
COMMENT ON TABLE dataset_member IS 'Which nodes are in which version of a dataset';
COMMENT ON COLUMN dataset_member.dataset_version_id IS 'The version';
COMMENT ON COLUMN dataset_member.node_id IS 'The node whose bytes are in it';
COMMENT ON COLUMN dataset_member.split IS 'The split it is in';
COMMENT ON COLUMN dataset_member.label IS 'Its first label; NULL without one';
COMMENT ON COLUMN dataset_member.other_labels IS 'Its other labels as JSON; NULL without any';

CREATE TABLE dataset_export (
    dataset_export_id text PRIMARY KEY CHECK (dataset_export_id <> ''),
    dataset_version_id bigint NOT NULL REFERENCES dataset_version (dataset_version_id),
    layout_id text NOT NULL CHECK (layout_id <> ''),
    mode text NOT NULL CHECK (mode IN ('copy', 'view')),
    state text NOT NULL CHECK (state IN ('running', 'sealed', 'failed', 'removed')),
    target_root text,
    job_id text,
    manifest_key bytea NOT NULL CHECK (octet_length(manifest_key) = 32),
    file_count bigint NOT NULL CHECK (file_count >= 0),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    reason text,
    start_time timestamptz NOT NULL DEFAULT now(),
    seal_time timestamptz,
    copying_s double precision
);
-- The exports of a version: shown with it, and taken back with it.
CREATE INDEX dataset_export_version ON dataset_export (dataset_version_id);
COMMENT ON TABLE dataset_export IS 'Folders that versions of datasets were exported to, on the SSD (3D) or in the mount';
COMMENT ON COLUMN dataset_export.dataset_export_id IS 'The folder below 3d/ and exports/';
COMMENT ON COLUMN dataset_export.dataset_version_id IS 'What was exported';
COMMENT ON COLUMN dataset_export.layout_id IS 'The folder below that';
COMMENT ON COLUMN dataset_export.mode IS 'copy: files on the SSD; view: in the mount, no bytes';
COMMENT ON COLUMN dataset_export.state IS 'running, sealed (whole and readable), failed, or removed';
COMMENT ON COLUMN dataset_export.target_root IS 'Where it is; NULL before the store accepted it';
COMMENT ON COLUMN dataset_export.job_id IS 'Job of the store that made it';
COMMENT ON COLUMN dataset_export.manifest_key IS 'Key of the manifest that it was made from';
COMMENT ON COLUMN dataset_export.file_count IS 'Files of the tree';
COMMENT ON COLUMN dataset_export.size_bytes IS 'Size of the tree';
COMMENT ON COLUMN dataset_export.reason IS 'Why it failed';
COMMENT ON COLUMN dataset_export.start_time IS 'When it was last begun';
COMMENT ON COLUMN dataset_export.seal_time IS 'When it was whole';
COMMENT ON COLUMN dataset_export.copying_s IS 'How long the copying took; NULL for a view';
