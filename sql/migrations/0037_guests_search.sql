-- Guests search by words. An index of words cannot be asked below a policy, since comparing words might tell
-- what is hidden; so candidates come from the index to those whom they are shown, and only what is shown of
-- them counts: titles that a guest does not see find nothing.

CREATE FUNCTION shown_with_words(asked tsquery) RETURNS SETOF bigint LANGUAGE sql STABLE STRICT
SECURITY DEFINER SET search_path = public, pg_temp ROWS 10000 COST 1000
BEGIN ATOMIC
    SELECT found.node_id FROM node_words AS found
    WHERE found.words @@ asked AND EXISTS (
        SELECT FROM grant_reach AS reach
        WHERE reach.node_id = found.node_id AND reach.grant_id = ANY ((SELECT granted('grant'))::bigint[])
        OFFSET 0
    );
END;
COMMENT ON FUNCTION shown_with_words IS 'Nodes shown to whoever asks, of which anything has the words: candidates, of which what is shown has to be looked at';

-- As nodes_with_words, of what is shown alone, and over edges that are.
CREATE FUNCTION shown_nodes_with_words(asked tsquery, ways text[]) RETURNS TABLE (node_id bigint)
LANGUAGE sql STABLE ROWS 10000 COST 1000 AS $$
    WITH RECURSIVE own AS MATERIALIZED (
        SELECT found.node_id FROM shown_with_words(asked) AS found (node_id)
        WHERE search_words(concat_ws(' ', (
            SELECT left(substr(description, length(split_part(description, ':', 1)
                || split_part(description, ':', 2)) + 3), 200)
            FROM virtual_asset AS asset
            WHERE asset.node_id = found.node_id
                AND split_part(description, ':', 2) NOT IN ('page', 'media', 'record')
        ), (
            SELECT string_agg(common.title, ' ') FROM common_metadata AS common
            WHERE common.node_id = found.node_id
        ))) @@ asked
    ), hit AS MATERIALIZED (
        SELECT own.node_id FROM own
        UNION
        SELECT edge.parent_node_id FROM own JOIN edge ON edge.child_node_id = own.node_id
        JOIN relationship USING (relationship_id)
        WHERE relationship.action_id = 0 AND relationship.description = 'alias'
    ), near AS MATERIALIZED (
        SELECT hit.node_id FROM hit WHERE 'own' = ANY (ways)
        UNION
        SELECT edge.child_node_id FROM hit JOIN edge ON edge.parent_node_id = hit.node_id
        JOIN relationship USING (relationship_id)
        WHERE relationship.action_id = 0 AND relationship.description = ANY (ways)
    ), below AS (
        SELECT near.node_id FROM near
        UNION
        SELECT edge.child_node_id FROM below JOIN edge ON edge.parent_node_id = below.node_id
        JOIN relationship USING (relationship_id) WHERE relationship.forms_tree
    )
    SELECT below.node_id FROM below
$$;
COMMENT ON FUNCTION shown_nodes_with_words IS 'What nodes_with_words is to those who see everything, to a guest';
