-- What came in, counted; see sql/datasets/statistics_book.py.

-- Days that are counted already come from their counts, the others are counted now.
-- name: arrived
WITH counted AS (
    SELECT least(%(until)s, greatest(%(since)s, (SELECT until FROM arrival_counted))) AS until
), told AS (
    SELECT day, source, type, account, nodes, files, size_bytes
    FROM arrival_count, counted
    WHERE day >= %(since)s::date AND day < counted.until
    UNION ALL
    SELECT live.*
    FROM counted, arrived(counted.until::timestamp AT TIME ZONE 'UTC',
        %(until)s::date::timestamp AT TIME ZONE 'UTC') AS live
)
SELECT CASE grouping(day, source, type, account)
        WHEN 7 THEN 'day' WHEN 11 THEN 'source' WHEN 13 THEN 'type' WHEN 14 THEN 'account'
        ELSE 'total' END AS part,
    day, coalesce(source, type, account, '') AS name,
    coalesce(sum(nodes), 0)::bigint AS nodes, coalesce(sum(files), 0)::bigint AS files,
    coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM told
WHERE (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(type)s::text IS NULL OR type = %(type)s)
    AND (%(account)s::text IS NULL OR account = %(account)s)
GROUP BY GROUPING SETS ((day), (source), (type), (account), ())
ORDER BY day, size_bytes DESC, nodes DESC, name

-- The row is locked, so that two who count wait for one another. Nothing came before the first day.
-- name: counted
INSERT INTO arrival_counted (until)
SELECT (first.time AT TIME ZONE 'UTC')::date
FROM (SELECT least((SELECT min(create_time) FROM physical_content),
    (SELECT min(create_time) FROM ingest_batch)) AS time) AS first
WHERE first.time IS NOT NULL AND NOT EXISTS (SELECT FROM arrival_counted)
ON CONFLICT (is_one) DO NOTHING

-- A day waits for the batches that began by then and are not described yet, but for 30 days at most.
-- name: uncounted
SELECT until FROM arrival_counted
WHERE until < %(before)s AND NOT EXISTS (
    SELECT FROM ingest_batch AS batch
    WHERE batch.state IN ('frozen', 'stored', 'stopped')
        AND batch.create_time < (until + 1)::timestamp AT TIME ZONE 'UTC'
        AND batch.create_time > %(before)s::date - interval '30 days'
)
FOR UPDATE

-- name: count_day
INSERT INTO arrival_count (day, source, type, account, nodes, files, size_bytes)
SELECT day, source, type, account, nodes, files, size_bytes
FROM arrived(%(day)s::date::timestamp AT TIME ZONE 'UTC',
    (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
ON CONFLICT (day, source, type, account) DO UPDATE
SET nodes = excluded.nodes, files = excluded.files, size_bytes = excluded.size_bytes

-- name: day_is_counted
UPDATE arrival_counted SET until = %(day)s::date + 1
