-- How long tasks wait in their queue, and what lane a run is in when nobody said.

ALTER TABLE run_task ADD COLUMN queued_time timestamptz;
COMMENT ON COLUMN run_task.queued_time IS 'Since when it may be begun; a wait behind a gate, or before it is tried again, is none in the queue';

CREATE FUNCTION run_task_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.queued_time := greatest(now(), NEW.not_before);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION run_task_queue() IS 'Notes when a task came into its queue';
CREATE TRIGGER run_task_made BEFORE INSERT ON run_task
    FOR EACH ROW WHEN (NEW.state = 'queued') EXECUTE FUNCTION run_task_queue();
CREATE TRIGGER run_task_let_in BEFORE UPDATE OF state ON run_task
    FOR EACH ROW WHEN (NEW.state = 'queued' AND OLD.state <> 'queued')
    EXECUTE FUNCTION run_task_queue();

ALTER TABLE run_attempt ADD COLUMN wait_s double precision;
COMMENT ON COLUMN run_attempt.wait_s IS 'How long the task had waited in its queue; NULL of versions before';
CREATE INDEX run_attempt_start ON run_attempt (start_time);

ALTER TABLE run ADD COLUMN is_by_size boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN run.is_by_size IS 'Whether its priority follows the size of what it concerns, because nobody said one';
