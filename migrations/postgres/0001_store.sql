-- The store of postrider. Forward only; a change is a new file with the next number.
--
-- Rules that the shape follows:
--  * No index sees a delivery's status, neither in its key nor in its predicate. Such an index
--    makes every change of status a non-HOT update, and Postgres then answers claims through
--    it, so that a claim costs more the longer the backlog is.
--  * One index serves sweeps, retries, oldest-first lanes and expired claims: `next_at` is
--    "look at this row again at" and null once the delivery is final.
--  * No foreign keys among the tables that every delivery touches: they cost a third of the
--    work of an intake statement.
--  * Instants are written and compared as the database's now(); only durations come from
--    outside.

-- One row: what the whole store agrees on.
create table meta (
    one              boolean primary key default true check (one),
    -- Raised by each write to webhooks and each change of a lane's kind; an intake commit is
    -- conditional on it.
    webhooks_version bigint not null default 1,
    -- A known text sealed under the master key; tells a wrong key before it does harm.
    key_canary       text
);
insert into meta default values;

create table lanes (
    id             bigint generated always as identity primary key,
    name           text not null unique,
    limited        boolean not null,
    rate_count     bigint,
    rate_per_ms    bigint,
    burst          bigint not null,
    concurrency    bigint not null,
    per_hour       bigint,
    -- Null while the lane is open: credential, secret_missing, manual.
    hold_cause     text,
    hold_gen       bigint not null default 0,
    held_since     timestamptz,
    -- How long it was held in all, milliseconds, without the hold in force.
    held_total     bigint not null default 0,
    secret_rev     bigint not null default 1,
    pause_until    timestamptz not null default '-infinity',
    -- Doublings of the pause so far, for targets that don't say how long.
    pause_step     integer not null default 0,
    -- Credential refusals in a row that did not hold the lane, and the webhook of the first.
    strikes        integer not null default 0,
    strike_webhook bigint,
    owner          uuid,
    -- 0 is "no lease": claims of unlimited lanes carry it.
    epoch          bigint not null default 0,
    lease_until    timestamptz not null default '-infinity',
    next_probe_at  timestamptz,
    last_send_at   timestamptz
) with (fillfactor = 50);

-- Claims of limited lanes by the minute, for budgets over any 60 minutes.
create table lane_minutes (
    lane_id bigint not null,
    minute  timestamptz not null,
    n       integer not null,
    primary key (lane_id, minute)
) with (fillfactor = 50);

create table webhooks (
    id           bigint generated always as identity primary key,
    uuid         text not null,
    rev          bigint not null default 1,
    lane_id      bigint not null references lanes (id),
    -- enabled, disabled, deleted. Deleted rows stay: what waits for them is discarded with a
    -- record, and lists name them.
    state        text not null,
    -- JSON with inline credentials sealed.
    document     text not null,
    secret_names text[] not null,
    -- Set when what waits for it may have to move or go; the janitor looks at these only.
    needs_sweep  boolean not null default false,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
-- A uuid that was deleted may be used again, by a new row: what waited for the old one stays
-- discarded.
create unique index webhooks_uuid on webhooks (uuid) where state <> 'deleted';
create index webhooks_uuid_any on webhooks (uuid);
create index webhooks_lane on webhooks (lane_id);

-- Streaks, kept apart from webhooks so that an outcome never touches what claims join.
create table webhook_health (
    webhook_id       bigint primary key,
    failures         bigint not null default 0,
    failing_since    timestamptz,
    last_outcome     text,
    last_status_code integer,
    last_success_at  timestamptz
) with (fillfactor = 50);

create table secrets (
    uuid       uuid primary key default gen_random_uuid(),
    name       text not null unique,
    rev        bigint not null default 1,
    sealed     text not null,
    key_id     text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table events (
    id           uuid primary key,
    name         text not null,
    broker       text not null,
    consumer     text not null,
    provider     text not null,
    body         text not null,
    fingerprint  bytea not null,
    traceparent  text,
    -- The event's deliveries; saves an index on deliveries (event_id).
    delivery_ids uuid[] not null,
    keyed        boolean not null,
    received_at  timestamptz not null default now()
);
-- Repeats that carry no key are found by content.
create index events_unkeyed on events (fingerprint, received_at) where not keyed;

create table idempotency (
    key         text primary key,
    event_id    uuid not null,
    -- Kept here too: keys may outlive their events.
    fingerprint bytea not null,
    at          timestamptz not null default now()
);
create index idempotency_at on idempotency using brin (at);

create table deliveries (
    id                uuid primary key,
    event_id          uuid not null,
    webhook_id        bigint not null,
    -- A copy of webhooks.lane_id, repaired by the janitor.
    lane_id           bigint not null,
    -- waiting, sending, delivered, failed, discarded.
    status            text not null default 'waiting',
    -- Place in the schedule.
    attempt           integer not null default 0,
    -- Counts claims and only grows, which makes it the fence for outcomes.
    claim_no          bigint not null default 0,
    claimed_by        uuid,
    claim_epoch       bigint not null default 0,
    claimed_until     timestamptz,
    next_at           timestamptz,
    -- An earlier claim may have arrived.
    maybe_sent        boolean not null default false,
    lost_claims       integer not null default 0,
    refusals          integer not null default 0,
    attempts_recorded integer not null default 0,
    last_outcome      text,
    last_status_code  integer,
    -- The lane's held_total when it was made, moved along when the lane changes: time spent
    -- held does not count against a delivery.
    held_base         bigint not null default 0,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
) with (
    -- A claim updates all rows of a page in one statement; with half of the page free the new
    -- versions find room on it and no index is touched.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
create index deliveries_next on deliveries (lane_id, next_at, id) where next_at is not null;
create index deliveries_webhook on deliveries (webhook_id, id);

-- Insert only. A partition for each day of the delivery's UUIDv7, so that retention drops
-- whole days; the default partition takes what no day was made for.
create table attempts (
    delivery_id        uuid not null,
    claim_no           bigint not null,
    number             integer not null,
    started_at         timestamptz not null,
    duration_ms        bigint not null,
    outcome            text not null,
    status_code        integer,
    github_request_id  text,
    possible_duplicate boolean not null,
    request            text not null,
    response           text not null,
    primary key (delivery_id, claim_no)
) partition by range (delivery_id);
create table attempts_default partition of attempts default;

-- Deliveries set aside because they took workers down; spares a search for them.
create table poisoned (
    delivery_id uuid primary key,
    webhook_id  bigint not null,
    at          timestamptz not null default now()
);

create table monitor_lease (
    one         boolean primary key default true check (one),
    owner       uuid,
    epoch       bigint not null default 0,
    lease_until timestamptz not null default '-infinity'
);
insert into monitor_lease default values;

create table incidents (
    id          uuid primary key,
    kind        text not null,
    subject     text not null,
    summary     text not null,
    next_step   text not null,
    opened_at   timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    resolved_at timestamptz
);
create unique index incidents_open on incidents (kind, subject) where resolved_at is null;
create index incidents_opened on incidents (opened_at, id);
