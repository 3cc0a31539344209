-- What is removed before a database leaves the house; see sql/backup/without_secrets.py.

-- name: passwords
SELECT name FROM app_user ORDER BY name

-- name: tokens
SELECT owner.name, token.name FROM api_token AS token JOIN app_user AS owner USING (user_id)
ORDER BY 1, 2

-- name: webhook_names
SELECT name FROM webhook ORDER BY name

-- Of the form that the table wants, and the hash of nothing: nobody logs in with it.
-- name: forget_passwords
UPDATE app_user SET password_hash = '$argon2id$'

-- name: forget_tokens
DELETE FROM api_token

-- A link ends, and its secret is the hash of nothing that anybody has.
-- name: end_links
UPDATE access_grant SET secret_hash = sha256(('no link ' || grant_id)::bytea),
    revoked_at = coalesce(revoked_at, now())
WHERE secret_hash IS NOT NULL

-- name: sessions
DELETE FROM user_session

-- name: attempts
DELETE FROM login_attempt

-- name: requests
DELETE FROM request_key

-- name: webhooks
DELETE FROM webhook

-- name: thumbnails
DELETE FROM thumbnail WHERE thumbnail_key IS NOT NULL
