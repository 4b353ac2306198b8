-- What came of debts that were told of. Events write nothing here.

-- again: how often the debt was dispatched again, and by which event the last time.
-- over_at: when it was seen that it is owed no more.
ALTER TABLE broker_debts ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE broker_debts ADD COLUMN again_event_id BLOB;
ALTER TABLE broker_debts ADD COLUMN over_at INTEGER;
CREATE INDEX broker_debts_told ON broker_debts (broker, seen_at)
    WHERE event_id IS NOT NULL AND over_at IS NULL;
