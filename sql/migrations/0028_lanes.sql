-- Lanes: a priority is 1 (first) to 10 now, and three lanes share a queue by weights, so that none
-- waits for ever. What was stored, -100 to 100 with the greater first, is mapped once: 0 is 5.

CREATE FUNCTION run_lane(priority smallint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN priority <= 3 THEN 'high' WHEN priority <= 7 THEN 'normal' ELSE 'low' END;
COMMENT ON FUNCTION run_lane(smallint) IS 'The lane of a priority';

-- Who waits ages: ten minutes of waiting are worth one step of priority.
CREATE FUNCTION run_turn(create_time timestamptz, priority smallint) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (create_time AT TIME ZONE 'UTC') + priority * interval '10 minutes';
COMMENT ON FUNCTION run_turn(timestamptz, smallint) IS 'By what tasks of one lane are ordered';

DROP INDEX run_task_queued;

UPDATE run SET priority = CASE
    WHEN priority > 0 THEN 4 - ceil(priority * 3 / 100.0)
    WHEN priority < 0 THEN 7 + ceil(-priority * 3 / 100.0)
    ELSE 5 END;
UPDATE run_task SET priority = run.priority FROM run WHERE run.run_id = run_task.run_id;

ALTER TABLE run ALTER COLUMN priority SET DEFAULT 5,
    ADD CONSTRAINT run_priority CHECK (priority BETWEEN 1 AND 10);
ALTER TABLE run_task ALTER COLUMN priority SET DEFAULT 5,
    ADD CONSTRAINT run_task_priority CHECK (priority BETWEEN 1 AND 10);
COMMENT ON COLUMN run.priority IS '1 comes first, 10 last; 1 to 3 are the high lane, 8 to 10 the low one';

-- What is delivered next, in order.
CREATE INDEX run_task_queued
    ON run_task (queue, run_lane(priority), run_turn(create_time, priority), task_id)
    WHERE state = 'queued' AND delivered_time IS NULL;
