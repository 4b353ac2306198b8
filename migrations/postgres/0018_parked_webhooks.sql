-- Webhooks that are parked, and deliveries that are probed in turn.
--
-- Elsewhere than at GitHub a refused credential parks the webhook, not its lane: what waits for it
-- is held, the lane's other webhooks go on.
alter table webhooks
    -- Null while it is not parked: credential, secret_missing, secret_unusable.
    add column hold_cause    text,
    add column hold_gen      bigint not null default 0,
    add column held_since    timestamptz,
    -- The hold_gen at which something was accepted last.
    add column good_gen      bigint not null default 0,
    -- Raised by each new value of a secret that it uses, and by each change of its request.
    add column secrets_rev   bigint not null default 1,
    add column next_probe_at timestamptz,
    -- Probes in vain so far; the newest delivery was one of them, and the one probed last.
    add column probe_step    integer not null default 0,
    add column probe_newest  uuid,
    add column probe_last    uuid,
    -- Deliveries may stand aside: their `next_at` lies in the year 3000, so many microseconds
    -- behind its beginning as the webhook's row number says.
    add column has_aside     boolean not null default false;
create index webhooks_parked on webhooks (lane_id) where hold_cause is not null;
create index webhooks_aside on webhooks (id) where has_aside;

alter table lanes
    add column probe_step   integer not null default 0,
    add column probe_newest uuid,
    add column probe_last   uuid;

-- The target asked for a longer wait than any is kept.
alter table attempts add column retry_after_capped boolean not null default false;
