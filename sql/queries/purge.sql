-- Purges of ingest batches and of single contents; see sql/intent/ingest_book.py.

-- The bytes may be shared with other batches: who has them still is asked when the store is done.
-- name: hide
UPDATE physical_content AS content
SET delete_reason = CASE WHEN content.is_delete THEN 'deleted and purged' ELSE 'purged' END,
    is_delete = true
FROM ingest_batch_node AS member JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE batch.name = %s AND content.node_id = member.node_id AND content.delete_reason IS NULL

-- name: hide_keys
UPDATE physical_content AS content
SET delete_reason = CASE WHEN content.is_delete THEN 'deleted and purged' ELSE 'purged' END,
    is_delete = true
FROM node
WHERE node.sha256 = ANY(%s) AND content.node_id = node.node_id AND content.delete_reason IS NULL

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

-- name: forget_thumbnails_of_keys
DELETE FROM thumbnail USING physical_content AS content, node
WHERE node.sha256 = ANY(%s) AND content.node_id = node.node_id
    AND content.delete_reason IS NOT NULL AND thumbnail.node_id = content.node_id

-- The small pictures of contents that are of nothing else.
-- name: pictures_of
SELECT DISTINCT encode(thumbnail.thumbnail_key, 'hex')
FROM thumbnail JOIN node USING (node_id)
WHERE node.sha256 = ANY(%(keys)s) AND thumbnail.thumbnail_key IS NOT NULL AND NOT EXISTS (
    SELECT FROM thumbnail AS other JOIN node AS owner USING (node_id)
    WHERE other.thumbnail_key = thumbnail.thumbnail_key AND NOT owner.sha256 = ANY(%(keys)s)
) AND NOT EXISTS (SELECT FROM node AS scraped WHERE scraped.sha256 = thumbnail.thumbnail_key)

-- Hidden contents of batches that are not purged as a whole: purged by themselves, or shared with
-- one that was, or is being purged. The store knows which.
-- name: hidden_keys
SELECT encode(node.sha256, 'hex')
FROM physical_content AS content JOIN node USING (node_id)
WHERE content.delete_reason IS NOT NULL AND EXISTS (
    SELECT FROM ingest_batch_node AS member JOIN ingest_batch AS batch USING (ingest_batch_id)
    WHERE member.node_id = content.node_id AND batch.state NOT IN ('purging', 'purged')
)
ORDER BY node.sha256

-- name: named_by
WITH chosen AS (
    SELECT node_id FROM node JOIN physical_content USING (node_id) WHERE sha256 = ANY(%s)
)
SELECT 'the database', count(*) FROM chosen HAVING count(*) > 0
UNION ALL (
    SELECT 'ingest batch ' || batch.name, count(*)
    FROM chosen JOIN ingest_batch_node USING (node_id) JOIN ingest_batch AS batch USING (ingest_batch_id)
    GROUP BY batch.name ORDER BY count(*) DESC, batch.name LIMIT 50
)
UNION ALL (
    SELECT 'dataset ' || dataset.name || ', version ' || version.version, count(*)
    FROM chosen JOIN dataset_member USING (node_id)
    JOIN dataset_version AS version USING (dataset_version_id) JOIN dataset USING (dataset_id)
    WHERE version.state = 'built'
    GROUP BY dataset.name, version.version ORDER BY dataset.name, version.version LIMIT 50
)
UNION ALL (
    SELECT 'label project ' || action.name, count(DISTINCT label_task.node_id)
    FROM chosen JOIN label_task USING (node_id)
    JOIN action_event ON action_event.id = label_task.action_event_id
    JOIN action USING (action_id)
    GROUP BY action.name ORDER BY action.name LIMIT 50
)
