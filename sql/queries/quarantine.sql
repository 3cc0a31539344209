-- What could not be understood; see sql/intent/quarantine_book.py.

-- name: batch_id
SELECT ingest_batch_id FROM ingest_batch WHERE name = %s

-- name: make_rows
CREATE TEMPORARY TABLE given_row (
    path text, record_number integer, node_id bigint, reason text, sha256 bytea
) ON COMMIT DROP

-- A row that a replay closed stays closed when the same is read again.
-- name: add
INSERT INTO quarantine AS known (
    ingest_batch_id, action_event_id, part, path, record_number, node_id, reason, sha256, store_batch,
    replay_time
)
SELECT DISTINCT ON (path, record_number)
    %(batch_id)s::bigint, %(event_id)s::bigint, %(part)s, path, record_number, node_id, reason, sha256,
    %(store_batch)s, CASE WHEN %(is_read)s THEN now() END
FROM given_row ORDER BY path, record_number
ON CONFLICT (owner, part, path, record_number) DO UPDATE
SET reason = excluded.reason, node_id = excluded.node_id,
    sha256 = coalesce(excluded.sha256, known.sha256),
    store_batch = coalesce(excluded.store_batch, known.store_batch),
    replay_time = excluded.replay_time
WHERE known.replay_time IS NULL
RETURNING xmax = 0

-- name: drop_rows
DROP TABLE given_row

-- name: rows
SELECT known.quarantine_id, batch.name AS batch, known.action_event_id AS event_id,
    action.name AS action, known.part, known.path, known.record_number, known.node_id, known.reason,
    encode(known.sha256, 'hex') AS key, known.store_batch, known.quarantine_time, known.replay_time
FROM quarantine AS known
LEFT JOIN ingest_batch AS batch USING (ingest_batch_id)
LEFT JOIN action_event AS event ON event.id = known.action_event_id
LEFT JOIN action USING (action_id)
WHERE (known.action_event_id IS NOT NULL) = %(of_actions)s
    AND (%(batch)s::text IS NULL OR known.owner = (
        SELECT ingest_batch_id FROM ingest_batch WHERE name = %(batch)s
    ))
    AND (%(event_id)s::bigint IS NULL OR known.owner = -(%(event_id)s::bigint))
    AND (%(action)s::text IS NULL OR action.name = %(action)s)
    AND NOT (%(open_only)s AND known.replay_time IS NOT NULL)
ORDER BY abs(known.owner), known.part, known.path, known.record_number

-- Of batches; few are read, however many there are.
-- name: newest
SELECT known.quarantine_id, batch.name AS batch, NULL::bigint AS event_id, NULL::text AS action,
    known.part, known.path, known.record_number, known.node_id, known.reason,
    encode(known.sha256, 'hex') AS key, known.store_batch, known.quarantine_time, known.replay_time
FROM (
    SELECT * FROM quarantine WHERE ingest_batch_id IS NOT NULL AND replay_time IS NULL
    ORDER BY quarantine_id DESC LIMIT %(limit)s
) AS known
JOIN ingest_batch AS batch USING (ingest_batch_id)
ORDER BY known.quarantine_id DESC

-- name: close
UPDATE quarantine SET replay_time = now() WHERE quarantine_id = ANY (%s) AND replay_time IS NULL
