//! A database in which much has gathered. It is filled by statements over whole sets: taking ten
//! million events in one by one would take hours.

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use postrider_domain::{
    Body, BodyMode, EventName, Extensions, LaneLimits, RequestTemplate, Webhook,
};
use postrider_store::{LaneSpec, Put, Store, StoredWebhook, WebhookWrite};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use super::open;
use crate::args::Size;
use crate::rounds::tell;
use crate::services::Services;

const WEBHOOKS: &str = include_str!("webhooks.sql");
const DELIVERIES: &str = include_str!("deliveries.sql");
/// Rows filled by one statement.
const CHUNK: u32 = 100_000;
/// How long ago the day was on which everything ended.
const DAYS_AGO: i64 = 3;

/// What says that a database is filled, how far, and when everything ended.
const NOTE: &str = "create table growth (size text not null, day text not null)";
const FILLED: &str = "select day from growth where size = $1";

/// Fills a database of this name, unless that was done; the day on which everything ended.
pub(super) async fn database(services: &Services, name: &str, size: Size) -> Result<Timestamp> {
    let url = services.database_url(name);
    let size_text = format!("{size:?}");
    if let Ok(mut conn) = PgConnection::connect(&url).await {
        let filled = sqlx::query_scalar::<_, String>(FILLED).bind(&size_text).fetch_one(&mut conn);
        if let Ok(day) = filled.await {
            conn.close().await?;
            return Ok(day.parse()?);
        }
        conn.close().await?;
    }
    services.sql(&format!("drop database if exists {name} with (force)")).await?;
    services.sql(&format!("create database {name}")).await?;
    let store = open(&url).await?;
    store.migrate().await?;
    webhook(&store, "growth-webhook-first").await?;
    store.close().await;
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let day = now.start_of_day()?.checked_sub(DAYS_AGO.days())?.timestamp();
    let mut conn = PgConnection::connect(&url).await?;
    fill(&mut conn, size, day).await?;
    conn.execute(NOTE).await?;
    let note = sqlx::query("insert into growth values ($1, $2)").bind(size_text);
    note.bind(day.to_string()).execute(&mut conn).await?;
    conn.execute("vacuum (analyze)").await?;
    conn.close().await?;
    Ok(day)
}

async fn fill(conn: &mut PgConnection, size: Size, day: Timestamp) -> Result<()> {
    let set = |text: &str| {
        text.replace("$LANES", &size.lanes.to_string())
            .replace("$WEBHOOKS", &size.webhooks.to_string())
            .replace("$PAIRS", &size.pairs.to_string())
            .replace("$FINISHED", &size.finished.to_string())
            .replace("$WAITING", &size.waiting.to_string())
            .replace("$DAY", &day.to_string())
    };
    let next = day.checked_add(24.hours())?;
    let partition = format!(
        "create table attempts_{} partition of attempts for values from ('{}') to ('{}')",
        day.to_zoned(TimeZone::UTC).strftime("%Y%m%d"),
        first_id(day)?,
        first_id(next)?
    );
    conn.execute(AssertSqlSafe(partition)).await?;
    conn.execute(AssertSqlSafe(set(WEBHOOKS))).await?;
    let all = size.finished + size.waiting;
    for first in (1..=all).step_by(CHUNK as usize) {
        let last = (first + CHUNK - 1).min(all);
        let chunk = set(DELIVERIES)
            .replace("$FIRST", &first.to_string())
            .replace("$LAST", &last.to_string());
        conn.execute(AssertSqlSafe(chunk)).await?;
        tell(&format!("{last} of {all} filled in"));
    }
    Ok(())
}

/// The id before all ids of an instant.
fn first_id(instant: Timestamp) -> Result<Uuid> {
    Ok(Uuid::from_u128(u128::try_from(instant.as_millisecond())? << 80))
}

/// A webhook that the store's own steps can work with.
pub(super) async fn webhook(store: &Store, uuid: &str) -> Result<StoredWebhook> {
    let webhook = Webhook {
        uuid: uuid.parse()?,
        description: Some("growth".to_owned()),
        consumer: None,
        provider: None,
        enabled: true,
        events: vec![EventName::ContractPublished],
        request: RequestTemplate {
            method: "POST".to_owned(),
            url: "https://target.example/".to_owned(),
            headers: Vec::new(),
            body: Some(Body::Text("{}".to_owned())),
            body_mode: BodyMode::Json,
            username: None,
            password: None,
        },
        team_uuid: None,
        extensions: Extensions::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    let limits = LaneLimits {
        rate: "unlimited".parse().map_err(anyhow::Error::msg)?,
        burst: 1,
        concurrency: 64,
        per_hour: None,
    };
    let lane = LaneSpec { name: "first/t".to_owned(), limit: "first/t".to_owned(), limits };
    let write = WebhookWrite { webhook, lane, secret_names: ["t".to_owned()].into() };
    match store.put_webhook(&write).await.context("a webhook")? {
        Put::Created(stored) | Put::Replaced(stored) => Ok(stored),
    }
}
