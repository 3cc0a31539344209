-- Rights: who besides those who see everything may see what. A grant stands at a node or an ingest
-- batch and holds for what lies below it, also for what arrives later; what it reaches is kept beside it.

ALTER TABLE app_user DROP CONSTRAINT app_user_role_check;
ALTER TABLE app_user ADD CONSTRAINT app_user_role_check
    CHECK (role IN ('guest', 'viewer', 'labeller', 'operator', 'admin'));
COMMENT ON COLUMN app_user.role IS 'guest sees what was granted, viewer looks, labeller labels, operator also starts and stops work, admin also manages people';

CREATE TABLE account_group (
    group_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    create_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE account_group IS 'Accounts to which something is granted together; a group is in no other group';
COMMENT ON COLUMN account_group.group_id IS 'Surrogate key';
COMMENT ON COLUMN account_group.name IS 'Its name, lower case';
COMMENT ON COLUMN account_group.create_time IS 'When it was made';

CREATE TABLE account_group_member (
    group_id integer NOT NULL REFERENCES account_group (group_id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES app_user (user_id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
-- The groups of an account.
CREATE INDEX account_group_member_user_id ON account_group_member (user_id);
COMMENT ON TABLE account_group_member IS 'Who is in a group';
COMMENT ON COLUMN account_group_member.group_id IS 'The group';
COMMENT ON COLUMN account_group_member.user_id IS 'The account';

CREATE TABLE access_grant (
    grant_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer REFERENCES app_user (user_id) ON DELETE CASCADE,
    group_id integer REFERENCES account_group (group_id) ON DELETE CASCADE,
    secret_hash bytea UNIQUE CHECK (octet_length(secret_hash) = 32),
    node_id bigint REFERENCES node (node_id),
    ingest_batch_id bigint REFERENCES ingest_batch (ingest_batch_id),
    level text NOT NULL CHECK (level IN ('viewer', 'editor', 'owner', 'analyze', 'export', 'delete', 'share', 'api')),
    with_metadata boolean NOT NULL,
    granted_by text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > granted_at),
    revoked_at timestamptz,
    batch_node_id bigint DEFAULT 0,
    CHECK (num_nonnulls(user_id, group_id, secret_hash) = 1),
    CHECK (num_nonnulls(node_id, ingest_batch_id) = 1)
);
-- The same is granted once at a time; also the grants of an account and of a group.
CREATE UNIQUE INDEX access_grant_live ON access_grant (
    coalesce(user_id, 0), coalesce(group_id, 0), coalesce(node_id, 0), coalesce(ingest_batch_id, 0), level
) WHERE revoked_at IS NULL AND secret_hash IS NULL;
-- What is granted on a batch: each write-intent of it asks.
CREATE INDEX access_grant_ingest_batch_id ON access_grant (ingest_batch_id) WHERE ingest_batch_id IS NOT NULL;
COMMENT ON TABLE access_grant IS 'What was granted to whom; a row is never removed, but with its account or group';
COMMENT ON COLUMN access_grant.grant_id IS 'Surrogate key';
COMMENT ON COLUMN access_grant.user_id IS 'The account that it is for';
COMMENT ON COLUMN access_grant.group_id IS 'Or the group';
COMMENT ON COLUMN access_grant.secret_hash IS 'Or whoever has a link: sha256 of its secret';
COMMENT ON COLUMN access_grant.node_id IS 'The node, or collection, on which it stands';
COMMENT ON COLUMN access_grant.ingest_batch_id IS 'Or the ingest batch';
COMMENT ON COLUMN access_grant.level IS 'viewer, editor, owner, or a single right; see grant_rights';
COMMENT ON COLUMN access_grant.with_metadata IS 'Whether it shows what every batch said of the nodes; otherwise only what granted batches said';
COMMENT ON COLUMN access_grant.granted_by IS 'Who granted it';
COMMENT ON COLUMN access_grant.granted_at IS 'When';
COMMENT ON COLUMN access_grant.expires_at IS 'When it ends; NULL for never';
COMMENT ON COLUMN access_grant.revoked_at IS 'When it was taken back; NULL for never';
COMMENT ON COLUMN access_grant.batch_node_id IS 'Up to which node those of the batch have been reached; NULL when all were, or when it stands on a node';

-- No foreign keys on the two below: they have a row for each node, and are made anew from the others.
CREATE TABLE grant_reach (
    node_id bigint NOT NULL,
    grant_id bigint NOT NULL,
    PRIMARY KEY (node_id, grant_id)
);
-- All that a grant reaches.
CREATE INDEX grant_reach_grant_id ON grant_reach (grant_id, node_id);
COMMENT ON TABLE grant_reach IS 'The nodes that a grant reaches; whether it still holds is asked of the grant';
COMMENT ON COLUMN grant_reach.node_id IS 'The node';
COMMENT ON COLUMN grant_reach.grant_id IS 'The grant';

CREATE TABLE grant_frontier (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    grant_id bigint NOT NULL,
    node_id bigint NOT NULL
);
COMMENT ON TABLE grant_frontier IS 'Nodes that a grant reaches and that wait to be noted in grant_reach, with what lies below them';
COMMENT ON COLUMN grant_frontier.place IS 'Their order';
COMMENT ON COLUMN grant_frontier.grant_id IS 'The grant';
COMMENT ON COLUMN grant_frontier.node_id IS 'The node';

CREATE TABLE rights_progress (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    edge_id bigint NOT NULL
);
INSERT INTO rights_progress (edge_id) SELECT coalesce(max(edge_id), 0) FROM edge;
COMMENT ON TABLE rights_progress IS 'Up to where edges have been read for grant_reach; write-intents come one after the other, so that no lower number appears later';
COMMENT ON COLUMN rights_progress.is_only IS 'There is one row';
COMMENT ON COLUMN rights_progress.edge_id IS 'The last edge that was read';

-- The one place that says which relationships pass rights on.
CREATE FUNCTION passes_rights(passing relationship) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN passing.forms_tree OR passing.action_id = 0 AND passing.description = 'member';
COMMENT ON FUNCTION passes_rights IS 'Whether a grant on the parent holds for the child: those that form trees (contains, crop, frame, segment ...) and what is in a collection; not authored, tagged, reply';

-- The one place that says what a level comes to.
CREATE FUNCTION grant_rights(level text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE level
    WHEN 'viewer' THEN ARRAY['view']
    WHEN 'editor' THEN ARRAY['view', 'analyze', 'export']
    WHEN 'owner' THEN ARRAY['view', 'analyze', 'export', 'delete', 'share', 'api']
    ELSE ARRAY['view', level]
END;
COMMENT ON FUNCTION grant_rights IS 'The rights of a level: view, and analyze, export, delete, share, api; each single right comes with view';
