-- What the explorer shows beside the selector itself.

-- The nodes of one page, in its order. Of several observations the newest title counts. What was made
-- is called by what it was made of, too: the nearest above it that somebody else than us gave a title;
-- a record of which nothing is said, by what it is the record of.
-- name: details
SELECT node.node_id, encode(node.sha256, 'hex') AS key, content.file_size_bytes AS size_bytes,
    type.file_extension AS extension, type.type AS media_type,
    coalesce(asset.description, '') AS description, coalesce(observed.title, '') AS title,
    coalesce(observed.source, '') AS source, coalesce(above.title, '') AS above
FROM unnest(%(node_ids)s::bigint[]) WITH ORDINALITY AS wanted (node_id, place)
JOIN node USING (node_id)
LEFT JOIN physical_content AS content USING (node_id)
LEFT JOIN file_type AS type USING (file_extension_id)
LEFT JOIN virtual_asset AS asset USING (node_id)
LEFT JOIN LATERAL (
    SELECT left(common.title, 200) AS title, source.description AS source, common.is_raw
    FROM common_metadata AS common JOIN source USING (source_id)
    WHERE common.node_id = node.node_id
    ORDER BY common.title IS NULL, common.download_time DESC NULLS LAST, common.metadata_id DESC
    LIMIT 1
) AS observed ON true
LEFT JOIN LATERAL (
    WITH RECURSIVE way AS (
        SELECT node.node_id, 0 AS distance
        WHERE observed.title IS NULL OR NOT observed.is_raw
        UNION ALL
        SELECT (
            SELECT min(edge.parent_node_id)
            FROM edge JOIN relationship USING (relationship_id)
            WHERE edge.child_node_id = way.node_id AND (
                relationship.forms_tree OR (
                    relationship.description = 'record' AND way.distance = 0 AND observed.source IS NULL
                )
            )
        ), way.distance + 1
        FROM way
        WHERE way.node_id IS NOT NULL AND way.distance < 8
    )
    SELECT left(common.title, 200) AS title
    FROM way JOIN common_metadata AS common USING (node_id)
    WHERE way.distance > 0 AND common.title IS NOT NULL AND common.is_raw
    ORDER BY way.distance, common.download_time DESC NULLS LAST, common.metadata_id DESC
    LIMIT 1
) AS above ON true
ORDER BY wanted.place

-- Whether plain files came in, and who asks may read of them.
-- name: has_file_names
SELECT coalesce(has_table_privilege(to_regclass('meta_file'), 'SELECT'), false)

-- What plain files are called: the file itself, or else the nearest above it.
-- name: file_names
WITH RECURSIVE way AS (
    SELECT node_id AS wanted, node_id, 0 AS distance FROM unnest(%(node_ids)s::bigint[]) AS node_id
    UNION ALL
    SELECT way.wanted, (
        SELECT min(edge.parent_node_id)
        FROM edge JOIN relationship USING (relationship_id)
        WHERE edge.child_node_id = way.node_id AND relationship.forms_tree
    ), way.distance + 1
    FROM way
    WHERE way.node_id IS NOT NULL AND way.distance < 8
)
SELECT DISTINCT ON (way.wanted) way.wanted, way.distance > 0 AS is_above, left(file.file_name, 200) AS name
FROM way JOIN meta_file AS file USING (node_id)
WHERE file.file_name IS NOT NULL
ORDER BY way.wanted, way.distance, file.id DESC
