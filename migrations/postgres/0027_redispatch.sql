-- What came of debts that were told of. Events write nothing here.
alter table broker_debts
    -- How often the debt was dispatched again, and by which event the last time.
    add column again bigint not null default 0,
    add column again_event_id uuid,
    -- When it was seen that it is owed no more.
    add column over_at timestamptz;
create index broker_debts_told on broker_debts (broker, seen_at)
    where event_id is not null and over_at is null;
