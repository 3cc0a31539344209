-- Runs as people ask for them; see sql/runs/run_book.py. What workers do is in run_task.sql.

-- One at a time per key; the lock ends with the transaction.
-- name: lock_key
SELECT pg_advisory_xact_lock(hashtextextended('drystone run ' || %s, 0))

-- name: same_run
SELECT run_id FROM run
WHERE run_key = %(run_key)s
    AND (state IN ('queued', 'running', 'waiting') OR (%(once)s AND state = 'done'))
ORDER BY run_id DESC LIMIT 1

-- name: insert_run
INSERT INTO run (
    workflow, run_key, parameters, priority, is_by_size, requested_by, request_id, trace_id
)
VALUES (
    %(workflow)s, %(run_key)s, %(parameters)s, %(priority)s, %(is_by_size)s, %(requested_by)s,
    %(request_id)s, %(trace_id)s
)
RETURNING run_id

-- What follows has its priority from the run.
-- name: set_priority_by_size
UPDATE run SET priority = %(priority)s WHERE run_id = %(run_id)s AND is_by_size

-- A successor that exists is begun anew when it belongs to an earlier round of the run.
-- name: insert_task
INSERT INTO run_task AS task (
    run_id, step, part, queue, priority, state, gate, round, attempts_max, backoff_s, spec
)
SELECT run_id, %(step)s, %(part)s, %(queue)s, priority,
    coalesce(%(state)s, run_task_entry(%(gate)s, false)), %(gate)s, round,
    %(attempts_max)s, %(backoff_s)s, %(spec)s
FROM run WHERE run_id = %(run_id)s
ON CONFLICT (run_id, step, part) DO UPDATE
SET state = coalesce(%(state)s, run_task_entry(task.gate, task.gate_passed)),
    round = excluded.round, spec = excluded.spec, queue = excluded.queue, failures = 0,
    not_before = now(), delivered_time = NULL, worker = NULL, heartbeat = NULL, progress = NULL,
    result = NULL, error = NULL, end_time = NULL
WHERE task.round < excluded.round AND task.state IN ('done', 'partial', 'failed', 'cancelled')

-- A worker or scheduler that is frozen before its commit lets the run go: the server ends its session.
-- name: lock_run
SELECT state, round, cancel_time IS NOT NULL, start_time IS NOT NULL, workflow, parameters,
    requested_by
FROM run
WHERE run_id = %s AND set_config('idle_in_transaction_session_timeout', '60s', true) IS NOT NULL
FOR NO KEY UPDATE

-- name: is_open
SELECT EXISTS (
    SELECT FROM run_task
    WHERE run_id = %s AND state NOT IN ('done', 'partial', 'failed', 'cancelled')
)

-- name: has_failures
SELECT EXISTS (SELECT FROM run_task WHERE run_id = %s AND state IN ('failed', 'cancelled'))

-- While something is open the run is what its open tasks are. Afterwards it is what they came to:
-- a step that is done once decides for the whole; of parts, some done and some not is partial. The
-- reason is what failed first: what comes after it only says that something had failed.
-- name: derive
UPDATE run SET state = derived.state, end_time = derived.end_time, reason = derived.reason
FROM (
    SELECT now_open.state, NULL::timestamptz AS end_time, NULL::text AS reason
    FROM (
        SELECT CASE
            WHEN bool_or(task.state IN ('queued', 'running'))
                THEN CASE WHEN bool_and(run.start_time IS NULL) THEN 'queued' ELSE 'running' END
            ELSE 'waiting'
        END AS state
        FROM (
            SELECT DISTINCT run_task.state, run_id FROM run_task
            WHERE run_id = %(run_id)s
                AND run_task.state NOT IN ('done', 'partial', 'failed', 'cancelled')
        ) AS task JOIN run USING (run_id)
        HAVING count(*) > 0
    ) AS now_open
    UNION ALL
    SELECT ended.state, now(), CASE WHEN ended.state <> 'done' THEN ended.reason END
    FROM (
        SELECT CASE
            WHEN run.cancel_time IS NOT NULL AND tally.cancelled > 0 THEN 'cancelled'
            WHEN tally.failed + tally.cancelled + tally.partial = 0 THEN 'done'
            WHEN tally.failed_once > 0 THEN 'failed'
            WHEN tally.failed + tally.cancelled = 0 OR tally.parts > tally.parts_failed
                THEN 'partial'
            ELSE 'failed'
        END AS state, tally.reason
        FROM run, (
            SELECT count(*) FILTER (WHERE run_task.state = 'failed') AS failed,
                count(*) FILTER (WHERE run_task.state = 'cancelled') AS cancelled,
                count(*) FILTER (WHERE run_task.state = 'partial') AS partial,
                count(*) FILTER (WHERE run_task.state = 'failed' AND part = 0) AS failed_once,
                count(DISTINCT part) FILTER (WHERE part > 0) AS parts,
                count(DISTINCT part) FILTER (
                    WHERE part > 0 AND run_task.state IN ('failed', 'cancelled')
                ) AS parts_failed,
                (array_agg(
                    step || CASE WHEN part > 0 THEN ' of part ' || part ELSE '' END || ': ' || error
                    ORDER BY run_task.state <> 'failed', run_task.end_time, task_id
                ) FILTER (
                    WHERE run_task.state IN ('failed', 'partial', 'cancelled') AND error IS NOT NULL
                ))[1] AS reason
            FROM run_task WHERE run_id = %(run_id)s
        ) AS tally
        WHERE run.run_id = %(run_id)s AND NOT EXISTS (
            SELECT FROM run_task WHERE run_id = %(run_id)s
                AND run_task.state NOT IN ('done', 'partial', 'failed', 'cancelled')
        )
    ) AS ended
) AS derived
WHERE run_id = %(run_id)s AND run.state <> derived.state
RETURNING run.state, run.reason, workflow, requested_by

-- name: cancel
UPDATE run SET cancel_time = coalesce(cancel_time, now()) WHERE run_id = %s

-- What has a worker is told by its next heartbeat. The step that puts things in order goes on.
-- Whoever changes several tasks locks them by their number: gates are settled without the run's row.
-- name: cancel_tasks
UPDATE run_task SET state = 'cancelled', error = %(reason)s, end_time = now()
WHERE task_id IN (
    SELECT task_id FROM run_task
    WHERE run_id = %(run_id)s AND step IS DISTINCT FROM %(rescue)s AND state IN (
        'queued', 'waiting_gpu_ready', 'waiting_approval', 'waiting_space', 'waiting_labels'
    )
    ORDER BY task_id FOR UPDATE
)

-- name: retry_round
UPDATE run SET round = round + 1, state = 'queued', cancel_time = NULL, end_time = NULL,
    reason = NULL
WHERE run_id = %s

-- name: to_retry
SELECT step, part FROM run_task
WHERE run_id = %s AND state IN ('failed', 'cancelled') ORDER BY task_id

-- name: requeue
UPDATE run_task
SET state = run_task_entry(gate, gate_passed), round = run.round, failures = 0, not_before = now(),
    delivered_time = NULL, worker = NULL, heartbeat = NULL, progress = NULL, error = NULL,
    end_time = NULL
FROM run
WHERE run.run_id = %(run_id)s AND run_task.run_id = run.run_id AND step = %(step)s
    AND part = %(part)s AND run_task.state IN ('done', 'partial', 'failed', 'cancelled')

-- name: approve
UPDATE run_task SET gate_passed = true, state = 'queued', delivered_time = NULL, not_before = now()
WHERE task_id IN (
    SELECT task_id FROM run_task WHERE run_id = %s AND state = 'waiting_approval'
    ORDER BY task_id FOR UPDATE
)

-- name: continue_waiting
UPDATE run_task
SET state = run_task_entry(gate, gate_passed), delivered_time = NULL, not_before = now()
WHERE task_id IN (
    SELECT task_id FROM run_task WHERE run_id = %s AND state = %s ORDER BY task_id FOR UPDATE
)

-- name: state
SELECT state FROM run WHERE run_id = %s

-- ---- Asking -------------------------------------------------------------------------------------

-- name: run
SELECT run_id, workflow, run_key, parameters, state, priority, round, requested_by, cancel_time,
    reason, create_time, start_time, end_time
FROM run WHERE run_id = %s

-- Of a key: what goes on, else what went wrong last. Each is read by its partial index.
-- name: last_of_key
SELECT run_id, workflow, run_key, parameters, state, priority, round, requested_by, cancel_time,
    reason, create_time, start_time, end_time
FROM (
    SELECT * FROM run
    WHERE run_key = %(run_key)s AND state IN ('queued', 'running', 'waiting')
    UNION ALL
    (
        SELECT * FROM run WHERE run_key = %(run_key)s AND state IN ('failed', 'cancelled')
        ORDER BY run_id DESC LIMIT 1
    )
) AS either
ORDER BY state IN ('failed', 'cancelled') LIMIT 1

-- name: runs
SELECT run_id, workflow, run_key, parameters, state, priority, round, requested_by, cancel_time,
    reason, create_time, start_time, end_time
FROM run
WHERE (%(states)s::text[] IS NULL OR state = ANY (%(states)s::text[]))
    AND (%(workflow)s::text IS NULL OR workflow = %(workflow)s)
    AND (%(since)s::timestamptz IS NULL OR create_time >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR create_time < %(until)s)
    AND (%(text)s::text IS NULL OR strpos(
        lower(concat_ws(' ', workflow, run_key, parameters, requested_by, reason)), lower(%(text)s)
    ) > 0)
    AND (%(before)s::bigint IS NULL OR run_id < %(before)s)
ORDER BY run_id DESC LIMIT %(limit)s

-- name: run_counts
SELECT state, count(*) FROM run
WHERE (%(workflow)s::text IS NULL OR workflow = %(workflow)s)
    AND (%(since)s::timestamptz IS NULL OR create_time >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR create_time < %(until)s)
GROUP BY state

-- name: task_counts
SELECT state, count(*) FROM run_task WHERE run_id = %s GROUP BY state

-- What is open or went wrong first: of many parts these are the ones to look at.
-- name: tasks
SELECT task_id, run_id, step, part, queue, state, gate, round, attempt, failures, attempts_max,
    not_before, worker, heartbeat, progress, result, error, create_time, start_time, end_time
FROM (
    SELECT * FROM run_task WHERE run_id = %(run_id)s
    ORDER BY state = 'done', part > 0, task_id LIMIT %(limit)s
) AS shown
ORDER BY task_id

-- name: attempts
SELECT task_id, run_attempt.attempt, run_attempt.worker, run_attempt.start_time, run_attempt.end_time, outcome,
    reason, log_path
FROM run_attempt JOIN run_task USING (task_id)
WHERE run_id = %(run_id)s ORDER BY task_id, run_attempt.attempt LIMIT %(limit)s

-- What the task of one part came to.
-- name: result_of
SELECT result FROM run_task WHERE run_id = %s AND step = %s AND part = %s

-- name: results
SELECT part, state, result, error FROM run_task
WHERE run_id = %s AND step = %s ORDER BY part
