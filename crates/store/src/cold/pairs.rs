//! Facts of consumers and providers, and whether brokers answer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{EventId, EventName, PairFacts, PairKey, Verified};
use serde::Deserialize;
use uuid::Uuid;

use super::learned::{learned, learned_columns};
use super::monitor_lease::holds;
use super::query::{Query, Value};
use super::row::Row;
use crate::fault::Fault;
use crate::id_time::{first_id, id_before};
use crate::pairs::happened;
use crate::{
    BrokerRead, DispatchFact, MonitorLease, PairFilter, PairRow, Store, StoreError, ToldEvents,
    ToldPage, Total, codec,
};

/// What a pair is read from, with what is learned of its provider.
macro_rules! pairs {
    () => {
        concat!(
            "select p.broker, p.consumer, p.provider, p.first_publication_at, \
             p.last_publication_at, p.owing, p.last_verification_at, p.last_verification_success, \
             p.last_dispatch_at, p.watched, p.told_publication_at, p.says, ",
            learned_columns!(),
            " from pairs p
             left join provider_times t on t.broker = p.broker and t.provider = p.provider"
        )
    };
}

/// What `$1` to `$3` name: of which broker, consumer and provider.
macro_rules! named {
    () => {
        "($1 is null or p.broker = $1) and ($2 is null or p.consumer = $2) \
         and ($3 is null or p.provider = $3)"
    };
}

const COUNT: &str = concat!(
    "select count(*) as found from (select 1 from pairs p where ",
    named!(),
    " limit $4) c"
);

const LIST: &str = concat!(
    pairs!(),
    " where ",
    named!(),
    " and ($4 is null or (p.broker, p.consumer, p.provider) > ($4, $5, $6))
     order by p.broker, p.consumer, p.provider limit $7"
);

const THOSE: &str = concat!(pairs!(), " where (p.broker, p.consumer, p.provider) in (values ");

const SAVE: &str = "
insert into pairs (broker, consumer, provider, first_publication_at, last_publication_at, owing,
    last_verification_at, last_verification_success, last_dispatch_at, watched,
    told_publication_at, says, seen_at)
select v.*, {now} from (values ";

const OVER: &str = ") as v where true
on conflict (broker, consumer, provider) do update set
    first_publication_at = excluded.first_publication_at,
    last_publication_at = excluded.last_publication_at, owing = excluded.owing,
    last_verification_at = excluded.last_verification_at,
    last_verification_success = excluded.last_verification_success,
    last_dispatch_at = excluded.last_dispatch_at, watched = excluded.watched,
    told_publication_at = excluded.told_publication_at, says = excluded.says,
    seen_at = excluded.seen_at";

const SET_EVENTS_UNTIL: &str = "
update monitor_lease set events_until = $1 where events_until is null or events_until < $1";

/// What the text says of instant and result is read only where it may say so.
const TOLD: &str = r#"
select e.id, e.name, e.broker, e.consumer, e.provider, e.received_at,
    case when e.name = 'provider_verification_published' or e.body like '%"occurred_at":%'
        then e.body end as body,
    exists (select 1 from deliveries d where {of_event}) as dispatched
from events e where e.id > $1 order by e.id limit $2"#;

const DISPATCHES: &str = "
select e.id, d.next_at is not null as open,
    case when d.status = 'delivered' then d.updated_at end as delivered_at
from events e cross join deliveries d
where {of_event} and e.id {in:$1}";

const READS: &str =
    "select broker, answered_at, failing_since, cause, detail from broker_reads order by broker";

const SAVE_READ: &str = "
insert into broker_reads (broker, answered_at, failing_since, cause, detail)
values ($1, $2, $3, $4, $5)
on conflict (broker) do update set answered_at = excluded.answered_at,
    failing_since = excluded.failing_since, cause = excluded.cause, detail = excluded.detail";

const KEEP_READS: &str = "delete from broker_reads where broker {notin:$1}";

const PRUNE: &str = "delete from pairs where seen_at < {now-ms:$1}";

/// Pairs written by one statement.
const CHUNK: usize = 500;

impl Store {
    /// Pairs in the order of their keys, `limit` 1 to 10,000.
    pub async fn pairs(
        &self,
        filter: &PairFilter,
        after: Option<&PairKey>,
        limit: u32,
    ) -> Result<Vec<PairRow>, StoreError> {
        let list = Query::new(LIST)
            .bind(&filter.broker)
            .bind(&filter.consumer)
            .bind(&filter.provider)
            .bind(after.map(|key| key.broker.as_str()))
            .bind(after.map(|key| key.consumer.as_str()))
            .bind(after.map(|key| key.provider.as_str()))
            .bind(limit.clamp(1, 10_000));
        let rows = self.rows("pairs", &list).await?;
        Ok(rows.iter().map(pair_row).collect::<Result<_, _>>()?)
    }

    /// How many pairs the filter names, counted up to 10,000.
    pub async fn count_named_pairs(&self, filter: &PairFilter) -> Result<Total, StoreError> {
        let count =
            Query::new(COUNT).bind(&filter.broker).bind(&filter.consumer).bind(&filter.provider);
        self.counted("count_named_pairs", count).await
    }

    /// Those of these pairs that are known.
    pub async fn pairs_of(&self, keys: &[&PairKey]) -> Result<Vec<PairRow>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(CHUNK) {
            let mut those = Query::new(THOSE);
            let row = |key: &&PairKey| -> [Value; 3] {
                [(&key.broker).into(), (&key.consumer).into(), (&key.provider).into()]
            };
            those.push_rows(chunk.iter().map(row));
            those.push(")");
            for row in &self.rows("pairs_of", &those).await? {
                found.push(pair_row(row)?);
            }
        }
        Ok(found)
    }

    /// How many pairs there are.
    pub async fn count_pairs(&self) -> Result<u64, StoreError> {
        let count = Query::new("select count(*) as pairs from pairs");
        let row = self.row("count_pairs", &count).await?;
        Ok(row.map(|row| row.tally("pairs")).transpose()?.unwrap_or(0))
    }

    /// Writes pairs as they are now known, and up to where events were folded into them, if
    /// that is told. Pairs count as seen now. `false` without a valid lease.
    pub async fn save_pairs(
        &self,
        lease: MonitorLease,
        pairs: &[PairRow],
        events_until: Option<EventId>,
    ) -> Result<bool, StoreError> {
        let mut writes = Vec::new();
        for chunk in pairs.chunks(CHUNK) {
            let mut save = Query::new(SAVE);
            save.push_rows(chunk.iter().map(saved).collect::<Result<Vec<_>, _>>()?);
            save.push(OVER);
            writes.push(save);
        }
        writes.extend(events_until.map(|until| Query::new(SET_EVENTS_UNTIL).bind(until)));
        self.under_lease("save_pairs", lease, writes).await
    }

    /// Writes only while the lease is valid; whether it is.
    pub(super) async fn under_lease(
        &self,
        name: &'static str,
        lease: MonitorLease,
        writes: Vec<Query>,
    ) -> Result<bool, StoreError> {
        self.change(name, (lease, writes), |(lease, writes), mut tx| {
            Box::pin(async move {
                if !holds(&mut tx, *lease).await? {
                    return Ok(false);
                }
                for write in writes {
                    tx.run(write).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// Up to where events are folded into pairs, `back` earlier; the beginning when none are.
    /// Where a host whose clock runs ahead made the last id, it is `back` before `now`: others
    /// make smaller ids still.
    pub async fn events_until(
        &self,
        back: Duration,
        now: Timestamp,
    ) -> Result<EventId, StoreError> {
        let query = Query::new("select events_until from monitor_lease");
        let row = self.row("events_until", &query).await?;
        let until = row.map(|row| row.uuid_opt("events_until")).transpose()?.flatten();
        Ok(EventId(until.map_or(Uuid::nil(), |id| id_before(id.min(first_id(now)), back))))
    }

    /// What the events after `after` tell, `limit` of them at most, 1 to 10,000.
    pub async fn told_events(&self, after: EventId, limit: u32) -> Result<ToldPage, StoreError> {
        let told = Query::new(TOLD).bind(after).bind(limit.clamp(1, 10_000));
        let rows = self.rows("told_events", &told).await?;
        let mut page = Told::default();
        for row in &rows {
            page.add(row)?;
        }
        let last = rows.last().map(|row| row.uuid("id").map(EventId)).transpose()?;
        let told = page.0.into_values().collect();
        Ok(ToldPage { told, last, count: rows.len() as u64 })
    }

    /// What became of the deliveries of these events; an event that is gone is left out.
    pub async fn dispatches(&self, events: &[EventId]) -> Result<Vec<DispatchFact>, StoreError> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.0).collect();
        let rows = self.rows("dispatches", &Query::new(DISPATCHES).bind(ids)).await?;
        let mut facts: BTreeMap<EventId, DispatchFact> = BTreeMap::new();
        for row in &rows {
            let event = EventId(row.uuid("id")?);
            let none = DispatchFact { event, open: false, delivered_at: None };
            let fact = facts.entry(event).or_insert(none);
            fact.open |= row.is("open")?;
            fact.delivered_at = fact.delivered_at.max(row.at_opt("delivered_at")?);
        }
        Ok(facts.into_values().collect())
    }

    /// Brokers that are asked.
    pub async fn broker_reads(&self) -> Result<Vec<BrokerRead>, StoreError> {
        let rows = self.rows("broker_reads", &Query::new(READS)).await?;
        Ok(rows.iter().map(broker_read).collect::<Result<_, _>>()?)
    }

    /// Writes how a broker answers. `false` without a valid lease.
    pub async fn save_broker_read(
        &self,
        lease: MonitorLease,
        read: &BrokerRead,
    ) -> Result<bool, StoreError> {
        let failing = read.failing.as_ref();
        let save = Query::new(SAVE_READ)
            .bind(&read.broker)
            .bind(read.answered_at)
            .bind(failing.map(|(since, ..)| *since))
            .bind(failing.map(|(_, trouble, _)| trouble.as_str()))
            .bind(failing.map_or("", |(_, _, detail)| detail));
        self.under_lease("save_broker_read", lease, vec![save]).await
    }

    /// Forgets brokers that are not asked any more. `false` without a valid lease.
    pub async fn keep_broker_reads(
        &self,
        lease: MonitorLease,
        brokers: &[String],
    ) -> Result<bool, StoreError> {
        let keep = Query::new(KEEP_READS).bind(brokers.to_vec());
        self.under_lease("keep_broker_reads", lease, vec![keep]).await
    }

    /// Retention: drops pairs that nothing named for `keep`. Returns how many went.
    pub async fn prune_pairs(&self, keep: Duration) -> Result<u64, StoreError> {
        self.run("prune_pairs", Query::new(PRUNE).bind(keep)).await
    }
}

fn saved(PairRow { key, facts, watched }: &PairRow) -> Result<[Value; 12], StoreError> {
    let says = facts.says.as_ref().map(serde_json::to_string).transpose();
    let says = says.map_err(|error| {
        StoreError::Unusable(format!("what a broker says can't be written: {error}"))
    })?;
    let newest = facts.last_verification;
    Ok([
        (&key.broker).into(),
        (&key.consumer).into(),
        (&key.provider).into(),
        facts.first_publication.into(),
        facts.last_publication.into(),
        codec::list_text(&facts.owing)?.into(),
        newest.map(|newest| newest.at).into(),
        newest.and_then(|newest| newest.success).into(),
        facts.last_dispatch.into(),
        codec::list_text(watched)?.into(),
        facts.told_publication.into(),
        says.into(),
    ])
}

fn key(row: &Row) -> Result<PairKey, Fault> {
    Ok(PairKey {
        broker: row.string("broker")?,
        consumer: row.string("consumer")?,
        provider: row.string("provider")?,
    })
}

fn pair_row(row: &Row) -> Result<PairRow, Fault> {
    let success = row.is_opt("last_verification_success")?;
    let facts = PairFacts {
        first_publication: row.at_opt("first_publication_at")?,
        last_publication: row.at_opt("last_publication_at")?,
        owing: codec::list(row.text("owing")?)?,
        last_verification: row.at_opt("last_verification_at")?.map(|at| Verified { at, success }),
        last_dispatch: row.at_opt("last_dispatch_at")?,
        told_publication: row.at_opt("told_publication_at")?,
        says: row.text_opt("says")?.map(serde_json::from_str).transpose()?,
        learned: learned(row)?,
    };
    Ok(PairRow { key: key(row)?, facts, watched: codec::list(row.text("watched")?)? })
}

/// What an event's text tells of itself.
#[derive(Debug, Default, Deserialize)]
struct Text<'a> {
    #[serde(default, borrow)]
    occurred_at: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    verification_success: Option<bool>,
}

/// What makes events tell the same.
type Alike = (PairKey, EventName, Option<String>, Option<bool>, i64);

/// Under load very many events tell the same; by the second they are few.
#[derive(Default)]
struct Told(BTreeMap<Alike, ToldEvents>);

impl Told {
    fn add(&mut self, row: &Row) -> Result<(), Fault> {
        let event = codec::event_name(row.text("name")?)?;
        let text: Text<'_> =
            row.text_opt("body")?.map_or_else(|| Ok(Text::default()), serde_json::from_str)?;
        let success =
            text.verification_success.filter(|_| event == EventName::ProviderVerificationPublished);
        let received_at = row.at("received_at")?;
        let at = happened(text.occurred_at.as_deref(), received_at);
        let id = EventId(row.uuid("id")?);
        let dispatched = row.is("dispatched")?.then_some(id);
        let occurred = text.occurred_at.map(std::borrow::Cow::into_owned);
        let alike = (key(row)?, event, occurred, success, received_at.as_second());
        let told = self.0.entry(alike).or_insert_with_key(|(key, ..)| ToldEvents {
            key: key.clone(),
            event,
            success,
            first_at: at,
            last_at: at,
            dispatched,
        });
        told.first_at = told.first_at.min(at);
        told.last_at = told.last_at.max(at);
        told.dispatched = told.dispatched.max(dispatched);
        Ok(())
    }
}

fn broker_read(row: &Row) -> Result<BrokerRead, Fault> {
    let failing = match (row.at_opt("failing_since")?, row.text_opt("cause")?) {
        (Some(since), Some(trouble)) => {
            Some((since, codec::broker_trouble(trouble)?, row.string("detail")?))
        }
        (Some(_) | None, _) => None,
    };
    Ok(BrokerRead {
        broker: row.string("broker")?,
        answered_at: row.at_opt("answered_at")?,
        failing,
    })
}
