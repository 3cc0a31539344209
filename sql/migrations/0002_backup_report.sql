-- What `drystone db backup` did, for health and dashboards. The copies on the disks carry the same
-- report: they are the truth, this is where others look.
CREATE TABLE backup_report (
    backup_name text PRIMARY KEY CHECK (backup_name <> ''),
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL CHECK (end_time >= start_time),
    kind text NOT NULL CHECK (kind IN ('full', 'incremental', 'logical', 'pgbackrest')),
    state text NOT NULL CHECK (state IN ('ok', 'incomplete', 'failed')),
    copy_count integer NOT NULL CHECK (copy_count >= 0),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    report text NOT NULL
);
COMMENT ON TABLE backup_report IS 'Backups of this database, made and failed ones';
COMMENT ON COLUMN backup_report.backup_name IS 'Name of its folder in every copy';
COMMENT ON COLUMN backup_report.start_time IS 'When it was begun';
COMMENT ON COLUMN backup_report.end_time IS 'When it was checked, or failed';
COMMENT ON COLUMN backup_report.kind IS 'full or incremental (with a logical export), logical alone, or pgbackrest (with a logical export)';
COMMENT ON COLUMN backup_report.state IS 'ok; incomplete with fewer than two copies; failed when it was not made or its check found problems';
COMMENT ON COLUMN backup_report.copy_count IS 'Copies on disks';
COMMENT ON COLUMN backup_report.size_bytes IS 'Size of one copy';
COMMENT ON COLUMN backup_report.report IS 'The whole report as JSON';
