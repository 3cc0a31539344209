-- What the overview shows: the newest of each kind, and counts of what waits.

-- The newest action batches, with where they stand.
-- name: action_batches
SELECT batch.action_batch_id, batch.create_date, batch.seal_date, (
    SELECT count(*) FROM action_batch_node AS member WHERE member.action_batch_id = batch.action_batch_id
) AS node_count, coalesce((
    SELECT string_agg(pipeline.name || ': ' || coalesce('stage ' || place.current_stage, 'done'), ', ' ORDER BY pipeline.name)
    FROM pipeline_batch AS place JOIN pipeline ON pipeline.id = place.pipeline_id
    WHERE place.action_batch_id = batch.action_batch_id
), '') AS stage
FROM action_batch AS batch
ORDER BY batch.action_batch_id DESC
LIMIT %(limit)s

-- name: action_events
SELECT event.id AS event_id, event.action_batch_id, action.name AS action, event.status, event.start_time, event.end_time
FROM action_event AS event JOIN action USING (action_id)
ORDER BY event.id DESC
LIMIT %(limit)s

-- name: ingest_batches
SELECT name, adapter, state, coalesce(state_reason, '') AS state_reason, create_time, update_time, file_count, size_bytes
FROM ingest_batch ORDER BY ingest_batch_id DESC LIMIT %(limit)s

-- name: backups
SELECT backup_name AS name, start_time, end_time, kind, state, copy_count, size_bytes, report
FROM backup_report ORDER BY start_time DESC LIMIT %(limit)s

-- What waits for a person: rows that were set aside and not read again, packages without a copy.
-- name: quarantined
SELECT count(*) FROM quarantine WHERE ingest_batch_id IS NOT NULL AND replay_time IS NULL

-- name: unconfirmed
SELECT count(*) FROM outbox_package WHERE confirm_time IS NULL

-- Tasks that have not ended, by state; an index holds just these.
-- name: task_counts
SELECT state, count(*) FROM run_task
WHERE state NOT IN ('done', 'partial', 'failed', 'cancelled') GROUP BY state

-- name: failed_runs
SELECT count(*) FROM run
WHERE state = 'failed' AND end_time > now() - interval '24 hours'

-- name: runs
-- Of the parameters only short ones by which a person knows a run: some hold a whole definition.
SELECT run_id, workflow, state, requested_by, create_time, start_time, end_time,
    coalesce(reason, '') AS reason, (
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM jsonb_each(CASE WHEN octet_length(parameters) <= 20000 THEN parameters::jsonb ELSE '{}' END)
        WHERE key IN ('batch', 'action', 'dataset', 'name', 'folder', 'method', 'action_batch_id')
            AND octet_length(value::text) <= 200
    ) AS named_by
FROM run ORDER BY run_id DESC LIMIT %(limit)s

-- name: exports
SELECT export.dataset_export_id, dataset.name AS dataset, version.version, export.layout_id, export.mode,
    export.state, coalesce(export.target_root, '') AS target_root,
    encode(export.manifest_key, 'hex') AS manifest_key, export.file_count, export.size_bytes,
    export.start_time, export.seal_time, coalesce(export.reason, '') AS reason
FROM dataset_export AS export
JOIN dataset_version AS version USING (dataset_version_id)
JOIN dataset USING (dataset_id)
WHERE export.state <> 'removed'
ORDER BY export.start_time DESC LIMIT %(limit)s
