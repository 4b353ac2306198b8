-- Why: executions are tests of a webhook, deliveries that somebody waits for.
--
-- Until when it may be claimed; NULL is a delivery of an event. It never changes.
ALTER TABLE deliveries ADD COLUMN execution_until INTEGER;
CREATE INDEX deliveries_executions ON deliveries (execution_until)
    WHERE execution_until IS NOT NULL;
