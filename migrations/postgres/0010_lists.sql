-- Lists that cost a bounded amount of work.

-- The events of a pair: the first eight bytes of a hash of broker, consumer and provider. Events
-- of before, and those that processes of the version before take in, get theirs from the monitor,
-- little by little; until then lists look for them one by one.
alter table events add column pair_hash bigint;
create index events_pair on events (pair_hash, id) where pair_hash is not null;
create index events_unhashed on events (id) where pair_hash is null;

create index pairs_consumer on pairs (consumer);
create index pairs_provider on pairs (provider);

-- Deliveries that came to nothing, which are few: an index over the status of all would make
-- each change of it costly. A row may be older than the delivery's status.
create table not_delivered (
    delivery_id uuid primary key,
    status      text not null
);
create index not_delivered_status on not_delivered (status, delivery_id);
insert into not_delivered (delivery_id, status)
select id, status from deliveries where status in ('failed', 'discarded');

-- Whoever writes such a status, processes of the version before among them, leaves a row; a
-- delivery that is delivered costs the look at its status.
create function keep_not_delivered() returns trigger language plpgsql as $$
begin
    insert into not_delivered (delivery_id, status) values (new.id, new.status)
    on conflict (delivery_id) do update set status = excluded.status;
    return null;
end $$;
create trigger not_delivered after update of status on deliveries for each row
    when (new.status in ('failed', 'discarded') and old.status <> new.status)
    execute function keep_not_delivered();

-- Replays and discards by filter, each a walk that may be interrupted and taken up again.
create table bulk_acts (
    id         uuid primary key,
    -- replay, discard.
    kind       text not null,
    -- JSON: what is asked for.
    filter     text not null,
    -- Deliveries made until then take part, and wait again as of then.
    started_at timestamptz not null default now(),
    -- The last candidate that was looked at.
    place      uuid,
    -- How many deliveries it changed.
    done       bigint not null default 0,
    finished_at timestamptz
);
-- The act that changed a delivery last: it takes part in each once.
alter table deliveries add column bulk_act uuid;
