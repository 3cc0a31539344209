-- What keeps node.root_id, node.component_id and node.depth; see sql/intent/tree.py.

-- name: tree_relationships
SELECT relationship_id FROM relationship WHERE forms_tree

-- Edges of the intent between nodes that the database had, of which it has the edge too.
-- name: known_edges
SELECT given.ordinal
FROM intent_edge AS given
JOIN intent_node AS parent ON parent.number = given.parent AND NOT parent.is_new
JOIN intent_node AS child ON child.number = given.child AND NOT child.is_new
JOIN unnest(%(relationships)s::integer[]) WITH ORDINALITY AS meaning (relationship_id, place)
    ON meaning.place = given.relationship + 1
JOIN edge ON edge.parent_node_id = parent.node_id AND edge.child_node_id = child.node_id
    AND edge.relationship_id = meaning.relationship_id

-- name: make_below
CREATE TEMPORARY TABLE intent_below (node_id bigint) ON COMMIT DROP

-- Every node that could change: the given ones, and all below them.
-- name: fill_below
WITH RECURSIVE below (node_id) AS (
    SELECT unnest(%(nodes)s::bigint[])
    UNION
    SELECT edge.child_node_id
    FROM below JOIN edge ON edge.parent_node_id = below.node_id
    WHERE edge.relationship_id = ANY (%(tree)s)
)
INSERT INTO intent_below SELECT node_id FROM below

-- name: below
SELECT node_id FROM intent_below ORDER BY node_id

-- All edges that lead to one of them, from wherever.
-- name: edges_into_below
SELECT edge.parent_node_id, edge.child_node_id
FROM intent_below JOIN edge ON edge.child_node_id = intent_below.node_id
WHERE edge.relationship_id = ANY (%(tree)s)

-- name: values_around_below
SELECT node_id, root_id, component_id, depth
FROM node
WHERE node_id IN (
    SELECT node_id FROM intent_below
    UNION
    SELECT edge.parent_node_id
    FROM intent_below JOIN edge ON edge.child_node_id = intent_below.node_id
    WHERE edge.relationship_id = ANY (%(tree)s)
)
ORDER BY node_id

-- name: drop_below
DROP TABLE intent_below

-- name: make_move
CREATE TEMPORARY TABLE intent_move (node_id bigint, root_id bigint, depth bigint) ON COMMIT DROP

-- name: move
UPDATE node SET root_id = given.root_id, depth = given.depth
FROM intent_move AS given WHERE given.node_id = node.node_id

-- name: drop_move
DROP TABLE intent_move

-- name: make_merger
CREATE TEMPORARY TABLE intent_merger (former bigint, component_id bigint) ON COMMIT DROP

-- name: merge_components
UPDATE node SET component_id = merger.component_id
FROM intent_merger AS merger WHERE node.component_id = merger.former

-- name: drop_merger
DROP TABLE intent_merger

-- name: hex_keys
SELECT node_id, encode(sha256, 'hex') FROM node WHERE node_id = ANY (%(nodes)s::bigint[])

-- name: all_values
SELECT node_id, root_id, component_id, depth FROM node ORDER BY node_id

-- name: all_edges
SELECT edge.parent_node_id, edge.child_node_id
FROM edge JOIN relationship USING (relationship_id) WHERE relationship.forms_tree

-- name: make_right
CREATE TEMPORARY TABLE right_values (
    node_id bigint, root_id bigint, component_id bigint, depth bigint
) ON COMMIT DROP

-- name: set_right
UPDATE node
SET root_id = right_values.root_id, component_id = right_values.component_id,
    depth = right_values.depth
FROM right_values WHERE right_values.node_id = node.node_id

-- name: drop_right
DROP TABLE right_values
