-- What the watch of a broker knows between two looks. Events write nothing here.

-- How far a broker was read.
create table broker_walks (
    broker           text collate "C" primary key,
    -- When its first walk began: what was owed then is nobody's event.
    first_contact_at timestamptz not null,
    -- When the last walk began that came to its end.
    began_at         timestamptz not null,
    -- JSON: the pairs that changed last, newest change first.
    changed_last     text not null default '[]'
);

-- Provider versions that owe a result and need no event any more.
create table broker_debts (
    broker           text collate "C" not null,
    consumer         text collate "C" not null,
    provider         text collate "C" not null,
    consumer_version text collate "C" not null,
    provider_version text collate "C" not null,
    -- told (by whatever event), watch (by the watch's own), first_contact, observed.
    why              text not null,
    -- The event that told of it.
    event_id         uuid,
    seen_at          timestamptz not null default now(),
    primary key (broker, consumer, provider, consumer_version, provider_version)
);
create index broker_debts_seen on broker_debts (broker, seen_at);
