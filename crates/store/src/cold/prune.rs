//! Retention. Open deliveries stay, however old, and so do their events, keys and attempts.
//!
//! Deliveries and events are walked in the order of their ids, in short statements with pauses
//! ([`super::pace`]): retention may last, but takes little from deliveries. Over Postgres attempts
//! go by whole days ([`crate::hot`]), over SQLite with their deliveries.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Tx;
use super::merged;
use super::pace::Pace;
use super::query::{Dialect, Query};
use super::row::Row;
use crate::fault::Fault;
use crate::id_time::first_id;
use crate::store::Backend;
use crate::{Store, StoreError};

/// Ids carry the ingesting host's clock: a day's margin.
const MARGIN: Duration = Duration::from_hours(24);

/// History is kept from the outcome on.
const DELIVERIES: &str = "
select d.id, d.next_at is null and d.updated_at < $3 as goes
from deliveries d where d.id > $1 and d.id < $2 order by d.id limit $4";

const DROP_DELIVERIES: &str = "
delete from deliveries where id {in:$1} and next_at is null and updated_at < $2 returning id";

const EVENTS: &str = "
select e.id, e.received_at < $3
    and not exists (select 1 from deliveries d where {of_event}) as goes
from events e where e.id > $1 and e.id < $2 order by e.id limit $4";

const DROP_EVENTS: &str = "
delete from events where id {in:$1}";

/// How old the next keys are.
pub(crate) const KEYS: &str =
    "select at from idempotency where at >= $1 and at < $2 order by at limit $3";

/// Keys of events that have nothing open, found by their age: where they lie side by side.
pub(crate) const DROP_KEYS: &str = "
delete from idempotency where at >= $1 and at <= $2 and not exists (
    select 1 from events e cross join deliveries d
    where e.id = idempotency.event_id and {of_event} and d.next_at is not null)";

const BULK_ACTS: &str = "delete from bulk_acts where started_at < {now-ms:$1}";

/// Deleted webhooks that nothing refers to any more.
const WEBHOOKS: &str = "
delete from webhooks where id in (
    select w.id from webhooks w
    where w.state = 'deleted' and w.updated_at < {now-ms:$1}
        and not exists (select 1 from deliveries d where d.webhook_id = w.id)
    limit $2)
returning id";

/// Since when no webhook refers to a lane.
const UNUSED: &str = "
update lanes set unused_since = {now}
where unused_since is null and not exists (select 1 from webhooks w where w.lane_id = lanes.id)";
const USED: &str = "
update lanes set unused_since = null
where unused_since is not null and exists (select 1 from webhooks w where w.lane_id = lanes.id)";

/// What was sent through it is gone by then.
const LANES: &str = "
delete from lanes
where unused_since < {now-ms:$1}
    and not exists (select 1 from webhooks w where w.lane_id = lanes.id)
    and not exists (select 1 from deliveries d where d.lane_id = lanes.id and d.next_at is not null)";

const LIMITS: &str = "
delete from limits where not exists (select 1 from lanes l where l.limit_id = limits.id)";

/// Rows of one kind that one call looks at, at least; the next call goes on.
const ROWS: u64 = 20_000_000;
/// Nobody waits for the disk: what a crash brings back goes with the next round.
const UNFLUSHED: &str = "set local synchronous_commit = off";
/// What tells instants apart.
const INSTANT: SignedDuration = SignedDuration::from_micros(1);

/// Rows that are looked at in the order of their ids.
#[derive(Clone, Copy)]
enum Walk {
    Deliveries,
    Events,
}

impl Store {
    /// Retention: drops final deliveries, their events and attempts older than `keep`, and
    /// idempotency keys older than `keep_keys` whose event has nothing open; at most `limit` rows
    /// a statement, with pauses between them, so that it takes a while. Makes the attempts'
    /// partitions of the coming days. Open deliveries stay, however old. Returns how many
    /// deliveries went.
    pub async fn prune(
        &self,
        keep: Duration,
        keep_keys: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let cutoff = self.now().await?.saturating_sub(keep).unwrap_or(Timestamp::UNIX_EPOCH);
        let pruned = self.walk(Walk::Deliveries, cutoff, limit).await?;
        self.walk(Walk::Events, cutoff, limit).await?;
        self.prune_keys(keep_keys, limit).await?;
        if let Backend::Postgres(pg) = &self.0 {
            pg.prune_attempts(cutoff).await?;
        }
        self.prune_revisions().await?;
        self.run("prune_bulk_acts", Query::new(BULK_ACTS).bind(keep)).await?;
        self.run("prune_merged_calls", Query::new(merged::PRUNE).bind(keep)).await?;
        Ok(pruned)
    }

    /// Retention of what few rows there are: deleted webhooks, and lanes and limits without a
    /// webhook, that nothing has referred to for `keep`.
    pub async fn prune_webhooks(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        let webhooks = Query::new(WEBHOOKS).bind(keep).bind(limit);
        let gone = self.change("prune_webhooks", webhooks, |webhooks, mut tx| {
            Box::pin(async move {
                let gone: Vec<i64> = tx
                    .rows(webhooks)
                    .await?
                    .iter()
                    .map(|row| row.int("id"))
                    .collect::<Result<_, _>>()?;
                let health = "delete from webhook_health where webhook_id {in:$1}";
                tx.run(&Query::new(health).bind(gone.clone())).await?;
                Ok(gone.len() as u64)
            })
        });
        let gone = gone.await?;
        let lanes = Query::new(LANES).bind(keep.saturating_add(MARGIN));
        self.change("prune_lanes", lanes, |lanes, mut tx| {
            Box::pin(async move {
                // Writers of webhooks make lanes and limits: they take turns with this.
                tx.rows(&Query::new("select webhooks_version from meta {lock}")).await?;
                for statement in [UNUSED, USED] {
                    tx.run(&Query::new(statement)).await?;
                }
                if tx.run(lanes).await? > 0 {
                    tx.run(&Query::new(LIMITS)).await?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(gone)
    }

    async fn walk(&self, what: Walk, cutoff: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let bound = first_id(cutoff.saturating_add(MARGIN).unwrap_or(Timestamp::MAX));
        let (mut after, mut gone) = (Uuid::nil(), 0);
        let text = match what {
            Walk::Deliveries => DELIVERIES,
            Walk::Events => EVENTS,
        };
        let mut pace = Pace::new(limit);
        let walk = Instant::now();
        let mut seen = 0;
        while seen < ROWS {
            let began = Instant::now();
            let most = pace.rows();
            let look = Query::new(text).bind(after).bind(bound).bind(cutoff).bind(most);
            let rows = self.rows("prune_walk", &look).await?;
            let Some(last) = rows.last() else { break };
            after = last.uuid("id")?;
            let ids = going(&rows)?;
            // What was made since then has not ended before, whatever clocks say: its turn comes.
            if ids.is_empty() && after > first_id(cutoff) {
                break;
            }
            if !ids.is_empty() {
                gone += match what {
                    Walk::Deliveries => self.drop_deliveries(ids, cutoff).await?,
                    Walk::Events => {
                        self.drop_rows("prune_events", Query::new(DROP_EVENTS).bind(ids)).await?
                    }
                };
            }
            if rows.len() < most as usize {
                break;
            }
            seen += u64::from(most);
            tokio::time::sleep(pace.pause(began.elapsed(), walk.elapsed())).await;
        }
        Ok(gone)
    }

    async fn drop_deliveries(&self, ids: Vec<Uuid>, cutoff: Timestamp) -> Result<u64, StoreError> {
        let beside: &[&'static str] = match self.dialect() {
            Dialect::Postgres => &[
                "delete from not_delivered where delivery_id {in:$1}",
                "delete from attempts_default where delivery_id {in:$1}",
                "delete from poisoned where delivery_id {in:$1}",
            ],
            Dialect::Sqlite => &[
                "delete from not_delivered where delivery_id {in:$1}",
                "delete from attempts where delivery_id {in:$1}",
            ],
        };
        let drop = Query::new(DROP_DELIVERIES).bind(ids).bind(cutoff);
        self.change("prune_deliveries", (drop, beside), |(drop, beside), mut tx| {
            Box::pin(async move {
                unflushed(&mut tx).await?;
                let rows = tx.rows(drop).await?;
                let gone: Vec<Uuid> =
                    rows.iter().map(|row| row.uuid("id")).collect::<Result<_, _>>()?;
                for statement in *beside {
                    tx.run(&Query::new(statement).bind(gone.clone())).await?;
                }
                Ok(gone.len() as u64)
            })
        })
        .await
    }

    /// How many rows a statement removed.
    async fn drop_rows(&self, name: &'static str, query: Query) -> Result<u64, StoreError> {
        self.change(name, query, |query, mut tx| {
            Box::pin(async move {
                unflushed(&mut tx).await?;
                tx.run(query).await
            })
        })
        .await
    }

    /// A walk over keys in the order of their age, which leaves behind what it has seen.
    async fn prune_keys(&self, keep: Duration, limit: u32) -> Result<(), StoreError> {
        let cutoff = self.now().await?.saturating_sub(keep).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut after = Timestamp::UNIX_EPOCH;
        let mut pace = Pace::new(limit);
        let walk = Instant::now();
        let mut seen = 0;
        while seen < ROWS {
            let began = Instant::now();
            let most = pace.rows();
            let look = Query::new(KEYS).bind(after).bind(cutoff).bind(most);
            let rows = self.rows("prune_keys_walk", &look).await?;
            let Some(last) = rows.last() else { break };
            let last = last.at("at")?;
            self.drop_rows("prune_keys", Query::new(DROP_KEYS).bind(after).bind(last)).await?;
            if rows.len() < most as usize {
                break;
            }
            after = last.saturating_add(INSTANT).unwrap_or(Timestamp::MAX);
            seen += u64::from(most);
            tokio::time::sleep(pace.pause(began.elapsed(), walk.elapsed())).await;
        }
        Ok(())
    }
}

async fn unflushed(tx: &mut Tx<'_>) -> Result<(), Fault> {
    match tx {
        Tx::Postgres(_) => tx.run(&Query::new(UNFLUSHED)).await.map(drop),
        Tx::Sqlite(_) => Ok(()),
    }
}

fn going(rows: &[Row]) -> Result<Vec<Uuid>, Fault> {
    let mut ids = Vec::new();
    for row in rows {
        if row.is("goes")? {
            ids.push(row.uuid("id")?);
        }
    }
    Ok(ids)
}
