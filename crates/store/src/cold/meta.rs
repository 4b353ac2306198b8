//! The schema, and the key that seals what is stored.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::query::{Dialect, Query};
use crate::seal::Sealed;
use crate::{Backend, Schema, Store, StoreError};

/// What is sealed to tell later whether a master key is the same; of no meaning.
const CANARY: &str = "postrider";

/// Number and name of each migration and its text for each database, oldest first.
macro_rules! migrations {
    ($($version:literal $name:literal $sqlite:literal)*) => {
        &[$((
            $version,
            $name,
            include_str!(concat!("../../../../migrations/postgres/", $name, ".sql")),
            include_str!(concat!("../../../../migrations/sqlite/", $sqlite, ".sql")),
        ),)*]
    };
}

const MIGRATIONS: &[(i64, &str, &str, &str)] = migrations! {
    1 "0001_store" "0001_delivery"
    2 "0002_relay" "0002_relay"
    3 "0003_monitor" "0003_monitor"
    4 "0004_executions" "0004_executions"
    5 "0005_secrets" "0005_secrets"
    6 "0006_workers" "0006_workers"
    7 "0007_limits" "0007_limits"
    8 "0008_revisions" "0008_revisions"
    9 "0009_cold" "0009_cold"
    10 "0010_lists" "0010_lists"
    11 "0011_tasks" "0011_tasks"
    12 "0012_local_trouble" "0012_local_trouble"
    13 "0013_unclaims" "0013_unclaims"
    15 "0015_keys" "0015_keys"
    18 "0018_parked_webhooks" "0018_parked_webhooks"
    19 "0019_github_apps" "0019_github_apps"
    20 "0020_broker_says" "0020_broker_says"
    22 "0022_audit" "0022_audit"
    23 "0023_credentials" "0023_credentials"
    24 "0024_streaks" "0024_streaks"
    25 "0025_watch" "0025_watch"
    26 "0026_event_source" "0026_event_source"
    27 "0027_redispatch" "0027_redispatch"
    28 "0028_relays" "0028_relays"
    29 "0029_learned" "0029_learned"
    31 "0031_manual_holds" "0031_manual_holds"
    32 "0032_merged_calls" "0032_merged_calls"
    33 "0033_reminders" "0033_reminders"
    34 "0034_refusals_and_runs" "0034_refusals_and_runs"
};

const HAS_MIGRATIONS: &str = "select to_regclass('_sqlx_migrations') is not null as has";
const HAS_MIGRATIONS_SQLITE: &str =
    "select count(*) > 0 as has from sqlite_schema where name = '_sqlx_migrations'";

const APPLIED: &str = "select version from _sqlx_migrations where success order by version";

/// Seals it when nothing did yet.
const CANARY_OR: &str =
    "update meta set key_canary = coalesce(key_canary, $1) returning key_canary";

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, postgres, sqlite)| {
        let text = match dialect {
            Dialect::Postgres => postgres,
            Dialect::Sqlite => sqlite,
        };
        let (_, name) = name.split_once('_').unwrap_or(("", name));
        Migration::new(*version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The newest migration that this binary knows.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

/// What a failed migration means; `named` knows the database's own errors.
pub(crate) fn not_migrated(
    error: MigrateError,
    named: impl FnOnce(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::NewerSchema { found, known: newest() },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => named(error),
        other => StoreError::Corrupt(other.to_string()),
    }
}

impl Store {
    /// How the schema compares with this binary's.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        let applied = self.applied().await?;
        let is_known = |version: &i64| MIGRATIONS.iter().any(|(known, ..)| known == version);
        if !applied.iter().all(is_known) {
            return Ok(Schema::Newer);
        }
        Ok(if applied.len() < MIGRATIONS.len() { Schema::Behind } else { Schema::Current })
    }

    /// Brings the schema up to date; names of the migrations that ran.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let (before, known) = (self.applied().await?, newest());
        if let Some(found) = before.iter().copied().find(|version| *version > known) {
            return Err(StoreError::NewerSchema { found, known });
        }
        let migrator = migrator(self.dialect());
        match &self.0 {
            Backend::Postgres(pg) => pg.run_migrations(&migrator).await?,
            Backend::Sqlite(lite) => lite.run_migrations(&migrator).await?,
        }
        let ran = MIGRATIONS.iter().filter(|(version, ..)| !before.contains(version));
        Ok(ran.map(|(_, name, ..)| (*name).to_owned()).collect())
    }

    async fn applied(&self) -> Result<Vec<i64>, StoreError> {
        let has = match self.dialect() {
            Dialect::Postgres => HAS_MIGRATIONS,
            Dialect::Sqlite => HAS_MIGRATIONS_SQLITE,
        };
        let row = self.row("has_migrations", &Query::new(has)).await?;
        if !row.map(|row| row.is("has")).transpose()?.unwrap_or(false) {
            return Ok(Vec::new());
        }
        let rows = self.rows("applied", &Query::new(APPLIED)).await?;
        Ok(rows.iter().map(|row| row.int("version")).collect::<Result<_, _>>()?)
    }

    /// Whether the master key opens what is stored; remembers its key id at first use.
    pub async fn check_key(&self) -> Result<(), StoreError> {
        let fresh = self.key().seal(Sealed::Canary, "", CANARY)?;
        let kept = self.changed("check_key", Query::new(CANARY_OR).bind(fresh)).await?;
        let kept = kept.first().ok_or_else(|| StoreError::Corrupt("no key check".to_owned()))?;
        self.key().open(Sealed::Canary, "", kept.text("key_canary")?).map(drop)
    }
}
