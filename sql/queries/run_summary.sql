-- What people look at over many runs at once; see sql/runs/run_summary_book.py. None changes a row.

-- Numbers and keys in a reason are taken for the same: the rest says what went wrong.
-- name: failures
SELECT workflow, state, pattern AS reason, count(*) AS runs, max(run_id) AS newest_run_id,
    max(end_time) AS newest_end, (array_agg(run_id ORDER BY run_id DESC))[1:%(listed)s] AS run_ids
FROM (
    SELECT run_id, workflow, state, end_time,
        regexp_replace(left(coalesce(reason, ''), 300), '[0-9a-f]{12,}|[0-9]+', '#', 'g') AS pattern
    FROM run
    WHERE state IN ('failed', 'partial') AND (%(workflow)s::text IS NULL OR workflow = %(workflow)s)
        AND (%(since)s::timestamptz IS NULL OR create_time >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR create_time < %(until)s)
    ORDER BY run_id DESC LIMIT %(looked_at)s
) AS failed
GROUP BY workflow, state, pattern ORDER BY count(*) DESC, max(run_id) DESC LIMIT %(limit)s

-- name: waiting
SELECT run_id, run.workflow, run.parameters, run.requested_by, task.state, task.step,
    task.count AS tasks, task.since, coalesce(task.error, '') AS reason, task.parts
FROM (
    SELECT run_id, state, step, count(*), min(create_time) AS since, max(error) AS error,
        (array_agg(part ORDER BY part))[1:%(listed)s] AS parts
    FROM run_task
    WHERE state IN ('waiting_gpu_ready', 'waiting_approval', 'waiting_space', 'waiting_labels')
    GROUP BY run_id, state, step
) AS task JOIN run USING (run_id)
ORDER BY run_id, task.step LIMIT %(limit)s

-- name: events_of_run
SELECT event.id AS event_id, event.action_batch_id, action.name AS action, detail.version, detail.state
FROM action_event_detail AS detail
JOIN action_event AS event ON event.id = detail.action_event_id
JOIN action USING (action_id)
WHERE detail.run_reference = %s ORDER BY event.id

-- name: firing_of_run
SELECT schedule.name, firing.due_time, firing.cause
FROM schedule_firing AS firing JOIN schedule USING (schedule_id)
WHERE firing.run_id = %s ORDER BY firing.due_time LIMIT 1

-- The newest batches and where each stands in every pipeline that it is in.
-- name: board
SELECT batch.action_batch_id, batch.create_date, batch.seal_date, (
    SELECT count(*) FROM action_batch_node AS member WHERE member.action_batch_id = batch.action_batch_id
) AS nodes, coalesce(pipeline.name, '') AS pipeline, place.current_stage AS stage_id, CASE WHEN stage.action_id IS NOT NULL THEN (
    SELECT count(*) FROM action_batch_node AS member
    WHERE member.action_batch_id = batch.action_batch_id AND EXISTS (
        SELECT FROM node_action_done AS done
        WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
    )
) ELSE 0 END AS nodes_done,
    substring(last.run_reference FROM '^run:([0-9]{1,18})$')::bigint AS run_id,
    coalesce(last.state, '') AS last_state, coalesce(run.state, '') AS run_state
FROM (
    SELECT * FROM action_batch ORDER BY action_batch_id DESC LIMIT %(limit)s
) AS batch
LEFT JOIN pipeline_batch AS place ON place.action_batch_id = batch.action_batch_id
LEFT JOIN pipeline ON pipeline.id = place.pipeline_id
LEFT JOIN pipeline_stage AS stage
    ON stage.pipeline_id = place.pipeline_id AND stage.stage_id = place.current_stage
LEFT JOIN LATERAL (
    SELECT detail.run_reference, detail.state
    FROM action_event AS event
    JOIN action_event_detail AS detail ON detail.action_event_id = event.id
    WHERE event.action_batch_id = batch.action_batch_id ORDER BY event.id DESC LIMIT 1
) AS last ON true
LEFT JOIN run ON run.run_id = substring(last.run_reference FROM '^run:([0-9]{1,18})$')::bigint
ORDER BY batch.action_batch_id DESC, pipeline.name
