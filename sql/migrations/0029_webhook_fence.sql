-- Whoever tells a webhook has it to itself for a while, under a number of its own: whatever is resumed, retried
-- or passed over meanwhile, nobody else begins, and what comes late of an older try is nothing any more.

ALTER TABLE webhook ADD COLUMN fence bigint NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN taken_until timestamptz;
COMMENT ON COLUMN webhook.fence IS 'The number of who told it last; only raised';
COMMENT ON COLUMN webhook.taken_until IS 'Until when that one has it to itself; NULL when it said what came of it';
COMMENT ON COLUMN webhook_delivery.attempts IS 'How many tries of it ended, since somebody last asked for it';
