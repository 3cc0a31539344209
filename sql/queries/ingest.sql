-- Ingest batches and their packages; see sql/intent/ingest_book.py.

-- name: open
INSERT INTO ingest_batch (name, adapter, "user", folder, state, file_count, size_bytes)
VALUES (%s, %s, %s, %s, 'frozen', %s, %s)
ON CONFLICT (name) DO NOTHING

-- name: batches
SELECT name, adapter, "user", folder, state, state_reason, create_time, update_time, file_count,
    size_bytes
FROM ingest_batch WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY ingest_batch_id

-- name: set_state
UPDATE ingest_batch AS batch SET state = %s, state_reason = %s, update_time = now()
FROM (SELECT ingest_batch_id, state FROM ingest_batch WHERE name = %s FOR UPDATE) AS former
WHERE batch.ingest_batch_id = former.ingest_batch_id
RETURNING former.state, batch.file_count, batch.size_bytes

-- name: add_package
INSERT INTO outbox_package (package_id, ingest_batch_id, file_count, size_bytes, sha256)
SELECT %s, ingest_batch_id, %s, %s, %s FROM ingest_batch WHERE name = %s
ON CONFLICT (package_id) DO NOTHING

-- name: packages
SELECT package.package_id, package.kind, batch.name AS batch, package.file_count, package.size_bytes,
    encode(package.sha256, 'hex') AS key, package.create_time, package.confirm_time,
    package.confirmed_by, package.confirmed_copy
FROM outbox_package AS package LEFT JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE (%(package_id)s::text IS NULL OR package.package_id = %(package_id)s)
    AND (%(name)s::text IS NULL OR batch.name = %(name)s)
    AND NOT (%(waiting_only)s AND package.confirm_time IS NOT NULL)
ORDER BY package.create_time, package.package_id

-- name: confirm
UPDATE outbox_package SET confirm_time = coalesce(confirm_time, now()), confirmed_by = %s,
    confirmed_copy = %s
WHERE package_id = %s

-- name: counts
SELECT
    (SELECT count(*) FROM ingest_batch_node AS member
        WHERE member.ingest_batch_id = batch.ingest_batch_id) AS nodes,
    (SELECT count(*) FROM ingest_batch_node AS member JOIN edge ON edge.parent_node_id = member.node_id
        JOIN ingest_batch_node AS other ON other.node_id = edge.child_node_id
            AND other.ingest_batch_id = batch.ingest_batch_id
        WHERE member.ingest_batch_id = batch.ingest_batch_id) AS edges,
    (SELECT count(*) FROM ingest_batch_node AS member JOIN common_metadata USING (node_id)
        WHERE member.ingest_batch_id = batch.ingest_batch_id) AS observations,
    (SELECT count(*) FROM quarantine
        WHERE quarantine.owner = batch.ingest_batch_id AND replay_time IS NULL) AS quarantined,
    (SELECT count(*) FROM outbox_package AS package
        WHERE package.ingest_batch_id = batch.ingest_batch_id AND confirm_time IS NULL) AS packages_waiting
FROM ingest_batch AS batch WHERE batch.name = %s
