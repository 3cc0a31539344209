-- The outbox; see sql/runs/event_book.py.

-- name: add
INSERT INTO event (kind, subject, document, once_key)
VALUES (%(kind)s, %(subject)s, %(document)s, %(once_key)s)
ON CONFLICT (once_key) DO NOTHING RETURNING event_id

-- name: events
SELECT event_id, kind, subject, document, create_time FROM event
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(before)s::bigint IS NULL OR event_id < %(before)s)
ORDER BY event_id DESC LIMIT %(limit)s

-- name: to_plan
SELECT event_id, kind FROM event WHERE NOT planned ORDER BY event_id LIMIT %s
FOR UPDATE SKIP LOCKED

-- name: plan
INSERT INTO delivery (event_id, channel)
SELECT * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING

-- name: planned
UPDATE event SET planned = true WHERE event_id = ANY (%s)

-- Taken for a while: one whose sender dies is due again when that is over.
-- name: take
UPDATE delivery
SET attempts = attempts + 1, not_before = now() + make_interval(secs => %(lease_s)s)
FROM event
WHERE event.event_id = delivery.event_id AND delivery_id IN (
    SELECT delivery_id FROM delivery
    WHERE state = 'waiting' AND not_before <= now()
        AND (%(channel)s::text IS NULL OR channel = %(channel)s)
    ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING delivery_id, channel, attempts, event.event_id, kind, subject, document, create_time

-- name: end_delivery
UPDATE delivery SET state = %(state)s, error = %(error)s, end_time = now()
WHERE delivery_id = %(delivery_id)s AND attempts = %(attempt)s AND state = 'waiting'

-- name: postpone
UPDATE delivery
SET error = %(error)s, not_before = now() + make_interval(secs => %(retry_in_s)s)
WHERE delivery_id = %(delivery_id)s AND attempts = %(attempt)s AND state = 'waiting'

-- Something is due for channels that the asking keeper does not have; the attempts of all their
-- deliveries, ended ones too, grow with everything that anybody takes.
-- name: due_elsewhere
SELECT channel, (SELECT sum(attempts) FROM delivery AS every WHERE every.channel = due.channel)
FROM (
    SELECT DISTINCT channel FROM delivery
    WHERE state = 'waiting' AND not_before <= now() AND NOT channel = ANY (%(channels)s)
) AS due

-- Nobody has a channel of this name: it was taken out of the configuration.
-- name: end_orphans
UPDATE delivery SET state = 'failed', error = %(reason)s, end_time = now()
WHERE state = 'waiting' AND not_before <= now() AND channel = %(channel)s
    AND (
        SELECT sum(attempts) FROM delivery AS every WHERE every.channel = %(channel)s
    ) = %(taken)s

-- name: deliveries
SELECT delivery_id, event_id, channel, delivery.state, attempts, not_before, error, end_time,
    kind, subject
FROM delivery JOIN event USING (event_id)
WHERE (%(state)s::text IS NULL OR delivery.state = %(state)s)
ORDER BY delivery_id DESC LIMIT %(limit)s

-- name: retry_failed
UPDATE delivery SET state = 'waiting', not_before = now(), end_time = NULL WHERE state = 'failed'
