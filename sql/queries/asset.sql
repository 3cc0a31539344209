-- What people say of assets, as documents; see sql/database/assets.py.

-- name: has_said
SELECT EXISTS (
    SELECT FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = 'meta_people' AND column_name = 'said'
)

-- In the order in which it was said; what came before the last that replaces all is nothing.
-- name: said
SELECT act = 'replace' AS replaces, said FROM meta_people AS one
WHERE node_id = %(node_id)s AND act IN ('describe', 'replace')
    AND id >= coalesce((
        SELECT max(id) FROM meta_people AS whole
        WHERE whole.node_id = one.node_id AND whole.act = 'replace'
    ), 0)
ORDER BY id
