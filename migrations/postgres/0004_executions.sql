-- Executions: tests of a webhook, deliveries that somebody waits for.

-- Until when it may be claimed; null is a delivery of an event. It never changes, so the index
-- over it takes no part in changes of status.
alter table deliveries add column execution_until timestamptz;
create index deliveries_executions on deliveries (execution_until)
    where execution_until is not null;
