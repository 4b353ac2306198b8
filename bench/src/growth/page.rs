//! The page's views: how long until their first byte, and what open streams cost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Response};
use serde_json::Value;

use super::{Figures, GROWN, TIMES, median};
use crate::args::Growth;
use crate::services::Services;
use crate::subject::{Conditions, Running, Subject};
use crate::target::Target;

/// Streams that are open at once, and how long they are watched.
const STREAMS: usize = 100;
const WATCHED: Duration = Duration::from_secs(30);

const VIEWS: [&str; 15] = [
    "/ui",
    "/ui/find",
    "/ui/find?consumer=consumer-7&provider=provider-71",
    "/ui/deliveries",
    "/ui/deliveries?status=failed",
    "/ui/deliveries?consumer=consumer-7",
    "/ui/deliveries?provider=provider-7&status=delivered",
    "/ui/deliveries/plan?act=replay&provider=provider-7",
    "/ui/lanes",
    "/ui/pairs",
    "/ui/webhooks",
    "/ui/webhooks/growth-webhook-7",
    "/ui/webhooks/growth-webhook-7/edit",
    "/ui/credentials",
    "/ui/system",
];

pub(super) async fn measure(growth: &Growth, services: &mut Services) -> Result<String> {
    let target = Target::start().await?;
    let conditions =
        Conditions { target: target.address(), workers: 1, settings: &[], database: Some(GROWN) };
    let subject = Subject::Postrider { program: growth.program.clone(), distributed: true };
    let running = Running::start(&subject, services, &conditions).await?;
    let base = running.base.clone().context("an address")?;
    let mut figures = Figures::new("view, until its first byte");
    let client = Client::builder().no_proxy().build()?;
    let views = VIEWS.iter().map(|view| (*view).to_owned());
    for view in views.chain([delivery(&client, &base).await?]) {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            let answer = client.get(format!("{base}{view}")).send().await?;
            times.push(began.elapsed());
            ensure!(answer.status().is_success(), "{view}: {}", answer.status());
            answer.bytes().await?;
        }
        figures.took(&view, median(times))?;
    }
    streams(&client, &base, &running, &mut figures).await?;
    running.stop(services).await?;
    Ok(figures.text())
}

/// The view of the newest delivery.
async fn delivery(client: &Client, base: &str) -> Result<String> {
    let list = client.get(format!("{base}/api/v1/deliveries?limit=1")).send().await?;
    let list: Value = list.json().await?;
    let id = list["deliveries"][0]["id"].as_str().context("a delivery")?;
    Ok(format!("/ui/deliveries/{id}"))
}

/// What the process that serves them uses while nothing else happens: without, and with streams.
async fn streams(
    client: &Client,
    base: &str,
    running: &Running,
    figures: &mut Figures,
) -> Result<()> {
    let used = async || {
        let before = running.watched().read()?;
        tokio::time::sleep(WATCHED).await;
        let used = running.watched().read()?.since(&before);
        Ok::<_, anyhow::Error>(used.parts.get("ingest").copied().unwrap_or_default())
    };
    let without = used().await?;
    let mut open: Vec<Response> = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let stream = client.get(format!("{base}/ui/stream?topics=lanes")).send().await?;
        open.push(stream.error_for_status()?);
    }
    let with = used().await?;
    drop(open);
    let share =
        |used: Duration| format!("{:.2} %", used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0);
    figures.line("ingest at rest, of a core", &share(without))?;
    figures.line(&format!("ingest with {STREAMS} streams, of a core"), &share(with))
}
