-- Row security: what a guest may read at all, and which rows; see sql/core/guests.py.

-- Roles belong to the whole server, so it may be there; a user who may not make one goes without.
-- name: make_role
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drystone_guest') THEN
        CREATE ROLE drystone_guest NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'drystone_guest', 'MEMBER') THEN
        EXECUTE format('GRANT drystone_guest TO %I', current_user);
    END IF;
    IF NOT has_schema_privilege('drystone_guest', 'public', 'USAGE') THEN
        GRANT USAGE ON SCHEMA public TO drystone_guest;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        RETURN;
END $$

-- name: has_role
SELECT coalesce((
    SELECT pg_has_role(current_user, guest.oid, 'MEMBER') AND has_schema_privilege(guest.oid, 'public', 'USAGE')
    FROM pg_roles AS guest WHERE rolname = 'drystone_guest'
), false)

-- The one list of what guests may read: no other table has a grant to their role. Columns that are named
-- alone are readable. What says of nobody what it is, the vocabulary, is for everybody; what a report on a
-- node or every selector asks for and is not for guests is empty. OFFSET 0: each row is looked up by itself;
-- otherwise the planner may read all that a guest sees to show one page of it.
-- name: missing
WITH reached (condition) AS (
    VALUES ('EXISTS (SELECT FROM grant_reach AS reach WHERE reach.node_id = %%1$I.node_id OFFSET 0)')
), said (condition) AS (
    SELECT reached.condition || ' AND EXISTS (SELECT FROM observation_batch AS brought'
        ' WHERE brought.node_id = %%1$I.node_id AND brought.observation_hash = %%1$I.observation_hash'
        ' AND brought.source_id = %%2$s OFFSET 0)'
    FROM reached
), listed (name, columns, condition) AS (
    SELECT name, '', 'true'
    FROM unnest('{file_type,source,relationship,action,declared_table}'::text[]) AS name
    UNION ALL
    SELECT name, '', format(condition, name)
    FROM unnest('{virtual_asset}'::text[]) AS name, reached
    UNION ALL
    -- What was deleted or black-listed is not there for guests, whatever they were granted.
    SELECT 'physical_content', '', format(condition, 'physical_content') || ' AND NOT is_delete AND NOT in_black_list'
    FROM reached
    UNION ALL
    -- Not root_id, component_id and depth: they tell of relatives that are hidden.
    SELECT 'node', 'node_id, sha256, is_virtual, is_physical', format(condition, 'node')
        || ' AND (NOT is_physical OR EXISTS ('
        'SELECT FROM physical_content AS content WHERE content.node_id = node.node_id OFFSET 0))'
    FROM reached
    UNION ALL
    SELECT 'thumbnail', 'node_id, thumbnail_key, reason', format(condition, 'thumbnail') FROM reached
    UNION ALL
    SELECT name, '', 'false'
    FROM unnest(
        '{archive_location,action_batch_node,action_event,dataset,dataset_member,dataset_version,node_words,pipeline,pipeline_stage}'::text[]
    ) AS name
    UNION ALL
    SELECT 'grant_reach', '', 'grant_id = ANY ((SELECT granted(''grant''))::bigint[])'
    UNION ALL
    SELECT 'edge', '', 'EXISTS (SELECT FROM grant_reach AS reach WHERE reach.node_id = edge.parent_node_id OFFSET 0)'
        ' AND EXISTS (SELECT FROM grant_reach AS reach WHERE reach.node_id = edge.child_node_id OFFSET 0)'
    UNION ALL
    SELECT 'ingest_batch', 'ingest_batch_id, name, adapter, state',
        'ingest_batch_id = ANY ((SELECT granted(''batch''))::bigint[])'
    UNION ALL
    SELECT 'ingest_batch_node', '', 'ingest_batch_id = ANY ((SELECT granted(''batch''))::bigint[])'
    UNION ALL
    -- What happened to batches that were granted whole: their counts tell of nothing else.
    SELECT 'event', '', 'kind = ANY (''{node.created,node.deleted,node.restored,batch.stored,batch.described}'')'
        ' AND EXISTS (SELECT FROM ingest_batch AS seen WHERE event.subject = ''batch '' || seen.name)'
    UNION ALL
    SELECT 'event_feed', 'last_position, gone_position', 'only_one'
    UNION ALL
    SELECT 'observation_batch', '', 'ingest_batch_id = ANY ((SELECT granted(''batch''))::bigint[])'
        ' OR EXISTS (SELECT FROM grant_reach AS reach WHERE reach.node_id = observation_batch.node_id'
        ' AND reach.grant_id = ANY ((SELECT granted(''metadata''))::bigint[]) OFFSET 0)'
    UNION ALL
    SELECT 'common_metadata', '', format(condition, 'common_metadata', 'common_metadata.source_id') FROM said
    UNION ALL
    SELECT table_name, '', CASE WHEN starts_with(table_name, 'meta_') THEN format(
        said.condition, table_name, format('(SELECT source_id FROM source WHERE meta_table_name = %%L)', table_name)
    ) ELSE format(reached.condition, table_name) END
    FROM declared_table, said, reached
)
SELECT listed.name, listed.columns, listed.condition, md5(listed.condition || listed.columns) AS mark
FROM listed
WHERE (%(table)s::text IS NULL OR listed.name = %(table)s) AND NOT EXISTS (
    SELECT FROM pg_class AS class
    JOIN pg_policy AS policy ON policy.polrelid = class.oid AND policy.polname = 'guest'
    WHERE class.oid = format('public.%%I', listed.name)::regclass AND class.relrowsecurity
        AND obj_description(policy.oid, 'pg_policy') = md5(listed.condition || listed.columns)
        AND has_any_column_privilege('drystone_guest', class.oid, 'SELECT')
)
ORDER BY listed.name

-- ---- What is shared by a link, asked as a guest --------------------------------------------------

-- name: holds
SELECT granted('grant') IS NOT NULL

-- name: shared
SELECT encode(node.sha256, 'hex') AS key, content.file_size_bytes AS size_bytes,
    type.file_extension AS extension, type.type AS media_type
FROM grant_reach AS reach
JOIN node USING (node_id)
JOIN physical_content AS content USING (node_id)
LEFT JOIN file_type AS type USING (file_extension_id)
WHERE NOT content.is_delete AND NOT content.in_black_list
    AND (%(sha256)s::bytea IS NULL OR node.sha256 = %(sha256)s)
ORDER BY reach.node_id
LIMIT %(limit)s
