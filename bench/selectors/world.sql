-- The world of bench/selectors.py; {nodes} is how many nodes it has.
-- Random numbers are the same in every run: u(n, salt) in [0, 1).
CREATE FUNCTION u(n bigint, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT (hashint8extended(n, salt) & 1073741823)::float8 / 1073741824 $$;
INSERT INTO source (description, meta_table_name) VALUES ('alpha', 'meta_alpha'), ('gamma', 'meta_gamma');
INSERT INTO relationship (description, action_id, forms_tree)
    VALUES ('authored', 0, false), ('contains', 0, true), ('crop', 0, true), ('reply', 0, false);
INSERT INTO action (action_id, name, type) VALUES (10, 'ocr', 'AC3'), (11, 'faces', 'AC3');
INSERT INTO ingest_batch (name, adapter, folder, state)
    SELECT 'batch-' || n, 'bench', '/', 'confirmed' FROM generate_series(1, 20) AS n;

CREATE TEMP TABLE shape AS SELECT {nodes} / 10 AS authors, {nodes} * 4 / 10 AS posts, {nodes} * 9 / 10 AS files;
CREATE TEMP TABLE kin AS
    SELECT n AS node_id, CASE
        WHEN n <= authors THEN NULL
        WHEN n <= posts THEN 1 + floor(authors * power(u(n, 1), 4))
        WHEN n <= files THEN authors + 1 + floor((posts - authors) * u(n, 2))
        ELSE posts + 1 + floor((files - posts) * u(n, 3)) END::bigint AS parent_id
    FROM shape, generate_series(1, {nodes}) AS n;
ALTER TABLE kin ADD PRIMARY KEY (node_id);
ANALYZE kin;

INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth)
    OVERRIDING SYSTEM VALUE
    SELECT own.node_id,
        sha256(convert_to(CASE WHEN own.node_id <= authors THEN 'beta:user:' || own.node_id
            WHEN own.node_id <= posts THEN 'beta:post:' || own.node_id
            ELSE 'file ' || own.node_id END, 'UTF8')),
        own.node_id <= posts, own.node_id > posts, root_id, root_id,
        CASE WHEN own.node_id <= posts THEN 0 WHEN own.node_id <= files THEN 1 ELSE 2 END
    FROM shape, kin AS own LEFT JOIN kin AS above ON above.node_id = own.parent_id,
        LATERAL (SELECT CASE WHEN own.node_id <= posts THEN own.node_id
            WHEN own.node_id <= files THEN own.parent_id ELSE above.parent_id END AS root_id) AS root
    ORDER BY own.node_id;
INSERT INTO virtual_asset (description, node_id)
    SELECT CASE WHEN n <= authors THEN 'beta:user:' ELSE 'beta:post:' END || n, n
    FROM shape, generate_series(1, posts) AS n;
INSERT INTO physical_content (node_id, file_size_bytes, create_time, in_black_list, is_delete, file_extension_id)
    SELECT n, 1000 + power(10, 7 * u(n, 4)), '2024-01-01Z'::timestamptz + u(n, 5) * interval '300 days',
        u(n, 6) < 0.001, u(n, 7) < 0.002, file_extension_id
    FROM shape, generate_series(posts + 1, {nodes}) AS n
    JOIN file_type ON file_extension = (ARRAY['jpg','jpg','jpg','jpg','png','png','mp4','webp','gif','mp3'])[1 + floor(10 * u(n, 8))];
INSERT INTO edge (parent_node_id, child_node_id, relationship_id, position)
    SELECT parent_id, node_id, relationship_id, 0
    FROM shape, kin JOIN relationship ON true
    WHERE description = CASE WHEN node_id <= authors THEN '' WHEN node_id <= posts THEN 'authored'
        WHEN node_id <= files THEN 'contains' ELSE 'crop' END;
INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, view, update_time, download_time,
        author_description, "user", observation_hash)
    SELECT n, source_id, true, n > posts,
        'A post about ' || (ARRAY['cats','dogs','walls','stones','rain'])[1 + floor(5 * u(n, 9))] || ' no ' || n,
        CASE WHEN u(n, 10) < 0.8 THEN power(10, 6 * u(n, 11))::bigint END,
        '2024-01-01Z'::timestamptz + u(n, 12) * interval '365 days', '2024-12-31Z',
        'beta:user:' || parent_id, (ARRAY['ann','bob'])[1 + floor(2 * u(n, 13))], decode(md5(n::text), 'hex')
    FROM shape, generate_series(authors + 1, files) AS n JOIN kin ON node_id = n
    JOIN source ON description = (ARRAY['alpha','beta','beta','gamma'])[1 + floor(4 * u(n, 14))];
INSERT INTO meta_beta (node_id, observation_hash, likes, tags)
    SELECT n, decode(md5(n::text), 'hex'), power(10, 5 * u(n, 15)), ARRAY['t' || floor(100 * u(n, 16))]
    FROM shape, generate_series(authors + 1, posts) AS n;
INSERT INTO action_batch (create_date) VALUES ('2024-01-01Z'), ('2024-01-02Z');
INSERT INTO action_batch_node (action_batch_id, node_id)
    SELECT 1 + (u(n, 18) < 0.5)::int, n FROM shape, generate_series(posts + 1, files) AS n WHERE u(n, 17) < 0.2;
INSERT INTO action_event (action_id, action_batch_id, status) VALUES (10, 1, 'done'), (10, 2, 'done'), (11, 1, 'failed');
INSERT INTO ingest_batch_node (ingest_batch_id, node_id)
    SELECT 1 + floor(20 * u(n, 19)), n FROM shape, generate_series(posts + 1, files) AS n;
DROP FUNCTION u;
