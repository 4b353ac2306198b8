//! Every statement is understood by the schema that the migrations make.

use secrecy::SecretString;
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

#[tokio::test]
async fn every_statement_is_understood() {
    let name = format!("postrider_statements_{}", uuid::Uuid::now_v7().simple());
    admin(format!("create database {name}")).await;
    let config = StoreConfig {
        target: Target::Postgres { url: url_of(&name), max_connections: 4 },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(5),
    };
    let pg = Pg::connect(&url_of(&name), 4, &config, Duration::ZERO).await.unwrap();
    pg.migrate().await.unwrap();
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
    pg.close().await;
    admin(format!("drop database {name} with (force)")).await;
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(seen > 60, "only {seen} statements are collected");
}
