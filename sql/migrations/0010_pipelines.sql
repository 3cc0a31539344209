-- Pipelines: which batches are in one is said and never guessed; "done" means one thing.

-- ---- Done ---------------------------------------------------------------------------------------
-- Events that were recorded as done without saying what became of each node: it was done.
INSERT INTO action_node (action_event_id, node_id, part, outcome)
SELECT event.id, member.node_id, 0, 'done'
FROM action_event AS event JOIN action_batch_node AS member USING (action_batch_id)
WHERE event.status = 'done' AND NOT EXISTS (
    SELECT FROM action_node AS known JOIN action_event AS other ON other.id = known.action_event_id
    WHERE known.node_id = member.node_id AND known.outcome = 'done' AND other.action_id = event.action_id
)
ON CONFLICT (action_event_id, node_id) DO UPDATE SET outcome = 'done', reason = NULL;

-- The one place that says what an action has been done for: selectors, datasets, pipelines and pages
-- ask here. Also a run that ended partially, or failed, has done what it has done.
CREATE VIEW node_action_done AS
SELECT known.node_id, event.action_id, event.id AS action_event_id
FROM action_node AS known JOIN action_event AS event ON event.id = known.action_event_id
WHERE known.outcome = 'done';
COMMENT ON VIEW node_action_done IS 'What "done" means: some run of the action, in whatever batch, version and with whatever parameters, has done the node; once for each such run';
COMMENT ON COLUMN node_action_done.node_id IS 'The node';
COMMENT ON COLUMN node_action_done.action_id IS 'The action';
COMMENT ON COLUMN node_action_done.action_event_id IS 'The run that did it (table 11)';
-- The runs of an action, done or not: what they did is asked node by node.
CREATE INDEX action_event_action ON action_event (action_id);
DROP INDEX action_event_done;

-- ---- Enrolment ----------------------------------------------------------------------------------
CREATE TABLE pipeline_enrolment (
    pipeline_id integer NOT NULL REFERENCES pipeline (id),
    action_batch_id bigint NOT NULL REFERENCES action_batch (action_batch_id),
    enrol_time timestamptz NOT NULL DEFAULT now(),
    enrolled_by text NOT NULL DEFAULT '',
    begun_stage integer NOT NULL DEFAULT 0 CHECK (begun_stage >= 0),
    PRIMARY KEY (pipeline_id, action_batch_id)
);
-- The pipelines that a batch is in.
CREATE INDEX pipeline_enrolment_batch ON pipeline_enrolment (action_batch_id, pipeline_id);
COMMENT ON TABLE pipeline_enrolment IS 'Which batches are in which pipeline, because somebody put them there or a run named it';
COMMENT ON COLUMN pipeline_enrolment.pipeline_id IS 'The pipeline (12a)';
COMMENT ON COLUMN pipeline_enrolment.action_batch_id IS 'The batch (10a), sealed and not empty';
COMMENT ON COLUMN pipeline_enrolment.enrol_time IS 'When it was enrolled';
COMMENT ON COLUMN pipeline_enrolment.enrolled_by IS 'By whom, or by which run; empty when nobody said';
COMMENT ON COLUMN pipeline_enrolment.begun_stage IS 'The last stage that advance: auto began; it begins none twice';

-- Until now a batch was in every pipeline that shares an action with it. It stays where something says
-- that it was meant to be there: a run or a schedule that names both, ...
INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id, enrolled_by)
SELECT DISTINCT pipeline.id, batch.action_batch_id, 'a run or schedule that named it'
FROM (
    SELECT parameters FROM run WHERE workflow = 'ua_2'
    UNION ALL
    SELECT parameters FROM schedule WHERE workflow = 'ua_2'
) AS asked
JOIN pipeline ON pipeline.name = substring(asked.parameters FROM '"pipeline": "([a-z0-9_-]+)"')
JOIN action_batch AS batch
    ON batch.action_batch_id = substring(asked.parameters FROM '"action_batch_id": ([0-9]{1,18})[^0-9]')::bigint
WHERE batch.seal_date IS NOT NULL
    AND EXISTS (SELECT FROM action_batch_node AS member WHERE member.action_batch_id = batch.action_batch_id);

-- ... or runs over this very batch that went on with a later stage after all earlier ones, since the
-- pipeline was declared. An action that was run for itself, before or after, enrols nothing.
INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id, enrolled_by)
SELECT DISTINCT stage.pipeline_id, event.action_batch_id, 'runs that went on from stage to stage'
FROM action_event AS event
JOIN pipeline_stage AS stage USING (action_id)
JOIN pipeline_document AS document USING (pipeline_id)
WHERE stage.stage_id > 1 AND event.start_time >= document.declare_time
    AND EXISTS (SELECT FROM action_batch_node AS member WHERE member.action_batch_id = event.action_batch_id)
    AND NOT EXISTS (
        SELECT FROM pipeline_stage AS earlier
        WHERE earlier.pipeline_id = stage.pipeline_id AND earlier.stage_id < stage.stage_id AND NOT EXISTS (
            SELECT FROM action_event AS former
            WHERE former.action_batch_id = event.action_batch_id AND former.action_id = earlier.action_id
                AND former.start_time <= event.start_time
        )
    )
ON CONFLICT DO NOTHING;

-- ---- 12c ----------------------------------------------------------------------------------------
-- Stage by stage: what comes after the first open one is not looked at.
CREATE FUNCTION first_open_stage(pipeline integer, batch bigint) RETURNS integer LANGUAGE sql STABLE
RETURN (
    SELECT stage.stage_id FROM pipeline_stage AS stage
    WHERE stage.pipeline_id = pipeline AND EXISTS (
        SELECT FROM action_batch_node AS member
        WHERE member.action_batch_id = batch AND NOT EXISTS (
            SELECT FROM node_action_done AS done
            WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
        )
    )
    ORDER BY stage.stage_id LIMIT 1
);
COMMENT ON FUNCTION first_open_stage IS 'The first stage of a pipeline whose action is not done for every node of a batch; NULL when all are';

CREATE OR REPLACE VIEW pipeline_batch AS
SELECT enrolment.action_batch_id, enrolment.pipeline_id, place.current_stage
FROM pipeline_enrolment AS enrolment
CROSS JOIN LATERAL (
    SELECT first_open_stage(enrolment.pipeline_id, enrolment.action_batch_id) AS current_stage
) AS place;
