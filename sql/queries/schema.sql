-- Schemas of JSON documents; see sql/intent/schema_book.py. meta_json is the declared table of the
-- source json, which is there before anything is asked about documents.

-- name: versions
SELECT schema_id, name, version, status, choice, structure_hash, plan, table_plan, ddl, reason,
    documents_sampled, create_time, update_time, decided_by, decide_time, activation, replaced_plan,
    seen_document_id, replay_time
FROM schema_def WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY name, version

-- name: shapes
SELECT name, keys FROM schema_shape ORDER BY name, shape

-- name: new_shapes
SELECT encode(document.shape, 'hex'),
    (SELECT oldest.document::text FROM meta_json AS oldest WHERE oldest.id = min(document.id)),
    mode() WITHIN GROUP (ORDER BY document.origin), count(*)
FROM ingest_batch_node AS member
JOIN ingest_batch AS batch USING (ingest_batch_id)
JOIN meta_json AS document USING (node_id)
LEFT JOIN schema_shape AS known ON known.shape = document.shape
WHERE batch.name = %s AND known.shape IS NULL
GROUP BY document.shape ORDER BY 1

-- name: add_shape
INSERT INTO schema_shape (shape, keys, name) VALUES (decode(%s, 'hex'), %s, %s) ON CONFLICT DO NOTHING

-- name: of_batch
SELECT DISTINCT known.name
FROM ingest_batch_node AS member
JOIN ingest_batch AS batch USING (ingest_batch_id)
JOIN meta_json AS document USING (node_id)
JOIN schema_shape AS known ON known.shape = document.shape
WHERE batch.name = %s ORDER BY 1

-- The documents of the lowest content hashes: the same of a set, in whatever order they came.
-- name: sample
SELECT document.document::text
FROM meta_json AS document JOIN node USING (node_id)
WHERE document.shape IN (SELECT shape FROM schema_shape WHERE name = %(name)s)
    AND document.id > %(after)s
ORDER BY node.sha256, document.id LIMIT %(count)s

-- name: first_documents
SELECT encode(node.sha256, 'hex'), document.document::text
FROM meta_json AS document JOIN node USING (node_id)
WHERE document.shape IN (SELECT shape FROM schema_shape WHERE name = %s)
ORDER BY document.id LIMIT %s

-- name: document_counts
SELECT known.name, count(*)
FROM meta_json AS document JOIN schema_shape AS known USING (shape) GROUP BY 1

-- name: has_documents
SELECT to_regclass('meta_json') IS NOT NULL

-- name: table_is_taken
SELECT EXISTS (SELECT FROM declared_table WHERE table_name = 'meta_' || %s::text)

-- Found again it is the same proposal, brought up to date.
-- name: propose
INSERT INTO schema_def (
    name, version, status, choice, structure_hash, plan, table_plan, ddl, reason, documents_sampled
) VALUES (
    %(name)s, (SELECT coalesce(max(version), 0) + 1 FROM schema_def WHERE name = %(name)s),
    'provisional', %(choice)s, %(structure_hash)s, %(plan)s, %(table_plan)s, %(ddl)s, %(reason)s,
    %(documents_sampled)s
)
ON CONFLICT (name) WHERE status = 'provisional' DO UPDATE
SET choice = excluded.choice, structure_hash = excluded.structure_hash, plan = excluded.plan,
    table_plan = excluded.table_plan, ddl = excluded.ddl, reason = excluded.reason,
    documents_sampled = excluded.documents_sampled, update_time = now()

-- name: rename_definitions
UPDATE schema_def SET name = %(new)s, update_time = now() WHERE name = %(old)s

-- name: rename_shapes
UPDATE schema_shape SET name = %(new)s WHERE name = %(old)s

-- name: retire
UPDATE schema_def SET status = 'former', update_time = now(), decided_by = %(who)s, decide_time = now()
WHERE name = %(name)s AND status = 'active' AND schema_id <> %(schema_id)s

-- name: activate
UPDATE schema_def
SET status = 'active', update_time = now(), decided_by = %(who)s, decide_time = now(),
    activation = activation + 1, replayed_batch_id = NULL, replay_time = NULL,
    plan = %(plan)s, choice = %(choice)s, ddl = %(ddl)s, replaced_plan = %(replaced_plan)s,
    seen_document_id = (SELECT coalesce(max(id), 0) FROM meta_json)
WHERE schema_id = %(schema_id)s

-- name: set_status
UPDATE schema_def
SET status = %(status)s, update_time = now(), decided_by = %(who)s, decide_time = now()
WHERE schema_id = %(schema_id)s

-- The batches whose documents have no rows yet, of the last activation.
-- name: batches_left
SELECT DISTINCT batch.ingest_batch_id, batch.name
FROM meta_json AS document
JOIN ingest_batch_node AS member USING (node_id)
JOIN ingest_batch AS batch USING (ingest_batch_id)
WHERE document.shape IN (SELECT shape FROM schema_shape WHERE name = %(name)s)
    AND batch.ingest_batch_id > (
        SELECT coalesce(replayed_batch_id, 0) FROM schema_def WHERE schema_id = %(schema_id)s
    )
ORDER BY 1

-- What the batch itself said of its nodes, and nothing that others said.
-- name: documents
SELECT encode(node.sha256, 'hex'), document.download_time, document.document::text
FROM ingest_batch_node AS member
JOIN ingest_batch AS batch USING (ingest_batch_id)
JOIN meta_json AS document USING (node_id)
JOIN node USING (node_id)
WHERE batch.name = %(batch)s
    AND document.shape IN (SELECT shape FROM schema_shape WHERE name = %(name)s)
    AND EXISTS (
        SELECT FROM observation_batch AS brought JOIN source USING (source_id)
        WHERE source.description = 'json' AND brought.node_id = document.node_id
            AND brought.observation_hash = document.observation_hash
            AND brought.ingest_batch_id = batch.ingest_batch_id
    )
ORDER BY document.id

-- name: replayed
UPDATE schema_def SET replayed_batch_id = %s WHERE schema_id = %s AND activation = %s

-- name: replay_is_done
UPDATE schema_def SET replay_time = now() WHERE schema_id = %s AND activation = %s
