-- People of the browser's side, their sessions, tokens and saved views.

-- name: add
INSERT INTO app_user (name, role, password_hash) VALUES (%(name)s, %(role)s, %(password_hash)s)
ON CONFLICT (name) DO NOTHING
RETURNING user_id, name, role, is_disabled, create_time, password_time

-- name: users
SELECT user_id, name, role, is_disabled, create_time, password_time FROM app_user ORDER BY name

-- name: user
SELECT user_id, name, role, is_disabled, create_time, password_time FROM app_user
WHERE name = %(name)s

-- Locked, so that two admins cannot take each other's rights at the same moment.
-- name: lock_users
SELECT user_id, name, role, is_disabled, create_time, password_time FROM app_user
ORDER BY user_id FOR UPDATE

-- name: set_role
UPDATE app_user SET role = %(role)s WHERE user_id = %(user_id)s

-- name: set_disabled
UPDATE app_user SET is_disabled = %(is_disabled)s WHERE user_id = %(user_id)s

-- name: set_password
UPDATE app_user SET password_hash = %(password_hash)s, password_time = now() WHERE name = %(name)s
RETURNING user_id

-- name: end_sessions
DELETE FROM user_session WHERE user_id = %(user_id)s
    AND session_hash IS DISTINCT FROM %(except_hash)s::bytea

-- Attempts are written one after another: each must see all with smaller numbers than its own, also
-- those of the same moment.
-- name: attempts_in_turn
SELECT pg_advisory_xact_lock(hashtext('login_attempt'))

-- Written before the password is looked at: of many attempts at one moment each sees the others.
-- name: begin_attempt
INSERT INTO login_attempt (name, address) VALUES (%(name)s, %(address)s) RETURNING attempt_id

-- name: forget_attempts
DELETE FROM login_attempt WHERE attempt_time < now() - interval '1 day'

-- Failures in the window before this attempt, and how long the oldest of them still counts. What
-- happened before the last success of the same name from the same address counts no more.
-- name: count_attempts
WITH recent AS (
    SELECT attempt.name = %(name)s AS same_name, attempt.address = %(address)s AS same_address,
        attempt.attempt_time
    FROM login_attempt AS attempt
    WHERE attempt.attempt_time > now() - make_interval(secs => %(window_s)s)
        AND attempt.attempt_id < %(attempt_id)s AND NOT attempt.is_successful
        AND (attempt.name = %(name)s OR attempt.address = %(address)s)
), last_success AS (
    SELECT max(attempt_time) AS success_time FROM login_attempt
    WHERE name = %(name)s AND address = %(address)s AND is_successful
)
SELECT
    count(*) FILTER (WHERE same_name AND same_address AND attempt_time > coalesce(success_time, '-infinity')),
    count(*) FILTER (WHERE same_address),
    count(*) FILTER (WHERE same_name),
    coalesce(extract(epoch FROM min(attempt_time) + make_interval(secs => %(window_s)s) - now()), 0)::float8
FROM recent CROSS JOIN last_success

-- name: password_of
SELECT user_id, name, role, is_disabled, create_time, password_time, password_hash FROM app_user
WHERE name = %(name)s

-- name: succeed_attempt
UPDATE login_attempt SET is_successful = true WHERE attempt_id = %(attempt_id)s

-- name: open_session
INSERT INTO user_session (session_hash, user_id, expire_time, address, browser)
SELECT %(session_hash)s, user_id, now() + make_interval(secs => %(lifetime_s)s), %(address)s, %(browser)s
FROM app_user WHERE user_id = %(user_id)s AND NOT is_disabled
RETURNING expire_time

-- name: forget_sessions
DELETE FROM user_session
WHERE expire_time < now() OR seen_time < now() - make_interval(secs => %(idle_s)s)

-- name: session
SELECT session.session_hash, session.user_id, person.name, person.role, session.create_time,
    session.seen_time, session.expire_time, session.address, session.browser
FROM user_session AS session JOIN app_user AS person USING (user_id)
WHERE session.session_hash = %(session_hash)s AND NOT person.is_disabled
    AND session.expire_time > now()
    AND session.seen_time > now() - make_interval(secs => %(idle_s)s)

-- A write a minute, not one per request.
-- name: touch_session
UPDATE user_session SET seen_time = now()
WHERE session_hash = %(session_hash)s AND seen_time < now() - interval '1 minute'

-- name: sessions
SELECT session.session_hash, session.user_id, person.name, person.role, session.create_time,
    session.seen_time, session.expire_time, session.address, session.browser
FROM user_session AS session JOIN app_user AS person USING (user_id)
WHERE session.expire_time > now() AND (%(user_id)s::integer IS NULL OR user_id = %(user_id)s)
ORDER BY session.seen_time DESC

-- name: end_session
DELETE FROM user_session WHERE session_hash = %(session_hash)s

-- name: add_token
INSERT INTO api_token (user_id, name, token_hash, expire_time)
SELECT user_id, %(token_name)s, %(token_hash)s, now() + make_interval(secs => %(lifetime_s)s)
FROM app_user WHERE name = %(name)s
ON CONFLICT (user_id, name) DO NOTHING
RETURNING token_id

-- name: add_scopes
INSERT INTO api_token_scope (token_id, scope) SELECT %(token_id)s, unnest(%(scopes)s::text[])

-- name: tokens
SELECT token.token_id, person.name AS user_name, token.name,
    ARRAY(SELECT scope FROM api_token_scope WHERE token_id = token.token_id) AS scopes,
    token.create_time, token.expire_time, token.used_time
FROM api_token AS token JOIN app_user AS person USING (user_id)
WHERE %(name)s::text IS NULL OR person.name = %(name)s
ORDER BY person.name, token.name

-- name: remove_token
DELETE FROM api_token AS token USING app_user AS person
WHERE token.user_id = person.user_id AND person.name = %(name)s AND token.name = %(token_name)s

-- name: token_owner
SELECT token.token_id, person.user_id, person.name, person.role, token.name,
    ARRAY(SELECT scope FROM api_token_scope WHERE token_id = token.token_id)
FROM api_token AS token JOIN app_user AS person USING (user_id)
WHERE token.token_hash = %(token_hash)s AND NOT person.is_disabled
    AND (token.expire_time IS NULL OR token.expire_time > now())

-- name: known_tokens
SELECT token.token_id, person.user_id, person.name, person.role, token.name,
    ARRAY(SELECT scope FROM api_token_scope WHERE token_id = token.token_id ORDER BY scope),
    token.token_hash, token.expire_time
FROM api_token AS token JOIN app_user AS person USING (user_id)
WHERE NOT person.is_disabled AND (token.expire_time IS NULL OR token.expire_time > now())
ORDER BY token.token_id

-- name: touch_token
UPDATE api_token SET used_time = now()
WHERE token_id = %(token_id)s AND (used_time IS NULL OR used_time < now() - interval '1 minute')

-- name: save_view
INSERT INTO saved_view (user_id, page, name, query, is_shared)
VALUES (%(user_id)s, %(page)s, %(name)s, %(query)s, %(is_shared)s)
ON CONFLICT (user_id, page, name)
DO UPDATE SET query = excluded.query, is_shared = excluded.is_shared, create_time = now()
RETURNING saved_view_id

-- name: views
SELECT saved.saved_view_id, saved.user_id, person.name AS user_name, saved.page, saved.name,
    saved.query, saved.is_shared
FROM saved_view AS saved JOIN app_user AS person USING (user_id)
WHERE saved.page = %(page)s AND (saved.user_id = %(user_id)s OR saved.is_shared)
ORDER BY saved.name, person.name

-- name: view
SELECT saved.saved_view_id, saved.user_id, person.name AS user_name, saved.page, saved.name,
    saved.query, saved.is_shared
FROM saved_view AS saved JOIN app_user AS person USING (user_id)
WHERE saved.saved_view_id = %(saved_view_id)s AND (saved.user_id = %(user_id)s OR saved.is_shared)

-- name: view_named
SELECT saved.query
FROM saved_view AS saved JOIN app_user AS person USING (user_id)
WHERE saved.page = %(page)s AND saved.name = %(name)s AND (person.name = %(user)s OR saved.is_shared)
ORDER BY person.name = %(user)s DESC, saved.saved_view_id
LIMIT 1

-- name: remove_view
DELETE FROM saved_view WHERE saved_view_id = %(saved_view_id)s
    AND (%(user_id)s::integer IS NULL OR user_id = %(user_id)s)
