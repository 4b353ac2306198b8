//! T1, T2: an event and its deliveries enter.

use std::collections::{HashMap, HashSet};

use postrider_domain::{DeliveryId, EventId};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::PostgresStore;
use super::rows::{get, uuids};
use crate::codec::event_pair_hash;
use crate::{
    Committed, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, NewEvent, StoreError, codec,
};

/// T1, one statement (ATOMIC_KEY), which writes nothing unless the webhooks are still at the
/// version `$1` (VERSION_IN_COMMIT). Keys go in sorted, so that two batches can't wait for
/// each other; one whose term ended before the call arrived is taken over. Answers whether the version was right and which events were written.
const COMMIT: &str = "
with version as (select from meta where webhooks_version = $1),
entry as (
    select e.*, now() - e.age * interval '1 microsecond' as arrived
    from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bytea[], $10::text[], $16::bigint[], $17::bigint[], $18::bigint[],
        $19::text[])
        as e (id, key, name, broker, consumer, provider, body, fingerprint, traceparent, age,
            term, pair_hash, source)
    where exists (select from version)),
wanted as (
    select * from unnest($11::uuid[], $12::uuid[], $13::bigint[], $14::bigint[])
        as d (id, event_id, webhook_id, lane_id)),
taken as (
    insert into idempotency (key, event_id, fingerprint, at, free_at)
    select key, id, fingerprint, arrived, arrived + term * interval '1 microsecond'
    from entry where key is not null order by key
    on conflict (key) do update set event_id = excluded.event_id,
        fingerprint = excluded.fingerprint, at = excluded.at, free_at = excluded.free_at
    where idempotency.free_at < excluded.at
    returning event_id),
fresh as (
    select * from entry
    where key is null or id in (select event_id from taken)),
event as (
    insert into events (id, name, broker, consumer, provider, body, fingerprint, traceparent,
        delivery_ids, keyed, pair_hash, source)
    select f.id, f.name, f.broker, f.consumer, f.provider, f.body, f.fingerprint, f.traceparent,
        coalesce(g.ids, '{}'), f.key is not null, f.pair_hash, f.source
    from fresh f
    left join (select event_id, array_agg(id order by id) as ids from wanted group by event_id) g
        on g.event_id = f.id
    returning id),
delivery as (
    insert into deliveries (id, event_id, webhook_id, lane_id, next_at)
    select d.id, d.event_id, d.webhook_id, d.lane_id,
        case when l.limited then now() else now() + $15 * interval '1 millisecond' end
    from wanted d
    join fresh f on f.id = d.event_id
    cross join lateral (select l.limited from lanes l where l.id = d.lane_id limit 1) l)
select exists (select from version) as matched, array(select id from event) as accepted";

/// What the winners of keys committed: a second statement, because the losing one's snapshot
/// can't see them.
const WINNERS: &str = "
select i.key, i.event_id, i.fingerprint, d.id as delivery_id, w.uuid as webhook_uuid
from idempotency i
left join events e on e.id = i.event_id
left join deliveries d on d.id = any(e.delivery_ids)
left join webhooks w on w.id = d.webhook_id
where i.key = any($1)
order by i.key, d.id";

/// Whoever writes webhooks raises the version first, and waits for this to end.
const HOLD_WEBHOOKS: &str = "select from meta for share";

/// T2.
const MAKE_DUE: &str = "
update deliveries set next_at = now(), updated_at = now()
where id = any($1) and status = 'waiting' and claim_no = 0 and next_at > now()";

/// Lane by lane, so that only the index of open deliveries is read.
const COUNT_UNCLAIMED: &str = "
select count(*) from (
    select from lanes l cross join lateral (
        select from deliveries d
        where d.lane_id = l.id and d.next_at is not null and d.status = 'waiting'
            and d.claim_no = 0
        limit $1) each
    limit $1) counted";

/// A key without a term has null, which is not later than anything.
const FREE_KEY: &str = "
update idempotency set free_at = now()
where key = $1 and event_id = $2 and free_at > now()";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("commit", COMMIT),
    ("winners", WINNERS),
    ("hold_webhooks", HOLD_WEBHOOKS),
    ("make_due", MAKE_DUE),
    ("count_unclaimed", COUNT_UNCLAIMED),
    ("free_key", FREE_KEY),
];

impl PostgresStore {
    pub(crate) async fn commit_events(
        &self,
        batch: &IntakeBatch,
    ) -> Result<Option<Vec<IntakeResult>>, StoreError> {
        let entries = first_of_each_key(&batch.entries);
        let Some(accepted) = self.commit(batch.webhooks_version, &entries).await? else {
            return Ok(None);
        };
        let losers: Vec<&str> = batch
            .entries
            .iter()
            .filter(|entry| !accepted.contains(&entry.event.id.0))
            .filter_map(|entry| entry.event.key.as_deref())
            .collect();
        let winners = self.winners(&losers).await?;
        let result = |entry: &IntakeEntry| {
            if accepted.contains(&entry.event.id.0) {
                return Ok(IntakeResult::Accepted);
            }
            let winner = entry.event.key.as_deref().and_then(|key| winners.get(key));
            winner.cloned().map(IntakeResult::Duplicate).ok_or_else(|| {
                // Retention removed the key between the two statements: repeating helps.
                StoreError::Unavailable("an idempotency key vanished".to_owned())
            })
        };
        batch.entries.iter().map(result).collect::<Result<_, _>>().map(Some)
    }

    /// Nobody writes webhooks from when `still` is told until `over`. A transaction that waits is
    /// ended by the database after a while, so a process that hangs holds nobody up. On a
    /// connection of the people's: the commit that this is for needs one of deliveries.
    pub(crate) async fn hold_webhooks(
        &self,
        still: &Notify,
        over: &CancellationToken,
    ) -> Result<(), StoreError> {
        self.ask("hold_webhooks", |conn| {
            Box::pin(async move {
                let mut tx = conn.begin().await?;
                sqlx::query(HOLD_WEBHOOKS).execute(&mut *tx).await?;
                still.notify_one();
                over.cancelled().await;
                tx.rollback().await
            })
        })
        .await
    }

    async fn commit(
        &self,
        version: i64,
        entries: &[&IntakeEntry],
    ) -> Result<Option<HashSet<Uuid>>, StoreError> {
        let columns = &Columns::of(entries);
        let row = self.step("commit_events", |conn| {
            Box::pin(async move { self.commit_once(conn, version, columns).await })
        });
        matched(&row.await?)
    }

    async fn commit_once(
        &self,
        conn: &mut PgConnection,
        version: i64,
        c: &Columns<'_>,
    ) -> Result<PgRow, sqlx::Error> {
        sqlx::query(COMMIT)
            .bind(version)
            .bind(&c.ids)
            .bind(&c.keys)
            .bind(&c.names)
            .bind(&c.brokers)
            .bind(&c.consumers)
            .bind(&c.providers)
            .bind(&c.bodies)
            .bind(&c.fingerprints)
            .bind(&c.traceparents)
            .bind(&c.delivery_ids)
            .bind(&c.delivery_events)
            .bind(&c.delivery_webhooks)
            .bind(&c.delivery_lanes)
            .bind(codec::millis(self.sweep_after))
            .bind(c.ages())
            .bind(c.terms())
            .bind(&c.pair_hashes)
            .bind(&c.sources)
            .fetch_one(conn)
            .await
    }

    async fn winners(&self, keys: &[&str]) -> Result<HashMap<String, Committed>, StoreError> {
        let mut winners = HashMap::new();
        if keys.is_empty() {
            return Ok(winners);
        }
        let rows = self
            .step("winners", |conn| {
                Box::pin(
                    async move { sqlx::query(WINNERS).bind(keys).fetch_all(&mut **conn).await },
                )
            })
            .await?;
        for row in &rows {
            let committed = match winners.entry(get(row, "key")?) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => new.insert(committed(row)?),
            };
            add_delivery(committed, row)?;
        }
        Ok(winners)
    }

    pub(crate) async fn make_due(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        let ids = &uuids(ids);
        self.step("make_due", |conn| {
            Box::pin(
                async move { sqlx::query(MAKE_DUE).bind(ids).execute(&mut **conn).await.map(drop) },
            )
        })
        .await
    }

    pub(crate) async fn count_unclaimed(&self, limit: u32) -> Result<u32, StoreError> {
        let count: i64 = self
            .step("count_unclaimed", |conn| {
                Box::pin(async move {
                    sqlx::query_scalar(COUNT_UNCLAIMED)
                        .bind(i64::from(limit))
                        .fetch_one(&mut **conn)
                        .await
                })
            })
            .await?;
        codec::count_of(count)
    }

    pub(crate) async fn free_key(&self, key: &str, event: EventId) -> Result<(), StoreError> {
        self.step("free_key", |conn| {
            Box::pin(async move {
                sqlx::query(FREE_KEY).bind(key).bind(event.0).execute(&mut **conn).await.map(drop)
            })
        })
        .await
    }
}

fn matched(row: &PgRow) -> Result<Option<HashSet<Uuid>>, StoreError> {
    if !get::<bool, _>(row, "matched")? {
        return Ok(None);
    }
    Ok(Some(get::<Vec<Uuid>, _>(row, "accepted")?.into_iter().collect()))
}

fn committed(row: &PgRow) -> Result<Committed, StoreError> {
    Ok(Committed {
        event_id: EventId(get(row, "event_id")?),
        deliveries: Vec::new(),
        fingerprint: codec::fingerprint(get(row, "fingerprint")?)?,
    })
}

fn add_delivery(committed: &mut Committed, row: &PgRow) -> Result<(), StoreError> {
    let Some(id) = get::<Option<Uuid>, _>(row, "delivery_id")? else {
        return Ok(());
    };
    let webhook = codec::webhook_uuid(get(row, "webhook_uuid")?)?;
    committed.deliveries.push((DeliveryId(id), webhook));
    Ok(())
}

/// The entries to write: of those with the same key the first.
fn first_of_each_key(entries: &[IntakeEntry]) -> Vec<&IntakeEntry> {
    let mut keys = HashSet::new();
    let mut first = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.event.key.as_deref().is_none_or(|key| keys.insert(key)) {
            first.push(entry);
        }
    }
    first
}

/// A batch, column by column, as `unnest` takes it.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    keys: Vec<Option<&'a str>>,
    names: Vec<&'static str>,
    brokers: Vec<&'a str>,
    consumers: Vec<&'a str>,
    providers: Vec<&'a str>,
    pair_hashes: Vec<i64>,
    sources: Vec<&'static str>,
    bodies: Vec<&'a str>,
    fingerprints: Vec<&'a [u8]>,
    traceparents: Vec<Option<&'a str>>,
    key_terms: Vec<Option<KeyTerm>>,
    delivery_ids: Vec<Uuid>,
    delivery_events: Vec<Uuid>,
    delivery_webhooks: Vec<i64>,
    delivery_lanes: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(entries: &[&'a IntakeEntry]) -> Self {
        let mut columns = Self::default();
        for entry in entries {
            columns.push_event(&entry.event);
            for delivery in &entry.deliveries {
                columns.delivery_ids.push(delivery.id.0);
                columns.delivery_events.push(entry.event.id.0);
                columns.delivery_webhooks.push(delivery.webhook_id.0);
                columns.delivery_lanes.push(delivery.lane_id.0);
            }
        }
        columns
    }

    fn push_event(&mut self, new: &'a NewEvent) {
        let event = new.event.event();
        self.ids.push(new.id.0);
        self.keys.push(new.key.as_deref());
        self.names.push(event.event_name.as_str());
        self.brokers.push(&event.broker);
        self.consumers.push(&event.consumer.name);
        self.providers.push(&event.provider.name);
        self.pair_hashes.push(event_pair_hash(event));
        self.sources.push(new.source.as_str());
        self.bodies.push(new.event.text());
        self.fingerprints.push(&new.fingerprint);
        self.traceparents.push(new.traceparent.as_deref());
        self.key_terms.push(new.term);
    }

    /// How long ago the calls arrived, for those to which it matters.
    fn ages(&self) -> Vec<i64> {
        let age = |term: &KeyTerm| codec::micros(term.arrived.elapsed());
        self.key_terms.iter().map(|term| term.as_ref().map_or(0, age)).collect()
    }

    fn terms(&self) -> Vec<Option<i64>> {
        let terms = self.key_terms.iter();
        terms.map(|term| term.map(|term| codec::micros(term.longest))).collect()
    }
}
