//! What is known of the brokers' own webhooks: whether they are there, and their calls.

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

const CALLS: &str = "
select broker, taken_at, refused_since, refused_at, refused from relay_calls order by broker
limit $1";

const TAKEN_AT: &str = "select taken_at from relay_calls where broker = $1";

/// What was refused before is over.
const TAKEN: &str = "
insert into relay_calls (broker, taken_at) values ($1, {now})
on conflict (broker) do update set taken_at = {now}, refused = 0, refused_since = null,
    refused_at = null";

const REFUSED: &str = "
insert into relay_calls (broker, refused_since, refused_at, refused) values ($1, {now}, {now}, $2)
on conflict (broker) do update set refused_at = {now}, refused = relay_calls.refused + $2,
    refused_since = coalesce(relay_calls.refused_since, {now})";

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

    /// A call of a broker's relay was taken.
    pub async fn relay_taken(&self, broker: &str) -> Result<(), StoreError> {
        self.run("relay_taken", Query::new(TAKEN).bind(broker)).await.map(drop)
    }

    /// So many calls of a broker's relay were refused for their token.
    pub async fn relay_refused(&self, broker: &str, count: u32) -> Result<(), StoreError> {
        let refused = Query::new(REFUSED).bind(broker).bind(count);
        self.run("relay_refused", refused).await.map(drop)
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
