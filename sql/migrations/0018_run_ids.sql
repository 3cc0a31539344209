-- Which request a run came from, so that its logs can be found by it.

ALTER TABLE run
    ADD COLUMN request_id text NOT NULL DEFAULT '',
    ADD COLUMN trace_id text NOT NULL DEFAULT '';
COMMENT ON COLUMN run.request_id IS 'Id of the HTTP request that asked for it, as in the logs; empty when none did';
COMMENT ON COLUMN run.trace_id IS 'W3C trace id that this request came with; empty when it had none';
