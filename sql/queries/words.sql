-- The words by which nodes are found; see sql/search/words.py.

-- Whoever else reads on waits here, and then sees what was read.
-- name: lock
SELECT metadata_id, record_id FROM words_progress FOR UPDATE

-- Reads on, and makes the words of every node anew of which something is new.
-- name: read_on
WITH observed AS MATERIALIZED (
    SELECT metadata_id, node_id FROM common_metadata
    WHERE metadata_id > %(metadata_id)s ORDER BY metadata_id LIMIT %(rows)s
), described AS MATERIALIZED (
    SELECT record_id, node_id FROM virtual_asset
    WHERE record_id > %(record_id)s ORDER BY record_id LIMIT %(rows)s
), fresh AS (
    SELECT node_id FROM observed UNION SELECT node_id FROM described
), said AS (
    SELECT fresh.node_id, search_words(concat_ws(' ', named.name, titled.titles)) AS words
    FROM fresh
    LEFT JOIN LATERAL (
        SELECT left(substr(description, length(split_part(description, ':', 1)
            || split_part(description, ':', 2)) + 3), 200) AS name
        FROM virtual_asset AS asset
        WHERE asset.node_id = fresh.node_id
            AND split_part(description, ':', 2) NOT IN ('page', 'media', 'record')
    ) AS named ON true
    LEFT JOIN LATERAL (
        SELECT string_agg(common.title, ' ' ORDER BY common.metadata_id DESC) AS titles
        FROM common_metadata AS common WHERE common.node_id = fresh.node_id
    ) AS titled ON true
), written AS (
    INSERT INTO node_words (node_id, words)
    SELECT node_id, words FROM said WHERE words <> ''::tsvector
    ON CONFLICT (node_id) DO UPDATE SET words = excluded.words
    WHERE node_words.words <> excluded.words
)
UPDATE words_progress
SET metadata_id = greatest(metadata_id, (SELECT max(observed.metadata_id) FROM observed)),
    record_id = greatest(record_id, (SELECT max(described.record_id) FROM described))
RETURNING (SELECT count(*) FROM observed) >= %(rows)s OR (SELECT count(*) FROM described) >= %(rows)s
