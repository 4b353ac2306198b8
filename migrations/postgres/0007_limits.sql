-- A limit and a lane are two things.
--
-- A limit is what shares a rate, an hour's budget, a concurrency and pauses; one worker at a time
-- leads it. A lane is what shares one fate: a credential at a host, with its hold and its backlog.
-- Each lane names its limit, which has the lane's own name unless settings join several lanes
-- under one.
create table limits (
    id           bigint generated always as identity primary key,
    name         text not null unique,
    limited      boolean not null,
    rate_count   bigint,
    rate_per_ms  bigint,
    burst        bigint not null,
    concurrency  bigint not null,
    per_hour     bigint,
    pause_until  timestamptz not null default '-infinity',
    -- Doublings of the pause so far, for targets that don't say how long.
    pause_step   integer not null default 0,
    owner        uuid,
    -- Grows with each acquisition, each change of kind and each lane that comes or goes; 0 is "no
    -- lease": claims of unlimited lanes carry it.
    epoch        bigint not null default 0,
    lease_until  timestamptz not null default '-infinity',
    -- When the request after all that were claimed so far is in its turn. Never moves back.
    next_send_at timestamptz not null default '-infinity',
    last_send_at timestamptz
) with (fillfactor = 50);

-- Claims of limited lanes by the minute, for budgets over any 60 minutes.
create table limit_minutes (
    limit_id bigint not null,
    minute   timestamptz not null,
    n        integer not null,
    primary key (limit_id, minute)
) with (fillfactor = 50);

-- Every lane had a limit of its own. Its epoch goes on, so that claims of the leader from before
-- are waited for, but the lease does not: whoever held it can't renew it any more. That leader's
-- last request is at most a window away from the first of the next one.
insert into limits (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour,
    pause_until, pause_step, epoch, last_send_at, next_send_at)
select name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour,
    pause_until, pause_step, epoch, last_send_at,
    case when limited
        then now() + coalesce(rate_per_ms, 0) * interval '1 millisecond' + interval '2 seconds'
        else '-infinity' end
from lanes
order by id;

alter table lanes add column limit_id bigint references limits (id);
update lanes set limit_id = m.id from limits m where m.name = lanes.name;
create index lanes_limit on lanes (limit_id);

insert into limit_minutes (limit_id, minute, n)
select l.limit_id, c.minute, c.n from lane_minutes c join lanes l on l.id = c.lane_id;

-- Workers of the version before name this column in each statement about leases: without it they
-- lead nothing, and take no claim of a limited lane.
alter table lanes drop column epoch;

-- lanes.limited is from now on a copy of the limit's. What else moved (rate_count, rate_per_ms,
-- burst, concurrency, per_hour; pause_until, pause_step, owner, lease_until, last_send_at; the
-- table lane_minutes) and what nothing ever read (held_total, and held_base of deliveries) stays
-- for processes of the version before, until a later migration drops it. Lanes that such a process
-- makes have no limit until the janitor gives them one.

-- How long a request of the webhook may take, milliseconds; null: as long as settings say.
alter table webhooks add column timeout_ms bigint;
