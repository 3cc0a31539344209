-- The feed: every event gets its place when it is seen committed, one after another, so that whoever has
-- read to a position has read all before it. What has a place waits for its deliveries to be planned.

ALTER TABLE event ADD COLUMN event_uuid uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE event ADD COLUMN trace_id text NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN position bigint UNIQUE;
COMMENT ON COLUMN event.event_uuid IS 'Its id for receivers, in whatever database it is restored';
COMMENT ON COLUMN event.trace_id IS 'The trace that it belongs to; empty where there is none';
COMMENT ON COLUMN event.position IS 'Its place in the feed; NULL until it was seen committed';
COMMENT ON COLUMN event.kind IS 'Its type, such as processing.failed';

CREATE TABLE event_feed (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    last_position bigint NOT NULL,
    planned_position bigint NOT NULL,
    gone_position bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE event_feed IS 'How far the feed is: one row, locked by whoever gives places';
COMMENT ON COLUMN event_feed.only_one IS 'Always true';
COMMENT ON COLUMN event_feed.last_position IS 'The last place that was given';
COMMENT ON COLUMN event_feed.planned_position IS 'To here deliveries are planned';
COMMENT ON COLUMN event_feed.gone_position IS 'To here events were thrown away';

UPDATE event SET position = placed.place
FROM (SELECT event_id, row_number() OVER (ORDER BY NOT planned, event_id) AS place FROM event) AS placed
WHERE placed.event_id = event.event_id;
INSERT INTO event_feed (last_position, planned_position)
SELECT count(*), count(*) FILTER (WHERE planned) FROM event;

-- Names as others have them; alerts keep theirs.
UPDATE event SET kind = CASE kind
    WHEN 'run_done' THEN 'processing.completed' WHEN 'run_partial' THEN 'processing.partial'
    WHEN 'run_failed' THEN 'processing.failed' WHEN 'run_cancelled' THEN 'processing.cancelled'
    WHEN 'run_waiting' THEN 'processing.waiting' WHEN 'schedule_failed' THEN 'schedule.failed'
    WHEN 'pipeline_failed' THEN 'pipeline.failed' WHEN 'inbox_refused' THEN 'inbox.refused'
    WHEN 'gpu_not_woken' THEN 'gpu.not_woken' WHEN 'backup_failed' THEN 'backup.failed'
    WHEN 'backup_old' THEN 'backup.old' WHEN 'disk' THEN 'disk.failing' WHEN 'quota' THEN 'space.low'
    WHEN 'store' THEN 'store.warning' ELSE kind END;

DROP INDEX event_not_planned;
ALTER TABLE event DROP COLUMN planned;
-- Events that wait for their place; nearly none do.
CREATE INDEX event_not_placed ON event (event_id) WHERE position IS NULL;
