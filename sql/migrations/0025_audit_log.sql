-- Who changed what, with which rights, from where: two tables to which rows are only added. An entry
-- is there before its change is begun, its outcome after it; an entry without one is of a process
-- that ended in between.

CREATE TABLE audit_entry (
    audit_entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_key text NOT NULL UNIQUE CHECK (entry_key ~ '^[0-9a-f]{32}$'),
    begin_time timestamptz NOT NULL,
    user_id integer,
    name text NOT NULL,
    role text NOT NULL,
    token_name text NOT NULL,
    way text NOT NULL CHECK (way IN ('api', 'page', 'shell')),
    address text NOT NULL,
    operation text NOT NULL,
    request text NOT NULL CHECK (octet_length(request) <= 16384),
    request_reference text NOT NULL
);
-- What was done to a kind of thing.
CREATE INDEX audit_entry_operation ON audit_entry (operation, audit_entry_id);
-- What somebody did.
CREATE INDEX audit_entry_name ON audit_entry (name, audit_entry_id);
COMMENT ON TABLE audit_entry IS 'Changes that were asked for; rows are never changed or deleted';
COMMENT ON COLUMN audit_entry.audit_entry_id IS 'Surrogate key, in the order of writing';
COMMENT ON COLUMN audit_entry.entry_key IS 'Made before it was written: what waited in a file is added once';
COMMENT ON COLUMN audit_entry.begin_time IS 'When it was asked for';
COMMENT ON COLUMN audit_entry.user_id IS 'The account as it was then; NULL for an owner of the store at the command line';
COMMENT ON COLUMN audit_entry.name IS 'The name of who asked';
COMMENT ON COLUMN audit_entry.role IS 'With which role';
COMMENT ON COLUMN audit_entry.token_name IS 'With which token; empty without one';
COMMENT ON COLUMN audit_entry.way IS 'api, page or shell';
COMMENT ON COLUMN audit_entry.address IS 'From where, over a network; empty in the shell';
COMMENT ON COLUMN audit_entry.operation IS 'What was asked for, such as run.start';
COMMENT ON COLUMN audit_entry.request IS 'With what, as JSON without secrets, cut where it is long';
COMMENT ON COLUMN audit_entry.request_reference IS 'The request id, as it stands in the logs';

CREATE TABLE audit_outcome (
    entry_key text PRIMARY KEY REFERENCES audit_entry (entry_key),
    end_time timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    detail text NOT NULL CHECK (octet_length(detail) <= 4096)
);
COMMENT ON TABLE audit_outcome IS 'What came of entries; rows are never changed or deleted';
COMMENT ON COLUMN audit_outcome.entry_key IS 'Of which entry';
COMMENT ON COLUMN audit_outcome.end_time IS 'When it was answered';
COMMENT ON COLUMN audit_outcome.outcome IS 'done; refused: nothing was done; failed: something may have been';
COMMENT ON COLUMN audit_outcome.detail IS 'Why it was refused or failed; empty when it was done';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows are only added to %', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Keeps the audit log as it was written';
CREATE TRIGGER audit_entry_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_outcome_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_outcome
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
