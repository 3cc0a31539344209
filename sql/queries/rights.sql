-- Groups, grants and what they reach; see sql/rights/.

-- ---- Groups --------------------------------------------------------------------------------------

-- name: add_group
INSERT INTO account_group (name) VALUES (%(group)s) ON CONFLICT (name) DO NOTHING

-- name: remove_group
DELETE FROM account_group WHERE name = %(group)s

-- name: forget_group
DELETE FROM grant_reach USING access_grant AS given
WHERE given.grant_id = grant_reach.grant_id AND given.group_id = %(group_id)s

-- name: group_id
SELECT group_id FROM account_group WHERE name = %(group)s

-- name: groups
SELECT known.name, ARRAY(
        SELECT person.name FROM account_group_member AS member JOIN app_user AS person USING (user_id)
        WHERE member.group_id = known.group_id ORDER BY person.name
    ) AS accounts, (
        SELECT count(*) FROM access_grant AS given WHERE given.group_id = known.group_id
            AND given.revoked_at IS NULL AND (given.expires_at IS NULL OR given.expires_at > now())
    ) AS grants
FROM account_group AS known ORDER BY known.name

-- name: add_member
INSERT INTO account_group_member (group_id, user_id)
SELECT group_id, user_id FROM account_group AS known, app_user AS person
WHERE known.name = %(group)s AND person.name = %(account)s
ON CONFLICT DO NOTHING

-- name: remove_member
DELETE FROM account_group_member AS member USING account_group AS known, app_user AS person
WHERE member.group_id = known.group_id AND member.user_id = person.user_id
    AND known.name = %(group)s AND person.name = %(account)s

-- ---- Grants --------------------------------------------------------------------------------------

-- name: account_id
SELECT user_id FROM app_user WHERE name = %(account)s

-- name: node
SELECT node_id FROM node WHERE node_id = %(node_id)s OR sha256 = %(sha256)s

-- Locked: a write-intent that is bringing nodes of the batch ends before, and the next one, whose rows
-- refer to the batch, sees the grant.
-- name: lock_batch
SELECT ingest_batch_id FROM ingest_batch WHERE name = %(batch)s FOR UPDATE

-- Locked: a guest who grants several things at once is counted one after the other.
-- name: lock_giver
SELECT FROM app_user WHERE user_id = %(given_by)s FOR NO KEY UPDATE

-- What of a guest takes room: the grants that hold, and those of which what they reached is not yet forgotten.
-- name: count_given
SELECT count(*) FROM access_grant AS given
WHERE given.given_by = %(given_by)s AND (is_current(given)
    OR EXISTS (SELECT FROM grant_reach AS reach WHERE reach.grant_id = given.grant_id))

-- What has ended is not begun anew: what it reached may be forgotten already. The same again is another one.
-- name: replace_ended
UPDATE access_grant SET revoked_at = now()
WHERE coalesce(user_id, 0) = coalesce(%(user_id)s, 0) AND coalesce(group_id, 0) = coalesce(%(group_id)s, 0)
    AND coalesce(node_id, 0) = coalesce(%(node_id)s, 0)
    AND coalesce(ingest_batch_id, 0) = coalesce(%(ingest_batch_id)s, 0) AND level = %(level)s
    AND coalesce(given_by, 0) = coalesce(%(given_by)s, 0)
    AND revoked_at IS NULL AND secret_hash IS NULL AND expires_at <= now()

-- Again, it has another end, and shows as much as it was asked for last.
-- name: add
INSERT INTO access_grant (
    user_id, group_id, secret_hash, node_id, ingest_batch_id, level, with_metadata, granted_by, given_by,
    expires_at, batch_node_id
) VALUES (
    %(user_id)s, %(group_id)s, %(secret_hash)s, %(node_id)s, %(ingest_batch_id)s, %(level)s,
    %(with_metadata)s, %(granted_by)s, %(given_by)s, %(expires_at)s, CASE WHEN %(node_id)s::bigint IS NULL THEN 0 END
)
ON CONFLICT (
    coalesce(user_id, 0), coalesce(group_id, 0), coalesce(node_id, 0), coalesce(ingest_batch_id, 0), level,
    coalesce(given_by, 0)
) WHERE revoked_at IS NULL AND secret_hash IS NULL
DO UPDATE SET expires_at = excluded.expires_at, with_metadata = excluded.with_metadata,
    granted_by = excluded.granted_by
RETURNING grant_id

-- Those of a guest's groups, and who is in them: whom a guest may name at all.
-- name: is_mate
SELECT EXISTS (
    SELECT FROM account_group_member AS mine
    JOIN account_group AS known USING (group_id)
    JOIN account_group_member AS theirs USING (group_id)
    JOIN app_user AS person ON person.user_id = theirs.user_id
    WHERE mine.user_id = %(asker)s AND (known.name = %(group)s OR person.name = %(account)s)
)

-- name: given_by
SELECT given_by FROM access_grant WHERE grant_id = %(grant_id)s AND revoked_at IS NULL

-- May an account have a token at all.
-- name: has_right
SELECT EXISTS (
    SELECT FROM access_grant AS given
    WHERE %(right)s = ANY (grant_rights(given.level)) AND still_stands(given)
        AND (given.user_id = %(user_id)s OR given.group_id IN (
            SELECT member.group_id FROM account_group_member AS member WHERE member.user_id = %(user_id)s))
)

-- name: rights_on
SELECT rights_on(%(node_id)s), grant_rights(%(level)s)

-- name: begin_reach
INSERT INTO grant_frontier (grant_id, node_id) VALUES (%(grant_id)s, %(node_id)s)

-- name: revoke
UPDATE access_grant SET revoked_at = now() WHERE grant_id = %(grant_id)s AND revoked_at IS NULL

-- `asker` is a guest, who sees what is granted to or by that one; who else granted something is not told.
-- name: grants
SELECT given.grant_id, person.name AS account, known.name AS "group", given.secret_hash IS NOT NULL AS is_link,
    encode(node.sha256, 'hex') AS node, coalesce(asset.description, '') AS description, batch.name AS batch,
    given.level, given.with_metadata,
    CASE WHEN %(asker)s::integer IS NULL OR given.given_by = %(asker)s THEN given.granted_by ELSE '' END
        AS granted_by,
    given.granted_at, given.expires_at, given.revoked_at,
    still_stands(given) AS is_live,
    given.batch_node_id IS NULL
        AND NOT EXISTS (SELECT FROM grant_frontier AS waiting WHERE waiting.grant_id = given.grant_id)
        AS is_complete
FROM access_grant AS given
LEFT JOIN app_user AS person USING (user_id)
LEFT JOIN account_group AS known USING (group_id)
LEFT JOIN node ON node.node_id = given.node_id
LEFT JOIN virtual_asset AS asset ON asset.node_id = given.node_id
LEFT JOIN ingest_batch AS batch ON batch.ingest_batch_id = given.ingest_batch_id
WHERE (%(all)s OR still_stands(given))
    AND (%(asker)s::integer IS NULL OR given.given_by = %(asker)s OR given.user_id = %(asker)s OR EXISTS (
        SELECT FROM account_group_member AS member
        WHERE member.group_id = given.group_id AND member.user_id = %(asker)s))
    AND (%(account)s::text IS NULL OR person.name = %(account)s OR EXISTS (
        SELECT FROM account_group_member AS member JOIN app_user AS mate USING (user_id)
        WHERE member.group_id = given.group_id AND mate.name = %(account)s))
    AND (%(group)s::text IS NULL OR known.name = %(group)s)
    AND (%(grant_id)s::bigint IS NULL OR given.grant_id = %(grant_id)s)
    AND (%(reached)s::bigint IS NULL OR EXISTS (
        SELECT FROM grant_reach AS reach
        WHERE reach.grant_id = given.grant_id AND reach.node_id = %(reached)s))
ORDER BY given.grant_id
LIMIT %(limit)s

-- Those who see everything, and those who label.
-- name: staff
SELECT person.name AS account, person.role FROM app_user AS person
WHERE NOT person.is_disabled AND (person.role IN ('viewer', 'operator', 'admin')
    OR person.role = 'labeller' AND EXISTS (SELECT FROM label_task AS task WHERE task.node_id = %(node_id)s))
ORDER BY person.name

-- ---- What grants reach ---------------------------------------------------------------------------

-- Whoever else reads on waits here, and then sees what was reached.
-- name: lock_progress
SELECT edge_id FROM rights_progress FOR UPDATE

-- name: live
SELECT EXISTS (SELECT FROM access_grant AS given WHERE NOT is_over(given)), coalesce((SELECT max(edge_id) FROM edge), 0)

-- name: set_progress
UPDATE rights_progress SET edge_id = %(edge_id)s

-- New edges whose parent is reached: the child is.
-- name: read_edges
WITH fresh AS MATERIALIZED (
    SELECT edge_id, parent_node_id, child_node_id, relationship_id FROM edge
    WHERE edge_id > %(edge_id)s ORDER BY edge_id LIMIT %(rows)s
), found AS (
    INSERT INTO grant_frontier (grant_id, node_id)
    SELECT reach.grant_id, fresh.child_node_id
    FROM fresh JOIN relationship USING (relationship_id)
    JOIN grant_reach AS reach ON reach.node_id = fresh.parent_node_id
    JOIN access_grant AS given USING (grant_id)
    WHERE passes_rights(relationship) AND NOT is_over(given)
)
UPDATE rights_progress SET edge_id = coalesce((SELECT max(fresh.edge_id) FROM fresh), edge_id)
RETURNING (SELECT count(*) FROM fresh)

-- The next nodes of one batch on which something is granted.
-- name: read_batch
WITH next AS (
    SELECT given.grant_id, given.ingest_batch_id, given.batch_node_id FROM access_grant AS given
    WHERE given.batch_node_id IS NOT NULL AND NOT is_over(given) ORDER BY given.grant_id LIMIT 1
), members AS MATERIALIZED (
    SELECT next.grant_id, member.node_id FROM next
    JOIN ingest_batch_node AS member ON member.ingest_batch_id = next.ingest_batch_id
        AND member.node_id > next.batch_node_id
    ORDER BY member.node_id LIMIT %(rows)s
), found AS (
    INSERT INTO grant_frontier (grant_id, node_id) SELECT grant_id, node_id FROM members
)
UPDATE access_grant AS given SET batch_node_id = (SELECT max(members.node_id) FROM members)
FROM next WHERE given.grant_id = next.grant_id
RETURNING 1

-- Notes nodes that wait, and lets those directly below the new ones wait.
-- name: note
WITH taken AS (
    DELETE FROM grant_frontier WHERE place IN (SELECT place FROM grant_frontier ORDER BY place LIMIT %(rows)s)
    RETURNING grant_id, node_id
), fresh AS (
    INSERT INTO grant_reach (node_id, grant_id)
    SELECT DISTINCT taken.node_id, taken.grant_id FROM taken JOIN access_grant AS given USING (grant_id)
    WHERE NOT is_over(given)
    ON CONFLICT DO NOTHING RETURNING node_id, grant_id
), further AS (
    INSERT INTO grant_frontier (grant_id, node_id)
    SELECT fresh.grant_id, edge.child_node_id
    FROM fresh JOIN edge ON edge.parent_node_id = fresh.node_id JOIN relationship USING (relationship_id)
    WHERE passes_rights(relationship)
)
SELECT count(*) FROM taken

-- What grants reached that hold no more. Nobody sees it by them; it only takes room.
-- name: forget
DELETE FROM grant_reach WHERE (node_id, grant_id) IN (
    SELECT reach.node_id, reach.grant_id FROM access_grant AS given JOIN grant_reach AS reach USING (grant_id)
    WHERE is_over(given) LIMIT %(rows)s
)
