//! Migrations, and the partitions of the attempts.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use uuid::Uuid;

use super::Pg;
use super::rows::fault;
use crate::{Schema, StoreError};

/// Number, name and text of each migration, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "store", include_str!("../../../../migrations/postgres/0001_store.sql")),
    (4, "executions", include_str!("../../../../migrations/postgres/0004_executions.sql")),
    (5, "secrets", include_str!("../../../../migrations/postgres/0005_secrets.sql")),
];

/// Days ahead for which a partition is kept ready.
const DAYS_AHEAD: i32 = 7;

const APPLIED: &str = "select version from _sqlx_migrations where success order by version";
const HAS_MIGRATIONS: &str = "select to_regclass('_sqlx_migrations') is not null";
const NOW: &str = "select now()";
const LOCK_PARTITIONS: &str =
    "select pg_advisory_xact_lock(hashtextextended('postrider attempts partitions', 0))";
const HAS_PARTITION: &str = "select to_regclass($1) is not null";
/// A partition can't be made for a day that has rows in the default one.
const DEFAULT_HAS_DAY: &str = "
select exists (select from attempts_default where delivery_id >= $1 and delivery_id < $2)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("has_migrations", HAS_MIGRATIONS),
    ("applied", APPLIED),
    ("now", NOW),
    ("lock_partitions", LOCK_PARTITIONS),
    ("has_partition", HAS_PARTITION),
    ("default_has_day", DEFAULT_HAS_DAY),
];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let name = Cow::Borrowed(*name);
        Migration::new(*version, name, MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

impl Pg {
    pub(crate) async fn schema(&self) -> Result<Schema, StoreError> {
        let applied = self.applied().await?;
        let migrator = migrator();
        if applied.iter().any(|version| !migrator.version_exists(*version)) {
            return Ok(Schema::Newer);
        }
        let missing = migrator.iter().any(|known| !applied.contains(&known.version));
        Ok(if missing { Schema::Behind } else { Schema::Current })
    }

    pub(crate) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let migrator = migrator();
        let before = self.applied().await?;
        let known = migrator.iter().map(|known| known.version).max().unwrap_or(0);
        if let Some(found) = before.iter().copied().find(|version| *version > known) {
            return Err(StoreError::NewerSchema { found, known });
        }
        // A connection of its own, closed afterwards: it runs without the time-out, and waits
        // for other migrating processes on an advisory lock.
        let mut conn = self.pool.acquire().await.map_err(fault)?.detach();
        sqlx::query("set statement_timeout = 0").execute(&mut conn).await.map_err(fault)?;
        migrator.run_direct(None, &mut conn, false).await.map_err(|e| failed(e, known))?;
        self.make_partitions().await?;
        let ran = migrator.iter().filter(|known| !before.contains(&known.version));
        Ok(ran.map(|each| format!("{:04}_{}", each.version, each.description)).collect())
    }

    async fn applied(&self) -> Result<Vec<i64>, StoreError> {
        let exists: bool =
            sqlx::query_scalar(HAS_MIGRATIONS).fetch_one(&self.pool).await.map_err(fault)?;
        if !exists {
            return Ok(Vec::new());
        }
        sqlx::query_scalar(APPLIED).fetch_all(&self.pool).await.map_err(fault)
    }

    /// Makes the attempts' partitions from today on.
    pub(super) async fn make_partitions(&self) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        sqlx::query(LOCK_PARTITIONS).execute(&mut *tx).await.map_err(fault)?;
        let now: jiff_sqlx::Timestamp =
            sqlx::query_scalar(NOW).fetch_one(&mut *tx).await.map_err(fault)?;
        let today = now.to_jiff().to_zoned(TimeZone::UTC).date();
        for ahead in 0..=DAYS_AHEAD {
            make_partition(&mut tx, today.saturating_add(ahead.days())).await?;
        }
        tx.commit().await.map_err(fault)
    }
}

pub(super) async fn make_partition(conn: &mut PgConnection, day: Date) -> Result<(), StoreError> {
    let name = partition_name(day);
    let exists: bool =
        sqlx::query_scalar(HAS_PARTITION).bind(&name).fetch_one(&mut *conn).await.map_err(fault)?;
    let (from, to) = day_bounds(day)?;
    let taken: bool = sqlx::query_scalar(DEFAULT_HAS_DAY)
        .bind(from)
        .bind(to)
        .fetch_one(&mut *conn)
        .await
        .map_err(fault)?;
    if exists || taken {
        return Ok(());
    }
    let sql =
        format!("create table {name} partition of attempts for values from ('{from}') to ('{to}')");
    sqlx::query(AssertSqlSafe(sql)).execute(conn).await.map(drop).map_err(fault)
}

/// Name of a day's partition, `attempts_20261122`.
pub(super) fn partition_name(day: Date) -> String {
    format!("attempts_{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

/// The day that a partition's name says; `None` for the default partition.
pub(super) fn partition_day(name: &str) -> Option<Date> {
    Date::strptime("attempts_%Y%m%d", name).ok()
}

/// The `UUIDv7`s of a UTC day: first one, and first one of the next day.
pub(super) fn day_bounds(day: Date) -> Result<(Uuid, Uuid), StoreError> {
    Ok((first_of(day)?, first_of(day.saturating_add(1.days()))?))
}

fn first_of(day: Date) -> Result<Uuid, StoreError> {
    let start = day
        .to_zoned(TimeZone::UTC)
        .map_err(|error| StoreError::Corrupt(format!("day {day}: {error}")))?;
    Ok(floor_id(start.timestamp()))
}

/// The smallest `UUIDv7`-like id of an instant.
pub(super) fn floor_id(instant: Timestamp) -> Uuid {
    let millis = u128::try_from(instant.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}

fn failed(error: MigrateError, known: i64) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::NewerSchema { found, known },
        MigrateError::Execute(error) => fault(error),
        other => StoreError::Corrupt(other.to_string()),
    }
}
