-- Packages that are of no ingest batch; see sql/intent/cold_book.py.

-- name: add
INSERT INTO outbox_package (package_id, kind, file_count, size_bytes, sha256)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (package_id) DO NOTHING

-- name: known
SELECT kind, size_bytes, encode(sha256, 'hex') FROM outbox_package WHERE package_id = %s

-- name: add_store_batches
INSERT INTO outbox_store_batch (package_id, store_batch)
SELECT %s, unnest(%s::text[])
ON CONFLICT DO NOTHING

-- name: store_batches
SELECT DISTINCT store_batch FROM outbox_store_batch

-- A batch that lies in several packages is not whole without each of them.
-- name: forget_batches
DELETE FROM outbox_store_batch WHERE store_batch IN (
    SELECT store_batch FROM outbox_store_batch WHERE package_id = ANY(%s)
)

-- name: forget
DELETE FROM outbox_package
WHERE package_id = ANY(%s) AND kind <> 'batch' AND confirm_time IS NULL

-- name: is_fresh
SELECT NOT EXISTS (SELECT FROM node) AND NOT EXISTS (SELECT FROM ingest_batch)
    AND NOT EXISTS (SELECT FROM action_batch) AND NOT EXISTS (SELECT FROM dataset)

-- name: exports
SELECT dataset_export_id FROM dataset_export
WHERE mode = 'copy' AND state IN ('running', 'sealed') ORDER BY start_time

-- name: knows_backup
SELECT EXISTS (SELECT FROM backup_report WHERE backup_name = %s)
