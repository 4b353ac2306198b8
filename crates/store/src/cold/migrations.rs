//! The migrations that this binary knows, and what it means when one fails.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::query::Dialect;
use crate::StoreError;

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

pub(crate) const MIGRATIONS: &[(i64, &str, &str, &str)] = migrations! {
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
    35 "0035_debt_publications" "0035_debt_publications"
};

/// Runs them on a database of this kind.
pub(crate) fn migrator(dialect: Dialect) -> Migrator {
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
