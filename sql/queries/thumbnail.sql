-- Thumbnails in the store; see sql/datasets/thumbnail_book.py.

-- The ends of runs of at most so many nodes without a thumbnail.
-- name: ranges
SELECT min(node_id) AS first, max(node_id) AS last, count(*) AS nodes
FROM (
    SELECT content.node_id, (row_number() OVER (ORDER BY content.node_id) - 1) / %(nodes)s AS place
    FROM physical_content AS content JOIN file_type AS type USING (file_extension_id)
    WHERE (type.type IN ('image', 'video', 'sound') OR type.file_extension = 'pdf')
        AND NOT content.is_delete AND NOT content.in_black_list
        AND NOT EXISTS (SELECT FROM thumbnail AS made WHERE made.node_id = content.node_id)
) AS missing
GROUP BY place ORDER BY place

-- name: last_node
SELECT max(node_id) FROM physical_content

-- name: missing
SELECT content.node_id, encode(node.sha256, 'hex') AS key, content.file_size_bytes AS size_bytes,
    type.type AS media_type, type.file_extension AS extension
FROM physical_content AS content
JOIN file_type AS type USING (file_extension_id)
JOIN node ON node.node_id = content.node_id
WHERE content.node_id BETWEEN %(first)s AND %(last)s
    AND (type.type IN ('image', 'video', 'sound') OR type.file_extension = 'pdf')
    AND NOT content.is_delete AND NOT content.in_black_list
    AND NOT EXISTS (SELECT FROM thumbnail AS made WHERE made.node_id = content.node_id)
ORDER BY content.node_id LIMIT %(limit)s

-- name: record
INSERT INTO thumbnail (node_id, thumbnail_key, reason)
SELECT given.node_id, given.thumbnail_key, given.reason
FROM unnest(%(node_ids)s::bigint[], %(keys)s::bytea[], %(reasons)s::text[])
    AS given (node_id, thumbnail_key, reason)
ON CONFLICT (node_id) DO NOTHING

-- name: of_key
SELECT encode(made.thumbnail_key, 'hex') AS thumbnail_key, coalesce(made.reason, '') AS reason
FROM thumbnail AS made JOIN node USING (node_id)
WHERE node.sha256 = decode(%s, 'hex')

-- name: counts
SELECT count(thumbnail_key), count(reason) FROM thumbnail
