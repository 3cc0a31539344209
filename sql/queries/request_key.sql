-- Requests that are done once.

-- name: forget
DELETE FROM request_key WHERE create_time < now() - %(kept_s)s * interval '1 second'

-- name: begin
INSERT INTO request_key (account, key, operation, request_sha256, holder)
VALUES (%(account)s, %(key)s, %(operation)s, %(digest)s, %(holder)s)
ON CONFLICT (account, key) DO NOTHING

-- name: known
SELECT operation, request_sha256, holder, done_time IS NOT NULL, answer FROM request_key
WHERE account = %(account)s AND key = %(key)s

-- Only from whom it was seen with: of two that come after a dead one, one goes on.
-- name: take_over
UPDATE request_key SET holder = %(holder)s
WHERE account = %(account)s AND key = %(key)s AND holder = %(former)s AND done_time IS NULL

-- In the transaction of the change, and only if that has changed something by now.
-- name: mark
UPDATE request_key SET done_time = now()
WHERE account = %(account)s AND key = %(key)s AND done_time IS NULL
    AND pg_current_xact_id_if_assigned() IS NOT NULL

-- name: finish
UPDATE request_key SET done_time = coalesce(done_time, now()), answer = %(answer)s
WHERE account = %(account)s AND key = %(key)s

-- name: abandon
DELETE FROM request_key WHERE account = %(account)s AND key = %(key)s AND done_time IS NULL

-- Of what another process does, before that is asked.
-- name: mark_ahead
UPDATE request_key SET done_time = now() WHERE account = %(account)s AND key = %(key)s

-- name: unmark
UPDATE request_key SET done_time = NULL
WHERE account = %(account)s AND key = %(key)s AND answer IS NULL
