-- What UA_2 keeps about its runs; see sql/actions/action_book.py.

-- The event of a run, locked: two that begin the same run get one event.
-- name: event_of_run
SELECT detail.action_event_id FROM action_event_detail AS detail WHERE detail.run_reference = %s

-- name: lock_run
SELECT pg_advisory_xact_lock(hashtext('action_event_detail'), hashtext(%s))

-- name: insert_detail
INSERT INTO action_event_detail (
    action_event_id, run_reference, version, contract_digest, parameters, parameters_digest
) VALUES (%s, %s, %s, %s, %s, %s)

-- name: event
SELECT event.id AS event_id, event.action_id, action.name AS action, action.type,
    event.action_batch_id, event.status, detail.run_reference, detail.version,
    encode(detail.contract_digest, 'hex') AS contract_digest, detail.parameters, detail.state,
    event.start_time, event.end_time
FROM action_event AS event
JOIN action USING (action_id)
JOIN action_event_detail AS detail ON detail.action_event_id = event.id
WHERE event.id = %s

-- name: event_to_change
SELECT detail.state FROM action_event_detail AS detail WHERE detail.action_event_id = %s FOR UPDATE

-- name: set_state
UPDATE action_event_detail SET state = %s WHERE action_event_id = %s

-- Nodes of a batch that no event of the same action, version and parameters has done. The events
-- are few and materialised once; each node then looks into action_node_done.
-- name: pending
WITH same AS MATERIALIZED (
    SELECT event.id
    FROM action_event AS event
    JOIN action_event_detail AS detail ON detail.action_event_id = event.id
    WHERE event.action_id = %(action_id)s AND detail.version = %(version)s
        AND detail.parameters_digest = %(parameters_digest)s
)
SELECT member.node_id, encode(node.sha256, 'hex') AS key,
    coalesce(content.file_size_bytes, 0) AS size_bytes
FROM action_batch_node AS member
JOIN node USING (node_id)
LEFT JOIN physical_content AS content USING (node_id)
WHERE member.action_batch_id = %(action_batch_id)s AND NOT EXISTS (
    SELECT FROM action_node AS known
    WHERE known.node_id = member.node_id AND known.outcome = 'done'
        AND known.action_event_id IN (SELECT same.id FROM same)
)
ORDER BY member.node_id

-- name: pending_counts
WITH same AS MATERIALIZED (
    SELECT event.id
    FROM action_event AS event
    JOIN action_event_detail AS detail ON detail.action_event_id = event.id
    WHERE event.action_id = %(action_id)s AND detail.version = %(version)s
        AND detail.parameters_digest = %(parameters_digest)s
)
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM action_node AS known
    WHERE known.node_id = member.node_id AND known.outcome = 'done'
        AND known.action_event_id IN (SELECT same.id FROM same)
))
FROM action_batch_node AS member
WHERE member.action_batch_id = %(action_batch_id)s

-- name: make_outcomes
CREATE TEMPORARY TABLE given_outcome (node_id bigint, outcome text, reason text) ON COMMIT DROP

-- What was done stays done: a part that is read again after a replay takes nothing back.
-- name: record_outcomes
INSERT INTO action_node AS known (action_event_id, node_id, part, outcome, reason)
SELECT %(event_id)s, node_id, %(part)s, outcome, reason FROM given_outcome ORDER BY node_id
ON CONFLICT (action_event_id, node_id) DO UPDATE
SET part = excluded.part, outcome = excluded.outcome, reason = excluded.reason
WHERE known.outcome <> 'done'
    AND (known.part, known.outcome, known.reason)
    IS DISTINCT FROM (excluded.part, excluded.outcome, excluded.reason)

-- name: drop_outcomes
DROP TABLE given_outcome

-- name: outcome_counts
SELECT outcome, count(*) FROM action_node WHERE action_event_id = %s GROUP BY outcome

-- name: outcomes
SELECT known.node_id, known.outcome, known.reason
FROM action_node AS known
WHERE known.action_event_id = %(event_id)s
    AND (%(outcome)s::text IS NULL OR known.outcome = %(outcome)s)
    AND (%(part)s::integer IS NULL OR known.part = %(part)s)
ORDER BY known.node_id

-- name: intent_applied
SELECT EXISTS (SELECT FROM write_intent WHERE intent_id = %s)

-- ---- Tagging (AC1) ------------------------------------------------------------------------------

-- name: former_intent
SELECT digest, result FROM write_intent WHERE intent_id = %s

-- name: make_tagged
CREATE TEMPORARY TABLE given_tag (node_id bigint) ON COMMIT DROP

-- name: fill_tagged
WITH same AS MATERIALIZED (
    SELECT event.id
    FROM action_event AS event
    JOIN action_event_detail AS detail ON detail.action_event_id = event.id
    WHERE event.action_id = %(action_id)s AND detail.version = %(version)s
        AND detail.parameters_digest = %(parameters_digest)s
)
INSERT INTO given_tag
SELECT member.node_id
FROM action_batch_node AS member
WHERE member.action_batch_id = %(action_batch_id)s AND NOT EXISTS (
    SELECT FROM action_node AS known
    WHERE known.node_id = member.node_id AND known.outcome = 'done'
        AND known.action_event_id IN (SELECT same.id FROM same)
)

-- name: tagged_done
INSERT INTO action_node (action_event_id, node_id, part, outcome)
SELECT %(event_id)s, given_tag.node_id, 0, 'done' FROM given_tag ORDER BY given_tag.node_id
ON CONFLICT (action_event_id, node_id) DO UPDATE SET outcome = 'done', reason = NULL

-- name: drop_tagged
DROP TABLE given_tag

-- name: record_intent
INSERT INTO write_intent (intent_id, digest, result) VALUES (%s, %s, %s)
