//! Debts that an event told of: what came of the event, whether they were dispatched again, and
//! when they were over.

use std::collections::BTreeMap;

use postrider_domain::{EventId, PairKey};
use uuid::Uuid;

use super::learned::{learned, learned_columns};
use super::query::Query;
use super::row::Row;
use super::watch::times;
use crate::fault::Fault;
use crate::{EventFate, MonitorLease, Store, StoreError, ToldDebt, codec};

/// What is read of a debt, with what is learned of its provider.
macro_rules! debts {
    () => {
        concat!(
            "select b.broker, b.consumer, b.provider, b.consumer_version, b.provider_version, \
             b.published_at, b.event_id, b.again, b.again_event_id, b.seen_at, ",
            learned_columns!(),
            " from broker_debts b
             left join provider_times t on t.broker = b.broker and t.provider = b.provider
             left join pairs p on p.broker = b.broker and p.consumer = b.consumer \
                 and p.provider = b.provider
             where b.event_id is not null and b.over_at is null"
        )
    };
}

/// Those that were looked at longest ago first.
const TOLD: &str =
    concat!(debts!(), " and ($1 is null or b.broker = $1) order by b.seen_at limit $2");

const OF_PAIR: &str =
    concat!(debts!(), " and b.broker = $1 and b.consumer = $2 and b.provider = $3");

/// Of this event alone: what was overwritten meanwhile is another debt in the same row.
const DISPATCHED_AGAIN: &str = "
update broker_debts set again = $6, again_event_id = $7
where broker = $1 and consumer = $2 and provider = $3 and consumer_version = $4
    and provider_version = $5 and event_id = $8 and again < $6";

const OVER: &str = "
update broker_debts set over_at = {now}
where broker = $1 and consumer = $2 and provider = $3 and consumer_version = $4
    and provider_version = $5 and event_id = $6";

const FATES: &str = "
select e.id, d.next_at is not null as open, d.status, d.updated_at, w.uuid
from events e cross join deliveries d join webhooks w on w.id = d.webhook_id
where {of_event} and e.id {in:$1} and d.status <> 'discarded'";

/// Debts that are looked at.
const TOLD_MOST: u32 = 5_000;
/// Events looked up by one statement.
const EVENTS: usize = 500;

impl Store {
    /// Debts that an event told of and that are owed as far as is known, of all brokers or of
    /// one; of very many those that were looked at longest ago.
    pub async fn told_debts(&self, broker: Option<&str>) -> Result<Vec<ToldDebt>, StoreError> {
        let rows = self.rows("told_debts", &Query::new(TOLD).bind(broker).bind(TOLD_MOST)).await?;
        Ok(rows.iter().map(told_debt).collect::<Result<_, _>>()?)
    }

    /// Those of one pair.
    pub async fn told_debts_of(&self, key: &PairKey) -> Result<Vec<ToldDebt>, StoreError> {
        let told = Query::new(OF_PAIR).bind(&key.broker).bind(&key.consumer).bind(&key.provider);
        let rows = self.rows("told_debts_of", &told).await?;
        Ok(rows.iter().map(told_debt).collect::<Result<_, _>>()?)
    }

    /// What became of these events; one that is gone, or that no webhook wanted, is left out.
    pub async fn event_fates(
        &self,
        events: &[EventId],
    ) -> Result<BTreeMap<EventId, EventFate>, StoreError> {
        let mut fates = BTreeMap::new();
        for chunk in events.chunks(EVENTS) {
            let ids: Vec<Uuid> = chunk.iter().map(|event| event.0).collect();
            for row in &self.rows("event_fates", &Query::new(FATES).bind(ids)).await? {
                add_fate(&mut fates, row)?;
            }
        }
        Ok(fates)
    }

    /// Notes by which event a debt was dispatched again, for so many times. `false` without a
    /// valid lease.
    pub async fn dispatched_again(
        &self,
        lease: MonitorLease,
        debt: &ToldDebt,
        times: u32,
        event: EventId,
    ) -> Result<bool, StoreError> {
        let note = of_debt(DISPATCHED_AGAIN, debt).bind(times).bind(event).bind(debt.event);
        self.under_lease("dispatched_again", lease, vec![note]).await
    }

    /// Notes that debts are owed no more. `false` without a valid lease.
    pub async fn debts_over(
        &self,
        lease: MonitorLease,
        debts: &[&ToldDebt],
    ) -> Result<bool, StoreError> {
        let over = debts.iter().map(|debt| of_debt(OVER, debt).bind(debt.event)).collect();
        self.under_lease("debts_over", lease, over).await
    }
}

fn of_debt(text: &'static str, debt: &ToldDebt) -> Query {
    Query::new(text)
        .bind(&debt.key.broker)
        .bind(&debt.key.consumer)
        .bind(&debt.key.provider)
        .bind(&debt.consumer_version)
        .bind(&debt.provider_version)
}

fn told_debt(row: &Row) -> Result<ToldDebt, Fault> {
    Ok(ToldDebt {
        key: PairKey {
            broker: row.string("broker")?,
            consumer: row.string("consumer")?,
            provider: row.string("provider")?,
        },
        consumer_version: row.string("consumer_version")?,
        provider_version: row.string("provider_version")?,
        published_at: row.at_opt("published_at")?,
        event: EventId(row.uuid("event_id")?),
        again: times(row)?,
        again_event: row.uuid_opt("again_event_id")?.map(EventId),
        seen_at: row.at("seen_at")?,
        learned: learned(row)?,
    })
}

fn add_fate(fates: &mut BTreeMap<EventId, EventFate>, row: &Row) -> Result<(), Fault> {
    let event = EventId(row.uuid("id")?);
    let fate = fates.entry(event).or_insert_with(|| EventFate::of(event));
    let at = row.at("updated_at")?;
    match row.text("status")? {
        "delivered" => fate.delivered_at = fate.delivered_at.max(Some(at)),
        "failed" => fate.failed.push((codec::webhook_uuid(row.text("uuid")?)?, at)),
        _ => {}
    }
    if row.is("open")? {
        fate.is_open = true;
    } else {
        fate.ended_at = fate.ended_at.max(Some(at));
    }
    Ok(())
}
