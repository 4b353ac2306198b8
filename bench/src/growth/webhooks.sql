-- Lanes, their limits and webhooks, none of which takes the events of the measurement; pairs. Every
-- other lane is limited to so little that nothing goes out meanwhile, the rest are held.
insert into limits (name, limited, rate_count, rate_per_ms, burst, concurrency, next_send_at)
select 'growth-' || case when n % 2 = 0 then 'limited' else 'held' end || n || '.example/t', n % 2 = 0,
    case when n % 2 = 0 then 1 end, case when n % 2 = 0 then 3600000 end, 1,
    case when n % 2 = 0 then 1 else 64 end,
    case when n % 2 = 0 then now() + interval '7 days' else '-infinity' end
from generate_series(1, $LANES) n;

insert into lanes (name, limited, limit_id, hold_cause, held_since, hold_gen)
select m.name, m.limited, m.id, case when not m.limited then 'manual' end,
    case when not m.limited then now() end, 1
from limits m where m.name like 'growth-%' order by m.id;

insert into webhooks (uuid, lane_id, state, document, secret_names)
select 'growth-webhook-' || n, (select min(id) from lanes where name like 'growth-%') + n % $LANES,
    'enabled', replace(w.document, '"consumer":null', '"consumer":{"name":"growth-' || n || '"}'),
    w.secret_names
from generate_series(1, $WEBHOOKS) n, webhooks w where w.uuid = 'growth-webhook-first'
order by n;

insert into webhook_health (webhook_id, failures, last_success_at)
select id, 0, now() from webhooks where uuid like 'growth-webhook-%';

insert into pairs (broker, consumer, provider, last_publication_at, last_verification_at,
    last_verification_success)
select 'default', 'consumer-' || n / 10, 'provider-' || n % 1000, now(), now(), true
from generate_series(1, $PAIRS) n on conflict do nothing;

-- What was taken in before is folded into pairs.
update monitor_lease set events_until = 'ffffffff-ffff-7fff-bfff-ffffffffffff';
