-- People's tags and collections; see sql/database/node_groups.py.

-- name: exists
SELECT FROM node WHERE sha256 = %(group)s

-- Which of these nodes are in a tag or a collection.
-- name: members
SELECT encode(child.sha256, 'hex')
FROM node AS parent
JOIN edge ON edge.parent_node_id = parent.node_id
JOIN relationship USING (relationship_id)
JOIN node AS child ON child.node_id = edge.child_node_id
WHERE parent.sha256 = %(group)s AND child.sha256 = ANY (%(keys)s)
    AND relationship.action_id = 0 AND relationship.description = %(relationship)s

-- Whoever named it first made it.
-- name: groups
SELECT substr(asset.description, length(%(begin)s) + 1) AS name, asset.node_id,
    encode(node.sha256, 'hex') AS key, (
        SELECT count(*) FROM edge JOIN relationship USING (relationship_id)
        WHERE edge.parent_node_id = asset.node_id AND relationship.action_id = 0
            AND relationship.description = %(relationship)s
    ) AS nodes, coalesce((
        SELECT common."user" FROM common_metadata AS common
        WHERE common.node_id = asset.node_id AND common."user" IS NOT NULL
        ORDER BY common.metadata_id LIMIT 1
    ), '') AS "user"
FROM virtual_asset AS asset JOIN node USING (node_id)
WHERE left(asset.description, 64) LIKE %(begin)s || '%%'
ORDER BY 1
LIMIT %(limit)s
