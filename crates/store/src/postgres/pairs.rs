//! Facts of consumers and providers.

use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use postrider_domain::{EventId, PairFacts, PairKey, Verified};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Pg;
use super::incidents::holds;
use super::rows::{at, at_opt, fault, get, tally};
use crate::pairs::happened;
use crate::{
    BrokerRead, DispatchFact, MonitorLease, PairFilter, PairRow, StoreError, ToldEvents, ToldPage,
    codec,
};

const LIST: &str = "
select broker, consumer, provider, first_publication_at, last_publication_at, owing,
    last_verification_at, last_verification_success, last_dispatch_at, watched
from pairs
where ($1::text is null or broker = $1) and ($2::text is null or consumer = $2)
    and ($3::text is null or provider = $3)
    and ($4::text is null or (broker, consumer, provider) > ($4, $5::text, $6::text))
order by broker, consumer, provider limit $7";

const SAVE: &str = "
insert into pairs (broker, consumer, provider, first_publication_at, last_publication_at, owing,
    last_verification_at, last_verification_success, last_dispatch_at, watched)
select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
    $6::text[], $7::timestamptz[], $8::boolean[], $9::timestamptz[], $10::text[])
on conflict (broker, consumer, provider) do update set
    first_publication_at = excluded.first_publication_at,
    last_publication_at = excluded.last_publication_at, owing = excluded.owing,
    last_verification_at = excluded.last_verification_at,
    last_verification_success = excluded.last_verification_success,
    last_dispatch_at = excluded.last_dispatch_at, watched = excluded.watched, seen_at = now()";

const EVENTS_UNTIL: &str = "select events_until from monitor_lease";
const SET_EVENTS_UNTIL: &str = "update monitor_lease set events_until = greatest(events_until, $1)";

/// Under load very many events tell the same; by the second they are few.
const TOLD: &str = r#"
with chunk as materialized (
    select id, name, broker, consumer, provider, received_at,
        case when body like '%"occurred_at":%' then body::json ->> 'occurred_at' end
            as occurred_at,
        case when name = 'provider_verification_published'
            then (body::json ->> 'verification_success')::boolean end as success,
        cardinality(delivery_ids) > 0 as dispatched
    from events where id > $1 order by id limit $2)
select broker, consumer, provider, name, occurred_at, success,
    min(received_at) as first_at, max(received_at) as last_at,
    max(id::text) as newest, max(id::text) filter (where dispatched) as dispatched,
    count(*) as events
from chunk
group by broker, consumer, provider, name, occurred_at, success,
    date_trunc('second', received_at)"#;

const DISPATCHES: &str = "
select e.id, bool_or(d.next_at is not null) as open,
    max(d.updated_at) filter (where d.status = 'delivered') as delivered_at
from events e
cross join lateral unnest(e.delivery_ids) as of_event (id)
join deliveries d on d.id = of_event.id
where e.id = any($1) group by e.id";

const READS: &str =
    "select broker, answered_at, failing_since, cause, detail from broker_reads order by broker";
const SAVE_READ: &str = "
insert into broker_reads (broker, answered_at, failing_since, cause, detail)
values ($1, $2, $3, $4, $5)
on conflict (broker) do update set answered_at = excluded.answered_at,
    failing_since = excluded.failing_since, cause = excluded.cause, detail = excluded.detail";
const KEEP_READS: &str = "delete from broker_reads where broker <> all($1)";

const PRUNE: &str = "delete from pairs where seen_at < now() - $1 * interval '1 millisecond'";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("pairs", LIST),
    ("save_pairs", SAVE),
    ("events_until", EVENTS_UNTIL),
    ("set_events_until", SET_EVENTS_UNTIL),
    ("told_events", TOLD),
    ("dispatches", DISPATCHES),
    ("broker_reads", READS),
    ("save_broker_read", SAVE_READ),
    ("keep_broker_reads", KEEP_READS),
    ("prune_pairs", PRUNE),
];

/// Rows column by column, as `unnest` takes them.
#[derive(Default)]
struct Columns<'a> {
    names: [Vec<&'a str>; 3],
    /// First and last publication, last verification, last dispatch.
    instants: [Vec<Option<jiff_sqlx::Timestamp>>; 4],
    owing: Vec<String>,
    successes: Vec<Option<bool>>,
    watched: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(pairs: &'a [PairRow]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for PairRow { key, facts, watched } in pairs {
            let [brokers, consumers, providers] = &mut columns.names;
            brokers.push(&key.broker);
            consumers.push(&key.consumer);
            providers.push(&key.provider);
            let newest = facts.last_verification;
            let instants = [
                facts.first_publication,
                facts.last_publication,
                newest.map(|newest| newest.at),
                facts.last_dispatch,
            ];
            for (column, instant) in columns.instants.iter_mut().zip(instants) {
                column.push(instant.map(Timestamp::to_sqlx));
            }
            columns.owing.push(codec::list_text(&facts.owing)?);
            columns.successes.push(newest.and_then(|newest| newest.success));
            columns.watched.push(codec::list_text(watched)?);
        }
        Ok(columns)
    }
}

impl Pg {
    pub(crate) async fn pairs(
        &self,
        filter: &PairFilter,
        after: Option<&PairKey>,
        limit: u32,
    ) -> Result<Vec<PairRow>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(&filter.broker)
            .bind(&filter.consumer)
            .bind(&filter.provider)
            .bind(after.map(|key| key.broker.as_str()))
            .bind(after.map(|key| key.consumer.as_str()))
            .bind(after.map(|key| key.provider.as_str()))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        rows.iter().map(pair_row).collect()
    }

    pub(crate) async fn save_pairs(
        &self,
        lease: MonitorLease,
        pairs: &[PairRow],
        events_until: Option<EventId>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        if !holds(&mut tx, lease).await? {
            return Ok(false);
        }
        let Columns { names, instants, owing, successes, watched } = Columns::of(pairs)?;
        let [brokers, consumers, providers] = names;
        let [first, last, verified, dispatched] = instants;
        let save = sqlx::query(SAVE).bind(brokers).bind(consumers).bind(providers);
        let save = save.bind(first).bind(last).bind(owing).bind(verified).bind(successes);
        let save = save.bind(dispatched).bind(watched);
        save.execute(&mut *tx).await.map_err(fault)?;
        if let Some(until) = events_until {
            let set = sqlx::query(SET_EVENTS_UNTIL).bind(until.0);
            set.execute(&mut *tx).await.map_err(fault)?;
        }
        tx.commit().await.map_err(fault)?;
        Ok(true)
    }

    pub(crate) async fn events_until(&self) -> Result<Option<Uuid>, StoreError> {
        sqlx::query_scalar(EVENTS_UNTIL).fetch_one(&self.pool).await.map_err(fault)
    }

    pub(crate) async fn told_events(
        &self,
        after: EventId,
        limit: u32,
    ) -> Result<ToldPage, StoreError> {
        let rows = sqlx::query(TOLD)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(fault)?;
        let mut page = ToldPage { told: Vec::with_capacity(rows.len()), last: None, count: 0 };
        for row in &rows {
            page.last = page.last.max(Some(event_id(get(row, "newest")?)?));
            page.count += tally(row, "events")?;
            page.told.push(told(row)?);
        }
        Ok(page)
    }

    pub(crate) async fn dispatches(
        &self,
        events: &[EventId],
    ) -> Result<Vec<DispatchFact>, StoreError> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.0).collect();
        let rows = sqlx::query(DISPATCHES).bind(ids).fetch_all(&self.pool).await.map_err(fault)?;
        let fact = |row| {
            Ok(DispatchFact {
                event: EventId(get(row, "id")?),
                open: get(row, "open")?,
                delivered_at: at_opt(row, "delivered_at")?,
            })
        };
        rows.iter().map(fact).collect()
    }

    pub(crate) async fn broker_reads(&self) -> Result<Vec<BrokerRead>, StoreError> {
        let rows = sqlx::query(READS).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(broker_read).collect()
    }

    pub(crate) async fn save_broker_read(
        &self,
        lease: MonitorLease,
        read: &BrokerRead,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        if !holds(&mut tx, lease).await? {
            return Ok(false);
        }
        let failing = read.failing.as_ref();
        sqlx::query(SAVE_READ)
            .bind(&read.broker)
            .bind(read.answered_at.map(Timestamp::to_sqlx))
            .bind(failing.map(|(since, ..)| since.to_sqlx()))
            .bind(failing.map(|(_, trouble, _)| trouble.as_str()))
            .bind(failing.map_or("", |(_, _, detail)| detail))
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok(true)
    }

    pub(crate) async fn keep_broker_reads(
        &self,
        lease: MonitorLease,
        brokers: &[String],
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        if !holds(&mut tx, lease).await? {
            return Ok(false);
        }
        sqlx::query(KEEP_READS).bind(brokers).execute(&mut *tx).await.map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok(true)
    }

    pub(crate) async fn prune_pairs(&self, keep: Duration) -> Result<u64, StoreError> {
        let prune = sqlx::query(PRUNE).bind(codec::millis(keep));
        Ok(prune.execute(&self.pool).await.map_err(fault)?.rows_affected())
    }
}

fn key(row: &PgRow) -> Result<PairKey, StoreError> {
    Ok(PairKey {
        broker: get(row, "broker")?,
        consumer: get(row, "consumer")?,
        provider: get(row, "provider")?,
    })
}

fn pair_row(row: &PgRow) -> Result<PairRow, StoreError> {
    let success = get(row, "last_verification_success")?;
    let verified = at_opt(row, "last_verification_at")?;
    let facts = PairFacts {
        first_publication: at_opt(row, "first_publication_at")?,
        last_publication: at_opt(row, "last_publication_at")?,
        owing: codec::list(get(row, "owing")?)?,
        last_verification: verified.map(|at| Verified { at, success }),
        last_dispatch: at_opt(row, "last_dispatch_at")?,
    };
    Ok(PairRow { key: key(row)?, facts, watched: codec::list(get(row, "watched")?)? })
}

fn told(row: &PgRow) -> Result<ToldEvents, StoreError> {
    let occurred: Option<&str> = get(row, "occurred_at")?;
    let dispatched: Option<&str> = get(row, "dispatched")?;
    Ok(ToldEvents {
        key: key(row)?,
        event: codec::event_name(get(row, "name")?)?,
        success: get(row, "success")?,
        first_at: happened(occurred, at(row, "first_at")?),
        last_at: happened(occurred, at(row, "last_at")?),
        dispatched: dispatched.map(event_id).transpose()?,
    })
}

fn event_id(text: &str) -> Result<EventId, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("event id {text:?}")))
}

fn broker_read(row: &PgRow) -> Result<BrokerRead, StoreError> {
    let since = at_opt(row, "failing_since")?;
    let trouble: Option<&str> = get(row, "cause")?;
    let failing = since.zip(trouble).map(|(since, trouble)| {
        Ok::<_, StoreError>((since, codec::broker_trouble(trouble)?, get(row, "detail")?))
    });
    Ok(BrokerRead {
        broker: get(row, "broker")?,
        answered_at: at_opt(row, "answered_at")?,
        failing: failing.transpose()?,
    })
}
