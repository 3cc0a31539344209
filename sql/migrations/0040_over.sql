-- What grants reached is forgotten also when they have ended, not only when they were taken back.

CREATE FUNCTION is_over(given access_grant) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN given.revoked_at IS NOT NULL OR coalesce(given.expires_at < now() - interval '1 hour', false);
COMMENT ON FUNCTION is_over IS 'Whether a grant will never hold again, so that what it reached takes room in vain; an hour late, so that whoever is just giving it another end is done';
