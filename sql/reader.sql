-- The role that selectors run as: it may read everything and change nothing. A role belongs to the
-- whole server, so it may be there already; a user who may not make one goes without.
DO $$
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
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN;
        END;
    END IF;
    GRANT USAGE ON SCHEMA public TO drystone_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO drystone_reader;
    -- Tables that are declared later.
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO drystone_reader;
END $$;
