-- Schedules: when which workflow is asked for by the clock, and what became of each time. The calendar
-- is the scheduler's part; here only moments are kept.

CREATE TABLE schedule (
    schedule_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- People name schedules; two of one name would be confused.
    name text NOT NULL UNIQUE CHECK (name <> ''),
    workflow text NOT NULL CHECK (workflow <> ''),
    parameters text NOT NULL DEFAULT '{}',
    cron text NOT NULL CHECK (cron <> ''),
    zone text NOT NULL CHECK (zone <> ''),
    catch_up text NOT NULL DEFAULT 'once' CHECK (catch_up IN ('skip', 'once', 'all')),
    catch_up_max integer NOT NULL DEFAULT 10 CHECK (catch_up_max >= 1),
    overlap boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true,
    built_in boolean NOT NULL DEFAULT false,
    next_time timestamptz,
    problem text,
    created_by text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT now()
);
-- Schedulers ask every second what is due, and nearly always nothing is.
CREATE INDEX schedule_due ON schedule (next_time) WHERE enabled;
COMMENT ON TABLE schedule IS 'A workflow that the clock asks for';
COMMENT ON COLUMN schedule.schedule_id IS 'Surrogate key';
COMMENT ON COLUMN schedule.name IS 'What people call it';
COMMENT ON COLUMN schedule.workflow IS 'Name of the workflow, such as backup';
COMMENT ON COLUMN schedule.parameters IS 'JSON document of each request, checked by the workflow';
COMMENT ON COLUMN schedule.cron IS 'Cron expression of five fields, or an alias such as @daily';
COMMENT ON COLUMN schedule.zone IS 'IANA name of the time zone whose clock the expression means';
COMMENT ON COLUMN schedule.catch_up IS 'What becomes of firings that were missed: skip, once for all of them, or all';
COMMENT ON COLUMN schedule.catch_up_max IS 'With catch_up all, at most so many are made up for at a time';
COMMENT ON COLUMN schedule.overlap IS 'Whether it fires while a run of it is going on; else that firing is skipped';
COMMENT ON COLUMN schedule.enabled IS 'Whether it fires by the clock; by hand it always does';
COMMENT ON COLUMN schedule.built_in IS 'Made by Drystone itself: may be disabled and changed, not removed';
COMMENT ON COLUMN schedule.next_time IS 'The first firing that was not decided about; NULL when disabled or when there is none';
COMMENT ON COLUMN schedule.problem IS 'Why its last firing could not start a run; NULL when it could';
COMMENT ON COLUMN schedule.created_by IS 'Who made it; empty when nobody said';
COMMENT ON COLUMN schedule.create_time IS 'When it was made';

CREATE TABLE schedule_firing (
    schedule_id bigint NOT NULL REFERENCES schedule (schedule_id) ON DELETE CASCADE,
    due_time timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('fired', 'skipped', 'failed')),
    cause text NOT NULL DEFAULT 'clock' CHECK (cause IN ('clock', 'hand', 'backfill')),
    reason text,
    run_id bigint REFERENCES run (run_id) ON DELETE SET NULL,
    decide_time timestamptz NOT NULL DEFAULT now(),
    -- A time fires once, whoever of several schedulers comes first. In the order of the history.
    PRIMARY KEY (schedule_id, due_time)
);
-- A removed run lets go of its firing; and "is a run of this schedule going on?"
CREATE INDEX schedule_firing_run_id ON schedule_firing (run_id) WHERE run_id IS NOT NULL;
COMMENT ON TABLE schedule_firing IS 'History: every time of a schedule that was decided about';
COMMENT ON COLUMN schedule_firing.schedule_id IS 'The schedule';
COMMENT ON COLUMN schedule_firing.due_time IS 'The time of the cron expression; for firings by hand when that was';
COMMENT ON COLUMN schedule_firing.outcome IS 'fired: a run was started; skipped on purpose; failed: the workflow refused the request';
COMMENT ON COLUMN schedule_firing.cause IS 'The clock, a person for now, or a person for a time that had passed';
COMMENT ON COLUMN schedule_firing.reason IS 'Why it was skipped or failed';
COMMENT ON COLUMN schedule_firing.run_id IS 'The run; NULL where none was started, or where it is gone';
COMMENT ON COLUMN schedule_firing.decide_time IS 'When this was decided';
