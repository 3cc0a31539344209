-- What a guest was granted, for the policies of row security (sql/queries/guests.sql). Who asks is told
-- by settings of the transaction, which are ours to make: a guest writes no statement.

CREATE FUNCTION granted(what text) RETURNS bigint[] LANGUAGE sql STABLE STRICT
SECURITY DEFINER SET search_path = public, pg_temp
RETURN (
    WITH asking AS (
        SELECT person.user_id FROM app_user AS person
        WHERE person.user_id = nullif(current_setting('drystone.account', true), '')::integer
            AND NOT person.is_disabled
    )
    SELECT array_agg(CASE what WHEN 'batch' THEN given.ingest_batch_id ELSE given.grant_id END)
    FROM access_grant AS given
    WHERE given.revoked_at IS NULL
        AND (given.expires_at IS NULL OR given.expires_at > clock_timestamp())
        AND current_setting('drystone.right', true) = ANY (grant_rights(given.level))
        AND (
            given.user_id = (SELECT asking.user_id FROM asking)
            OR given.group_id IN (
                SELECT member.group_id FROM account_group_member AS member JOIN asking USING (user_id)
            )
            OR given.secret_hash = decode(nullif(current_setting('drystone.link', true), ''), 'hex')
        )
        AND CASE what
            WHEN 'batch' THEN given.ingest_batch_id IS NOT NULL
            WHEN 'metadata' THEN given.with_metadata
            WHEN 'grant' THEN true
        END
);
COMMENT ON FUNCTION granted IS 'The grants that hold for whoever asks at this moment (grant), those of them that show all metadata (metadata), or their ingest batches (batch); NULL for none';
