//! When a debt is late, learned from how long the provider takes.

use anyhow::{Result, ensure};
use postrider_testkit::broker::ScriptedBroker;

use super::scene::{Scene, ago, now, publish};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

/// As many results as are needed to learn from.
const RESULTS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_is_learned_from_results() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(800));
    });
    let scene = Scene::start(Plan::new(Mode::Embedded).set("QUIET_DAYS", "none"), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| {
        for number in 0..RESULTS {
            publish(model, &format!("web{number}"), "1", "billing", now());
        }
    });
    scene.dispatched(RESULTS).await?;
    let api = scene.cluster.api()?;
    let threshold = async || -> Result<(String, u64)> {
        let answer = api.get("/api/v1/freshness?consumer=web7").await?.ok()?;
        let pair = &answer["pairs"][0];
        let from = pair["threshold_from"].as_str().unwrap_or_default().to_owned();
        Ok((from, pair["threshold_seconds"].as_u64().unwrap_or_default()))
    };
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
    scene.cluster.finish().await
}
