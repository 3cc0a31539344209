-- The audit log; see sql/people/audit_book.py.

-- name: begin
INSERT INTO audit_entry (entry_key, begin_time, user_id, name, role, token_name, way, address,
    operation, request, request_reference)
VALUES (%(entry_key)s, %(begin_time)s, %(user_id)s, %(name)s, %(role)s, %(token_name)s, %(way)s,
    %(address)s, %(operation)s, %(request)s, %(request_reference)s)
ON CONFLICT (entry_key) DO NOTHING

-- name: end
INSERT INTO audit_outcome (entry_key, end_time, outcome, detail)
VALUES (%(entry_key)s, %(end_time)s, %(outcome)s, %(detail)s)
ON CONFLICT (entry_key) DO NOTHING

-- name: entries
SELECT entry.audit_entry_id, entry.begin_time, entry.name, entry.role, entry.token_name, entry.way,
    entry.address, entry.operation, entry.request, entry.request_reference,
    coalesce(outcome.outcome, '') AS outcome, coalesce(outcome.detail, '') AS detail
FROM audit_entry AS entry LEFT JOIN audit_outcome AS outcome USING (entry_key)
WHERE (%(before)s::bigint IS NULL OR entry.audit_entry_id < %(before)s)
    AND (%(name)s::text IS NULL OR entry.name = %(name)s)
    AND (%(operation)s::text IS NULL OR entry.operation = %(operation)s)
ORDER BY entry.audit_entry_id DESC LIMIT %(limit)s

-- Numbers are in the order of writing, so that the oldest are the first; one that waited in a file
-- is older than those around it, and goes with them.
-- name: may_forget
SELECT set_config('drystone.audit_forgotten_before', %(before)s::timestamptz::text, true)

-- name: old
SELECT entry_key FROM (
    SELECT entry_key, begin_time FROM audit_entry ORDER BY audit_entry_id LIMIT %(limit)s
) AS first
WHERE begin_time < %(before)s

-- name: forget_outcomes
DELETE FROM audit_outcome WHERE entry_key = ANY(%(keys)s)

-- name: forget_entries
DELETE FROM audit_entry WHERE entry_key = ANY(%(keys)s)
