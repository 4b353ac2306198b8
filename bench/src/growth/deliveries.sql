-- Events and deliveries `$FIRST` to `$LAST`: `$FINISHED` that ended, evenly over one day, every
-- thousandth failed; the others wait since then. Keys are as old as those that have expired.
with made as materialized (
    select n, at, n > $FINISHED as open,
        (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
            || lpad(to_hex(n % 4096), 3, '0') || 'a' || lpad(to_hex(n), 15, '0'))::uuid as id,
        (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
            || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid as event,
        'consumer-' || (n % $PAIRS) / 10 as consumer, 'provider-' || n % 1000 as provider,
        (select min(id) from webhooks where uuid = 'growth-webhook-1') + n % $WEBHOOKS as webhook
    from (
        select n,
            case when n <= $FINISHED
                then day + n * (interval '1 day' / ($FINISHED::double precision + 1))
                else day + interval '1 day' + (n - $FINISHED)
                    * ((now() - day - interval '25 hours') / ($WAITING::double precision + 1))
            end as at
        from (select '$DAY'::timestamptz as day) d, generate_series($FIRST::bigint, $LAST::bigint) n
    ) each
),
event as (
    insert into events (id, name, broker, consumer, provider, body, fingerprint, delivery_ids,
        received_at, pair_hash)
    select event, 'contract_published', 'default', consumer, provider,
        '{"text":"' || repeat('x', 480) || '"}', '\x00', array[id], at,
        ('x' || encode(substring(sha256(convert_to('default', 'UTF8') || '\x00'::bytea
            || convert_to(consumer, 'UTF8') || '\x00'::bytea
            || convert_to(provider, 'UTF8') || '\x00'::bytea), 1, 8), 'hex'))::bit(64)::bigint
    from made
),
key as (
    insert into idempotency (key, event_id, fingerprint, at)
    select md5(n::text), event, '\x00', at - interval '7 days' from made
),
attempt as (
    insert into attempts (delivery_id, claim_no, number, started_at, duration_ms, outcome,
        status_code, possible_duplicate, request, response)
    select id, 1, 1, at, 20, 'accepted', 204, false, '', '' from made where not open
),
lost as (
    insert into not_delivered (delivery_id, status)
    select id, 'failed' from made where not open and n % 1000 = 0
)
insert into deliveries (id, event_id, webhook_id, lane_id, status, attempt, claim_no, next_at,
    attempts_recorded, last_outcome, created_at, updated_at)
select m.id, m.event, w.id, w.lane_id,
    case when m.open then 'waiting' when m.n % 1000 = 0 then 'failed' else 'delivered' end,
    (not m.open)::int, (not m.open)::int, case when m.open then m.at end, (not m.open)::int,
    case when not m.open then 'accepted' end, m.at, m.at
from made m join webhooks w on w.id = m.webhook
