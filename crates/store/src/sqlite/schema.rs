//! Migrations of the SQLite file, and the row that names its master key.

use std::cmp::Ordering;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::fault::Fault;
use super::writer::Turn;
use crate::seal::Sealed;
use crate::{MasterKey, Schema, StoreError};

/// What is sealed to tell later whether a master key is the same; of no meaning.
const CANARY: &str = "postrider";

/// Attempts to migrate beside other processes.
const TRIES: u32 = 5;

/// Number, name and text of each migration, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "delivery", include_str!("../../../../migrations/sqlite/0001_delivery.sql")),
    (4, "executions", include_str!("../../../../migrations/sqlite/0004_executions.sql")),
    (5, "secrets", include_str!("../../../../migrations/sqlite/0005_secrets.sql")),
];

fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let name = (*name).into();
        Migration::new(*version, name, MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// The newest migration that the file has seen; 0 when none.
async fn applied(conn: &mut SqliteConnection) -> Result<i64, Fault> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *conn)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(conn)
        .await?)
}

/// How the file compares with this binary.
pub(super) async fn compare(conn: &mut SqliteConnection) -> Result<Schema, Fault> {
    Ok(match applied(conn).await?.cmp(&newest()) {
        Ordering::Less => Schema::Behind,
        Ordering::Equal => Schema::Current,
        Ordering::Greater => Schema::Newer,
    })
}

/// Runs what is missing; the names of what ran. Where another process migrates at the same
/// moment one of the two fails, and finds the other's work done when it looks again.
pub(super) async fn migrate(options: &SqliteConnectOptions) -> Result<Vec<String>, Fault> {
    for _ in 1..TRIES {
        if let Ok(ran) = migrate_once(options).await {
            return Ok(ran);
        }
    }
    migrate_once(options).await
}

/// Over a connection of its own, because the migrator opens its own transactions.
async fn migrate_once(options: &SqliteConnectOptions) -> Result<Vec<String>, Fault> {
    let mut conn = options.connect().await?;
    let before = applied(&mut conn).await?;
    if before > newest() {
        return Err(StoreError::NewerSchema { found: before, known: newest() }.into());
    }
    migrator().run_direct(None, &mut conn, false).await.map_err(not_migrated)?;
    conn.close().await?;
    let ran = MIGRATIONS.iter().filter(|(version, ..)| *version > before);
    Ok(ran.map(|(version, name, _)| format!("{version:04}_{name}")).collect())
}

fn not_migrated(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            Fault::Sql(error)
        }
        other => Fault::Store(StoreError::Corrupt(other.to_string())),
    }
}

/// Opens what the master key sealed at first use; seals it when nothing did yet.
pub(super) async fn check_key(key: &MasterKey, turn: &mut Turn) -> Result<(), Fault> {
    let fresh = key.seal(Sealed::Canary, "", CANARY)?;
    let kept: String = sqlx::query_scalar(
        "UPDATE meta SET canary = coalesce(canary, ?1) WHERE id = 1 RETURNING canary",
    )
    .bind(fresh)
    .fetch_one(&mut turn.conn)
    .await?;
    key.open(Sealed::Canary, "", &kept)?;
    Ok(())
}
