-- Actions, their batches and their history; see sql/actions/history.py.

-- name: declare_action
INSERT INTO action (action_id, name, type) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING

-- name: action
SELECT action_id, name, type FROM action WHERE action_id = %s OR name = %s ORDER BY action_id

-- name: insert_pipeline
INSERT INTO pipeline (name) VALUES (%s) ON CONFLICT (name) DO NOTHING

-- name: pipeline
SELECT id FROM pipeline WHERE name = %s FOR UPDATE

-- name: stages
SELECT stage.action_id FROM pipeline_stage AS stage WHERE stage.pipeline_id = %s ORDER BY stage_id

-- name: insert_stages
INSERT INTO pipeline_stage (pipeline_id, stage_id, action_id)
SELECT %s, place, action_id FROM unnest(%s::integer[]) WITH ORDINALITY AS given (action_id, place)

-- name: create_batch
INSERT INTO action_batch DEFAULT VALUES RETURNING action_batch_id

-- name: batch
SELECT create_date, seal_date FROM action_batch WHERE action_batch_id = %s

-- name: batch_to_change
SELECT create_date, seal_date FROM action_batch WHERE action_batch_id = %s FOR UPDATE

-- name: make_given
CREATE TEMPORARY TABLE given_node (node_id bigint) ON COMMIT DROP

-- name: unknown_given
SELECT node_id FROM given_node WHERE NOT EXISTS (
    SELECT FROM node WHERE node.node_id = given_node.node_id
) ORDER BY node_id LIMIT 5

-- name: add_given
INSERT INTO action_batch_node (action_batch_id, node_id)
SELECT DISTINCT %s::bigint, node_id FROM given_node ORDER BY node_id
ON CONFLICT DO NOTHING

-- name: drop_given
DROP TABLE given_node

-- name: seal
UPDATE action_batch SET seal_date = greatest(now(), create_date)
WHERE action_batch_id = %s AND seal_date IS NULL

-- name: insert_event
INSERT INTO action_event (action_id, action_batch_id, start_time, end_time, status)
VALUES (%s, %s, %s, %s, %s) RETURNING id

-- An event that nobody tells node by node is done for all of its batch.
-- name: done_for_all
INSERT INTO action_node (action_event_id, node_id, part, outcome)
SELECT event.id, member.node_id, 0, 'done'
FROM action_event AS event JOIN action_batch_node AS member USING (action_batch_id)
WHERE event.id = %s AND NOT EXISTS (
    SELECT FROM action_event_detail AS detail WHERE detail.action_event_id = event.id
)
ON CONFLICT DO NOTHING

-- A run that has ended stays as it ended; only its times may still be told.
-- name: change_event
UPDATE action_event
SET status = %(status)s, start_time = coalesce(%(start_time)s, start_time),
    end_time = coalesce(%(end_time)s, end_time)
WHERE id = %(event_id)s AND (status = %(status)s OR status IN ('waiting', 'running'))

-- name: event_status
SELECT status FROM action_event WHERE id = %s

-- name: events
SELECT event.id AS event_id, event.action_id, action.name AS action, event.status, event.start_time, event.end_time
FROM action_event AS event JOIN action USING (action_id)
WHERE event.action_batch_id = %s ORDER BY event.id

-- name: node_count
SELECT count(*) FROM action_batch_node WHERE action_batch_id = %s

-- name: pipelines
SELECT state.pipeline_id, pipeline.name, state.current_stage
FROM pipeline_batch AS state JOIN pipeline ON pipeline.id = state.pipeline_id
WHERE state.action_batch_id = %s ORDER BY state.pipeline_id

-- For how many nodes of the batch each action of the pipeline is done, and how many are still open:
-- not done, and not hidden.
-- name: stage_counts
SELECT stage.stage_id, stage.action_id, action.name, (
    SELECT count(*) FROM action_batch_node AS member
    WHERE member.action_batch_id = %(action_batch_id)s AND EXISTS (
        SELECT FROM node_action_done AS done
        WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
    )
), (
    SELECT count(*) FROM action_batch_node AS member
    WHERE member.action_batch_id = %(action_batch_id)s AND NOT EXISTS (
        SELECT FROM node_action_done AS done
        WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
    ) AND NOT EXISTS (
        SELECT FROM physical_content AS hidden
        WHERE hidden.node_id = member.node_id AND (hidden.in_black_list OR hidden.is_delete)
    )
)
FROM pipeline_stage AS stage JOIN action USING (action_id)
WHERE stage.pipeline_id = %(pipeline_id)s ORDER BY stage.stage_id
