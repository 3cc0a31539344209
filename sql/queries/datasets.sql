-- Datasets: candidates in temporary tables, their labels, groups and splits, and what is kept.
-- See sql/datasets/dataset_candidates.py for the order in which they come.

-- One build of a dataset at a time: its versions are counted.
-- name: take_turn
SELECT pg_try_advisory_xact_lock(hashtext('dataset'), hashtext(%s))

-- Ten million rows are sorted and joined here, by one session.
-- name: settings
SELECT set_config('work_mem', '256MB', true), set_config('maintenance_work_mem', '256MB', true),
    set_config('jit', 'off', true)

-- name: pipelines
SELECT name, id FROM pipeline

-- Excluded unless every pipeline that one of its action batches is enrolled in is complete for the node.
-- name: exclude_incomplete
WITH required AS (
    SELECT DISTINCT enrolment.action_batch_id, stage.action_id
    FROM pipeline_enrolment AS enrolment JOIN pipeline_stage AS stage USING (pipeline_id)
)
UPDATE candidate SET reason = 'pipeline_incomplete'
WHERE reason IS NULL AND node_id IN (
    SELECT member.node_id
    FROM required JOIN action_batch_node AS member USING (action_batch_id)
    WHERE NOT EXISTS (
        SELECT FROM node_action_done AS done
        WHERE done.node_id = member.node_id AND done.action_id = required.action_id
    )
)

-- Excluded unless these pipelines are complete for the node, whether it was ever in one or not.
-- name: exclude_without
WITH wanted AS (
    SELECT DISTINCT action_id FROM pipeline_stage WHERE pipeline_id = ANY(%s::integer[])
), done AS (
    SELECT node_id, count(DISTINCT action_id) AS actions
    FROM node_action_done WHERE action_id IN (SELECT action_id FROM wanted)
    GROUP BY node_id
)
UPDATE candidate SET reason = 'pipeline_incomplete'
WHERE reason IS NULL AND NOT EXISTS (
    SELECT FROM done
    WHERE done.node_id = candidate.node_id AND done.actions = (SELECT count(*) FROM wanted)
)

-- name: make_label_tables
CREATE TEMPORARY TABLE label_map (value text PRIMARY KEY, class text) ON COMMIT DROP;
CREATE TEMPORARY TABLE class_list (class text PRIMARY KEY, number integer NOT NULL) ON COMMIT DROP

-- Values become classes; where classes are listed, others are none.
-- name: map_labels
CREATE TEMPORARY TABLE node_class ON COMMIT DROP AS
SELECT found.node_id, class_list.number AS class, count(*) AS votes, min(found.place) AS first_place,
    max(found.place) AS last_place
FROM found_label AS found
LEFT JOIN label_map AS mapped USING (value)
JOIN class_list ON class_list.class = CASE WHEN mapped.value IS NULL THEN found.value ELSE mapped.class END
GROUP BY found.node_id, class_list.number

-- name: list_classes
INSERT INTO class_list (class, number)
SELECT class, row_number() OVER (ORDER BY class COLLATE "C") - 1
FROM (
    SELECT DISTINCT CASE WHEN mapped.value IS NULL THEN found.value ELSE mapped.class END AS class
    FROM found_label AS found LEFT JOIN label_map AS mapped USING (value)
) AS classes
WHERE class IS NOT NULL

-- name: exclude_unlabelled
UPDATE candidate SET reason = CASE
    WHEN EXISTS (SELECT FROM found_label WHERE found_label.node_id = candidate.node_id)
    THEN 'label_not_among_classes' ELSE 'unlabelled' END
WHERE reason IS NULL AND NOT EXISTS (
    SELECT FROM node_class WHERE node_class.node_id = candidate.node_id
)

-- name: exclude_doubly_labelled
UPDATE candidate SET reason = 'doubly_labelled'
WHERE reason IS NULL AND node_id IN (
    SELECT node_id FROM node_class GROUP BY node_id HAVING count(*) > 1
)

-- The one class of each node, or all of them: then `all_classes` has them in their order.
-- name: choose_class
CREATE TEMPORARY TABLE node_label ON COMMIT DROP AS
SELECT node_id, (array_agg(class ORDER BY
        CASE %(multiple)s WHEN 'first' THEN first_place WHEN 'last' THEN -last_place
            WHEN 'vote' THEN -votes END NULLS LAST, class))[1] AS class,
    CASE WHEN %(multiple)s = 'all' AND count(*) > 1
        THEN array_agg(class ORDER BY class) END AS all_classes
FROM node_class GROUP BY node_id

-- name: no_labels
CREATE TEMPORARY TABLE node_label (node_id bigint, class integer, all_classes integer[]) ON COMMIT DROP

-- Every file twice or more in one near-duplicate group: the largest stays, then the least key.
-- name: exclude_near_duplicates
UPDATE candidate SET reason = 'near_duplicate'
WHERE node_id IN (
    SELECT node_id FROM (
        SELECT candidate.node_id, row_number() OVER (
            PARTITION BY near.near_id ORDER BY candidate.size_bytes DESC, candidate.sha256) AS place
        FROM candidate JOIN near_group AS near USING (node_id) WHERE candidate.reason IS NULL
    ) AS placed WHERE place > 1
)

-- The lots decide, which depend on the seed and the bytes alone.
-- name: exclude_over_group
UPDATE candidate SET reason = 'over_group_limit'
WHERE node_id IN (
    SELECT node_id FROM (
        SELECT node_id, row_number() OVER (
            PARTITION BY group_id ORDER BY sha256(%(seed)s::bytea || sha256)) AS place
        FROM candidate WHERE reason IS NULL
    ) AS placed WHERE place > %(limit)s
)

-- name: class_counts
SELECT coalesce(label.class, -1), count(*), coalesce(sum(candidate.size_bytes), 0)::bigint
FROM candidate LEFT JOIN node_label AS label USING (node_id)
WHERE reason IS NULL GROUP BY 1 ORDER BY 1

-- name: exclude_small_classes
UPDATE candidate SET reason = 'class_too_small'
FROM node_label AS label
WHERE candidate.reason IS NULL AND label.node_id = candidate.node_id AND label.class = ANY(%s::integer[])

-- name: exclude_over_class
UPDATE candidate SET reason = 'over_class_limit'
WHERE node_id IN (
    SELECT node_id FROM (
        SELECT candidate.node_id, row_number() OVER (
            PARTITION BY label.class ORDER BY sha256(%(seed)s::bytea || candidate.sha256)) AS place
        FROM candidate JOIN node_label AS label USING (node_id) WHERE reason IS NULL
    ) AS placed WHERE place > %(limit)s
)

-- name: exclude_over_total
UPDATE candidate SET reason = 'over_total_limit'
WHERE node_id IN (
    SELECT node_id FROM candidate WHERE reason IS NULL
    ORDER BY sha256(%(seed)s::bytea || sha256) OFFSET %(limit)s
)

-- name: excluded
SELECT reason, count(*) FROM candidate WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason

-- name: excluded_examples
SELECT node_id, encode(sha256, 'hex') FROM candidate WHERE reason = %s ORDER BY sha256 LIMIT 5

-- Of every group its lot (which the bytes decide, never the order in which nodes came), its former
-- split is asked apart.
-- name: groups
SELECT candidate.group_id, min(('x' || encode(substring(sha256 FOR 8), 'hex'))::bit(64)::bigint), -1, count(*)
FROM candidate WHERE reason IS NULL GROUP BY candidate.group_id

-- name: groups_by_class
SELECT group_id, min(lot), class, count(*)
FROM (
    SELECT candidate.group_id,
        ('x' || encode(substring(sha256 FOR 8), 'hex'))::bit(64)::bigint AS lot,
        unnest(coalesce(label.all_classes, ARRAY[coalesce(label.class, -1)])) AS class
    FROM candidate LEFT JOIN node_label AS label USING (node_id) WHERE reason IS NULL
) AS labelled
GROUP BY group_id, class

-- name: former_splits
SELECT candidate.group_id, array_position(%(splits)s::text[], member.split) - 1, count(*)
FROM candidate JOIN dataset_member AS member USING (node_id)
WHERE member.dataset_version_id = %(former)s AND candidate.reason IS NULL
    AND member.split = ANY(%(splits)s::text[])
GROUP BY 1, 2

-- name: near_pairs
SELECT candidate.node_id, candidate.group_id, near_value.value
FROM candidate JOIN near_value USING (node_id) WHERE reason IS NULL

-- name: make_regroup
CREATE TEMPORARY TABLE regroup (group_id bigint, new_group_id bigint) ON COMMIT DROP;
CREATE TEMPORARY TABLE near_group (node_id bigint, near_id bigint) ON COMMIT DROP

-- name: regroup
UPDATE candidate SET group_id = regroup.new_group_id
FROM regroup WHERE regroup.group_id = candidate.group_id AND regroup.new_group_id <> candidate.group_id

-- name: make_group_split
CREATE TEMPORARY TABLE group_split (group_id bigint, split bigint) ON COMMIT DROP

-- What is left over, as it will be: the rows are streamed from here, in this order.
-- name: make_member
CREATE TEMPORARY TABLE member ON COMMIT DROP AS
SELECT candidate.node_id, candidate.sha256, candidate.size_bytes, candidate.file_extension_id,
    candidate.component_id, candidate.root_id, candidate.group_id, group_split.split::integer AS split,
    label.class, label.all_classes
FROM candidate JOIN group_split USING (group_id) LEFT JOIN node_label AS label USING (node_id)
WHERE candidate.reason IS NULL

-- name: split_table
SELECT split, coalesce(class, -1), count(*), sum(size_bytes)::bigint
FROM member GROUP BY 1, 2 ORDER BY 1, 2

-- name: split_table_all
SELECT split, class, count(*), sum(size_bytes)::bigint
FROM (SELECT split, size_bytes, unnest(coalesce(all_classes, ARRAY[coalesce(class, -1)])) AS class FROM member) AS labelled
GROUP BY 1, 2 ORDER BY 1, 2

-- The proof: how many components, trees and near-duplicate groups have members in which splits. A
-- split is a bit, so that each of them is one number and the table of them is read once.
-- name: leakage_component
SELECT splits, count(*) FROM (
    SELECT bit_or(1 << split) AS splits FROM member GROUP BY component_id
) AS spread GROUP BY splits

-- name: leakage_tree
SELECT splits, count(*) FROM (
    SELECT bit_or(1 << split) AS splits FROM member GROUP BY root_id
) AS spread GROUP BY splits

-- name: leakage_bytes
SELECT splits, count(*) FROM (
    SELECT bit_or(1 << split) AS splits FROM member GROUP BY sha256
) AS spread GROUP BY splits

-- name: leakage_near
SELECT splits, count(*) FROM (
    SELECT bit_or(1 << split) AS splits FROM member JOIN near_group USING (node_id) GROUP BY near_id
) AS spread GROUP BY splits

-- ---- What is kept ------------------------------------------------------------------------------

-- name: insert_dataset
INSERT INTO dataset (name) VALUES (%s) ON CONFLICT (name) DO NOTHING

-- name: insert_version
INSERT INTO dataset_version (dataset_id, version, definition, selector, statement, seed, layout_id, manifest_key,
    document_key, store_batches, file_count, size_bytes, entry_count, entry_size_bytes, report)
SELECT dataset.dataset_id, %(version)s, %(definition)s, %(selector)s, %(statement)s, %(seed)s, %(layout_id)s,
    decode(%(manifest_key)s, 'hex'), decode(%(document_key)s, 'hex'), %(store_batches)s, %(file_count)s,
    %(size_bytes)s, %(entry_count)s, %(entry_size_bytes)s, %(report)s
FROM dataset WHERE dataset.name = %(name)s
RETURNING dataset_version_id

-- name: insert_members
INSERT INTO dataset_member (dataset_version_id, node_id, split, label, other_labels)
SELECT %(dataset_version_id)s, member.node_id, (%(splits)s::text[])[member.split + 1],
    (%(classes)s::text[])[member.class + 1],
    CASE WHEN member.all_classes IS NOT NULL THEN (
        SELECT json_agg((%(classes)s::text[])[number + 1] ORDER BY number)::text
        FROM unnest(member.all_classes) AS number WHERE number <> member.class
    ) END
FROM member ORDER BY node_id

-- name: revive
UPDATE dataset_version SET state = 'built', retire_time = NULL WHERE dataset_version_id = %s AND state = 'retired'

-- name: retire
UPDATE dataset_version SET state = 'retired', retire_time = now()
WHERE dataset_version_id = %s AND state = 'built'

-- name: next_version
SELECT coalesce(max(version), 0) + 1
FROM dataset_version AS version JOIN dataset USING (dataset_id) WHERE dataset.name = %s

-- name: versions
SELECT version.dataset_version_id, dataset.name, version.version, version.state, version.definition, version.seed,
    version.layout_id, encode(version.manifest_key, 'hex') AS manifest_key,
    encode(version.document_key, 'hex') AS document_key, version.store_batches, version.file_count, version.size_bytes, version.entry_count, version.entry_size_bytes, version.report,
    version.build_time, version.retire_time
FROM dataset_version AS version JOIN dataset USING (dataset_id)
WHERE (%(name)s::text IS NULL OR dataset.name = %(name)s)
    AND (%(version)s::integer IS NULL OR version.version = %(version)s)
    AND (%(manifest_key)s::text IS NULL OR version.manifest_key = decode(%(manifest_key)s, 'hex'))
ORDER BY dataset.name, version.version

-- Added, removed, relabelled, moved: only what is not the same in both.
-- name: difference
SELECT encode(node.sha256, 'hex') AS key, node.node_id,
    CASE WHEN one.node_id IS NULL THEN 'added' WHEN other.node_id IS NULL THEN 'removed' ELSE 'changed' END AS change,
    one.split, one.label, one.other_labels,
    other.split AS new_split, other.label AS new_label, other.other_labels AS new_other_labels
FROM (SELECT * FROM dataset_member WHERE dataset_version_id = %(one)s) AS one
FULL JOIN (SELECT * FROM dataset_member WHERE dataset_version_id = %(other)s) AS other USING (node_id)
JOIN node ON node.node_id = coalesce(one.node_id, other.node_id)
WHERE one.node_id IS NULL OR other.node_id IS NULL
    OR (one.split, one.label, one.other_labels) IS DISTINCT FROM (other.split, other.label, other.other_labels)
ORDER BY node.sha256

-- name: members
SELECT member.node_id, encode(node.sha256, 'hex') AS key, member.split, member.label, member.other_labels
FROM dataset_member AS member JOIN node USING (node_id)
WHERE member.dataset_version_id = %s ORDER BY member.node_id

-- Members that may no longer be used: deleted or black-listed since the build.
-- name: hidden_members
SELECT encode(node.sha256, 'hex'), content.in_black_list
FROM physical_content AS content JOIN node USING (node_id) JOIN dataset_member AS member USING (node_id)
WHERE member.dataset_version_id = %s AND (content.in_black_list OR content.is_delete)
ORDER BY 1

-- ---- Lineage -----------------------------------------------------------------------------------

-- name: node_of_key
SELECT node_id FROM node WHERE sha256 = decode(%s, 'hex')

-- Up to the posts and authors: over every edge, breadth first, each node once.
-- name: ancestors
WITH RECURSIVE above (node_id, depth) AS (
    SELECT %(node_id)s::bigint, 0
    UNION
    SELECT edge.parent_node_id, above.depth + 1
    FROM above JOIN edge ON edge.child_node_id = above.node_id WHERE above.depth < %(depth_max)s
)
SELECT DISTINCT ON (above.node_id) above.depth, above.node_id, encode(node.sha256, 'hex') AS key, asset.description,
    relationship.description AS relationship, source.description AS source, metadata.title
FROM above JOIN node USING (node_id)
LEFT JOIN virtual_asset AS asset USING (node_id)
LEFT JOIN LATERAL (
    SELECT relationship.description FROM edge JOIN relationship USING (relationship_id)
    WHERE edge.parent_node_id = above.node_id ORDER BY edge.edge_id LIMIT 1
) AS relationship ON above.depth > 0
LEFT JOIN LATERAL (
    SELECT row.source_id, row.title FROM common_metadata AS row
    WHERE row.node_id = above.node_id ORDER BY row.metadata_id DESC LIMIT 1
) AS metadata ON true
LEFT JOIN source USING (source_id)
ORDER BY above.node_id, above.depth

-- Down from a post or an author to every file, and from there to the datasets.
-- name: datasets_below
WITH RECURSIVE below (node_id, depth) AS (
    SELECT %(node_id)s::bigint, 0
    UNION
    SELECT edge.child_node_id, below.depth + 1
    FROM below JOIN edge ON edge.parent_node_id = below.node_id WHERE below.depth < %(depth_max)s
)
SELECT dataset.name, version.version, version.state, count(DISTINCT member.node_id) AS files, own.split, own.label
FROM (SELECT DISTINCT node_id FROM below) AS nodes
JOIN dataset_member AS member USING (node_id)
JOIN dataset_version AS version USING (dataset_version_id)
JOIN dataset USING (dataset_id)
LEFT JOIN dataset_member AS own
    ON own.dataset_version_id = version.dataset_version_id AND own.node_id = %(node_id)s
GROUP BY 1, 2, 3, 5, 6 ORDER BY 1, 2

-- ---- Exports -----------------------------------------------------------------------------------

-- name: begin_export
INSERT INTO dataset_export (dataset_export_id, dataset_version_id, layout_id, mode, state, manifest_key, file_count, size_bytes)
VALUES (%(export_id)s, %(dataset_version_id)s, %(layout_id)s, %(mode)s, 'running', decode(%(manifest_key)s, 'hex'), %(file_count)s, %(size_bytes)s)
ON CONFLICT (dataset_export_id) DO UPDATE
SET state = 'running', reason = NULL, start_time = now(), seal_time = NULL
WHERE dataset_export.dataset_version_id = excluded.dataset_version_id
    AND dataset_export.mode = excluded.mode AND dataset_export.layout_id = excluded.layout_id
RETURNING dataset_export_id

-- name: change_export
UPDATE dataset_export AS export SET state = %(state)s,
    target_root = coalesce(%(target_root)s, export.target_root),
    job_id = coalesce(%(job_id)s, export.job_id), reason = %(reason)s,
    seal_time = CASE WHEN %(state)s = 'sealed' THEN coalesce(export.seal_time, now()) END,
    copying_s = coalesce(%(copying_s)s, export.copying_s)
FROM (
    SELECT dataset_export_id, dataset_export.state, dataset.name, version.version
    FROM dataset_export JOIN dataset_version AS version USING (dataset_version_id)
    JOIN dataset USING (dataset_id)
    WHERE dataset_export_id = %(export_id)s FOR UPDATE OF dataset_export
) AS former
WHERE export.dataset_export_id = former.dataset_export_id
RETURNING former.state, former.name, former.version

-- name: exports
SELECT export.dataset_export_id, dataset.name, version.version, export.layout_id, export.mode, export.state,
    export.target_root, export.job_id, encode(export.manifest_key, 'hex') AS manifest_key, export.file_count, export.size_bytes,
    export.reason, export.start_time, export.seal_time, export.copying_s
FROM dataset_export AS export JOIN dataset_version AS version USING (dataset_version_id)
JOIN dataset USING (dataset_id)
WHERE (%(dataset_version_id)s::bigint IS NULL OR export.dataset_version_id = %(dataset_version_id)s)
    AND (%(export_id)s::text IS NULL OR export.dataset_export_id = %(export_id)s)
ORDER BY export.start_time, export.dataset_export_id
