-- Calls of relays that were refused for their token, by the relay that made them: one that is taken
-- says nothing of another. A relay that names itself does so by its uuid at the broker; others share
-- the empty text.
create table relay_refusals (
    broker        text collate "C" not null,
    relay         text collate "C" not null,
    refused_since timestamptz not null,
    refused_at    timestamptz not null,
    -- How many since refused_since.
    refused       bigint not null,
    primary key (broker, relay)
);
alter table relay_calls drop column refused_since;
alter table relay_calls drop column refused_at;
alter table relay_calls drop column refused;
-- The run of a dispatch of a late debt is known to have failed, or none started.
alter table pairs add column run_failed boolean not null default false;
