//! What is known of the brokers' own webhooks: whether they are there, and their calls.

use std::time::Duration;

use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{BrokerRelay, MonitorLease, RefusedCalls, RelayCalls, Store, StoreError};

const RELAYS: &str = "select broker, uuid, state, since from broker_relays order by broker";

/// Since when it is so stays, while it is so.
const SAVE: &str = "
insert into broker_relays (broker, uuid, state, since) values ($1, $2, $3, $4)
on conflict (broker) do update set uuid = excluded.uuid, state = excluded.state,
    since = case when broker_relays.state = excluded.state then broker_relays.since
        else excluded.since end";

const KEEP: &str = "delete from broker_relays where broker {notin:$1}";

/// Of each broker the last call that was taken, and all that were refused.
const CALLS: &str = "
select b.broker, t.taken_at, r.refused_since, r.refused_at, r.refused
from (select broker from relay_calls union select broker from relay_refusals) b
left join relay_calls t on t.broker = b.broker
left join (
    select broker, min(refused_since) as refused_since, max(refused_at) as refused_at,
        cast(sum(refused) as bigint) as refused
    from relay_refusals group by broker) r on r.broker = b.broker
order by b.broker limit $1";

const TAKEN_AT: &str = "select taken_at from relay_calls where broker = $1";

const TAKEN: &str = "
insert into relay_calls (broker, taken_at) values ($1, {now})
on conflict (broker) do update set taken_at = {now}";

/// What was refused of this relay before is over.
const NO_MORE: &str = "delete from relay_refusals where broker = $1 and relay = $2";

const REFUSED: &str = "
insert into relay_refusals (broker, relay, refused_since, refused_at, refused)
values ($1, $2, {now}, {now}, $3)
on conflict (broker, relay) do update set refused_at = {now},
    refused = relay_refusals.refused + $3";

/// Refusals of so long ago are nobody's any more.
const OLD: &str = "delete from relay_refusals where refused_at < {now-ms:$1}";
const KEPT: Duration = Duration::from_hours(24);

/// Brokers of which calls are told.
const CALLS_MOST: u32 = 1_000;

impl Store {
    /// The brokers' relays, as far as any was seen.
    pub async fn broker_relays(&self) -> Result<Vec<BrokerRelay>, StoreError> {
        let rows = self.rows("broker_relays", &Query::new(RELAYS)).await?;
        Ok(rows.iter().map(relay).collect::<Result<_, _>>()?)
    }

    /// Writes how a broker's relay is. `false` without a valid lease.
    pub async fn save_broker_relay(
        &self,
        lease: MonitorLease,
        relay: &BrokerRelay,
    ) -> Result<bool, StoreError> {
        let save = Query::new(SAVE)
            .bind(&relay.broker)
            .bind(&relay.uuid)
            .bind(relay.state.as_str())
            .bind(relay.since);
        self.under_lease("save_broker_relay", lease, vec![save]).await
    }

    /// Forgets relays of brokers that are not asked any more. `false` without a valid lease.
    pub async fn keep_broker_relays(
        &self,
        lease: MonitorLease,
        brokers: &[String],
    ) -> Result<bool, StoreError> {
        let keep = Query::new(KEEP).bind(brokers.to_vec());
        self.under_lease("keep_broker_relays", lease, vec![keep]).await
    }

    /// Calls of relays, by broker.
    pub async fn relay_calls(&self) -> Result<Vec<RelayCalls>, StoreError> {
        let rows = self.rows("relay_calls", &Query::new(CALLS).bind(CALLS_MOST)).await?;
        Ok(rows.iter().map(calls).collect::<Result<_, _>>()?)
    }

    /// When a call of a broker's relay was last taken.
    pub async fn relay_taken_at(
        &self,
        broker: &str,
    ) -> Result<Option<jiff::Timestamp>, StoreError> {
        let row = self.row("relay_taken_at", &Query::new(TAKEN_AT).bind(broker)).await?;
        Ok(row.map(|row| row.at_opt("taken_at")).transpose()?.flatten())
    }

    /// A call of a broker's relay was taken. `relay` is its uuid, or empty where it names none.
    pub async fn relay_taken(&self, broker: &str, relay: &str) -> Result<(), StoreError> {
        let taken = Query::new(TAKEN).bind(broker);
        self.both("relay_taken", taken, Query::new(NO_MORE).bind(broker).bind(relay)).await
    }

    /// So many calls of a broker's relay were refused for their token. `relay` as above.
    pub async fn relay_refused(
        &self,
        broker: &str,
        relay: &str,
        count: u32,
    ) -> Result<(), StoreError> {
        let refused = Query::new(REFUSED).bind(broker).bind(relay).bind(count);
        self.both("relay_refused", Query::new(OLD).bind(KEPT), refused).await
    }

    /// One after the other, or neither.
    async fn both(
        &self,
        name: &'static str,
        first: Query,
        second: Query,
    ) -> Result<(), StoreError> {
        self.change(name, (first, second), |(first, second), mut tx| {
            Box::pin(async move {
                tx.run(first).await?;
                tx.run(second).await.map(drop)
            })
        })
        .await
    }
}

fn relay(row: &Row) -> Result<BrokerRelay, Fault> {
    let state = row.text("state")?;
    let state = state
        .parse()
        .map_err(|_| StoreError::Corrupt(format!("{state:?} is no state of a relay")))?;
    Ok(BrokerRelay {
        broker: row.string("broker")?,
        uuid: row.string("uuid")?,
        state,
        since: row.at("since")?,
    })
}

fn calls(row: &Row) -> Result<RelayCalls, Fault> {
    let refused = match (row.at_opt("refused_since")?, row.at_opt("refused_at")?) {
        (Some(since), Some(last_at)) => {
            Some(RefusedCalls { since, last_at, count: row.tally("refused")? })
        }
        _ => None,
    };
    Ok(RelayCalls { broker: row.string("broker")?, taken_at: row.at_opt("taken_at")?, refused })
}
