-- A stage waits for no node that nobody may work on any more: deleted, purged or black-listed.
CREATE OR REPLACE FUNCTION first_open_stage(pipeline integer, batch bigint) RETURNS integer LANGUAGE sql STABLE
RETURN (
    SELECT stage.stage_id FROM pipeline_stage AS stage
    WHERE stage.pipeline_id = pipeline AND EXISTS (
        SELECT FROM action_batch_node AS member
        WHERE member.action_batch_id = batch AND NOT EXISTS (
            SELECT FROM node_action_done AS done
            WHERE done.node_id = member.node_id AND done.action_id = stage.action_id
        ) AND NOT EXISTS (
            SELECT FROM physical_content AS hidden
            WHERE hidden.node_id = member.node_id AND (hidden.in_black_list OR hidden.is_delete)
        )
    )
    ORDER BY stage.stage_id LIMIT 1
);
COMMENT ON FUNCTION first_open_stage IS 'The first stage of a pipeline whose action is not done for every node of a batch that is not hidden; NULL when all are';
COMMENT ON COLUMN pipeline_batch.current_stage IS 'The first stage that is not done for every node that is not hidden; NULL when all are';
