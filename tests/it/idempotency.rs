//! The same key at two replicas at the same moment: one event, one delivery, one answer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{Accepted, Intakes, Mode, Plan, SOON, event, settled, webhook};

const KEYS: usize = 1_000;
const SIDE_BY_SIDE: usize = 16;

async fn same_key_twice(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    api.create_webhook(&hook).await?;
    let client = reqwest::Client::builder().no_proxy().timeout(SOON).build()?;
    let intakes = cluster.intakes();
    let accepted: Vec<Accepted> = stream::iter(0..KEYS)
        .map(async |number| at_two_replicas(&client, &intakes, number).await)
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    let figures = Box::pin(settled(&api, &double, &accepted, Duration::from_mins(1))).await?;
    ensure!(figures.deliveries == KEYS && figures.duplicates == 0, "{figures:?}");
    let late = at_two_replicas_again(&client, &intakes, &accepted[0]).await?;
    ensure!(late["duplicate"] == true, "{late}");
    ensure!(double.counts().accepted == u64::try_from(KEYS)?, "{:?}", double.counts());
    cluster.finish().await
}

async fn at_two_replicas(
    client: &reqwest::Client,
    intakes: &Intakes,
    number: usize,
) -> Result<Accepted> {
    let (one, other) =
        tokio::join!(publish(client, intakes, 0, number), publish(client, intakes, 1, number));
    let (one, other) = (one?, other?);
    ensure!(one["event_id"] == other["event_id"], "{one} and {other}");
    ensure!(one["deliveries"] == other["deliveries"], "{one} and {other}");
    let duplicates = [&one, &other].into_iter().filter(|answer| answer["duplicate"] == true);
    ensure!(duplicates.count() == 1, "{one} and {other}");
    let text = |value: &Value| value.as_str().context("an id").map(str::to_owned);
    let deliveries = one["deliveries"].as_array().context("deliveries")?;
    Ok(Accepted {
        number,
        event_id: text(&one["event_id"])?,
        deliveries: deliveries.iter().map(|one| text(&one["id"])).collect::<Result<_>>()?,
        at: std::time::Instant::now(),
    })
}

async fn at_two_replicas_again(
    client: &reqwest::Client,
    intakes: &Intakes,
    known: &Accepted,
) -> Result<Value> {
    let answer = publish(client, intakes, 1, known.number).await?;
    ensure!(answer["event_id"] == known.event_id.as_str(), "{answer}");
    Ok(answer)
}

async fn publish(
    client: &reqwest::Client,
    intakes: &Intakes,
    replica: usize,
    number: usize,
) -> Result<Value> {
    let base = intakes.pick(replica).context("an intake")?;
    let call = client.post(format!("{base}/events")).header("Idempotency-Key", number.to_string());
    let response = call.json(&event(number, "billing")).send().await?;
    let status = response.status();
    let text = response.text().await?;
    ensure!(status == 202, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(same_key_twice(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(same_key_twice(Mode::Distributed)).await
}
