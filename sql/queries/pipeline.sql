-- Which batches are in which pipeline; see sql/actions/pipeline_book.py.

-- name: names
SELECT name, id FROM pipeline

-- Locked: a seal or a withdrawal at the same moment is waited for.
-- name: batch
SELECT seal_date IS NOT NULL, EXISTS (
    SELECT FROM action_batch_node AS member WHERE member.action_batch_id = batch.action_batch_id
)
FROM action_batch AS batch WHERE action_batch_id = %s FOR SHARE

-- name: enrol
INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id, enrolled_by)
VALUES (%(pipeline_id)s, %(action_batch_id)s, %(by)s) ON CONFLICT DO NOTHING

-- name: withdraw
DELETE FROM pipeline_enrolment
WHERE pipeline_id = %(pipeline_id)s AND action_batch_id = %(action_batch_id)s

-- name: enrolled
SELECT enrolment.action_batch_id, enrolment.enrol_time, enrolment.enrolled_by, (
    SELECT count(*) FROM action_batch_node AS member
    WHERE member.action_batch_id = enrolment.action_batch_id
), first_open_stage(enrolment.pipeline_id, enrolment.action_batch_id)
FROM pipeline_enrolment AS enrolment WHERE enrolment.pipeline_id = %(pipeline_id)s
ORDER BY enrolment.action_batch_id DESC LIMIT %(limit)s

-- What may have to be begun by itself: without the stages, which are counted one by one.
-- name: begun
SELECT pipeline.name AS pipeline, enrolment.action_batch_id, enrolment.begun_stage
FROM pipeline_enrolment AS enrolment JOIN pipeline ON pipeline.id = enrolment.pipeline_id
WHERE pipeline.name = ANY(%s) ORDER BY enrolment.enrol_time, enrolment.action_batch_id

-- name: set_begun
UPDATE pipeline_enrolment SET begun_stage = %(stage)s
WHERE action_batch_id = %(action_batch_id)s AND (begun_stage < %(stage)s OR %(stage)s = 0)
    AND pipeline_id = (SELECT id FROM pipeline WHERE name = %(pipeline)s)

-- Of the newest version of each dataset that asks for the pipelines of its files: the files that the
-- next build leaves out because this one is not complete for them, and for no other reason: what is
-- hidden is left out in any case. The definition is JSON as `json.dumps` writes it.
-- name: waiting
WITH open_node AS MATERIALIZED (
    SELECT DISTINCT member.node_id
    FROM pipeline_enrolment AS enrolment JOIN action_batch_node AS member USING (action_batch_id)
    JOIN pipeline_stage AS stage USING (pipeline_id)
    WHERE enrolment.pipeline_id = %(pipeline_id)s AND NOT EXISTS (
        SELECT FROM node_action_done AS done
        WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
    ) AND NOT EXISTS (
        SELECT FROM physical_content AS hidden
        WHERE hidden.node_id = member.node_id AND (hidden.in_black_list OR hidden.is_delete)
    )
), newest AS (
    SELECT DISTINCT ON (dataset_id) dataset_version_id, dataset_id, file_count
    FROM dataset_version WHERE state = 'built' ORDER BY dataset_id, version DESC
)
SELECT dataset.name, newest.file_count AS files, count(*) AS files_left_out
FROM newest
JOIN dataset_version AS version USING (dataset_version_id)
JOIN dataset ON dataset.dataset_id = newest.dataset_id
JOIN dataset_member AS member USING (dataset_version_id)
JOIN open_node USING (node_id)
WHERE version.definition LIKE '%%"require_complete": "default"%%'
GROUP BY dataset.name, newest.file_count ORDER BY dataset.name
