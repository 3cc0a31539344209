-- The role that selectors run as: it may read everything and change nothing. A role belongs to the
-- whole server, so it may be there already; a user who may not make one goes without.
DO $$
DECLARE
    readable oid;
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drystone_reader') THEN
            CREATE ROLE drystone_reader NOLOGIN;
        END IF;
    EXCEPTION
        WHEN insufficient_privilege THEN
            RETURN;
        WHEN duplicate_object OR unique_violation THEN
            -- Another database of this server was quicker.
    END;
    -- A superuser is a member of everything; others have to be made one.
    IF NOT pg_has_role(current_user, 'drystone_reader', 'MEMBER') THEN
        BEGIN
            EXECUTE format('GRANT drystone_reader TO %I', current_user);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RETURN;
            WHEN unique_violation THEN
                -- The same.
        END;
    END IF;
    GRANT USAGE ON SCHEMA public TO drystone_reader;
    -- Each by itself: a table of somebody else in this schema is not ours to grant.
    FOR readable IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND pg_has_role(current_user, relowner, 'USAGE')
            -- What signs and is shown to others; it is kept in the clear.
            AND relname <> 'webhook_secret'
            AND NOT has_table_privilege('drystone_reader', oid, 'SELECT')
    LOOP
        EXECUTE format('GRANT SELECT ON TABLE %s TO drystone_reader', readable::regclass);
    END LOOP;
    -- Tables that are declared later.
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO drystone_reader;
    IF to_regclass('public.webhook_secret') IS NOT NULL THEN
        REVOKE ALL ON TABLE public.webhook_secret FROM drystone_reader;
    END IF;
EXCEPTION
    -- A user who works in a schema of somebody else goes without the role, too.
    WHEN insufficient_privilege THEN
        RETURN;
END $$;
