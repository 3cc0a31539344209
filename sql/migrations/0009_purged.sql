-- Purged content: what the store was told to delete for good is hidden here before the bytes go.

ALTER TABLE physical_content
    ADD COLUMN delete_reason text CHECK (delete_reason IN ('purged', 'deleted and purged')),
    ADD CHECK (delete_reason IS NULL OR is_delete);
COMMENT ON COLUMN physical_content.delete_reason IS 'Why the store has its bytes no more: purged, or deleted and purged; NULL while it has them';

ALTER TABLE ingest_batch DROP CONSTRAINT ingest_batch_state_check;
ALTER TABLE ingest_batch ADD CONSTRAINT ingest_batch_state_check CHECK (state IN (
    'frozen', 'stored', 'described', 'packed', 'confirmed', 'stopped', 'purging', 'purged'
));
