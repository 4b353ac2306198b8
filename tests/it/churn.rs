//! Webhooks that are written all the time through one process, and events that come through
//! another: none is kept out, and each follows the webhooks as they were when it came.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Api, Mode, Plan, event, hook_webhook};

/// Webhooks that are replaced without a pause.
const WRITERS: usize = 8;
/// Webhooks that are made and changed, with an event after each change.
const ROUNDS: usize = 12;

/// One that no event is for.
async fn churn(api: Api, target: String, number: usize, over: CancellationToken) -> Result<()> {
    let hook = hook_webhook(&target, "churn", &format!("churn-{number}"));
    let uuid = api.create_webhook(&hook).await?;
    while !over.is_cancelled() {
        put(&api, &uuid, &hook).await?;
    }
    Ok(())
}

async fn put(api: &Api, uuid: &str, hook: &Value) -> Result<()> {
    let written = api.with_json("PUT", &format!("/webhooks/{uuid}"), hook).await?;
    written.ok().context("replacing a webhook").map(drop)
}

/// Sends an event for the provider, once; which webhooks it is delivered to.
async fn told(api: &Api, number: usize, provider: &str) -> Result<Value> {
    let answer = api.with_json("POST", "/events", &event(number, provider)).await?;
    ensure!(answer.status == 202, "event {number}: {}: {}", answer.status, answer.text);
    let deliveries = answer.json()?["deliveries"].as_array().context("deliveries")?.clone();
    Ok(deliveries.iter().map(|delivery| delivery["webhook_uuid"].clone()).collect())
}

/// Made, given to another provider, given back: the event after each.
async fn changes(writing: &Api, sending: &Api, target: &str) -> Result<()> {
    for round in 0..ROUNDS {
        let provider = format!("round-{round}");
        let hook = hook_webhook(target, "told", &provider);
        let uuid = writing.create_webhook(&hook).await?;
        ensure!(told(sending, round, &provider).await? == json!([uuid]), "made in {round}");
        put(writing, &uuid, &hook_webhook(target, "told", "nobody")).await?;
        ensure!(told(sending, round, &provider).await? == json!([]), "changed in {round}");
        put(writing, &uuid, &hook).await?;
        ensure!(told(sending, round, &provider).await? == json!([uuid]), "back in {round}");
        let gone = writing.send(writing.call("DELETE", &format!("/webhooks/{uuid}"))?).await?;
        ensure!(gone.status == 204, "{gone:?}");
        ensure!(told(sending, round, &provider).await? == json!([]), "deleted in {round}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_change_elsewhere_keep_no_event_out() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let target = double.base_url();
    let cluster = Plan::new(Mode::Distributed).workers(1).start().await?;
    let intakes = cluster.intakes();
    let of = |number| Api::new(&intakes.pick(number).context("two intakes")?);
    let (writing, sending) = (of(0)?, of(1)?);
    ensure!(writing.base() != sending.base(), "they are two processes");
    let over = CancellationToken::new();
    let writers =
        (0..WRITERS).map(|number| churn(writing.clone(), target.clone(), number, over.clone()));
    let rounds = async {
        let done = changes(&writing, &sending, &target).await;
        over.cancel();
        done
    };
    let (written, changed) = tokio::join!(try_join_all(writers), rounds);
    changed?;
    written?;
    cluster.finish().await
}
