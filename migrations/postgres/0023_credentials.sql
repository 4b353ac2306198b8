-- What is known of credentials, and how one takes another's place.
alter table secrets
    -- The value that is to follow, sealed as the one in use, its number and since when it is there.
    add column pending     text,
    add column pending_no  bigint not null default 0,
    add column pending_at  timestamptz,
    -- The value that was used before, until it is seen refused, and since when it is not used.
    add column previous    text,
    add column previous_at timestamptz;

-- What answers said of a secret's value. Workers write it when it changes.
create table credential_facts (
    name            text primary key,
    owner           text,
    -- JSON: a list; null where there are none.
    scopes          text,
    expires_at      timestamptz,
    last_success_at timestamptz,
    last_refusal_at timestamptz,
    -- Its answers come from GitHub.
    is_github       boolean not null default false
);

-- Reads that are to find out whether a value is taken. One for each value of a secret.
create table credential_probes (
    name          text not null,
    -- current, pending, previous.
    which         text not null,
    no            bigint not null,
    -- Of the value that is asked about: its revision, or the number of the pending one.
    value_no      bigint not null,
    -- Repositories are asked for too.
    is_whole      boolean not null,
    asked_at      timestamptz not null,
    claimed_until timestamptz,
    finished_at   timestamptz,
    -- ok, insufficient, refused, limited, unknown, nothing.
    verdict       text,
    -- JSON: what was found; no secret.
    result        text,
    primary key (name, which)
);
create index credential_probes_open on credential_probes (asked_at) where finished_at is null;
