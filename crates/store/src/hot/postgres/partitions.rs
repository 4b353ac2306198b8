//! Migrations, and the partitions of the attempts: one for each day of the delivery's `UUIDv7`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::{Fault, fault};
use crate::StoreError;
use crate::cold::migrations::not_migrated;
use crate::id_time::first_id;

/// Days ahead for which a partition is kept ready.
const DAYS_AHEAD: i32 = 7;
/// Deliveries that stay of a day and whose attempts are moved at one time, while others wait.
const REST_MOST: i64 = 20_000;

const NOW: &str = "select now()";
const LOCK_PARTITIONS: &str =
    "select pg_advisory_xact_lock(hashtextextended('postrider attempts partitions', 0))";
const HAS_PARTITION: &str = "select to_regclass($1) is not null";
/// A partition can't be made for a day that has rows in the default one.
const DEFAULT_HAS_DAY: &str = "
select exists (select from attempts_default where delivery_id >= $1 and delivery_id < $2)";

/// Partitions of the attempts.
pub(super) const PARTITIONS: &str = "
select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'attempts'::regclass order by c.relname";

/// Deliveries of a day that are still there, up to a bound. The order keeps to the index, whatever
/// statistics from before they went may say.
const REST: &str = "select id from deliveries where id >= $1 and id < $2 order by id limit $3";

const MINUTES: &str = "delete from limit_minutes where minute < now() - interval '3 hours'";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("now", NOW),
    ("lock_partitions", LOCK_PARTITIONS),
    ("has_partition", HAS_PARTITION),
    ("default_has_day", DEFAULT_HAS_DAY),
    ("partitions", PARTITIONS),
    ("rest_of_day", REST),
    ("prune_minutes", MINUTES),
];

impl PostgresStore {
    /// On a connection of its own, closed afterwards: it runs without the time-out, and waits
    /// for other migrating processes on an advisory lock.
    pub(crate) async fn run_migrations(&self, migrator: &Migrator) -> Result<(), StoreError> {
        self.alone("migrate", |conn| {
            Box::pin(async move {
                let ran = migrator.run_direct(None, &mut **conn, false).await;
                ran.map_err(|error| not_migrated(error, fault))
            })
        })
        .await?;
        self.make_partitions().await
    }

    /// Makes the attempts' partitions from today on.
    async fn make_partitions(&self) -> Result<(), StoreError> {
        self.ask("make_partitions", |conn| Box::pin(async move { make_partitions(conn).await }))
            .await
    }

    /// Drops days of attempts that ended before `cutoff` and of which nothing, or little, has to
    /// stay; makes those of the coming days; forgets minutes that no budget sees any more.
    pub(crate) async fn prune_attempts(&self, cutoff: Timestamp) -> Result<(), StoreError> {
        self.make_partitions().await?;
        let names: Vec<String> = self
            .ask("partitions", |conn| {
                Box::pin(async move { sqlx::query_scalar(PARTITIONS).fetch_all(&mut **conn).await })
            })
            .await?;
        for name in names {
            let Some(day) = partition_day(&name) else { continue };
            let (from, to) = day_bounds(day)?;
            if to <= first_id(cutoff) && self.has_few(from, to).await? {
                self.drop_day(&name, from, to).await?;
            }
        }
        self.ask("prune_minutes", |conn| {
            Box::pin(async move { sqlx::query(MINUTES).execute(&mut **conn).await.map(drop) })
        })
        .await
    }

    /// Whether so few deliveries of a day stay that its partition may go.
    async fn has_few(&self, from: Uuid, to: Uuid) -> Result<bool, StoreError> {
        let rest = self
            .ask("rest_of_day", |conn| Box::pin(async move { rest(conn, from, to).await }))
            .await?;
        Ok(i64::try_from(rest.len()).is_ok_and(|rest| rest <= REST_MOST))
    }

    /// What has to stay moves to the default partition. Dropping locks all attempts for an
    /// instant; where that would have to wait, the next call drops the day.
    async fn drop_day(&self, name: &str, from: Uuid, to: Uuid) -> Result<(), StoreError> {
        self.ask("drop_day", |conn| {
            Box::pin(async move {
                let mut tx = conn.begin().await?;
                match drop_day(&mut tx, name, from, to).await {
                    Ok(()) => tx.commit().await,
                    Err(error) => {
                        tracing::info!(%error, partition = name, "store.partition_kept");
                        tx.rollback().await
                    }
                }
            })
        })
        .await
    }
}

async fn rest(conn: &mut PgConnection, from: Uuid, to: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(REST).bind(from).bind(to).bind(REST_MOST + 1).fetch_all(conn).await
}

/// What stays is read once nobody can write attempts any more, and by its ids: a plan that reads
/// all that went would keep everybody waiting.
async fn drop_day(
    conn: &mut PgConnection,
    name: &str,
    from: Uuid,
    to: Uuid,
) -> Result<(), sqlx::Error> {
    let run = async |conn: &mut PgConnection, sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(conn).await.map(drop)
    };
    run(conn, "set local lock_timeout = '500ms'".to_owned()).await?;
    run(conn, format!("alter table attempts detach partition {name}")).await?;
    let rest = rest(conn, from, to).await?;
    if !rest.is_empty() {
        let keep =
            format!("insert into attempts select a.* from {name} a where a.delivery_id = any($1)");
        sqlx::query(AssertSqlSafe(keep)).bind(rest).execute(&mut *conn).await?;
    }
    run(conn, format!("drop table {name}")).await
}

async fn make_partitions(conn: &mut PgConnection) -> Result<(), Fault> {
    let mut tx = conn.begin().await?;
    sqlx::query(LOCK_PARTITIONS).execute(&mut *tx).await?;
    let now: jiff_sqlx::Timestamp = sqlx::query_scalar(NOW).fetch_one(&mut *tx).await?;
    let today = now.to_jiff().to_zoned(TimeZone::UTC).date();
    for ahead in 0..=DAYS_AHEAD {
        make_partition(&mut tx, today.saturating_add(ahead.days())).await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn make_partition(conn: &mut PgConnection, day: Date) -> Result<(), Fault> {
    let name = partition_name(day);
    let exists: bool = sqlx::query_scalar(HAS_PARTITION).bind(&name).fetch_one(&mut *conn).await?;
    let (from, to) = day_bounds(day)?;
    let taken: bool =
        sqlx::query_scalar(DEFAULT_HAS_DAY).bind(from).bind(to).fetch_one(&mut *conn).await?;
    if exists || taken {
        return Ok(());
    }
    let sql =
        format!("create table {name} partition of attempts for values from ('{from}') to ('{to}')");
    sqlx::query(AssertSqlSafe(sql)).execute(conn).await.map(drop).map_err(Fault::from)
}

/// Name of a day's partition, `attempts_20261122`.
pub(super) fn partition_name(day: Date) -> String {
    format!("attempts_{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

/// The day that a partition's name says; `None` for the default partition.
fn partition_day(name: &str) -> Option<Date> {
    Date::strptime("attempts_%Y%m%d", name).ok()
}

/// The `UUIDv7`s of a UTC day: first one, and first one of the next day.
fn day_bounds(day: Date) -> Result<(Uuid, Uuid), StoreError> {
    Ok((first_of(day)?, first_of(day.saturating_add(1.days()))?))
}

fn first_of(day: Date) -> Result<Uuid, StoreError> {
    let start = day
        .to_zoned(TimeZone::UTC)
        .map_err(|error| StoreError::Corrupt(format!("day {day}: {error}")))?;
    Ok(first_id(start.timestamp()))
}
