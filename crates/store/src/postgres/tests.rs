//! Every statement is understood by the schema that the migrations make; whole days of attempts
//! go when nothing of them has to stay.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};

use super::*;
use crate::Target;

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

fn url_of(name: &str) -> SecretString {
    let url = admin_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    SecretString::from(format!("{server}/{name}"))
}

/// A migrated database of its own.
async fn fresh() -> (String, Pg) {
    let name = format!("postrider_statements_{}", uuid::Uuid::now_v7().simple());
    admin(format!("create database {name}")).await;
    let config = StoreConfig {
        target: Target::Postgres { url: url_of(&name), max_connections: 4 },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(10),
    };
    let pg = Pg::connect(&url_of(&name), 4, &config, Duration::ZERO).await.unwrap();
    pg.migrate().await.unwrap();
    (name, pg)
}

async fn remove(name: String, pg: Pg) {
    pg.close().await;
    admin(format!("drop database {name} with (force)")).await;
}

#[tokio::test]
async fn every_statement_is_understood() {
    let (name, pg) = fresh().await;
    let mut refused = Vec::new();
    let mut seen = 0;
    let mut conn = pg.pool.acquire().await.unwrap();
    for (statement, sql) in statements() {
        seen += 1;
        if let Err(error) = (&mut *conn).prepare(sql.into_sql_str()).await {
            refused.push(format!("{statement}: {error}"));
        }
    }
    drop(conn);
    remove(name, pg).await;
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(seen > 60, "only {seen} statements are collected");
}

/// A delivery of `days` ago, final or open, with an attempt in that day's partition.
async fn old_delivery(pg: &Pg, days: i64, open: bool) -> String {
    let instant = jiff::Timestamp::now() - Duration::from_hours(24) * u32::try_from(days).unwrap();
    let day = instant.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut conn = pg.pool.acquire().await.unwrap();
    schema::make_partition(&mut conn, day).await.unwrap();
    let id = schema::floor_id(instant);
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
    schema::partition_name(day)
}

#[tokio::test]
async fn a_day_goes_whole_unless_something_of_it_is_open() {
    let (name, pg) = fresh().await;
    let finished = old_delivery(&pg, 10, false).await;
    let open = old_delivery(&pg, 8, true).await;
    let recent = old_delivery(&pg, 2, false).await;
    let keep = Duration::from_hours(24 * 5);
    let pruned = pg.prune(keep, keep, 100).await;
    let left: Vec<String> =
        sqlx::query_scalar(prune::PARTITIONS).fetch_all(&pg.pool).await.unwrap();
    let attempts: i64 =
        sqlx::query_scalar("select count(*) from attempts").fetch_one(&pg.pool).await.unwrap();
    remove(name, pg).await;
    assert_eq!(pruned.unwrap(), 1);
    assert!(!left.contains(&finished), "{left:?}");
    assert!(left.contains(&open) && left.contains(&recent), "{left:?}");
    assert_eq!(attempts, 2);
}
