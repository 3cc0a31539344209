-- What programs sent, and dead letters; see sql/intent/received_book.py.

-- ---- What the port tells -------------------------------------------------------------------------

-- name: progress
SELECT sequence FROM received_progress

-- What is there already was told before the database was restored, or by a port that was killed.
-- name: add
INSERT INTO received_request (request_id, account, owner, source, accept_time, keys, about, batch, first_place)
VALUES (%(request_id)s, %(account)s, %(owner)s, %(source)s, to_timestamp(%(time_s)s), %(keys)s, %(about)s,
    %(batch)s, %(first_place)s)
ON CONFLICT (request_id) DO NOTHING

-- name: told
INSERT INTO received_progress (sequence) VALUES (%(sequence)s)
ON CONFLICT (only_one) DO UPDATE SET sequence = excluded.sequence

-- name: gathered
SELECT request_id FROM received_request WHERE batch IS NULL AND outcome IS NULL

-- name: place
UPDATE received_request SET batch = %(batch)s, first_place = %(first_place)s WHERE request_id = %(request_id)s

-- ---- Asked by people -----------------------------------------------------------------------------

-- name: request
SELECT request_id, account, owner, source, extract(epoch FROM accept_time)::double precision AS time_s,
    keys, about, batch, first_place
FROM received_request WHERE request_id = %(request_id)s

-- Behind one, in the order in which they are listed.
-- name: newest
SELECT request_id, account, owner, source, extract(epoch FROM accept_time)::double precision AS time_s,
    keys, about, batch, first_place
FROM received_request AS one
WHERE (%(account)s::text IS NULL OR account = %(account)s)
    AND (%(before)s::text = '' OR (one.accept_time, one.request_id) < (
        SELECT accept_time, request_id FROM received_request WHERE request_id = %(before)s
    ))
ORDER BY accept_time DESC, request_id DESC LIMIT %(limit)s

-- name: letters
SELECT letter_id, letter.request_id, place, letter.batch, path, state, reason, failures, fail_time,
    request.account, request.source
FROM dead_letter AS letter JOIN received_request AS request USING (request_id)
WHERE (%(account)s::text IS NULL OR request.account = %(account)s)
    AND (%(request_id)s::text IS NULL OR letter.request_id = %(request_id)s)
    AND (%(letters)s::bigint[] IS NULL OR letter_id = ANY (%(letters)s))
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND letter_id > %(after)s
ORDER BY letter_id LIMIT %(limit)s

-- ---- What became of batches ----------------------------------------------------------------------

-- Batches of which somebody waits to hear, and that ended: described, or failed with the reason.
-- name: ended
WITH waited AS (
    SELECT batch, bool_or(may_fail) AS may_fail
    FROM (
        SELECT batch, true AS may_fail FROM received_request WHERE outcome IS NULL AND batch IS NOT NULL
        UNION ALL
        SELECT batch, state = 'replaying' FROM dead_letter WHERE state <> 'done'
        UNION ALL
        SELECT former.batch, false FROM replaced_batch AS former JOIN dead_letter USING (letter_id)
        WHERE state = 'open'
    ) AS each GROUP BY batch
)
SELECT waited.batch, CASE
        WHEN known.state NOT IN ('frozen', 'stored', 'stopped') THEN NULL
        WHEN known.state = 'stopped' THEN coalesce(known.state_reason, 'its folder changed')
        ELSE 'run ' || failed.run_id || ': ' || coalesce(failed.reason, failed.state)
    END AS reason
FROM waited
LEFT JOIN ingest_batch AS known ON known.name = waited.batch
LEFT JOIN LATERAL (
    SELECT run.run_id, run.state, run.reason FROM run
    WHERE run.run_key = 'ua_1:' || waited.batch AND run.state IN ('failed', 'cancelled')
        AND NOT EXISTS (
            SELECT FROM run AS going WHERE going.run_key = run.run_key
                AND going.state IN ('queued', 'running', 'waiting')
        )
    ORDER BY run.run_id DESC LIMIT 1
) AS failed ON true
WHERE known.state NOT IN ('frozen', 'stored', 'stopped')
    OR may_fail AND (known.state = 'stopped' OR failed.run_id IS NOT NULL)
LIMIT 1000

-- Whoever says what became of a request has its row.
-- name: of_batch
SELECT request_id, account, owner, source, extract(epoch FROM accept_time)::double precision AS time_s,
    keys, about, batch, first_place
FROM received_request WHERE batch = %(batch)s AND outcome IS NULL ORDER BY first_place FOR UPDATE

-- name: outcome
UPDATE received_request SET outcome = %(outcome)s WHERE request_id = ANY (%(requests)s)

-- name: add_letters
INSERT INTO dead_letter (request_id, place, batch, path, reason)
SELECT %(request_id)s, part.place, %(batch)s, part.path, %(reason)s
FROM unnest(%(places)s::integer[], %(paths)s::text[]) AS part (place, path)
ON CONFLICT (request_id, place) DO NOTHING

-- name: failed_again
UPDATE dead_letter AS letter
SET state = 'open', failures = failures + 1, reason = %(reason)s, fail_time = now()
FROM received_request AS request
WHERE letter.batch = %(batch)s AND letter.state = 'replaying' AND request.request_id = letter.request_id
RETURNING letter.request_id, request.account, request.source

-- Also what failed again in a later batch, which is left behind then.
-- name: came_in
WITH found AS (
    SELECT letter_id, batch FROM dead_letter WHERE batch = %(batch)s AND state <> 'done'
    UNION ALL
    SELECT letter_id, letter.batch
    FROM replaced_batch AS former JOIN dead_letter AS letter USING (letter_id)
    WHERE former.batch = %(batch)s AND letter.batch <> %(batch)s AND state = 'open'
), later AS (
    INSERT INTO replaced_batch (batch, letter_id)
    SELECT batch, letter_id FROM found WHERE batch <> %(batch)s ON CONFLICT DO NOTHING
)
UPDATE dead_letter AS letter SET state = 'done'
FROM found WHERE letter.letter_id = found.letter_id AND state <> 'done'
RETURNING request_id

-- name: all_came_in
UPDATE received_request AS request SET outcome = 'described'
WHERE request_id = ANY (%(requests)s) AND NOT EXISTS (
    SELECT FROM dead_letter AS letter WHERE letter.request_id = request.request_id AND letter.state <> 'done'
)

-- ---- Replays -------------------------------------------------------------------------------------

-- Of two who replay the same the second waits, and finds that it is no longer open.
-- name: replaying
WITH taken AS (
    SELECT letter_id, batch, path FROM dead_letter
    WHERE letter_id = ANY (%(letters)s) AND state = 'open' ORDER BY letter_id FOR UPDATE
), former AS (
    INSERT INTO replaced_batch (batch, letter_id, path)
    SELECT batch, letter_id, path FROM taken ON CONFLICT DO NOTHING
)
UPDATE dead_letter AS letter SET state = 'replaying', batch = %(batch)s, path = moved.path
FROM taken JOIN unnest(%(letters)s::bigint[], %(paths)s::text[]) AS moved (letter_id, path) USING (letter_id)
WHERE letter.letter_id = taken.letter_id

-- Which of them are not done is said for the index of those.
-- name: not_begun
SELECT DISTINCT batch FROM dead_letter AS letter
WHERE state = 'replaying' AND state <> 'done'
    AND NOT EXISTS (SELECT FROM ingest_batch AS known WHERE known.name = letter.batch)

-- name: give_back
WITH given AS (
    DELETE FROM replaced_batch AS former USING dead_letter AS letter
    WHERE letter.batch = %(batch)s AND letter.state = 'replaying' AND letter.state <> 'done'
        AND NOT EXISTS (SELECT FROM ingest_batch AS known WHERE known.name = letter.batch)
        AND former.letter_id = letter.letter_id AND former.path IS NOT NULL
        AND former.replaced_id = (
            SELECT max(replaced_id) FROM replaced_batch AS each WHERE each.letter_id = letter.letter_id
        )
    RETURNING former.letter_id, former.batch, former.path
)
UPDATE dead_letter AS letter SET state = 'open', batch = given.batch, path = given.path
FROM given WHERE letter.letter_id = given.letter_id

-- name: unreadable
UPDATE dead_letter SET reason = %(reason)s WHERE letter_id = %(letter_id)s AND state = 'open'

-- Batches all of whose parts came in by others.
-- name: left_behind
SELECT replaced_batch.batch FROM replaced_batch JOIN dead_letter AS letter USING (letter_id)
GROUP BY replaced_batch.batch HAVING bool_and(letter.state = 'done')
    AND NOT EXISTS (
        SELECT FROM dead_letter AS still WHERE still.batch = replaced_batch.batch AND still.state <> 'done'
    )
    AND NOT EXISTS (
        SELECT FROM ingest_batch AS known WHERE known.name = replaced_batch.batch
            AND known.state NOT IN ('frozen', 'stored', 'stopped')
    )

-- Their own ingest frees their folders.
-- name: came_in_themselves
DELETE FROM replaced_batch AS former USING ingest_batch AS known, dead_letter AS letter
WHERE known.name = former.batch AND known.state NOT IN ('frozen', 'stored', 'stopped')
    AND letter.letter_id = former.letter_id AND letter.state = 'done'

-- name: removed
DELETE FROM replaced_batch WHERE batch = %(batch)s

-- A request stays while something of it did not come in.
-- name: forget
DELETE FROM received_request WHERE request_id IN (
    SELECT request_id FROM received_request AS old
    WHERE accept_time < now() - make_interval(secs => %(kept_s)s) AND (outcome IS NOT NULL OR batch IS NULL)
        AND NOT EXISTS (
            SELECT FROM dead_letter AS letter WHERE letter.request_id = old.request_id AND letter.state <> 'done'
        )
        AND NOT EXISTS (
            SELECT FROM dead_letter AS letter JOIN replaced_batch USING (letter_id)
            WHERE letter.request_id = old.request_id
        )
    LIMIT %(limit)s
)
