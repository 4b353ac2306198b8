//! Every statement is understood by the schema that the migrations make; whole days of attempts
//! go when nothing of them has to stay.

mod grown;
mod plans;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};

use super::*;
use crate::store::Backend;
use crate::{Store, Target};

#[expect(clippy::disallowed_methods, reason = "the address of the test database")]
fn admin_url() -> String {
    std::env::var("POSTRIDER_TEST_DATABASE_URL").expect(
        "POSTRIDER_TEST_DATABASE_URL is not set: run tests/run, or set it to the URL of a Postgres \
         on which databases may be created",
    )
}

async fn admin(sql: String) {
    let mut conn = PgConnection::connect(&admin_url()).await.unwrap();
    conn.execute(AssertSqlSafe(sql)).await.unwrap();
}

async fn connect(database: &str) -> PgConnection {
    PgConnection::connect(url_of(database).expose_secret()).await.unwrap()
}

fn url_of(name: &str) -> SecretString {
    let url = admin_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    SecretString::from(format!("{server}/{name}"))
}

/// A migrated database of its own.
async fn fresh() -> (String, PostgresStore) {
    let name = format!("postrider_statements_{}", uuid::Uuid::now_v7().simple());
    admin(format!("create database {name}")).await;
    let config = StoreConfig {
        target: Target::Postgres { url: url_of(&name), max_connections: 4 },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(10),
    };
    let pg = PostgresStore::connect(&url_of(&name), 4, &config, Duration::ZERO).await.unwrap();
    Store(Backend::Postgres(pg.clone()), None).migrate().await.unwrap();
    (name, pg)
}

async fn remove(name: String, pg: PostgresStore) {
    pg.close().await;
    admin(format!("drop database {name} with (force)")).await;
}

#[tokio::test]
async fn every_statement_is_understood() {
    let (name, pg) = fresh().await;
    let mut refused = Vec::new();
    let mut seen = 0;
    let mut conn = connect(&name).await;
    for (statement, sql) in statements() {
        seen += 1;
        if let Err(error) = (&mut conn).prepare(sql.into_sql_str()).await {
            refused.push(format!("{statement}: {error}"));
        }
    }
    drop(conn);
    remove(name, pg).await;
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(seen > 50, "only {seen} statements are collected");
}

#[tokio::test]
async fn it_is_known_whether_connections_are_encrypted() {
    let (name, pg) = fresh().await;
    let config = StoreConfig {
        target: Target::Postgres { url: url_of(&name), max_connections: 4 },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(10),
    };
    let mut conn = connect(&name).await;
    let server: String = sqlx::query_scalar("show ssl").fetch_one(&mut conn).await.unwrap();
    for (mode, expected) in [("disable", false), ("prefer", server == "on")] {
        let url = url_of(&format!("{name}?sslmode={mode}"));
        let other = PostgresStore::connect(&url, 4, &config, Duration::ZERO).await.unwrap();
        assert_eq!(other.is_encrypted().await.unwrap(), expected, "{mode}");
        other.close().await;
    }
    drop(conn);
    remove(name, pg).await;
}

/// A delivery of `days` ago, final or open, with an attempt in that day's partition.
async fn old_delivery(database: &str, days: i64, open: bool) -> String {
    let instant = jiff::Timestamp::now() - Duration::from_hours(24) * u32::try_from(days).unwrap();
    let day = instant.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut conn = connect(database).await;
    partitions::make_partition(&mut conn, day).await.unwrap();
    let id = crate::id_time::first_id(instant);
    let next = if open { "now()" } else { "null" };
    let delivery = format!(
        "insert into deliveries (id, event_id, webhook_id, lane_id, status, next_at,
            created_at, updated_at)
         select '{id}', '{id}', 1, 1, '{}', {next}, made, made
         from (select now() - interval '{days} days' as made) as m",
        if open { "waiting" } else { "delivered" }
    );
    let attempt = format!(
        "insert into attempts (delivery_id, claim_no, number, started_at, duration_ms, outcome,
            possible_duplicate, request, response)
         values ('{id}', 1, 1, now(), 1, 'accepted', false, '', '')"
    );
    for sql in [delivery, attempt] {
        conn.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    partitions::partition_name(day)
}

#[tokio::test]
async fn a_day_goes_whole_and_what_is_open_of_it_moves() {
    let (name, pg) = fresh().await;
    let finished = old_delivery(&name, 10, false).await;
    let open = old_delivery(&name, 8, true).await;
    let recent = old_delivery(&name, 2, false).await;
    let keep = Duration::from_hours(24 * 5);
    let pruned = Store(Backend::Postgres(pg.clone()), None).prune(keep, keep, 100).await;
    let mut conn = connect(&name).await;
    let left: Vec<String> =
        sqlx::query_scalar(partitions::PARTITIONS).fetch_all(&mut conn).await.unwrap();
    let attempts: i64 =
        sqlx::query_scalar("select count(*) from attempts").fetch_one(&mut conn).await.unwrap();
    drop(conn);
    remove(name, pg).await;
    assert_eq!(pruned.unwrap(), 1);
    assert!(!left.contains(&finished), "{left:?}");
    assert!(!left.contains(&open) && left.contains(&recent), "{left:?}");
    assert_eq!(attempts, 2, "that of the open one moved to the default partition");
}
