-- What guests grant to others, and what a right of one's own is enough for. What a guest granted holds as
-- long as that guest has the right to share and all that was granted, on the node where it stands.

ALTER TABLE access_grant ADD COLUMN given_by integer REFERENCES app_user (user_id) ON DELETE CASCADE;
COMMENT ON COLUMN access_grant.given_by IS 'The guest who granted it; NULL for an operator';
-- What a guest granted: it goes with the account.
CREATE INDEX access_grant_given_by ON access_grant (given_by) WHERE given_by IS NOT NULL;
DROP INDEX access_grant_live;
-- The same is granted once at a time by one; also the grants of an account and of a group.
CREATE UNIQUE INDEX access_grant_live ON access_grant (
    coalesce(user_id, 0), coalesce(group_id, 0), coalesce(node_id, 0), coalesce(ingest_batch_id, 0), level,
    coalesce(given_by, 0)
) WHERE revoked_at IS NULL AND secret_hash IS NULL;

-- A link has shown contents, too, which is more than to look.
UPDATE access_grant SET level = 'export' WHERE secret_hash IS NOT NULL;

CREATE FUNCTION is_current(given access_grant) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN given.revoked_at IS NULL AND (given.expires_at IS NULL OR given.expires_at > clock_timestamp());
COMMENT ON FUNCTION is_current IS 'Whether a grant was neither taken back nor has ended';

CREATE FUNCTION still_stands(given access_grant) RETURNS boolean LANGUAGE sql STABLE
RETURN is_current(given) AND (given.given_by IS NULL OR (
    SELECT coalesce(array_agg(has.one), '{}') @> (grant_rights(given.level) || ARRAY['share'])
    FROM app_user AS giver
    JOIN access_grant AS own ON own.user_id = giver.user_id OR own.group_id IN (
        SELECT member.group_id FROM account_group_member AS member WHERE member.user_id = giver.user_id
    )
    JOIN grant_reach AS reach ON reach.grant_id = own.grant_id AND reach.node_id = given.node_id
    CROSS JOIN LATERAL unnest(grant_rights(own.level)) AS has (one)
    WHERE giver.user_id = given.given_by AND NOT giver.is_disabled
        AND own.given_by IS NULL AND is_current(own)
));
COMMENT ON FUNCTION still_stands IS 'Whether a grant holds at this moment: it is current, and what a guest granted is no more than that guest has where it stands';

CREATE FUNCTION grants_of_asker() RETURNS SETOF access_grant LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH asking AS (
        SELECT person.user_id FROM app_user AS person
        WHERE person.user_id = nullif(current_setting('drystone.account', true), '')::integer
            AND NOT person.is_disabled
    )
    SELECT given.* FROM access_grant AS given
    WHERE (
        given.user_id = (SELECT asking.user_id FROM asking)
        OR given.group_id IN (
            SELECT member.group_id FROM account_group_member AS member JOIN asking USING (user_id)
        )
        OR given.secret_hash = decode(nullif(current_setting('drystone.link', true), ''), 'hex')
    ) AND still_stands(given);
END;
REVOKE ALL ON FUNCTION grants_of_asker FROM PUBLIC;
COMMENT ON FUNCTION grants_of_asker IS 'The grants that hold for whoever asks at this moment, by any right';

CREATE OR REPLACE FUNCTION granted(what text) RETURNS bigint[] LANGUAGE sql STABLE STRICT
SECURITY DEFINER SET search_path = public, pg_temp
RETURN (
    SELECT array_agg(CASE what WHEN 'batch' THEN given.ingest_batch_id ELSE given.grant_id END)
    FROM grants_of_asker() AS given
    WHERE current_setting('drystone.right', true) = ANY (grant_rights(given.level))
        AND CASE what
            WHEN 'batch' THEN given.ingest_batch_id IS NOT NULL
            WHEN 'metadata' THEN given.with_metadata
            WHEN 'grant' THEN true
        END
);

CREATE FUNCTION rights_on(node bigint) RETURNS text[] LANGUAGE sql STABLE STRICT
SECURITY DEFINER SET search_path = public, pg_temp
RETURN (
    SELECT coalesce(array_agg(DISTINCT has.one ORDER BY has.one), '{}')
    FROM grants_of_asker() AS given
    JOIN grant_reach AS reach ON reach.grant_id = given.grant_id AND reach.node_id = node
    CROSS JOIN LATERAL unnest(grant_rights(given.level)) AS has (one)
);
COMMENT ON FUNCTION rights_on IS 'All rights that whoever asks has on a node at this moment';
