-- What the explorer shows beside the selector itself.

-- The nodes of one page, in its order. Of several observations the newest title counts.
-- name: details
SELECT node.node_id, encode(node.sha256, 'hex') AS key, content.file_size_bytes,
    type.file_extension, type.type, coalesce(asset.description, ''), coalesce(observed.title, ''),
    coalesce(observed.source, '')
FROM unnest(%(node_ids)s::bigint[]) WITH ORDINALITY AS wanted (node_id, place)
JOIN node USING (node_id)
LEFT JOIN physical_content AS content USING (node_id)
LEFT JOIN file_type AS type USING (file_extension_id)
LEFT JOIN virtual_asset AS asset USING (node_id)
LEFT JOIN LATERAL (
    SELECT left(common.title, 200) AS title, source.description AS source
    FROM common_metadata AS common JOIN source USING (source_id)
    WHERE common.node_id = node.node_id
    ORDER BY common.title IS NULL, common.download_time DESC NULLS LAST, common.metadata_id DESC
    LIMIT 1
) AS observed ON true
ORDER BY wanted.place
