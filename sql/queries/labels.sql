-- What people are asked and what they said (AC5); see sql/actions/label_book.py.

-- Nobody is asked about what may not be shown: deleted and black-listed nodes.
-- name: make_tasks
INSERT INTO label_task (action_event_id, node_id, labellers_wanted)
SELECT event.id, member.node_id, %(labellers)s
FROM action_event AS event JOIN action_batch_node AS member USING (action_batch_id)
WHERE event.id = %(event_id)s
    AND (%(node_ids)s::bigint[] IS NULL OR member.node_id = ANY (%(node_ids)s))
    AND NOT EXISTS (
        SELECT FROM physical_content AS content
        WHERE content.node_id = member.node_id AND (content.is_delete OR content.in_black_list)
    )
ORDER BY member.node_id
ON CONFLICT DO NOTHING

-- name: tasks
SELECT task.label_task_id AS task_id, task.action_event_id AS event_id, task.node_id,
    encode(node.sha256, 'hex') AS key,
    task.labellers_wanted, told.answers, told.skips, barred.is_hidden AS hidden
FROM label_task AS task
JOIN node USING (node_id)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'answer') AS answers,
        count(*) FILTER (WHERE kind = 'skip') AS skips
    FROM label_current AS answer WHERE answer.label_task_id = task.label_task_id
) AS told
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM physical_content AS content
        WHERE content.node_id = task.node_id AND (content.is_delete OR content.in_black_list)
    ) AS is_hidden
) AS barred
WHERE task.action_event_id = %(event_id)s AND task.label_task_id > %(after)s
    AND (
        NOT %(open_only)s OR (told.answers < task.labellers_wanted AND NOT barred.is_hidden)
    )
    AND (%(labeller)s::text IS NULL OR NOT EXISTS (
        SELECT FROM label_current AS own
        WHERE own.label_task_id = task.label_task_id AND own.labeller = %(labeller)s
    ))
ORDER BY task.label_task_id LIMIT %(limit)s

-- name: task
SELECT task.label_task_id AS task_id, task.action_event_id AS event_id, task.node_id,
    encode(node.sha256, 'hex') AS key,
    task.labellers_wanted, told.answers, told.skips, EXISTS (
        SELECT FROM physical_content AS content
        WHERE content.node_id = task.node_id AND (content.is_delete OR content.in_black_list)
    ) AS hidden
FROM label_task AS task
JOIN node USING (node_id)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'answer') AS answers,
        count(*) FILTER (WHERE kind = 'skip') AS skips
    FROM label_current AS answer WHERE answer.label_task_id = task.label_task_id
) AS told
WHERE task.label_task_id = %s

-- Whether somebody is, or was, asked about a content that may be shown.
-- name: is_asked
SELECT EXISTS (
    SELECT FROM label_task AS task JOIN node USING (node_id)
    WHERE node.sha256 = decode(%(key)s, 'hex')
        AND NOT EXISTS (
            SELECT FROM physical_content AS content
            WHERE content.node_id = task.node_id AND (content.is_delete OR content.in_black_list)
        )
)

-- name: add_answer
INSERT INTO label_answer (label_task_id, labeller, kind, document, origin)
VALUES (%s, %s, %s, %s, %s) RETURNING label_answer_id

-- The newest of what a labeller said in a run and has not taken back, and its task.
-- name: last_said
SELECT answer.label_answer_id, answer.label_task_id
FROM label_answer AS answer JOIN label_task AS task USING (label_task_id)
WHERE task.action_event_id = %(event_id)s AND answer.labeller = %(labeller)s
    AND answer.kind <> 'undo'
    AND NOT EXISTS (
        SELECT FROM label_answer AS later WHERE later.undoes = answer.label_answer_id
    )
ORDER BY answer.label_answer_id DESC LIMIT 1

-- name: add_undo
INSERT INTO label_answer (label_task_id, labeller, kind, undoes, origin)
VALUES (%s, %s, 'undo', %s, %s) ON CONFLICT (undoes) DO NOTHING

-- name: make_given
CREATE TEMPORARY TABLE given_answer (
    place bigint, node_id bigint, labeller text, kind text, document text, import_key bytea
) ON COMMIT DROP

-- name: import_given
INSERT INTO label_answer (label_task_id, labeller, kind, document, origin, import_key)
SELECT task.label_task_id, given.labeller, given.kind, given.document, %(origin)s, given.import_key
FROM given_answer AS given
JOIN label_task AS task ON task.action_event_id = %(event_id)s AND task.node_id = given.node_id
ORDER BY given.place
ON CONFLICT (label_task_id, import_key) DO NOTHING

-- name: drop_given
DROP TABLE given_answer

-- name: current
SELECT answer.label_answer_id AS answer_id, answer.label_task_id AS task_id, task.node_id,
    encode(node.sha256, 'hex') AS key,
    answer.labeller, answer.kind, answer.document, answer.origin, answer.answer_time
FROM label_task AS task
JOIN node USING (node_id)
JOIN label_current AS answer USING (label_task_id)
WHERE task.action_event_id = %s
ORDER BY task.node_id, answer.labeller

-- name: history
SELECT answer.label_answer_id AS answer_id, answer.label_task_id AS task_id, task.node_id,
    encode(node.sha256, 'hex') AS key,
    answer.labeller, answer.kind, answer.document, answer.origin, answer.answer_time
FROM label_answer AS answer
JOIN label_task AS task USING (label_task_id)
JOIN node USING (node_id)
WHERE answer.label_task_id = %s
ORDER BY answer.label_answer_id

-- name: progress
SELECT count(*) AS tasks, count(*) FILTER (WHERE told.answers >= task.labellers_wanted) AS complete,
    coalesce(sum(told.answers), 0)::bigint AS answers, coalesce(sum(told.skips), 0)::bigint AS skips
FROM label_task AS task
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'answer') AS answers,
        count(*) FILTER (WHERE kind = 'skip') AS skips
    FROM label_current AS answer WHERE answer.label_task_id = task.label_task_id
) AS told
WHERE task.action_event_id = %s

-- name: newest
SELECT coalesce(max(answer.label_answer_id), 0)
FROM label_answer AS answer JOIN label_task AS task USING (label_task_id)
WHERE task.action_event_id = %s

-- Runs that ask people.
-- name: runs
SELECT event.id AS event_id, action.name AS action, event.action_batch_id, detail.run_reference, detail.state,
    encode(detail.contract_digest, 'hex') AS contract_digest, event.start_time
FROM action_event AS event
JOIN action USING (action_id)
JOIN action_event_detail AS detail ON detail.action_event_id = event.id
WHERE action.type = 'AC5'
    AND EXISTS (SELECT FROM label_task AS task WHERE task.action_event_id = event.id)
    AND (%(event_id)s::bigint IS NULL OR event.id = %(event_id)s)
ORDER BY detail.state <> 'open', event.id DESC LIMIT %(limit)s

-- name: labellers
SELECT answer.labeller AS name, count(*) FILTER (WHERE answer.kind = 'answer') AS answers,
    count(*) FILTER (WHERE answer.kind = 'skip') AS skips, max(answer.answer_time) AS last_time
FROM label_task AS task JOIN label_current AS answer USING (label_task_id)
WHERE task.action_event_id = %s
GROUP BY answer.labeller ORDER BY 2 DESC, 1
