-- Purges of ingest batches; see sql/intent/ingest_book.py.

-- The bytes may be shared with other batches: who has them still is asked when the store is done.
-- name: hide
UPDATE physical_content AS content
SET delete_reason = CASE WHEN content.is_delete THEN 'deleted and purged' ELSE 'purged' END,
    is_delete = true
FROM ingest_batch_node AS member JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE batch.name = %s AND content.node_id = member.node_id AND content.delete_reason IS NULL

-- name: hidden
SELECT encode(node.sha256, 'hex')
FROM ingest_batch AS batch JOIN ingest_batch_node AS member USING (ingest_batch_id)
JOIN physical_content AS content USING (node_id) JOIN node USING (node_id)
WHERE batch.name = %s AND content.delete_reason IS NOT NULL

-- name: show
UPDATE physical_content AS content
SET is_delete = (content.delete_reason = 'deleted and purged'), delete_reason = NULL
FROM node
WHERE node.sha256 = ANY(%s) AND content.node_id = node.node_id AND content.delete_reason IS NOT NULL

-- name: result_tables
SELECT table_name FROM declared_table WHERE table_name LIKE 'result\_%' ORDER BY table_name

-- name: forget_thumbnails
DELETE FROM thumbnail USING physical_content AS content, ingest_batch_node AS member,
    ingest_batch AS batch
WHERE batch.name = %s AND member.ingest_batch_id = batch.ingest_batch_id
    AND content.node_id = member.node_id AND content.delete_reason IS NOT NULL
    AND thumbnail.node_id = content.node_id
