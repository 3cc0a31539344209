-- Webhooks and their deliveries; see sql/events/webhook_book.py.

-- ---- Webhooks ------------------------------------------------------------------------------------

-- name: count
SELECT count(*) FROM webhook

-- From what happens from now on: whoever made it has placed all that happened.
-- name: add
INSERT INTO webhook (name, user_id, url, authorities, authentication, selector, batch_max, position)
SELECT %(name)s, %(user_id)s, %(url)s, %(authorities)s, %(authentication)s,
    %(selector)s, %(batch_max)s, greatest(coalesce(%(after)s, last_position), gone_position)
FROM event_feed
ON CONFLICT (name) DO NOTHING RETURNING webhook_id

-- name: add_secret
INSERT INTO webhook_secret (webhook_id, signing, credential) VALUES (%(webhook_id)s, %(signing)s, %(credential)s)

-- name: add_types
INSERT INTO webhook_type (webhook_id, type) SELECT DISTINCT %(webhook_id)s::integer, unnest(%(types)s::text[])

-- name: webhooks
SELECT webhook_id, hook.name, hook.user_id, owner.name AS owner, owner.role AS owner_role,
    coalesce(owner.is_disabled, false) AS is_owner_disabled, url, authorities, authentication,
    ARRAY(SELECT type FROM webhook_type AS told WHERE told.webhook_id = hook.webhook_id ORDER BY type) AS types,
    selector, batch_max, position, is_paused, pause_reason, failing_since, hook.create_time,
    position < (SELECT gone_position FROM event_feed) AS has_missed,
    (
        SELECT count(*) FROM (
            SELECT FROM webhook_delivery AS waiting
            WHERE waiting.webhook_id = hook.webhook_id AND waiting.state = 'waiting' LIMIT %(counted_max)s
        ) AS counted
    ) AS waiting
FROM webhook AS hook LEFT JOIN app_user AS owner USING (user_id)
WHERE (%(name)s::text IS NULL OR hook.name = %(name)s)
    AND (%(webhook_id)s::integer IS NULL OR webhook_id = %(webhook_id)s)
    AND (%(owned_by)s::integer IS NULL OR user_id = %(owned_by)s)
ORDER BY hook.name

-- name: secrets
SELECT signing, credential, CASE WHEN former_until > now() THEN former_signing END AS former_signing
FROM webhook_secret WHERE webhook_id = %(webhook_id)s

-- name: pause
UPDATE webhook SET is_paused = true, pause_reason = %(reason)s
WHERE webhook_id = %(webhook_id)s AND NOT is_paused

-- What waited for its next try is tried now.
-- name: resume
UPDATE webhook SET is_paused = false, pause_reason = '', failing_since = NULL
WHERE webhook_id = %(webhook_id)s

-- name: hurry
UPDATE webhook_delivery SET not_before = now(), attempts = 0
WHERE webhook_id = %(webhook_id)s AND state = 'waiting'

-- name: skip
UPDATE webhook_delivery SET state = 'failed', end_time = now()
WHERE state = 'waiting' AND delivery_id = (
    SELECT delivery_id FROM webhook_delivery
    WHERE webhook_id = %(webhook_id)s AND state = 'waiting' ORDER BY delivery_id LIMIT 1
)

-- name: rotate
UPDATE webhook_secret SET former_signing = CASE WHEN %(overlap_s)s > 0 THEN signing END,
    former_until = CASE WHEN %(overlap_s)s > 0 THEN now() + make_interval(secs => %(overlap_s)s) END,
    signing = %(signing)s
WHERE webhook_id = %(webhook_id)s

-- name: remove
DELETE FROM webhook WHERE webhook_id = %(webhook_id)s

-- ---- Deliveries ----------------------------------------------------------------------------------

-- Those with something to do: a message that is due, or, where none waits, something new in the feed.
-- name: ready
SELECT webhook_id FROM webhook AS hook, event_feed
WHERE NOT is_paused AND (taken_until IS NULL OR taken_until <= clock_timestamp()) AND coalesce((
    SELECT waiting.not_before <= clock_timestamp() FROM webhook_delivery AS waiting
    WHERE waiting.webhook_id = hook.webhook_id AND waiting.state = 'waiting'
    ORDER BY waiting.delivery_id LIMIT 1
), hook.position < event_feed.last_position)

-- Whoever takes or makes messages has the webhook to the end of the transaction.
-- name: lock
SELECT position FROM webhook WHERE webhook_id = %(webhook_id)s AND NOT is_paused FOR UPDATE

-- Nothing is taken while another has it, or the first message waits for its next try: so they keep their order.
-- name: take
UPDATE webhook SET fence = fence + 1, taken_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE webhook_id = %(webhook_id)s AND (taken_until IS NULL OR taken_until <= clock_timestamp()) AND (
    SELECT not_before FROM webhook_delivery
    WHERE webhook_id = %(webhook_id)s AND state = 'waiting' ORDER BY delivery_id LIMIT 1
) <= clock_timestamp()
RETURNING fence

-- name: first
SELECT delivery_id, message_id, ARRAY(
    SELECT position FROM webhook_delivery_event AS told
    WHERE told.delivery_id = waiting.delivery_id ORDER BY position
) AS positions
FROM webhook_delivery AS waiting
WHERE webhook_id = %(webhook_id)s AND state = 'waiting' ORDER BY delivery_id LIMIT %(limit)s

-- Whoever has it gives it back; nothing for one in whose place another has it.
-- name: give_back
UPDATE webhook SET taken_until = NULL
WHERE webhook_id = %(webhook_id)s AND fence = %(fence)s AND taken_until IS NOT NULL

-- name: plan
WITH made AS (INSERT INTO webhook_delivery (webhook_id) VALUES (%(webhook_id)s) RETURNING delivery_id)
INSERT INTO webhook_delivery_event (delivery_id, position)
SELECT delivery_id, unnest(%(positions)s::bigint[]) FROM made

-- name: miss
INSERT INTO webhook_delivery (webhook_id, state, end_time, error)
VALUES (%(webhook_id)s, 'failed', now(), %(error)s)

-- name: planned
UPDATE webhook SET position = %(position)s WHERE webhook_id = %(webhook_id)s

-- The place of the last event that was thrown away.
-- name: gone
SELECT gone_position FROM event_feed

-- One that was passed over while it was tried was told all the same.
-- name: end
UPDATE webhook_delivery
SET state = %(state)s, attempts = attempts + 1, end_time = now(), request = %(request)s, status = %(status)s,
    answer = %(answer)s, duration_s = %(duration_s)s, error = %(error)s
WHERE delivery_id = %(delivery_id)s

-- name: not_taken
UPDATE webhook_delivery
SET attempts = attempts + 1, request = %(request)s, status = %(status)s, answer = %(answer)s,
    duration_s = %(duration_s)s, error = %(error)s
WHERE delivery_id = %(delivery_id)s
RETURNING CASE WHEN state = 'waiting' THEN attempts END

-- name: postpone
UPDATE webhook_delivery SET not_before = clock_timestamp() + make_interval(secs => %(retry_in_s)s)
WHERE delivery_id = %(delivery_id)s

-- name: took
UPDATE webhook SET failing_since = NULL WHERE webhook_id = %(webhook_id)s AND failing_since IS NOT NULL

-- name: failed
UPDATE webhook SET failing_since = coalesce(failing_since, now()) WHERE webhook_id = %(webhook_id)s
RETURNING extract(epoch FROM now() - failing_since)::double precision

-- What was said is long: it is read of one message alone.
-- name: deliveries
SELECT delivery_id, message_id, state, attempts, not_before, create_time, end_time, status, duration_s, error,
    CASE WHEN %(delivery_id)s::bigint IS NOT NULL THEN request END AS request,
    CASE WHEN %(delivery_id)s::bigint IS NOT NULL THEN answer END AS answer, (
        SELECT count(*) FROM webhook_delivery_event AS told WHERE told.delivery_id = delivery.delivery_id
    ) AS events, (
        SELECT event.kind || ' ' || event.subject
        FROM webhook_delivery_event AS told JOIN event USING (position)
        WHERE told.delivery_id = delivery.delivery_id ORDER BY position LIMIT 1
    ) AS about
FROM webhook_delivery AS delivery
WHERE webhook_id = %(webhook_id)s AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(delivery_id)s::bigint IS NULL OR delivery_id = %(delivery_id)s)
ORDER BY delivery_id DESC LIMIT %(limit)s

-- name: retry
UPDATE webhook_delivery AS delivery
SET state = 'waiting', not_before = now(), end_time = NULL, attempts = 0
WHERE webhook_id = %(webhook_id)s AND delivery_id = %(delivery_id)s
    AND EXISTS (SELECT FROM webhook_delivery_event AS told WHERE told.delivery_id = delivery.delivery_id)

-- name: forget
DELETE FROM webhook_delivery WHERE state <> 'waiting' AND end_time < now() - make_interval(secs => %(kept_s)s)
