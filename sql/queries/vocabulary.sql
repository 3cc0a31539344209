-- What a selector may name.

-- name: vocabulary
-- Everything that a selector may name, in one row: the tables behind it are small. Of the ingest
-- batches, which may be many, those that are asked for and the newest, to suggest one.
SELECT json_build_object(
    'extensions', (SELECT json_object_agg(file_extension, json_build_array(file_extension_id, type)) FROM file_type),
    'sources', (SELECT json_object_agg(description, json_build_array(source_id, meta_table_name)) FROM source),
    'relationships', (
        SELECT json_object_agg(description, ids)
        FROM (SELECT description, json_agg(relationship_id ORDER BY relationship_id) AS ids FROM relationship GROUP BY description) AS named
    ),
    'actions', (SELECT json_object_agg(name, action_id) FROM action),
    'pipelines', (
        SELECT json_object_agg(name, actions)
        FROM (
            SELECT pipeline.name, coalesce(json_agg(stage.action_id ORDER BY stage.stage_id) FILTER (WHERE stage.action_id IS NOT NULL), '[]') AS actions
            FROM pipeline LEFT JOIN pipeline_stage AS stage ON stage.pipeline_id = pipeline.id
            GROUP BY pipeline.name
        ) AS staged
    ),
    'ingest_batches', (
        SELECT json_object_agg(name, ingest_batch_id)
        FROM (
            SELECT name, ingest_batch_id FROM ingest_batch WHERE name = ANY(%(ingest_batches)s::text[])
            UNION
            (SELECT name, ingest_batch_id FROM ingest_batch ORDER BY ingest_batch_id DESC LIMIT 200)
        ) AS batches
    ),
    'datasets', (
        SELECT json_object_agg(name, ids)
        FROM (
            SELECT asked.name, json_agg(version.dataset_version_id) AS ids
            FROM (
                SELECT DISTINCT unnest(%(datasets)s::text[]) AS name
                UNION
                (SELECT dataset.name FROM dataset ORDER BY dataset_id DESC LIMIT 200)
            ) AS asked
            JOIN dataset ON dataset.name = split_part(asked.name, '@', 1)
            JOIN dataset_version AS version USING (dataset_id)
            WHERE asked.name IN (dataset.name, dataset.name || '@' || version.version)
            GROUP BY asked.name
        ) AS frozen
    ),
    'tables', (
        SELECT json_object_agg(table_name, columns)
        FROM (
            SELECT declared.table_name, json_object_agg(attribute.attname, format_type(attribute.atttypid, NULL)) AS columns
            FROM declared_table AS declared
            JOIN pg_class AS class ON class.relname = declared.table_name AND class.relnamespace = 'public'::regnamespace
            JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            WHERE declared.table_name = ANY(%(tables)s::text[])
            GROUP BY declared.table_name
        ) AS described
    ),
    'places', (
        SELECT json_agg(table_name ORDER BY table_name)
        FROM (
            SELECT declared.table_name
            FROM declared_table AS declared
            JOIN pg_class AS class ON class.relname = declared.table_name AND class.relnamespace = 'public'::regnamespace
            JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND NOT attribute.attisdropped
            WHERE %(places)s AND declared.table_name LIKE 'meta\_%%' AND attribute.attname IN ('latitude', 'longitude')
                AND attribute.atttypid = 'double precision'::regtype
            GROUP BY declared.table_name HAVING count(*) = 2
        ) AS placed
    )
)
