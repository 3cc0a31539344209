-- What came in, counted by day for statistics. Days that have passed are counted once, by the
-- scheduler, and their counts are kept: what is asked of ten years is a few thousand rows, however
-- many nodes there are.

-- Rows are written in the order of their time, so that an index of ranges, of a few kB, finds a day.
CREATE INDEX physical_content_create_time ON physical_content USING brin (create_time)
    WITH (pages_per_range = 32);

-- What has bytes came when they did; what has none, with the first batch that brought it. What is of
-- several sources or batches counts for the first.
CREATE FUNCTION arrived(since timestamptz, until timestamptz) RETURNS TABLE (
    day date, source text, type text, account text, nodes bigint, files bigint, size_bytes bigint
) LANGUAGE sql STABLE AS $$
    WITH arrived AS MATERIALIZED (
        SELECT content.node_id, content.create_time AS time, content.file_size_bytes, type.type
        FROM physical_content AS content JOIN file_type AS type USING (file_extension_id)
        WHERE content.create_time >= since AND content.create_time < until
        UNION ALL
        SELECT DISTINCT node.node_id, NULL::timestamptz, NULL::bigint, 'none'
        FROM ingest_batch AS batch
        JOIN ingest_batch_node AS brought USING (ingest_batch_id)
        JOIN node USING (node_id)
        WHERE batch.create_time >= since AND batch.create_time < until AND NOT node.is_physical
    ), observed AS (
        SELECT node_id, (min(ARRAY[common.metadata_id, common.source_id]))[2] AS source_id
        FROM arrived JOIN common_metadata AS common USING (node_id) GROUP BY node_id
    ), brought AS (
        SELECT node_id, min(ingest_batch_id) AS ingest_batch_id
        FROM arrived JOIN ingest_batch_node USING (node_id) GROUP BY node_id
    )
    SELECT (coalesce(arrived.time, batch.create_time) AT TIME ZONE 'UTC')::date,
        coalesce(source.description, 'none'), arrived.type, coalesce(batch."user", 'none'),
        count(*), count(arrived.file_size_bytes), coalesce(sum(arrived.file_size_bytes), 0)::bigint
    FROM arrived
    LEFT JOIN observed USING (node_id) LEFT JOIN source USING (source_id)
    LEFT JOIN brought USING (node_id) LEFT JOIN ingest_batch AS batch USING (ingest_batch_id)
    WHERE arrived.time IS NOT NULL
        OR (batch.create_time >= since AND batch.create_time < until)
    GROUP BY 1, 2, 3, 4
$$;
COMMENT ON FUNCTION arrived(timestamptz, timestamptz) IS 'Counts what came in from one time to before another';

CREATE TABLE arrival_count (
    day date NOT NULL,
    source text NOT NULL,
    type text NOT NULL,
    account text NOT NULL,
    nodes bigint NOT NULL,
    files bigint NOT NULL,
    size_bytes bigint NOT NULL,
    PRIMARY KEY (day, source, type, account)
);
COMMENT ON TABLE arrival_count IS 'What came in on days that have passed; days without anything have no row';
COMMENT ON COLUMN arrival_count.day IS 'The day, in UTC';
COMMENT ON COLUMN arrival_count.source IS 'The first source that told of the nodes; none without';
COMMENT ON COLUMN arrival_count.type IS 'image, video, sound or text; none has no bytes';
COMMENT ON COLUMN arrival_count.account IS 'Who signalled the first batch that brought them; none without';
COMMENT ON COLUMN arrival_count.nodes IS 'How many nodes';
COMMENT ON COLUMN arrival_count.files IS 'How many of them have bytes';
COMMENT ON COLUMN arrival_count.size_bytes IS 'How many bytes';

CREATE TABLE arrival_counted (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    until date NOT NULL
);
COMMENT ON TABLE arrival_counted IS 'How far arrival_count has come: one row, or none at the beginning';
COMMENT ON COLUMN arrival_counted.is_one IS 'Keeps it one row';
COMMENT ON COLUMN arrival_counted.until IS 'All days before this one are counted';
