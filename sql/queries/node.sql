-- Everything that is known about one node.

-- name: find
SELECT node.node_id, encode(node.sha256, 'hex') AS key, node.is_virtual, node.is_physical,
    asset.description, content.file_size_bytes AS size_bytes, type.file_extension AS extension, type.type AS media_type, content.create_time,
    content.in_black_list, content.is_delete
FROM node
LEFT JOIN virtual_asset AS asset USING (node_id)
LEFT JOIN physical_content AS content USING (node_id)
LEFT JOIN file_type AS type USING (file_extension_id)
WHERE node.node_id = %(node_id)s OR node.sha256 = %(sha256)s

-- name: sees_tree
SELECT has_column_privilege('node', 'root_id', 'SELECT')

-- These tell of relatives, so guests may not ask.
-- name: tree
SELECT root_id, component_id, depth FROM node WHERE node_id = %(node_id)s

-- name: metadata
SELECT source.description AS source, common.is_raw, common.is_root, common.title, common.view,
    common.update_time, common.download_time, common.author_description, common."user",
    common.raw_metadata
FROM common_metadata AS common JOIN source USING (source_id)
WHERE common.node_id = %(node_id)s
ORDER BY common.download_time DESC, common.metadata_id DESC
LIMIT %(limit)s

-- A guest who sees a child by a grant of its own is not told how many come before it.
-- name: parents
SELECT relationship.description AS relationship,
    CASE WHEN passes_rights(relationship) OR has_column_privilege('node', 'root_id', 'SELECT')
        THEN edge.position END AS position,
    encode(node.sha256, 'hex') AS key, node.node_id, asset.description, count(*) OVER () AS edges
FROM edge
JOIN relationship USING (relationship_id)
JOIN node ON node.node_id = edge.parent_node_id
LEFT JOIN virtual_asset AS asset ON asset.node_id = node.node_id
WHERE edge.child_node_id = %(node_id)s
ORDER BY relationship.description, edge.position, edge.edge_id
LIMIT %(limit)s

-- name: children
SELECT relationship.description AS relationship,
    CASE WHEN passes_rights(relationship) OR has_column_privilege('node', 'root_id', 'SELECT')
        THEN edge.position END AS position,
    encode(node.sha256, 'hex') AS key, node.node_id, asset.description, count(*) OVER () AS edges
FROM edge
JOIN relationship USING (relationship_id)
JOIN node ON node.node_id = edge.child_node_id
LEFT JOIN virtual_asset AS asset ON asset.node_id = node.node_id
WHERE edge.parent_node_id = %(node_id)s
ORDER BY relationship.description, edge.position, edge.edge_id
LIMIT %(limit)s

-- The way up the tree along the oldest parent of each; cycles of tree edges do not exist.
-- name: breadcrumb
WITH RECURSIVE way AS (
    SELECT %(node_id)s::bigint AS node_id, 0 AS distance
    UNION ALL
    SELECT (
        SELECT min(edge.parent_node_id)
        FROM edge JOIN relationship USING (relationship_id)
        WHERE edge.child_node_id = way.node_id AND relationship.forms_tree
    ), way.distance + 1
    FROM way
    WHERE way.node_id IS NOT NULL AND way.distance < %(limit)s
)
SELECT way.node_id, encode(node.sha256, 'hex') AS key, asset.description
FROM way
JOIN node ON node.node_id = way.node_id
LEFT JOIN virtual_asset AS asset ON asset.node_id = node.node_id
ORDER BY way.distance DESC

-- name: ingest_batches
SELECT batch.name, batch.adapter, batch.state
FROM ingest_batch_node AS member JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE member.node_id = %(node_id)s
ORDER BY batch.ingest_batch_id DESC
LIMIT %(limit)s

-- name: actions
SELECT member.action_batch_id, action.name AS action, event.status, event.start_time, event.end_time
FROM action_batch_node AS member
LEFT JOIN action_event AS event USING (action_batch_id)
LEFT JOIN action USING (action_id)
WHERE member.node_id = %(node_id)s
ORDER BY member.action_batch_id DESC, event.id DESC
LIMIT %(limit)s

-- name: archive_locations
SELECT location.filepath
FROM archive_location AS location JOIN physical_content AS content USING (record_id)
WHERE content.node_id = %(node_id)s
ORDER BY location.filepath
LIMIT %(limit)s
