-- What is known of the brokers' own webhooks. Events write nothing here.

-- Calls of relays, of each broker the last one that was taken and the last one that was refused
-- for its token.
create table relay_calls (
    broker        text collate "C" primary key,
    taken_at      timestamptz,
    refused_since timestamptz,
    refused_at    timestamptz,
    -- How many since refused_since.
    refused       bigint not null default 0
);

-- The webhook at a broker that relays to here.
create table broker_relays (
    broker text collate "C" primary key,
    uuid   text not null,
    -- enabled, disabled, removed, since when that is known.
    state  text not null,
    since  timestamptz not null
);
