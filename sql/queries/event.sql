-- Events, their feed and their deliveries; see sql/events/.

-- name: add
INSERT INTO event (kind, subject, document, once_key, trace_id, account)
VALUES (%(kind)s, %(subject)s, %(document)s, %(once_key)s, %(trace_id)s, %(account)s)
ON CONFLICT (once_key) DO NOTHING RETURNING event_id

-- name: events
SELECT event_id, event_uuid, kind, subject, document, create_time, trace_id FROM event
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(before)s::bigint IS NULL OR event_id < %(before)s)
ORDER BY event_id DESC LIMIT %(limit)s

-- ---- The feed ------------------------------------------------------------------------------------

-- name: has_unplaced
SELECT EXISTS (SELECT FROM event WHERE position IS NULL)

-- Whoever gives places has this row to the end of the transaction: the next one sees all of them.
-- name: lock_feed
SELECT last_position FROM event_feed FOR UPDATE

-- In the order of their numbers. Those of one subject got theirs with its row locked, so the first of
-- two was committed before the second had a number, and none comes before an earlier one.
-- name: place
WITH fresh AS (
    SELECT event_id, row_number() OVER (ORDER BY event_id) AS place
    FROM (SELECT event_id FROM event WHERE position IS NULL ORDER BY event_id LIMIT %(limit)s) AS next
), placed AS (
    UPDATE event SET position = event_feed.last_position + fresh.place
    FROM fresh, event_feed WHERE event.event_id = fresh.event_id
    RETURNING event.event_id
)
UPDATE event_feed SET last_position = last_position + (SELECT count(*) FROM placed)
WHERE EXISTS (SELECT FROM placed)

-- name: feed_state
SELECT last_position, gone_position FROM event_feed

-- name: feed
SELECT position, event_uuid AS id, kind AS type, create_time AS time, subject, document AS data, trace_id
FROM event
WHERE position > %(after)s AND NOT kind = ANY (%(hidden)s)
    AND (account IS NULL OR account = coalesce(%(account)s, account))
    AND (%(types)s::text[] IS NULL OR kind = ANY (%(types)s))
    AND (%(subject)s::text IS NULL OR subject = %(subject)s)
ORDER BY position LIMIT %(limit)s

-- When a batch reached its states.
-- name: of_batch
SELECT kind, create_time FROM event
WHERE subject = %(subject)s AND kind IN ('batch.stored', 'batch.described') ORDER BY event_id

-- name: at
SELECT position, event_uuid AS id, kind AS type, create_time AS time, subject, document AS data, trace_id
FROM event WHERE position = ANY (%(positions)s) AND NOT kind = ANY (%(hidden)s)
    AND (account IS NULL OR account = coalesce(%(account)s, account))

-- name: newest
SELECT * FROM (
    SELECT position, event_uuid AS id, kind AS type, create_time AS time, subject, document AS data, trace_id
    FROM event
    WHERE position > (SELECT gone_position FROM event_feed) AND NOT kind = ANY (%(hidden)s)
        AND (account IS NULL OR account = coalesce(%(account)s, account))
        AND (%(types)s::text[] IS NULL OR kind = ANY (%(types)s))
        AND (%(subject)s::text IS NULL OR subject = %(subject)s)
    ORDER BY position DESC LIMIT %(limit)s
) AS newest ORDER BY position

-- What a webhook is still to be told stays, unless it is paused.
-- name: mark_gone
UPDATE event_feed SET gone_position = old.position
FROM (
    SELECT max(next.position) AS position FROM (
        SELECT event.position, event.create_time FROM event, event_feed
        WHERE event.position > gone_position AND event.position <= planned_position
            AND event.position <= coalesce(least(
                (SELECT min(hook.position) FROM webhook AS hook WHERE NOT hook.is_paused),
                (
                    SELECT min(told.position) - 1 FROM webhook_delivery AS waiting
                    JOIN webhook_delivery_event AS told USING (delivery_id)
                    JOIN webhook AS hook USING (webhook_id)
                    WHERE waiting.state = 'waiting' AND NOT hook.is_paused
                )
            ), planned_position)
        ORDER BY event.position LIMIT %(limit)s
    ) AS next
    WHERE next.create_time < now() - make_interval(secs => %(kept_s)s)
) AS old
WHERE old.position IS NOT NULL

-- One with a once_key stays: it says that it was told. So does one that somebody is still to be told.
-- name: forget
DELETE FROM event USING event_feed
WHERE event.position <= gone_position AND event.once_key IS NULL
    AND NOT EXISTS (SELECT FROM delivery WHERE delivery.event_id = event.event_id AND state = 'waiting')

-- ---- Deliveries ----------------------------------------------------------------------------------

-- name: to_plan
SELECT event.event_id, event.kind, event.position FROM event, event_feed
WHERE event.position > planned_position ORDER BY event.position LIMIT %s

-- name: plan
INSERT INTO delivery (event_id, channel)
SELECT * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING

-- name: planned
UPDATE event_feed SET planned_position = %s

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
RETURNING delivery_id, channel, attempts AS attempt, jsonb_build_object(
    'event_id', event.event_id, 'kind', kind, 'subject', subject, 'document', document,
    'create_time', create_time, 'event_uuid', event_uuid, 'trace_id', trace_id
) AS event

-- name: end_delivery
UPDATE delivery SET state = %(state)s, error = %(error)s, end_time = now()
WHERE delivery_id = %(delivery_id)s AND attempts = %(attempt)s AND state = 'waiting'

-- name: postpone
UPDATE delivery
SET error = %(error)s, not_before = now() + make_interval(secs => %(retry_in_s)s)
WHERE delivery_id = %(delivery_id)s AND attempts = %(attempt)s AND state = 'waiting'

-- Something is due for channels that the asking scheduler does not have; the attempts of all their
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
