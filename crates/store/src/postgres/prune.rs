//! Retention. Open deliveries stay, however old, and so do their events, keys and attempts.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Pg;
use super::rows::fault;
use super::schema::{day_bounds, floor_id, partition_day};
use crate::{StoreError, codec};

/// Partitions of the attempts.
pub(super) const PARTITIONS: &str = "
select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'attempts'::regclass order by c.relname";

/// The instant before which things go.
const CUTOFF: &str = "select now() - $1 * interval '1 millisecond'";

/// Whether something of a day's deliveries has to stay.
const DAY_IN_USE: &str = "
select exists (
    select from deliveries
    where id >= $1 and id < $2
        and (next_at is not null or updated_at >= now() - $3 * interval '1 millisecond'))";

/// Deliveries that have not changed since, and their attempts: history is kept from the outcome
/// on. The bound on ids keeps the scan to the old end.
const DELIVERIES: &str = "
with gone as (
    select id from deliveries
    where id < $3 and next_at is null
        and updated_at < now() - $1 * interval '1 millisecond'
    order by id limit $2
    for update skip locked),
attempt as (delete from attempts where delivery_id in (select id from gone)),
aside as (delete from poisoned where delivery_id in (select id from gone))
delete from deliveries where id in (select id from gone)";

const EVENTS: &str = "
delete from events where id in (
    select e.id from events e
    where e.id < $3 and e.received_at < now() - $1 * interval '1 millisecond'
        and not exists (select from deliveries d where d.id = any(e.delivery_ids))
    order by e.id limit $2)";

const KEYS: &str = "
delete from idempotency where key in (
    select i.key from idempotency i
    where i.at < now() - $1 * interval '1 millisecond' and not exists (
        select from events e join deliveries d on d.id = any(e.delivery_ids)
        where e.id = i.event_id and d.next_at is not null)
    limit $2)";

const MINUTES: &str = "delete from lane_minutes where minute < now() - interval '3 hours'";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("partitions", PARTITIONS),
    ("cutoff", CUTOFF),
    ("day_in_use", DAY_IN_USE),
    ("prune_deliveries", DELIVERIES),
    ("prune_events", EVENTS),
    ("prune_keys", KEYS),
    ("prune_minutes", MINUTES),
];

/// Chunks of one kind that one call removes at most; the next call goes on.
const CHUNKS: u32 = 10_000;

impl Pg {
    pub(crate) async fn prune(
        &self,
        keep: Duration,
        keep_keys: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.make_partitions().await?;
        let cutoff: jiff_sqlx::Timestamp = sqlx::query_scalar(CUTOFF)
            .bind(codec::millis(keep))
            .fetch_one(&self.pool)
            .await
            .map_err(fault)?;
        let cutoff = cutoff.to_jiff();
        // Ids carry the ingesting host's clock: a day's margin.
        let bound = floor_id(cutoff + Duration::from_hours(24));
        self.drop_days(cutoff, keep).await?;
        let pruned = self.in_chunks(DELIVERIES, keep, limit, Some(bound)).await?;
        self.in_chunks(EVENTS, keep, limit, Some(bound)).await?;
        self.in_chunks(KEYS, keep_keys, limit, None).await?;
        sqlx::query(MINUTES).execute(&self.pool).await.map_err(fault)?;
        Ok(pruned)
    }

    async fn in_chunks(
        &self,
        statement: &'static str,
        keep: Duration,
        limit: u32,
        bound: Option<Uuid>,
    ) -> Result<u64, StoreError> {
        let mut all = 0;
        for _ in 0..CHUNKS {
            let mut query = sqlx::query(statement).bind(codec::millis(keep)).bind(i64::from(limit));
            if let Some(bound) = bound {
                query = query.bind(bound);
            }
            let gone = query.execute(&self.pool).await.map_err(fault)?.rows_affected();
            all += gone;
            if gone < u64::from(limit) {
                break;
            }
        }
        Ok(all)
    }

    /// Whole days of attempts at once, where nothing of the day has to stay.
    async fn drop_days(&self, cutoff: jiff::Timestamp, keep: Duration) -> Result<(), StoreError> {
        let names: Vec<String> =
            sqlx::query_scalar(PARTITIONS).fetch_all(&self.pool).await.map_err(fault)?;
        for name in names {
            let Some(day) = partition_day(&name) else {
                continue;
            };
            let (from, to) = day_bounds(day)?;
            if to > floor_id(cutoff) {
                continue;
            }
            let in_use: bool = sqlx::query_scalar(DAY_IN_USE)
                .bind(from)
                .bind(to)
                .bind(codec::millis(keep))
                .fetch_one(&self.pool)
                .await
                .map_err(fault)?;
            if !in_use {
                self.drop_day(&name).await?;
            }
        }
        Ok(())
    }

    /// Dropping locks all attempts for an instant; where that would have to wait, the next
    /// call drops the day.
    async fn drop_day(&self, name: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        sqlx::query("set local lock_timeout = '500ms'").execute(&mut *tx).await.map_err(fault)?;
        let drop = sqlx::query(AssertSqlSafe(format!("drop table {name}")));
        match drop.execute(&mut *tx).await {
            Ok(_) => tx.commit().await.map_err(fault),
            Err(error) => {
                tracing::info!(%error, partition = name, "partition not dropped yet");
                tx.rollback().await.map_err(fault)
            }
        }
    }
}
