-- A replay is noted before its folder is in the inbox; where that never came, its dead letters are given back.
ALTER TABLE replaced_batch ADD COLUMN replaced_id bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE replaced_batch ADD COLUMN path text;
COMMENT ON COLUMN replaced_batch.replaced_id IS 'Of two batches of a dead letter the later has the greater';
COMMENT ON COLUMN replaced_batch.path IS 'Its path in there; NULL of replays before schema 41';
