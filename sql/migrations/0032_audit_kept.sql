-- The audit log is kept for as long as a setting says, at least 30 days: what is older may be deleted,
-- by whoever says so in its transaction. Nothing else is ever changed.

DROP TRIGGER audit_entry_is_kept ON audit_entry;
DROP TRIGGER audit_outcome_is_kept ON audit_outcome;
CREATE TRIGGER audit_entry_is_kept BEFORE UPDATE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_outcome_is_kept BEFORE UPDATE OR TRUNCATE ON audit_outcome
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE FUNCTION refuse_audit_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz;
    before timestamptz := nullif(current_setting('drystone.audit_forgotten_before', true), '');
BEGIN
    SELECT begin_time INTO begun FROM audit_entry WHERE entry_key = OLD.entry_key;
    IF begun < before AND begun < now() - interval '30 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows are only added to %', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
COMMENT ON FUNCTION refuse_audit_delete() IS 'Lets only those rows of the audit log go that are old enough';
CREATE TRIGGER audit_entry_is_not_deleted BEFORE DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_delete();
CREATE TRIGGER audit_outcome_is_not_deleted BEFORE DELETE ON audit_outcome
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_delete();
COMMENT ON TABLE audit_entry IS 'Changes that were asked for; rows are never changed, and deleted when they are old';
COMMENT ON TABLE audit_outcome IS 'What came of entries; rows are never changed, and deleted with their entries';
