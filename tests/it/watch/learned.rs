//! When a debt is late, learned from how long the provider takes.

use anyhow::{Context, Result, ensure};
use postrider_github_double::Play;
use postrider_testkit::broker::ScriptedBroker;
use serde_json::json;

use super::scene::{self, Scene, ago, now, publish};
use crate::harness::{Api, Looking, Mode, Plan, SOON, wait_until};

/// As many results as are needed to learn from.
const RESULTS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_is_learned_from_results() -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(Plan::new(Mode::Embedded).set("QUIET_DAYS", "none"), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| {
        for number in 0..RESULTS {
            publish(model, &format!("web{number}"), "1", "billing", now());
        }
    });
    scene.dispatched(RESULTS).await?;
    let api = scene.cluster.api()?;
    let threshold = async || threshold_of(&api, "web7").await;
    let before = threshold().await?;
    ensure!(before == ("default".to_owned(), 86_400), "{before:?}");
    broker.model(|model| {
        for number in 0..RESULTS {
            model.verify("billing", "b1", &format!("web{number}"), "1", true, now());
        }
    });
    wait_until("the threshold to be learned", SOON, async || {
        let now = threshold().await?;
        Ok(Looking::when(now == ("learned".to_owned(), 900), || format!("{now:?}")))
    })
    .await?;
    a_failed_run_is_a_second_sign(&scene, &broker).await?;
    scene.cluster.finish().await
}

/// Where a pair's threshold comes from, and its seconds.
async fn threshold_of(api: &Api, consumer: &str) -> Result<(String, u64)> {
    let answer = api.get(&format!("/api/v1/freshness?consumer={consumer}")).await?.ok()?;
    let pair = &answer["pairs"][0];
    let from = pair["threshold_from"].as_str().unwrap_or_default().to_owned();
    Ok((from, pair["threshold_seconds"].as_u64().unwrap_or_default()))
}

async fn a_failed_run_is_a_second_sign(scene: &Scene, broker: &ScriptedBroker) -> Result<()> {
    let api = scene.cluster.api()?;
    // One debt is late by it, and nothing else is. So that nobody has to wait, the broker says later
    // that it was published earlier.
    broker.model(|model| publish(model, "slow", "1", "billing", now()));
    scene.dispatched(RESULTS + 1).await?;
    broker.model(|model| {
        model.forget_pair("slow", "billing");
        publish(model, "slow", "1", "billing", ago(30));
    });
    wait_until("a second sign to be asked for", SOON, async || {
        let now = threshold_of(&api, "slow").await?;
        Ok(Looking::when(now == ("no_second_sign".to_owned(), 86_400), || format!("{now:?}")))
    })
    .await?;
    let sent = api.deliveries("consumer=slow").await?;
    let id = sent[0]["id"].as_str().context("a delivery")?;
    let run = json!({
        "display_title": format!("verify {id}"), "status": "completed", "conclusion": "failure",
        "html_url": "https://github.com/acme/billing/actions/runs/1",
    });
    let body = json!({"total_count": 1, "workflow_runs": [run]}).to_string();
    let play = Play::Status { status: 200, headers: Vec::new(), body };
    scene.double.script_repeating("GET /repos/acme/billing/actions/runs", vec![play])?;
    wait_until("its run to be known to have failed", SOON, async || {
        let now = threshold_of(&api, "slow").await?;
        Ok(Looking::when(now == ("learned".to_owned(), 900), || format!("{now:?}")))
    })
    .await?;
    Ok(())
}
