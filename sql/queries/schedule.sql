-- Schedules and their history; see sql/runs/schedule_book.py.

-- name: add
INSERT INTO schedule (
    name, workflow, parameters, cron, zone, catch_up, catch_up_max, overlap, enabled, built_in,
    next_time, created_by
) VALUES (
    %(name)s, %(workflow)s, %(parameters)s, %(cron)s, %(zone)s, %(catch_up)s, %(catch_up_max)s,
    %(overlap)s, %(enabled)s, %(built_in)s, %(next_time)s, %(created_by)s
) ON CONFLICT (name) DO NOTHING RETURNING schedule_id

-- name: change
UPDATE schedule SET
    workflow = %(workflow)s, parameters = %(parameters)s, cron = %(cron)s, zone = %(zone)s,
    catch_up = %(catch_up)s, catch_up_max = %(catch_up_max)s, overlap = %(overlap)s,
    enabled = %(enabled)s, next_time = %(next_time)s, problem = NULL
WHERE name = %(name)s RETURNING schedule_id

-- name: schedules
SELECT schedule_id, name, workflow, parameters, cron, zone, catch_up, catch_up_max, overlap, enabled,
    built_in, next_time, problem, created_by, create_time
FROM schedule ORDER BY name

-- name: schedule
SELECT schedule_id, name, workflow, parameters, cron, zone, catch_up, catch_up_max, overlap, enabled,
    built_in, next_time, problem, created_by, create_time
FROM schedule WHERE name = %s

-- name: due
SELECT schedule_id, name, workflow, parameters, cron, zone, catch_up, catch_up_max, overlap, enabled,
    built_in, next_time, problem, created_by, create_time
FROM schedule WHERE enabled AND next_time <= %s ORDER BY next_time, schedule_id

-- name: enable
UPDATE schedule SET enabled = %(enabled)s, next_time = %(next_time)s
WHERE name = %(name)s RETURNING schedule_id

-- name: remove
DELETE FROM schedule WHERE name = %s AND NOT built_in

-- Whoever decided before, or changed the schedule meanwhile, has moved it on: then no row comes.
-- name: take
SELECT schedule_id FROM schedule
WHERE schedule_id = %(schedule_id)s AND enabled AND next_time = %(next_time)s
FOR UPDATE SKIP LOCKED

-- A lock on the schedule, so that a firing by hand and one by the clock come one after the other.
-- name: hold
SELECT schedule_id FROM schedule WHERE schedule_id = %s FOR UPDATE

-- name: move_on
UPDATE schedule SET next_time = %(next_time)s, problem = %(problem)s
WHERE schedule_id = %(schedule_id)s

-- name: set_problem
UPDATE schedule SET problem = %(problem)s WHERE schedule_id = %(schedule_id)s

-- name: active_run
SELECT run.run_id FROM schedule_firing JOIN run USING (run_id)
WHERE schedule_firing.schedule_id = %s AND run.state IN ('queued', 'running', 'waiting')
ORDER BY run.run_id LIMIT 1

-- What has fired stays; what was skipped or failed may be made up for.
-- name: add_firing
INSERT INTO schedule_firing (schedule_id, due_time, outcome, cause, reason, run_id)
VALUES (%(schedule_id)s, %(due_time)s, %(outcome)s, %(cause)s, %(reason)s, %(run_id)s)
ON CONFLICT (schedule_id, due_time) DO UPDATE SET
    outcome = excluded.outcome, cause = excluded.cause, reason = excluded.reason,
    run_id = excluded.run_id, decide_time = excluded.decide_time
WHERE schedule_firing.outcome <> 'fired' AND excluded.cause = 'backfill'
RETURNING due_time, outcome, cause, reason, run_id, decide_time

-- name: has_fired
SELECT EXISTS (
    SELECT FROM schedule_firing
    WHERE schedule_id = %(schedule_id)s AND due_time = %(due_time)s AND outcome = 'fired'
)

-- name: history
SELECT due_time, outcome, cause, reason, run_id, decide_time
FROM schedule_firing
WHERE schedule_id = %(schedule_id)s AND due_time < coalesce(%(before)s, 'infinity'::timestamptz)
ORDER BY due_time DESC LIMIT %(limit)s

-- The oldest beyond the limit go; the next_time of the schedule keeps them from firing again.
-- name: forget
DELETE FROM schedule_firing
WHERE schedule_id = %(schedule_id)s AND due_time < (
    SELECT due_time FROM schedule_firing WHERE schedule_id = %(schedule_id)s
    ORDER BY due_time DESC OFFSET %(kept)s LIMIT 1
)
