-- Applying a write-intent; see sql/intent/apply.py. Tables intent_* are temporary and its own: rows come
-- into them by COPY, with nodes as numbers from 0 in the order in which the intent names them.

-- ---- What is known, before anything is written --------------------------------------------------

-- name: former
SELECT digest, result FROM write_intent WHERE intent_id = %s

-- name: file_types
SELECT file_extension, file_extension_id FROM file_type

-- name: sources
SELECT description, source_id FROM source

-- name: relationships
SELECT action_id, description, forms_tree FROM relationship

-- name: actions
SELECT name, action_id FROM action

-- name: action_events
SELECT event.id FROM action_event AS event WHERE event.id = ANY (%s)

-- name: ingest_batch
SELECT ingest_batch_id FROM ingest_batch WHERE name = %s

-- ---- Staging, without any lock that others could want -------------------------------------------

-- name: make_key
CREATE TEMPORARY TABLE intent_key (number integer, sha256 bytea, kind smallint) ON COMMIT DROP

-- name: make_virtual
CREATE TEMPORARY TABLE intent_virtual (number integer, description text) ON COMMIT DROP

-- name: make_physical
CREATE TEMPORARY TABLE intent_physical (
    number integer, ordinal integer, file_size_bytes bigint, file_extension_id smallint
) ON COMMIT DROP

-- name: make_common
CREATE TEMPORARY TABLE intent_common (
    number integer, source_id integer, is_raw boolean, is_root boolean, title text, view bigint,
    update_time timestamptz, download_time timestamptz, author_description text, "user" text,
    raw_metadata text, observation_hash bytea
) ON COMMIT DROP

-- name: make_edge
CREATE TEMPORARY TABLE intent_edge (
    ordinal integer, parent integer, child integer, relationship integer, position integer
) ON COMMIT DROP

-- name: make_removed
CREATE TEMPORARY TABLE intent_removed (
    parent integer, child integer, action_id integer, relationship text
) ON COMMIT DROP

-- name: make_former
CREATE TEMPORARY TABLE intent_former (
    number integer, table_name text, observation_hash bytea
) ON COMMIT DROP

-- name: make_archive
CREATE TEMPORARY TABLE intent_archive (number integer, ordinal integer, filepath text) ON COMMIT DROP

-- name: make_flag
CREATE TEMPORARY TABLE intent_flag (
    number integer, ordinal integer, in_black_list boolean, is_delete boolean
) ON COMMIT DROP

-- name: make_superseded
CREATE TEMPORARY TABLE intent_superseded (
    number integer, table_name text, action_event_id bigint
) ON COMMIT DROP

-- ---- The merge ----------------------------------------------------------------------------------

-- One intent at a time from here to its commit. The two numbers are ours: any constant does.
-- name: lock
SELECT pg_advisory_xact_lock(20261121, 1)

-- A million nodes are joined and sorted in memory; under the lock only one intent takes so much.
-- name: memory
SELECT set_config('work_mem', '256MB', true)

-- name: reserve_ids
SELECT setval(name, nextval(name) + %s - 1)
FROM pg_get_serial_sequence('node', 'node_id') AS name

-- name: make_node
CREATE TEMPORARY TABLE intent_node (
    number integer, node_id bigint, sha256 bytea, kind smallint, is_new boolean
) ON COMMIT DROP

-- name: fill_node
INSERT INTO intent_node
SELECT given.number, coalesce(node.node_id, %(new_from)s + given.number), given.sha256, given.kind,
    node.node_id IS NULL
FROM intent_key AS given LEFT JOIN node ON node.sha256 = given.sha256

-- name: existing
SELECT given.number, node.node_id, node.root_id, node.component_id, node.depth
FROM intent_node AS given JOIN node ON node.node_id = given.node_id
WHERE NOT given.is_new
ORDER BY node.node_id

-- name: other_sizes
SELECT given.ordinal, known.file_size_bytes
FROM intent_physical AS given
JOIN intent_node USING (number)
JOIN physical_content AS known ON known.node_id = intent_node.node_id
WHERE known.file_size_bytes <> given.file_size_bytes
ORDER BY given.ordinal

-- name: not_physical_archive
SELECT given.ordinal
FROM intent_archive AS given JOIN intent_node USING (number)
WHERE NOT EXISTS (SELECT FROM physical_content WHERE node_id = intent_node.node_id)
ORDER BY given.ordinal

-- name: not_physical_flag
SELECT given.ordinal
FROM intent_flag AS given JOIN intent_node USING (number)
WHERE NOT EXISTS (SELECT FROM physical_content WHERE node_id = intent_node.node_id)
ORDER BY given.ordinal

-- name: declare_relationship
INSERT INTO relationship (action_id, description, forms_tree) VALUES (%s, %s, %s)
ON CONFLICT (action_id, description) DO NOTHING

-- name: relationship_ids
SELECT known.relationship_id, known.forms_tree
FROM unnest(%s::integer[], %s::text[]) WITH ORDINALITY AS given (action_id, description, place)
JOIN relationship AS known USING (action_id, description)
ORDER BY given.place

-- name: make_place
CREATE TEMPORARY TABLE intent_place (
    node_id bigint, root_id bigint, component_id bigint, depth bigint
) ON COMMIT DROP

-- Ordered: neighbours in the index of sha256 are written together.
-- name: insert_nodes
INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth)
OVERRIDING SYSTEM VALUE
SELECT given.node_id, given.sha256, given.kind & 1 <> 0, given.kind & 2 <> 0,
    coalesce(place.root_id, given.node_id), coalesce(place.component_id, given.node_id),
    coalesce(place.depth, 0)
FROM intent_node AS given LEFT JOIN intent_place AS place USING (node_id)
WHERE given.is_new
ORDER BY given.sha256

-- name: insert_lone_nodes
INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, depth)
OVERRIDING SYSTEM VALUE
SELECT given.node_id, given.sha256, given.kind & 1 <> 0, given.kind & 2 <> 0,
    given.node_id, given.node_id, 0
FROM intent_node AS given
WHERE given.is_new
ORDER BY given.sha256

-- name: widen_nodes
UPDATE node
SET is_virtual = node.is_virtual OR given.kind & 1 <> 0,
    is_physical = node.is_physical OR given.kind & 2 <> 0
FROM intent_node AS given
WHERE given.node_id = node.node_id AND NOT given.is_new
    AND (given.kind & 1 <> 0 AND NOT node.is_virtual OR given.kind & 2 <> 0 AND NOT node.is_physical)

-- name: insert_virtual
INSERT INTO virtual_asset (description, node_id)
SELECT given.description, intent_node.node_id
FROM intent_virtual AS given JOIN intent_node USING (number)
ON CONFLICT (node_id) DO NOTHING

-- name: insert_physical
INSERT INTO physical_content (node_id, file_size_bytes, file_extension_id)
SELECT intent_node.node_id, given.file_size_bytes, given.file_extension_id
FROM intent_physical AS given JOIN intent_node USING (number)
-- Purged content that came again.
ON CONFLICT (node_id) DO UPDATE
SET is_delete = (physical_content.delete_reason = 'deleted and purged'), delete_reason = NULL
WHERE physical_content.delete_reason IS NOT NULL

-- name: insert_common
INSERT INTO common_metadata (
    node_id, source_id, is_raw, is_root, title, view, update_time, download_time,
    author_description, "user", raw_metadata, observation_hash
)
SELECT intent_node.node_id, given.source_id, given.is_raw, given.is_root, given.title, given.view,
    given.update_time, given.download_time, given.author_description, given."user",
    given.raw_metadata, given.observation_hash
FROM intent_common AS given JOIN intent_node USING (number)
ON CONFLICT (node_id, observation_hash) DO NOTHING

-- Ordered, as its key is: those of a new node lie together, behind all others.
-- name: insert_common_batches
INSERT INTO observation_batch (node_id, ingest_batch_id, source_id, observation_hash)
SELECT intent_node.node_id, %s, given.source_id, given.observation_hash
FROM intent_common AS given JOIN intent_node USING (number)
ORDER BY intent_node.node_id
ON CONFLICT DO NOTHING

-- name: forget_batches
DELETE FROM observation_batch AS known USING intent_former AS given JOIN intent_node USING (number)
WHERE given.table_name = %s AND known.node_id = intent_node.node_id AND known.source_id = %s
    AND known.observation_hash = given.observation_hash

-- name: drop_edges
DELETE FROM intent_edge WHERE ordinal = ANY (%s::integer[])

-- name: remove_edges
DELETE FROM edge USING intent_removed AS given, relationship, intent_node AS parent, intent_node AS child
WHERE relationship.action_id = given.action_id AND relationship.description = given.relationship
    AND parent.number = given.parent AND child.number = given.child
    AND edge.parent_node_id = parent.node_id AND edge.child_node_id = child.node_id
    AND edge.relationship_id = relationship.relationship_id

-- Whoever notes what grants reach ends before.
-- name: lock_rights
SELECT edge_id FROM rights_progress FOR UPDATE

-- What lies below a removed edge is reached by no grant any more, but for those that reach it otherwise,
-- which note it again. So a grant on a collection holds for nothing that has left it.
-- name: withdraw_rights
WITH RECURSIVE lost AS (
    SELECT child.node_id FROM intent_removed AS given
    JOIN relationship AS known ON known.action_id = given.action_id
        AND known.description = given.relationship
    JOIN intent_node AS child ON child.number = given.child
    WHERE passes_rights(known)
    UNION
    SELECT edge.child_node_id FROM lost JOIN edge ON edge.parent_node_id = lost.node_id
    JOIN relationship USING (relationship_id) WHERE passes_rights(relationship)
), gone AS (
    DELETE FROM grant_reach USING lost WHERE grant_reach.node_id = lost.node_id
), gone_too AS (
    DELETE FROM grant_frontier USING lost WHERE grant_frontier.node_id = lost.node_id
)
INSERT INTO grant_frontier (grant_id, node_id)
SELECT reach.grant_id, lost.node_id
FROM lost JOIN edge ON edge.child_node_id = lost.node_id JOIN relationship USING (relationship_id)
JOIN grant_reach AS reach ON reach.node_id = edge.parent_node_id
WHERE passes_rights(relationship) AND edge.parent_node_id NOT IN (SELECT other.node_id FROM lost AS other)
UNION
SELECT given.grant_id, lost.node_id FROM lost JOIN access_grant AS given USING (node_id)
WHERE given.revoked_at IS NULL
UNION
SELECT given.grant_id, lost.node_id FROM lost JOIN ingest_batch_node AS member USING (node_id)
JOIN access_grant AS given USING (ingest_batch_id)
WHERE given.revoked_at IS NULL

-- Ordered: children lie together, and of several positions for one edge the least comes first.
-- name: insert_edges
INSERT INTO edge (parent_node_id, child_node_id, relationship_id, position)
SELECT parent.node_id, child.node_id, (%(relationships)s::integer[])[given.relationship + 1],
    given.position
FROM intent_edge AS given
JOIN intent_node AS parent ON parent.number = given.parent
JOIN intent_node AS child ON child.number = given.child
ORDER BY parent.node_id, given.position NULLS LAST
ON CONFLICT (parent_node_id, child_node_id, relationship_id) DO NOTHING

-- Apart from the insertion: DO UPDATE would lock, and so write, every edge that is there already.
-- name: fill_positions
UPDATE edge SET position = given.position
FROM (
    SELECT parent.node_id AS parent_node_id, child.node_id AS child_node_id,
        (%(relationships)s::integer[])[given.relationship + 1] AS relationship_id,
        min(given.position) AS position
    FROM intent_edge AS given
    JOIN intent_node AS parent ON parent.number = given.parent
    JOIN intent_node AS child ON child.number = given.child
    WHERE given.position IS NOT NULL
    GROUP BY 1, 2, 3
) AS given
WHERE edge.parent_node_id = given.parent_node_id AND edge.child_node_id = given.child_node_id
    AND edge.relationship_id = given.relationship_id AND edge.position IS NULL

-- name: insert_archive
INSERT INTO archive_location (record_id, filepath)
SELECT known.record_id, given.filepath
FROM intent_archive AS given
JOIN intent_node USING (number)
JOIN physical_content AS known ON known.node_id = intent_node.node_id
ON CONFLICT DO NOTHING

-- name: set_flags
WITH changed AS (
    UPDATE physical_content AS known
    SET in_black_list = coalesce(given.in_black_list, known.in_black_list),
        -- What was purged stays deleted: nobody has its bytes.
        is_delete = known.delete_reason IS NOT NULL OR coalesce(given.is_delete, known.is_delete)
    FROM intent_flag AS given JOIN intent_node USING (number)
    JOIN physical_content AS former USING (node_id)
    WHERE known.node_id = intent_node.node_id
        AND (coalesce(given.in_black_list, known.in_black_list),
            known.delete_reason IS NOT NULL OR coalesce(given.is_delete, known.is_delete))
        IS DISTINCT FROM (known.in_black_list, known.is_delete)
    RETURNING former.is_delete AS was_deleted, known.is_delete
)
SELECT count(*), count(*) FILTER (WHERE is_delete AND NOT was_deleted),
    count(*) FILTER (WHERE was_deleted AND NOT is_delete)
FROM changed

-- name: insert_members
INSERT INTO ingest_batch_node (ingest_batch_id, node_id)
SELECT %s, given.node_id FROM intent_node AS given WHERE given.kind <> 0 ORDER BY given.node_id
ON CONFLICT DO NOTHING

-- After the members: whoever grants something on the batch has waited for these, or has ended before.
-- name: reach_members
INSERT INTO grant_frontier (grant_id, node_id)
SELECT known.grant_id, given.node_id FROM access_grant AS known, intent_node AS given
WHERE known.ingest_batch_id = %s AND known.revoked_at IS NULL AND given.kind <> 0

-- name: record
INSERT INTO write_intent (intent_id, digest, result) VALUES (%s, %s, %s)
