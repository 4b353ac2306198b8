-- Calls of a broker that were taken for one publication with an event which the watch had made.
create table merged_calls (
    event_id uuid primary key,
    calls    bigint not null,
    last_at  timestamptz not null,
    -- just_made, one_publication, relay_unknown, broker_unasked.
    why      text not null
);
create index merged_calls_last on merged_calls (last_at);
