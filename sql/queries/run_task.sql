-- Tasks as workers and the scheduler see them; see sql/runs/run_claims.py. The row of a run is always locked
-- before those of its tasks, so that no two of these ever wait for each other.

-- name: run_of
SELECT run_id FROM run_task WHERE task_id = %s

-- name: step_of
SELECT run.workflow, task.step FROM run_task AS task JOIN run USING (run_id) WHERE task.task_id = %s

-- Whether a queue lets a task begin; its row is locked where it has a limit, so that two who count
-- at once do not both find room.
-- name: queue
SELECT paused, draining, running_max FROM queue_state WHERE queue = (
    SELECT queue FROM run_task WHERE task_id = %s
)

-- name: lock_queue
SELECT FROM queue_state WHERE queue = (SELECT queue FROM run_task WHERE task_id = %s) FOR UPDATE

-- name: running_in_queue
SELECT count(*) FROM run_task
WHERE state = 'running' AND queue = (SELECT queue FROM run_task WHERE task_id = %s)

-- The attempt is the fencing token: from here on whoever holds an older one changes nothing.
-- name: claim
UPDATE run_task
SET state = 'running', attempt = attempt + 1, worker = %(worker)s, heartbeat = now(),
    start_time = now(), end_time = NULL, progress = NULL, delivered_time = NULL
WHERE task_id = %(task_id)s AND state = 'queued' AND not_before <= now()
    AND run_task_entry(gate, gate_passed) = 'queued'
RETURNING attempt, step, part, round, queue, spec, failures, attempts_max

-- name: traced_run
SELECT run_id, request_id, trace_id FROM run JOIN run_task USING (run_id) WHERE task_id = %s

-- What it is logged under.
-- name: ids_of_run
SELECT request_id, trace_id FROM run WHERE run_id = %s

-- name: begin_run
UPDATE run SET state = 'running', start_time = coalesce(start_time, now())
WHERE run_id = %s AND (state <> 'running' OR start_time IS NULL)

-- name: insert_attempt
INSERT INTO run_attempt (task_id, attempt, worker, log_path, wait_s)
SELECT task_id, %(attempt)s, %(worker)s, %(log_path)s,
    greatest(0, extract(epoch FROM start_time - queued_time))
FROM run_task WHERE task_id = %(task_id)s

-- It was in Redis and is not to be begun now: let it be delivered again when it may.
-- name: undeliver
UPDATE run_task SET delivered_time = NULL WHERE task_id = %s AND state = 'queued'

-- name: beat
UPDATE run_task SET heartbeat = now(), progress = coalesce(%(progress)s, progress)
FROM run
WHERE task_id = %(task_id)s AND attempt = %(token)s AND run_task.state = 'running'
    AND run.run_id = run_task.run_id
RETURNING run.cancel_time IS NOT NULL

-- name: task_to_end
SELECT state, attempt, failures, attempts_max, step, part, round, spec, queue
FROM run_task WHERE task_id = %s FOR UPDATE

-- name: end_task
UPDATE run_task
SET state = %(state)s, result = %(result)s, error = %(error)s, end_time = now(),
    failures = failures + %(failed)s, heartbeat = NULL
WHERE task_id = %(task_id)s

-- The pause doubles with every failure, and half of it is left to chance: tasks that failed together
-- (a server was away) do not come back together.
-- name: give_back
UPDATE run_task
SET state = coalesce(%(state)s, run_task_entry(gate, gate_passed)), error = %(error)s,
    failures = failures + %(failed)s, heartbeat = NULL, worker = NULL, delivered_time = NULL,
    result = coalesce(%(result)s, result),
    not_before = now() + make_interval(secs => coalesce(
        %(pause_s)s,
        least(%(pause_s_max)s, backoff_s * 2 ^ least(failures, 30)) * (0.75 + 0.5 * random())
    ))
WHERE task_id = %(task_id)s

-- name: end_attempt
UPDATE run_attempt SET end_time = now(), outcome = %(outcome)s, reason = %(reason)s
WHERE task_id = %(task_id)s AND attempt = %(token)s AND end_time IS NULL

-- name: no_wait
SET LOCAL synchronous_commit = off

-- name: lost
UPDATE run_attempt SET outcome = 'lost' WHERE task_id = %s AND attempt = %s

-- name: outcome
SELECT outcome FROM run_attempt WHERE task_id = %s AND attempt = %s

-- The log of an attempt that is still the latest.
-- name: log_path
SELECT run_attempt.log_path FROM run_attempt JOIN run_task USING (task_id, attempt)
WHERE task_id = %s AND attempt = %s

-- ---- The scheduler ---------------------------------------------------------------------------------

-- The clock was set back: who is alive beats again at once, and who is dead must not be waited for
-- until the clock is there again.
-- name: beats_to_come
UPDATE run_task SET heartbeat = now()
WHERE task_id IN (
    SELECT task_id FROM run_task
    WHERE state = 'running' AND heartbeat > now() + make_interval(secs => %(lease_s)s)
    ORDER BY task_id FOR UPDATE
)

-- Now, not when the transaction began.
-- name: clock
SELECT extract(epoch FROM clock_timestamp())

-- Those whose worker fell silent. A server that was away itself could not hear anybody: after its
-- start the workers get time to be heard again.
-- name: silent
SELECT task_id, attempt AS token FROM run_task
WHERE state = 'running' AND heartbeat < now() - make_interval(secs => %(lease_s)s)
    AND pg_postmaster_start_time() < now() - make_interval(secs => %(grace_s)s)
ORDER BY heartbeat LIMIT %(limit)s

-- name: of_worker
SELECT task_id, attempt AS token FROM run_task WHERE state = 'running' AND worker = %s

-- Lanes share what of a queue is in Redis by their weights: next is the lane that has the least of its
-- share, with what runs and what is delivered. Where no high one is delivered, the next few come before
-- all, beyond the depth; where a queue has a limit of three or more, one place is theirs alone. A scheduler that is
-- frozen before its commit gives back what it has chosen.
-- name: due
WITH patience AS (
    SELECT set_config('idle_in_transaction_session_timeout', '60s', true)
), held AS (
    SELECT queue, run_lane(priority) AS lane, count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE state = 'queued') AS delivered
    FROM (
        SELECT queue, priority, state FROM run_task
        WHERE state = 'running' AND queue = ANY (%(queues)s)
        UNION ALL
        SELECT queue, priority, state FROM run_task
        WHERE state = 'queued' AND delivered_time IS NOT NULL AND queue = ANY (%(queues)s)
    ) AS task
    GROUP BY queue, run_lane(priority)
), room AS (
    SELECT name, coalesce(draining, false) AS draining, lanes.lane, weight,
        coalesce(held.running, 0) + coalesce(held.delivered, 0) AS held,
        coalesce(held.delivered, 0) AS delivered,
        sum(coalesce(held.delivered, 0)) OVER of_queue AS delivered_all,
        coalesce(running_max, 1000000) - sum(coalesce(held.running, 0)) OVER of_queue AS places,
        coalesce(running_max, 1000000) - CASE WHEN running_max > 2 THEN 1 ELSE 0 END
            - sum(CASE WHEN lanes.lane = 'high' THEN 0 ELSE coalesce(held.running, 0)
                + coalesce(held.delivered, 0) END) OVER of_queue AS places_of_others
    FROM patience, unnest(%(queues)s::text[]) AS name
    CROSS JOIN (VALUES ('high', 5.0), ('normal', 10.0), ('low', 3.0)) AS lanes (lane, weight)
    LEFT JOIN queue_state ON queue_state.queue = name
    LEFT JOIN held ON held.queue = name AND held.lane = lanes.lane
    WHERE NOT coalesce(paused, false)
    WINDOW of_queue AS (PARTITION BY name)
), waiting AS (
    SELECT room.*, next.task_id,
        row_number() OVER (PARTITION BY name, lane ORDER BY next.turn, next.task_id) AS number
    FROM room CROSS JOIN LATERAL (
        SELECT task.task_id, run_turn(task.create_time, task.priority) AS turn
        FROM run_task AS task
        WHERE task.queue = room.name AND run_lane(task.priority) = room.lane
            AND task.state = 'queued' AND task.delivered_time IS NULL
            AND task.not_before <= now() AND (NOT room.draining OR (
                SELECT start_time IS NOT NULL FROM run WHERE run.run_id = task.run_id
            ))
        ORDER BY run_turn(task.create_time, task.priority), task.task_id
        LIMIT greatest(least(room.places, %(depth)s + %(first)s), 0)
    ) AS next
), shared AS (
    SELECT *, lane = 'high' AND delivered = 0 AND number <= %(first)s AS is_first,
        (held + number) / weight AS share,
        count(*) FILTER (WHERE lane <> 'high') OVER (
            PARTITION BY name ORDER BY (held + number) / weight, task_id
        ) AS number_of_others
    FROM waiting
), ordered AS (
    SELECT *, row_number() OVER (
        PARTITION BY name ORDER BY is_first DESC, share, task_id
    ) AS place
    FROM shared WHERE lane = 'high' OR number_of_others <= places_of_others
), chosen AS (
    SELECT task.task_id, lane, is_first, place FROM ordered JOIN run_task AS task USING (task_id)
    WHERE place <= least(%(depth)s + CASE WHEN is_first THEN %(first)s ELSE 0 END, places)
            - delivered_all
        -- Said so that no partial index follows from it: before the first ANALYZE one seems to hold
        -- nothing, and is read whole for each row that is chosen (two minutes with 100,000).
        AND coalesce(task.state = 'queued' AND task.delivered_time IS NULL, false)
    FOR UPDATE OF task SKIP LOCKED
), delivered AS (
    UPDATE run_task SET delivered_time = clock_timestamp() FROM chosen
    WHERE run_task.task_id = chosen.task_id
    RETURNING run_task.task_id, attempt + 1 AS attempt, queue, is_first, lane = 'high' AS is_high,
        place
)
SELECT task_id, attempt, queue, is_first, is_high FROM delivered ORDER BY queue, place

-- A time to come is as good as one long gone: the clock was set back.
-- name: delivered
SELECT task_id, attempt + 1 AS attempt, queue, run_lane(priority) = 'high' AS is_high FROM run_task
WHERE state = 'queued' AND queue = ANY (%(queues)s) AND delivered_time IS NOT NULL
    AND abs(extract(epoch FROM clock_timestamp() - delivered_time)) > %(age_s)s

-- name: undeliver_lost
UPDATE run_task SET delivered_time = NULL
WHERE task_id IN (
    SELECT task.task_id FROM run_task AS task
    JOIN unnest(%(task_ids)s::bigint[], %(attempts)s::integer[]) AS lost (task_id, attempt)
        ON task.task_id = lost.task_id AND task.attempt + 1 = lost.attempt
    WHERE state = 'queued'
        AND abs(extract(epoch FROM clock_timestamp() - delivered_time)) > %(age_s)s
    ORDER BY task.task_id FOR UPDATE OF task
)

-- Few at a time, however slow the workers are: many that ask in vain, again and again, would keep
-- those from running who give space back. Who has asked before waits in the queue with an error. The
-- most important ask first, and beside them one of the others, which may want another kind of space.
-- name: look_for_space
WITH waiting AS (
    SELECT queue, min(priority) AS priority FROM run_task
    WHERE state = 'waiting_space' AND not_before <= now() GROUP BY queue
), room AS (
    SELECT waiting.queue, waiting.priority,
        %(probes)s - count(other.task_id) FILTER (WHERE other.priority <= waiting.priority) AS count,
        1 - count(other.task_id) FILTER (WHERE other.priority > waiting.priority) AS others
    FROM waiting
    LEFT JOIN run_task AS other ON other.queue = waiting.queue AND other.state = 'queued'
        AND other.error IS NOT NULL AND EXISTS (
            SELECT FROM run_attempt
            WHERE run_attempt.task_id = other.task_id AND run_attempt.attempt = other.attempt
                AND outcome = 'waiting_space'
        )
    GROUP BY waiting.queue, waiting.priority
), first AS (
    SELECT next.task_id FROM room CROSS JOIN LATERAL (
        SELECT task.task_id FROM run_task AS task
        WHERE task.queue = room.queue AND task.priority = room.priority
            AND task.state = 'waiting_space' AND task.not_before <= now()
        ORDER BY task.not_before
        LIMIT greatest(room.count, 0) FOR UPDATE OF task SKIP LOCKED
    ) AS next
), beside AS (
    SELECT next.task_id FROM room CROSS JOIN LATERAL (
        SELECT task.task_id FROM run_task AS task
        WHERE task.queue = room.queue AND task.priority > room.priority
            AND task.state = 'waiting_space' AND task.not_before <= now()
        ORDER BY task.not_before
        LIMIT greatest(room.others, 0) FOR UPDATE OF task SKIP LOCKED
    ) AS next
)
UPDATE run_task SET state = run_task_entry(gate, gate_passed), delivered_time = NULL
WHERE task_id IN (SELECT task_id FROM first UNION ALL SELECT task_id FROM beside)
RETURNING run_id

-- Those who wait for people look now and then whether all is answered, however the answers came.
-- name: look_for_labels
UPDATE run_task SET state = run_task_entry(gate, gate_passed), delivered_time = NULL
WHERE task_id IN (
    SELECT task_id FROM run_task
    WHERE state = 'waiting_labels' AND not_before <= now()
    ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING run_id

-- ---- Queues and gates ---------------------------------------------------------------------------

-- name: set_queue
INSERT INTO queue_state AS former (queue, paused, draining, changed_by)
VALUES (%(queue)s, coalesce(%(paused)s, false), coalesce(%(draining)s, false), %(by)s)
ON CONFLICT (queue) DO UPDATE
SET paused = coalesce(%(paused)s, former.paused),
    draining = coalesce(%(draining)s, former.draining), change_time = now(), changed_by = %(by)s

-- name: limit_queue
INSERT INTO queue_state (queue, running_max, changed_by) VALUES (%(queue)s, %(running_max)s, %(by)s)
ON CONFLICT (queue) DO UPDATE
SET running_max = %(running_max)s, change_time = now(), changed_by = %(by)s

-- name: queues
SELECT name AS queue, coalesce(paused, false) AS paused, coalesce(draining, false) AS draining,
    running_max, coalesce(queued, 0) AS queued, coalesce(running, 0) AS running,
    coalesce(waiting, 0) AS waiting
FROM (
    SELECT name FROM unnest(%(queues)s::text[]) AS name
    UNION SELECT queue FROM queue_state
    UNION SELECT queue FROM run_task
    WHERE state NOT IN ('done', 'partial', 'failed', 'cancelled')
) AS known
LEFT JOIN queue_state ON queue_state.queue = name
LEFT JOIN (
    SELECT queue AS name, count(*) FILTER (WHERE state = 'queued') AS queued,
        count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE state LIKE 'waiting%%') AS waiting
    FROM run_task WHERE state NOT IN ('done', 'partial', 'failed', 'cancelled') GROUP BY queue
) AS tally USING (name)
ORDER BY name

-- Of the last hour, as far as the newest attempts reach; and who has waited longest by now.
-- name: lane_times
WITH recent AS (
    SELECT queue, run_lane(priority) AS lane, wait_s,
        extract(epoch FROM attempt.end_time - attempt.start_time) AS work_s
    FROM (
        SELECT task_id, wait_s, start_time, end_time FROM run_attempt
        WHERE start_time > now() - interval '1 hour'
        ORDER BY start_time DESC LIMIT %(limit)s
    ) AS attempt JOIN run_task USING (task_id)
), tally AS (
    SELECT queue, lane, count(*) AS begun,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_s) AS wait_p95_s,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY work_s)::double precision AS work_p95_s
    FROM recent GROUP BY queue, lane
), waiting AS (
    SELECT name AS queue, lane, extract(epoch FROM now() - oldest.queued_time) AS waits_s
    FROM unnest(%(queues)s::text[]) AS name
    CROSS JOIN (VALUES ('high'), ('normal'), ('low')) AS lanes (lane)
    CROSS JOIN LATERAL (
        SELECT task.queued_time FROM run_task AS task
        WHERE task.queue = name AND run_lane(task.priority) = lane AND task.state = 'queued'
            AND task.delivered_time IS NULL AND task.not_before <= now()
        ORDER BY run_turn(task.create_time, task.priority), task.task_id LIMIT 1
    ) AS oldest
)
SELECT queue, lane, coalesce(begun, 0) AS begun, wait_p95_s, work_p95_s,
    coalesce(waits_s, 0)::double precision AS waits_s
FROM tally FULL JOIN waiting USING (queue, lane)
ORDER BY queue, array_position(ARRAY['high', 'normal', 'low'], lane)

-- name: set_gpu
INSERT INTO gpu_gate AS former (host, state, reason) VALUES (%(host)s, %(state)s, %(reason)s)
ON CONFLICT (host) DO UPDATE
SET since = CASE WHEN former.state = %(state)s THEN former.since ELSE now() END,
    last_busy = CASE WHEN %(state)s = 'ready' THEN now() ELSE former.last_busy END,
    state = %(state)s, reason = %(reason)s

-- name: gpus
SELECT host, state, since, last_busy, reason FROM gpu_gate ORDER BY host

-- name: gpu_wanted
SELECT count(*) FILTER (WHERE state = 'waiting_gpu_ready') AS waiting,
    count(*) FILTER (WHERE state IN ('queued', 'running')) AS busy
FROM run_task
WHERE gate = 'gpu' AND state NOT IN ('done', 'partial', 'failed', 'cancelled')

-- Whoever saw a gate as it was a moment ago is put right here.
-- name: settle_gates
UPDATE run_task SET state = run_task_entry(gate, gate_passed), delivered_time = NULL
WHERE task_id IN (
    SELECT task_id FROM run_task
    WHERE gate = 'gpu' AND state NOT IN ('done', 'partial', 'failed', 'cancelled')
        AND state IN ('queued', 'waiting_gpu_ready')
        AND state <> run_task_entry(gate, gate_passed)
    ORDER BY task_id FOR UPDATE
)
RETURNING run_id, state

-- name: gpu_busy
UPDATE gpu_gate SET last_busy = now() WHERE state = 'ready' AND EXISTS (
    SELECT FROM run_task
    WHERE gate = 'gpu' AND state NOT IN ('done', 'partial', 'failed', 'cancelled')
        AND state IN ('queued', 'running')
)

-- Whoever has the turn and is frozen loses it after a while: the server ends its session.
-- name: try_lock
SELECT pg_try_advisory_xact_lock(hashtextextended('drystone periodic task ' || %(task)s, 0)),
    set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true)
