-- What staging has to know of many nodes at once; see sql/actions/action_context.py.

-- name: nodes
SELECT node.node_id, encode(node.sha256, 'hex') AS key, content.file_size_bytes AS size_bytes,
    type.file_extension AS extension, type.type AS media_type, asset.description,
    CASE WHEN content.is_delete THEN 'deleted' WHEN content.in_black_list THEN 'black-listed'
        WHEN content.node_id IS NULL THEN 'without bytes' ELSE '' END AS hidden
FROM node
LEFT JOIN physical_content AS content USING (node_id)
LEFT JOIN file_type AS type USING (file_extension_id)
LEFT JOIN virtual_asset AS asset USING (node_id)
WHERE node.node_id = ANY(%(node_ids)s)

-- One observation of each: what was scraped before what an action said, and of those the newest.
-- name: metadata
SELECT DISTINCT ON (common.node_id) common.node_id, source.description, common.title,
    common.view, common.update_time, common.download_time, common.author_description,
    common."user"
FROM common_metadata AS common JOIN source USING (source_id)
WHERE common.node_id = ANY(%(node_ids)s)
ORDER BY common.node_id, common.is_raw DESC, common.download_time DESC NULLS LAST,
    common.metadata_id DESC

-- The nodes one edge up, each once, in their order; a hidden one never comes. With `files` only
-- those that have bytes.
-- name: parents
SELECT edge.child_node_id, node.node_id, encode(node.sha256, 'hex'), content.file_size_bytes,
    type.file_extension, type.type, asset.description
FROM (
    SELECT DISTINCT ON (found.child_node_id, found.parent_node_id) found.*,
        relationship.forms_tree
    FROM edge AS found JOIN relationship USING (relationship_id)
    WHERE found.child_node_id = ANY(%(node_ids)s)
        AND (%(relationship)s::text IS NULL OR relationship.description = %(relationship)s)
    ORDER BY found.child_node_id, found.parent_node_id, relationship.forms_tree DESC,
        found.position NULLS LAST, found.edge_id
) AS edge
JOIN node ON node.node_id = edge.parent_node_id
LEFT JOIN physical_content AS content ON content.node_id = node.node_id
LEFT JOIN file_type AS type USING (file_extension_id)
LEFT JOIN virtual_asset AS asset ON asset.node_id = node.node_id
WHERE NOT coalesce(content.is_delete OR content.in_black_list, false)
    AND (NOT %(files)s OR content.node_id IS NOT NULL)
    AND (%(media_type)s::text IS NULL OR type.type = %(media_type)s)
ORDER BY edge.child_node_id, edge.forms_tree DESC, edge.position NULLS LAST, edge.edge_id

-- The same, one edge down.
-- name: children
SELECT edge.parent_node_id, node.node_id, encode(node.sha256, 'hex'), content.file_size_bytes,
    type.file_extension, type.type, asset.description
FROM (
    SELECT DISTINCT ON (found.parent_node_id, found.child_node_id) found.*,
        relationship.forms_tree
    FROM edge AS found JOIN relationship USING (relationship_id)
    WHERE found.parent_node_id = ANY(%(node_ids)s)
        AND (%(relationship)s::text IS NULL OR relationship.description = %(relationship)s)
    ORDER BY found.parent_node_id, found.child_node_id, relationship.forms_tree DESC,
        found.position NULLS LAST, found.edge_id
) AS edge
JOIN node ON node.node_id = edge.child_node_id
LEFT JOIN physical_content AS content ON content.node_id = node.node_id
LEFT JOIN file_type AS type USING (file_extension_id)
LEFT JOIN virtual_asset AS asset ON asset.node_id = node.node_id
WHERE NOT coalesce(content.is_delete OR content.in_black_list, false)
    AND (NOT %(files)s OR content.node_id IS NOT NULL)
    AND (%(media_type)s::text IS NULL OR type.type = %(media_type)s)
ORDER BY edge.parent_node_id, edge.forms_tree DESC, edge.position NULLS LAST, edge.edge_id

-- name: batch_nodes
SELECT member.node_id, coalesce(content.file_size_bytes, 0)
FROM action_batch_node AS member LEFT JOIN physical_content AS content USING (node_id)
WHERE member.action_batch_id = %(action_batch_id)s ORDER BY member.node_id

-- name: batch
SELECT batch.action_batch_id, batch.create_date, batch.seal_date, count(member.node_id) AS nodes,
    coalesce(sum(content.file_size_bytes), 0)::bigint AS size_bytes,
    count(*) FILTER (WHERE member.created_date > batch.seal_date) AS late
FROM action_batch AS batch
LEFT JOIN action_batch_node AS member USING (action_batch_id)
LEFT JOIN physical_content AS content USING (node_id)
WHERE batch.action_batch_id = %(action_batch_id)s
GROUP BY batch.action_batch_id

-- Who registers the same version at the same moment waits for the row of the action.
-- name: lock_action
SELECT action_id FROM action WHERE action_id = %(action_id)s FOR UPDATE

-- name: other_contract
SELECT encode(digest, 'hex'), register_time FROM action_contract
WHERE action_id = %(action_id)s AND version = %(version)s AND digest <> %(digest)s
ORDER BY register_time DESC LIMIT 1

-- name: newest_version
SELECT max(version) FROM action_contract WHERE action_id = %(action_id)s

-- name: register_contract
INSERT INTO action_contract (action_id, version, digest, document)
VALUES (%(action_id)s, %(version)s, %(digest)s, %(document)s) ON CONFLICT DO NOTHING

-- name: contract_document
SELECT document FROM action_contract WHERE digest = %(digest)s LIMIT 1

-- name: set_pipeline_document
INSERT INTO pipeline_document (pipeline_id, document) VALUES (%(pipeline_id)s, %(document)s)
ON CONFLICT (pipeline_id) DO UPDATE SET document = excluded.document, declare_time = now()

-- name: pipelines
SELECT pipeline.name, document.document,
    array_agg(stage.action_id ORDER BY stage.stage_id) AS action_ids,
    array_agg(action.name ORDER BY stage.stage_id) AS actions
FROM pipeline
JOIN pipeline_stage AS stage ON stage.pipeline_id = pipeline.id
JOIN action USING (action_id)
LEFT JOIN pipeline_document AS document ON document.pipeline_id = pipeline.id
GROUP BY pipeline.id, document.document ORDER BY pipeline.name

-- Also of a batch that is not in the pipeline yet: what was done for its nodes in another counts.
-- name: first_open_stage
SELECT first_open_stage(pipeline.id, batch.action_batch_id)
FROM action_batch AS batch LEFT JOIN pipeline ON pipeline.name = %(pipeline)s
WHERE batch.action_batch_id = %(action_batch_id)s
