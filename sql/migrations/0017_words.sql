-- Words: by which words a node is found. Everything here is derived from titles and descriptions,
-- and made anew by emptying both tables.

CREATE TABLE node_words (
    -- No foreign key: a check for each row would be a tenth of the work, and no node ever goes.
    node_id bigint PRIMARY KEY,
    words tsvector NOT NULL
);
-- All nodes that have a word.
CREATE INDEX node_words_words ON node_words USING gin (words);
COMMENT ON TABLE node_words IS 'The words of a node''s own titles and description; what hangs together is found by nodes_with_words';
COMMENT ON COLUMN node_words.node_id IS 'The node';
COMMENT ON COLUMN node_words.words IS 'Its words (search_words), without positions';

CREATE TABLE words_progress (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    metadata_id bigint NOT NULL DEFAULT 0,
    record_id bigint NOT NULL DEFAULT 0
);
INSERT INTO words_progress DEFAULT VALUES;
COMMENT ON TABLE words_progress IS 'Up to where titles and descriptions have been read for node_words; write-intents come one after the other, so that no lower number appears later';
COMMENT ON COLUMN words_progress.is_only IS 'There is one row';
COMMENT ON COLUMN words_progress.metadata_id IS 'The last row of common_metadata that was read';
COMMENT ON COLUMN words_progress.record_id IS 'The last row of virtual_asset that was read';

-- Lower case, compatibility forms as one, everything that is neither letter nor digit a space. Ranges
-- and no classes, which mean another thing in every locale. Most texts are ASCII, where less is to do.
CREATE FUNCTION search_text(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN octet_length(given) = length(given) THEN
    regexp_replace(lower(left(given, 20000)), U&'[\0001-/:-@\005b-`{-\007f]+', ' ', 'g')
ELSE regexp_replace(
    lower(normalize(left(given, 20000), NFKC)),
    U&'[\0001-/:-@\005b-`{-\00a9\00ab-\00b4\00b6-\00b9\00bb-\00bf\00d7\00f7\2000-\206f\2e00-\2e7f\3000-\3004\3007-\3020\3030\303d-\3040\30a0\30fb]+',
    ' ', 'g'
) END;
COMMENT ON FUNCTION search_text IS 'A text as its words with spaces between them';

-- Chinese, Japanese and Korean write no spaces: there two neighbours are a word, and the last alone.
CREATE FUNCTION neighbour_words(plain text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT coalesce(array_agg(DISTINCT left(word, 100)), '{}')
    FROM unnest(string_to_array(plain, ' ')) AS run,
        LATERAL (
            SELECT run AS word WHERE run !~ U&'[\3040-\30ff\3400-\9fff\ac00-\d7af\f900-\faff]'
            UNION ALL
            SELECT substr(run, place, 2) FROM generate_series(1, length(run)) AS place
            WHERE run ~ U&'[\3040-\30ff\3400-\9fff\ac00-\d7af\f900-\faff]'
        ) AS cut
    WHERE word <> ''
);
COMMENT ON FUNCTION neighbour_words IS 'The words of a plain text in which some write no spaces, or are long';

CREATE FUNCTION search_words(given text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    plain text := search_text(given);
BEGIN
    -- Letters of two bytes, and words that are not too long: no neighbours, nothing to cut.
    IF length(plain) < 100 OR plain !~ '[^ ]{101}' THEN
        IF octet_length(plain) = length(plain) OR plain !~ U&'[\3040-\30ff\3400-\9fff\ac00-\d7af\f900-\faff]' THEN
            RETURN array_to_tsvector(array_remove(string_to_array(plain, ' '), ''));
        END IF;
    END IF;
    RETURN array_to_tsvector(neighbour_words(plain));
END $$;
COMMENT ON FUNCTION search_words IS 'The words of a text';

-- The last of a run of neighbours is asked for as the beginning of a word, since more may follow.
CREATE FUNCTION search_query(given text) RETURNS tsquery LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT string_agg(
        '''' || replace(replace(word, '\', '\\'), '''', '''''') || '''' || CASE WHEN begins THEN ':*' ELSE '' END, ' & '
    )::tsquery
    FROM unnest(string_to_array(search_text(given), ' ')) WITH ORDINALITY AS runs (run, number),
        LATERAL (
            SELECT left(run, 100) AS word, right(given, 1) = '*' AND number = (
                SELECT count(*) FROM unnest(string_to_array(rtrim(search_text(given)), ' '))
            ) AS begins
            WHERE run !~ U&'[\3040-\30ff\3400-\9fff\ac00-\d7af\f900-\faff]'
            UNION ALL
            SELECT substr(run, place, 2), length(run) = 1 OR length(substr(run, place, 2)) = 1
            FROM generate_series(1, greatest(length(run) - 1, 1)) AS place
            WHERE run ~ U&'[\3040-\30ff\3400-\9fff\ac00-\d7af\f900-\faff]'
        ) AS cut
    WHERE word <> ''
);
COMMENT ON FUNCTION search_query IS 'The question for all words of a text; a star at its end asks for the beginning of the last; NULL without a word';

-- The one place where words become nodes. A person is found by every name, what they made, what a tag
-- or a channel is on by the name of these, and what lies below in a tree with it.
CREATE FUNCTION nodes_with_words(asked tsquery, ways text[]) RETURNS TABLE (node_id bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 50000 COST 1000 AS $$
    WITH own AS MATERIALIZED (
        SELECT found.node_id FROM node_words AS found WHERE found.words @@ asked
    ), hit AS MATERIALIZED (
        SELECT own.node_id FROM own
        UNION
        SELECT edge.parent_node_id FROM own JOIN edge ON edge.child_node_id = own.node_id
        JOIN relationship USING (relationship_id)
        WHERE relationship.action_id = 0 AND relationship.description = 'alias'
    ), near AS MATERIALIZED (
        SELECT hit.node_id FROM hit WHERE 'own' = ANY (ways)
        UNION
        SELECT edge.child_node_id FROM hit JOIN edge ON edge.parent_node_id = hit.node_id
        JOIN relationship USING (relationship_id)
        WHERE relationship.action_id = 0 AND relationship.description = ANY (ways)
    )
    SELECT near.node_id FROM near
    UNION
    SELECT node.node_id FROM near JOIN node ON node.root_id = near.node_id
    UNION
    SELECT edge.child_node_id FROM near JOIN edge ON edge.parent_node_id = near.node_id
    JOIN relationship USING (relationship_id) WHERE relationship.forms_tree
$$;
COMMENT ON FUNCTION nodes_with_words IS 'Nodes that have the words themselves (way own), or are reached from one that has by one of these relationships; and what lies below them in their tree';
