-- How an event came in: api, relay, watch, reconcile. Null: taken in by a version that did not
-- keep it.
alter table events add column source text;

-- What somebody wants to know of the runs that deliveries started; a worker asks GitHub.
create table run_questions (
    delivery_id   uuid primary key,
    asked_at      timestamptz not null default now(),
    claimed_until timestamptz,
    finished_at   timestamptz,
    -- JSON: what was found, or why it can't be read.
    result        text
);
create index run_questions_open on run_questions (asked_at) where finished_at is null;
