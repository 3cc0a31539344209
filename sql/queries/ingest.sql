-- Ingest batches, their quarantine and their packages; see sql/intent/ingest_state.py.

-- name: open
INSERT INTO ingest_batch (name, adapter, "user", folder, state, file_count, size_bytes)
VALUES (%s, %s, %s, %s, 'frozen', %s, %s)
ON CONFLICT (name) DO NOTHING

-- name: batches
SELECT name, adapter, "user", folder, state, state_reason, create_time, update_time, file_count,
    size_bytes
FROM ingest_batch WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY ingest_batch_id

-- name: set_state
UPDATE ingest_batch SET state = %s, state_reason = %s, update_time = now() WHERE name = %s

-- name: make_rows
CREATE TEMPORARY TABLE given_row (
    path text, record_number integer, reason text, sha256 bytea
) ON COMMIT DROP

-- Found bad again after a replay: it is open again.
-- name: add_quarantine
INSERT INTO quarantine AS known (ingest_batch_id, path, record_number, reason, sha256)
SELECT DISTINCT ON (given.path, given.record_number)
    (SELECT ingest_batch_id FROM ingest_batch WHERE name = %s), given.*
FROM given_row AS given
ORDER BY given.path, given.record_number
ON CONFLICT (ingest_batch_id, path, record_number) DO UPDATE
SET reason = excluded.reason, sha256 = coalesce(excluded.sha256, known.sha256), replayed_time = NULL
RETURNING xmax = 0

-- name: mark_replayed
UPDATE quarantine SET replayed_time = now()
FROM given_row AS given, ingest_batch AS batch
WHERE batch.name = %s AND quarantine.ingest_batch_id = batch.ingest_batch_id
    AND quarantine.path = given.path AND quarantine.record_number = given.record_number
    AND quarantine.replayed_time IS NULL

-- name: drop_rows
DROP TABLE given_row

-- name: quarantined
SELECT batch.name, known.path, known.record_number, known.reason, encode(known.sha256, 'hex'),
    known.quarantine_time, known.replayed_time
FROM quarantine AS known JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE (%(name)s::text IS NULL OR batch.name = %(name)s)
    AND NOT (%(open_only)s AND known.replayed_time IS NOT NULL)
ORDER BY batch.ingest_batch_id, known.path, known.record_number

-- name: add_package
INSERT INTO outbox_package (package_id, ingest_batch_id, file_count, size_bytes, sha256)
SELECT %s, ingest_batch_id, %s, %s, %s FROM ingest_batch WHERE name = %s
ON CONFLICT (package_id) DO NOTHING

-- name: packages
SELECT package.package_id, package.kind, batch.name, package.file_count, package.size_bytes,
    encode(package.sha256, 'hex'), package.create_time, package.confirm_time,
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

-- name: archive_rows
SELECT encode(node.sha256, 'hex'), known.file_size_bytes, archive.filepath
FROM archive_location AS archive
JOIN physical_content AS known USING (record_id)
JOIN node USING (node_id)
WHERE starts_with(archive.filepath, %s)
ORDER BY archive.filepath

-- name: counts
SELECT
    (SELECT count(*) FROM ingest_batch_node AS member
        WHERE member.ingest_batch_id = batch.ingest_batch_id),
    (SELECT count(*) FROM ingest_batch_node AS member JOIN edge ON edge.parent_node_id = member.node_id
        JOIN ingest_batch_node AS other ON other.node_id = edge.child_node_id
            AND other.ingest_batch_id = batch.ingest_batch_id
        WHERE member.ingest_batch_id = batch.ingest_batch_id),
    (SELECT count(*) FROM ingest_batch_node AS member JOIN common_metadata USING (node_id)
        WHERE member.ingest_batch_id = batch.ingest_batch_id),
    (SELECT count(*) FROM quarantine
        WHERE quarantine.ingest_batch_id = batch.ingest_batch_id AND replayed_time IS NULL),
    (SELECT count(*) FROM outbox_package AS package
        WHERE package.ingest_batch_id = batch.ingest_batch_id AND confirm_time IS NULL)
FROM ingest_batch AS batch WHERE batch.name = %s
