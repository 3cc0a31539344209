-- Backups: what is counted, checked and recorded.

-- name: server
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    pg_database_size(current_database()),
    (SELECT system_identifier::text FROM pg_control_system())

-- Not the tables of extensions, whose rows come with the extension; not unlogged ones, which no
-- export needs.
-- name: tables
SELECT namespace.nspname, class.relname
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind = 'r' AND class.relpersistence = 'p'
    AND namespace.nspname <> 'information_schema' AND namespace.nspname !~ '^pg_'
    AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e'
    )
ORDER BY 1, 2

-- Dropping a constraint and adding it again looks at every row, whoever owns the table.
-- name: constraints
SELECT conrelid::regclass::text, conname,
    format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s',
        conrelid::regclass, conname, conname, pg_get_constraintdef(constraint_row.oid))
FROM pg_constraint AS constraint_row
JOIN pg_namespace AS namespace ON namespace.oid = connamespace
WHERE contype IN ('f', 'c') AND conrelid <> 0 AND conparentid = 0 AND conislocal
    AND nspname <> 'information_schema' AND nspname !~ '^pg_'
ORDER BY 1, 2

-- name: sample
SELECT encode(node.sha256, 'hex') FROM node JOIN physical_content USING (node_id)
WHERE delete_reason IS NULL
ORDER BY random() LIMIT %s

-- name: clients
SELECT DISTINCT coalesce(nullif(application_name, ''), 'unnamed') || ' (process ' || pid || ')'
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY 1

-- name: add_report
INSERT INTO backup_report
    (backup_name, start_time, end_time, kind, state, copy_count, size_bytes, report)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (backup_name) DO UPDATE SET end_time = EXCLUDED.end_time, state = EXCLUDED.state,
    copy_count = EXCLUDED.copy_count, report = EXCLUDED.report


-- The servers whose backups are this database's own: a restore into a new server brings along what
-- was recorded in the former one.
-- name: servers
SELECT DISTINCT report::jsonb -> 'facts' ->> 'system_identifier' FROM backup_report
WHERE report::jsonb -> 'facts' ->> 'system_identifier' <> ''

-- name: last
SELECT backup_name, end_time, kind, state, copy_count, size_bytes,
    extract(epoch FROM now() - end_time)::float8,
    (SELECT extract(epoch FROM now() - max(end_time))::float8 FROM backup_report WHERE state = 'ok')
FROM backup_report ORDER BY end_time DESC LIMIT 1

-- name: service
SELECT current_setting('data_directory', true),
    (SELECT setting FROM pg_config WHERE name = 'BINDIR'),
    (SELECT rolname FROM pg_roles WHERE oid = 10)

-- All that is ours, and nothing of extensions: what is restored makes it again.
-- name: empty
DO $$
DECLARE
    doomed record;
BEGIN
    FOR doomed IN
        SELECT format('public.%I', class.relname) AS name,
            CASE class.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
        FROM pg_class AS class
        WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p', 'v', 'm', 'S')
            AND NOT EXISTS (SELECT FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype IN ('e', 'i'))
    LOOP
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', doomed.kind, doomed.name);
    END LOOP;
    FOR doomed IN
        SELECT format('public.%I(%s)', routine.proname,
            pg_get_function_identity_arguments(routine.oid)) AS name FROM pg_proc AS routine
        WHERE routine.pronamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_proc'::regclass AND objid = routine.oid AND deptype = 'e')
    LOOP
        EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', doomed.name);
    END LOOP;
END $$
