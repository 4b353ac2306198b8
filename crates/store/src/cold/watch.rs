//! What the watch of a broker keeps: how far it read, and which debts need no event any more.

use jiff::Timestamp;
use postrider_domain::{Event, EventId, EventName, PairKey};

use super::query::{Query, Value};
use super::row::Row;
use crate::codec::{self, pair_hash};
use crate::fault::Fault;
use crate::id_time::first_id;
use crate::{BrokerWalk, KnownDebt, MonitorLease, Store, StoreError, ToldVersion, WhyKnown};

const WALK: &str = "
select first_contact_at, began_at, changed_last from broker_walks where broker = $1";

/// The first contact stays what it was.
const SAVE_WALK: &str = "
insert into broker_walks (broker, first_contact_at, began_at, changed_last)
values ($1, $2, $3, $4)
on conflict (broker) do update set began_at = excluded.began_at,
    changed_last = excluded.changed_last";

const DEBTS: &str = "
select consumer_version, provider_version, published_at, why, event_id, again from broker_debts
where broker = $1 and consumer = $2 and provider = $3
order by consumer_version, provider_version";

/// What stays when the debt is of the same contract, and what is when it is not. One that was noted
/// without a time is of whatever is there now.
macro_rules! if_same {
    ($same:literal, $other:literal) => {
        concat!(
            "case when coalesce(broker_debts.published_at, excluded.published_at) \
             is not distinct from excluded.published_at then ",
            $same,
            " else ",
            $other,
            " end"
        )
    };
}

const SAVE_DEBTS: &str = "
insert into broker_debts (broker, consumer, provider, consumer_version, provider_version,
    published_at, why, event_id, seen_at)
select v.*, {now} from (values ";

/// What is known of a debt stays so; that it is still owed is noted. Another contract under the
/// same version is another debt.
const STILL_OWED: &str = concat!(
    ") as v where true
on conflict (broker, consumer, provider, consumer_version, provider_version)
do update set seen_at = excluded.seen_at, over_at = null, published_at = excluded.published_at,
    why = ",
    if_same!("broker_debts.why", "excluded.why"),
    ", event_id = ",
    if_same!("broker_debts.event_id", "excluded.event_id"),
    ", again = ",
    if_same!("broker_debts.again", "0"),
    ", again_event_id = ",
    if_same!("broker_debts.again_event_id", "null")
);

const FORGET_DEBTS: &str = "delete from broker_debts where broker = $1 and seen_at < $2";

const FORGET: [&str; 3] = [
    "delete from broker_walks where broker {notin:$1}",
    "delete from broker_debts where broker {notin:$1}",
    "delete from provider_times where broker {notin:$1}",
];

/// Newest first: of very many the newest are looked at.
const TOLD: &str = "
select e.id, e.source, e.body from events e
where e.pair_hash = $1 and e.id > $2 and e.name = $3 order by e.id desc limit $4";

/// Events of one pair that are looked at.
const TOLD_MOST: u32 = 5_000;
/// Debts written by one statement.
const CHUNK: usize = 500;

impl Store {
    /// How far a broker was read; `None` before its first walk came to its end.
    pub async fn broker_walk(&self, broker: &str) -> Result<Option<BrokerWalk>, StoreError> {
        let row = self.row("broker_walk", &Query::new(WALK).bind(broker)).await?;
        let read = |row: &Row| {
            Ok::<_, Fault>(BrokerWalk {
                first_contact_at: row.at("first_contact_at")?,
                began_at: row.at("began_at")?,
                changed_last: codec::list(row.text("changed_last")?)?,
            })
        };
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Writes how far a broker was read. `false` without a valid lease.
    pub async fn save_broker_walk(
        &self,
        lease: MonitorLease,
        broker: &str,
        walk: &BrokerWalk,
    ) -> Result<bool, StoreError> {
        let save = Query::new(SAVE_WALK)
            .bind(broker)
            .bind(walk.first_contact_at)
            .bind(walk.began_at)
            .bind(codec::list_text(&walk.changed_last)?);
        self.under_lease("save_broker_walk", lease, vec![save]).await
    }

    /// Debts of a pair that need no event any more.
    pub async fn known_debts(&self, key: &PairKey) -> Result<Vec<KnownDebt>, StoreError> {
        let debts = Query::new(DEBTS).bind(&key.broker).bind(&key.consumer).bind(&key.provider);
        let rows = self.rows("known_debts", &debts).await?;
        Ok(rows.iter().map(known_debt).collect::<Result<_, _>>()?)
    }

    /// Remembers debts that need no event, or notes that they are still owed. `false` without a
    /// valid lease.
    pub async fn save_known_debts(
        &self,
        lease: MonitorLease,
        key: &PairKey,
        debts: &[KnownDebt],
    ) -> Result<bool, StoreError> {
        let mut writes = Vec::new();
        for chunk in debts.chunks(CHUNK) {
            let mut save = Query::new(SAVE_DEBTS);
            let row = |debt: &KnownDebt| -> [Value; 8] {
                [
                    (&key.broker).into(),
                    (&key.consumer).into(),
                    (&key.provider).into(),
                    (&debt.consumer_version).into(),
                    (&debt.provider_version).into(),
                    debt.published_at.into(),
                    debt.why.as_str().into(),
                    debt.event.map(|event| event.0).into(),
                ]
            };
            save.push_rows(chunk.iter().map(row));
            save.push(STILL_OWED);
            writes.push(save);
        }
        self.under_lease("save_known_debts", lease, writes).await
    }

    /// Forgets debts of a broker that were not seen since then. `false` without a valid lease.
    pub async fn forget_debts(
        &self,
        lease: MonitorLease,
        broker: &str,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let forget = Query::new(FORGET_DEBTS).bind(broker).bind(before);
        self.under_lease("forget_debts", lease, vec![forget]).await
    }

    /// Forgets what was read of brokers that are not asked any more: who is asked again later is
    /// met for the first time. `false` without a valid lease.
    pub async fn keep_broker_walks(
        &self,
        lease: MonitorLease,
        brokers: &[String],
    ) -> Result<bool, StoreError> {
        let forget = FORGET.map(|text| Query::new(text).bind(brokers.to_vec()));
        self.under_lease("keep_broker_walks", lease, forget.to_vec()).await
    }

    /// What the pair's events since then asked to verify, whoever brought them; newest first, of
    /// very many the newest.
    pub async fn told_versions(
        &self,
        key: &PairKey,
        since: Timestamp,
    ) -> Result<Vec<ToldVersion>, StoreError> {
        let name = EventName::ContractRequiringVerificationPublished;
        let told = Query::new(TOLD)
            .bind(pair_hash(&key.broker, &key.consumer, &key.provider))
            .bind(first_id(since))
            .bind(name.as_str())
            .bind(TOLD_MOST);
        let rows = self.rows("told_versions", &told).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let event = codec::event(row.text("body")?)?;
            if is_of(&event, key) {
                found.push(ToldVersion {
                    event: EventId(row.uuid("id")?),
                    consumer_version: event.consumer.version_number,
                    provider_version: event.provider.version_number,
                    pact_url: event.pact_url,
                    source: row.text_opt("source")?.map(codec::event_source).transpose()?,
                });
            }
        }
        Ok(found)
    }
}

/// Two pairs may share a hash.
fn is_of(event: &Event, key: &PairKey) -> bool {
    event.broker == key.broker
        && event.consumer.name == key.consumer
        && event.provider.name == key.provider
}

/// How often a debt was dispatched again.
pub(super) fn times(row: &Row) -> Result<u32, Fault> {
    Ok(u32::try_from(row.int("again")?).unwrap_or(u32::MAX))
}

fn known_debt(row: &Row) -> Result<KnownDebt, Fault> {
    let why = row.text("why")?;
    let why = WhyKnown::ALL
        .into_iter()
        .find(|known| known.as_str() == why)
        .ok_or_else(|| StoreError::Corrupt(format!("{why:?} is no reason why a debt is known")))?;
    Ok(KnownDebt {
        consumer_version: row.string("consumer_version")?,
        provider_version: row.string("provider_version")?,
        published_at: row.at_opt("published_at")?,
        why,
        event: row.uuid_opt("event_id")?.map(EventId),
        again: times(row)?,
    })
}
