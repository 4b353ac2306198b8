-- What the monitor keeps: facts of pairs, incidents with cause and severity, alerts to send.

alter table incidents
    -- The class of what is wrong: an outcome, a hold's cause, ...
    add column cause           text not null default '',
    add column severity        text not null default 'warning',
    -- Somebody has seen it; it stays open all the same.
    add column acknowledged_at timestamptz;

-- Up to where the events are folded into pairs.
alter table monitor_lease add column events_until uuid;

-- Facts of a consumer and a provider at one broker. Events write nothing here: the monitor folds
-- them in later, so that taking events in stays as cheap as it is. Names are compared byte by
-- byte, as the other database does it.
create table pairs (
    broker                    text collate "C" not null,
    consumer                  text collate "C" not null,
    provider                  text collate "C" not null,
    first_publication_at      timestamptz,
    last_publication_at       timestamptz,
    -- JSON: instants of publications that want a verification, after the newest one.
    owing                     text not null default '[]',
    last_verification_at      timestamptz,
    last_verification_success boolean,
    last_dispatch_at          timestamptz,
    -- JSON: ids of events whose deliveries are looked at for the last dispatch.
    watched                   text not null default '[]',
    -- When an event or the broker's list last named it.
    seen_at                   timestamptz not null default now(),
    primary key (broker, consumer, provider)
) with (fillfactor = 70);

-- Whether the brokers that are asked do answer.
create table broker_reads (
    broker        text collate "C" primary key,
    answered_at   timestamptz,
    -- Null while it answers.
    failing_since timestamptz,
    -- away, credential, rate_limited, unexpected; null while it answers.
    cause         text,
    detail        text not null default ''
);

-- Alerts, one for each channel and each change of an incident; written with the change.
create table notifications (
    id          uuid primary key,
    incident_id uuid not null,
    channel     text not null,
    -- firing, resolved.
    status      text not null,
    created_at  timestamptz not null default now(),
    -- Also how long whoever took it may try.
    next_at     timestamptz not null default now(),
    tries       integer not null default 0,
    -- Null while it is to be sent.
    finished_at timestamptz,
    delivered   boolean not null default false
);
create index notifications_open on notifications (channel, next_at) where finished_at is null;
create index notifications_incident on notifications (incident_id);
