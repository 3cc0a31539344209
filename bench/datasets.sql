-- The world of bench/datasets.py: {files} pictures in posts of one to five, labelled by an action,
-- every tenth file without a label; u(n, salt) is the same in every run.
CREATE FUNCTION u(n bigint, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT (hashint8extended(n, salt) & 1073741823)::float8 / 1073741824 $$;
INSERT INTO relationship (description, action_id, forms_tree) VALUES ('contains', 0, true);
INSERT INTO action_batch (create_date) VALUES ('2024-01-01Z');
INSERT INTO action_event (action_id, action_batch_id, status) SELECT action_id, 1, 'done' FROM action WHERE name = 'kind';

CREATE TEMP TABLE kin AS
    SELECT n AS node_id, 1 + floor({files} / 3 * u(n, 1))::bigint AS post_id FROM generate_series({files} / 3 + 1, {files} / 3 + {files}) AS n;
INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth) OVERRIDING SYSTEM VALUE
    SELECT n, sha256(convert_to('bench:post:' || n, 'UTF8')), true, false, n, n, 0 FROM generate_series(1, {files} / 3) AS n;
INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth) OVERRIDING SYSTEM VALUE
    SELECT node_id, sha256(convert_to('file ' || node_id, 'UTF8')), false, true, post_id, post_id, 1 FROM kin;
INSERT INTO virtual_asset (description, node_id) SELECT 'bench:post:' || n, n FROM generate_series(1, {files} / 3) AS n;
INSERT INTO physical_content (node_id, file_size_bytes, in_black_list, is_delete, file_extension_id)
    SELECT node_id, length('file ' || node_id), u(node_id, 6) < 0.001, u(node_id, 7) < 0.002,
        (SELECT file_extension_id FROM file_type WHERE file_extension = 'jpg') FROM kin;
INSERT INTO edge (parent_node_id, child_node_id, relationship_id) SELECT post_id, node_id, relationship_id FROM kin, relationship WHERE description = 'contains';
INSERT INTO result_kind (node_id, action_event_id, label)
    SELECT node_id, 1, 'class ' || floor(100 * power(u(node_id, 8), 2)) FROM kin WHERE u(node_id, 9) < 0.9;
DROP FUNCTION u;
