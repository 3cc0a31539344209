-- The record of what was applied; made before the first migration, in its transaction.
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY CHECK (number >= 1),
    name text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    applied_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_migration IS 'Which migrations this database has been through';
COMMENT ON COLUMN schema_migration.number IS 'Number in front of the file''s name';
COMMENT ON COLUMN schema_migration.name IS 'Name of the file';
COMMENT ON COLUMN schema_migration.sha256 IS 'Hash of the file: an applied one must not change';
COMMENT ON COLUMN schema_migration.applied_time IS 'When it was applied';
