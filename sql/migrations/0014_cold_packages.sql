-- Packages for cold storage that are of no ingest batch: what actions and datasets made, and the
-- database itself.

ALTER TABLE outbox_package
    ALTER COLUMN ingest_batch_id DROP NOT NULL,
    ADD COLUMN kind text NOT NULL DEFAULT 'batch' CHECK (kind IN ('batch', 'generated', 'database')),
    ADD CHECK ((kind = 'batch') = (ingest_batch_id IS NOT NULL));
COMMENT ON COLUMN outbox_package.ingest_batch_id IS 'The batch whose files it holds; NULL for the other kinds';
COMMENT ON COLUMN outbox_package.kind IS 'batch: of an ingest batch; generated: what actions and datasets made; database: the export of this database';

CREATE TABLE outbox_store_batch (
    package_id text NOT NULL REFERENCES outbox_package (package_id) ON DELETE CASCADE,
    store_batch text NOT NULL CHECK (store_batch <> ''),
    PRIMARY KEY (package_id, store_batch)
);
COMMENT ON TABLE outbox_store_batch IS 'Which batches of the store, made by actions and datasets, lie in which packages';
COMMENT ON COLUMN outbox_store_batch.package_id IS 'The package';
COMMENT ON COLUMN outbox_store_batch.store_batch IS 'Name of the batch in the store; a large one lies in several packages';
