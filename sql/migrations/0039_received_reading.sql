-- What the page of received data reads again and again, of much that it does not show.

-- When a batch was stored and described, among all events that are kept.
CREATE INDEX event_of_batch ON event (subject) WHERE kind IN ('batch.stored', 'batch.described');
-- The newest that was not understood of batches, among all that was since.
CREATE INDEX quarantine_open ON quarantine (quarantine_id)
    WHERE ingest_batch_id IS NOT NULL AND replay_time IS NULL;
