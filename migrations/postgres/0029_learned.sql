-- How long providers take from dispatch to result. Events write nothing here.
create table provider_times (
    broker       text collate "C" not null,
    provider     text collate "C" not null,
    -- JSON: the last 200 in milliseconds, oldest first.
    times        text not null,
    seen         bigint not null,
    -- What is learned from them; null while there are too few.
    threshold_ms bigint,
    -- Several debts are late by it without a result since.
    is_silent    boolean not null default false,
    primary key (broker, provider)
);
