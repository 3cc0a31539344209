-- The world of bench/words.py: {nodes} nodes, and the people and tags of their posts.
SELECT setseed(0.5);

INSERT INTO source (description, meta_table_name) VALUES ('bench', 'meta_bench');

INSERT INTO relationship (action_id, description, forms_tree)
VALUES (0, 'contains', true), (0, 'authored', false), (0, 'tagged', false);

CREATE TEMPORARY TABLE made AS
SELECT number, number % 4 = 1 AS is_post, number - (number - 1) % 4 AS post
FROM generate_series(1, {nodes}) AS number;

-- Authors and tags have numbers that no post has.
CREATE TEMPORARY TABLE named AS
SELECT 1000000000 + one AS node_id, 'bench:user:user' || one AS description
FROM generate_series(0, {nodes} / 40) AS one
UNION ALL
SELECT 2000000000 + one, 'bench:tag:tag' || one FROM generate_series(0, 999) AS one;

INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth)
OVERRIDING SYSTEM VALUE
SELECT number, sha256(convert_to('bench:post:' || number, 'UTF8')), is_post, NOT is_post, post, post,
    CASE WHEN is_post THEN 0 ELSE 1 END
FROM made
UNION ALL
SELECT node_id, sha256(convert_to(description, 'UTF8')), true, false, node_id, node_id, 0 FROM named;

INSERT INTO virtual_asset (description, node_id)
SELECT 'bench:post:' || number, number FROM made WHERE is_post
UNION ALL
SELECT description, node_id FROM named;

INSERT INTO physical_content (node_id, file_size_bytes, file_extension_id)
SELECT number, 30000, 1 FROM made WHERE NOT is_post;

INSERT INTO edge (parent_node_id, child_node_id, relationship_id)
SELECT made.parent, made.child, relationship_id
FROM (
    SELECT post AS parent, number AS child, 'contains' AS way FROM made WHERE NOT is_post
    UNION ALL
    SELECT 1000000000 + number / 40, number, 'authored' FROM made WHERE is_post
    UNION ALL
    SELECT 2000000000 + number::bigint * 7919 % 1000, number, 'tagged' FROM made WHERE is_post
) AS made JOIN relationship ON relationship.description = made.way AND relationship.action_id = 0;

INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, observation_hash)
SELECT number, 1, true, false,
    (SELECT string_agg('w' || floor(exp(random() * ln({words})))::integer, ' ')
     FROM generate_series(1, 12 + 0 * number)),
    decode(lpad(to_hex(number), 32, '0'), 'hex')
FROM made WHERE is_post;

ANALYZE;
