//! What moves no pair is seen before the sweep comes by: a provider's new build, a deployment, a pair
//! that is gone.

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use postrider_testkit::broker::ScriptedBroker;
use serde_json::Value;

use super::scene::{Scene, ago, now, publish};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

const CONSUMERS: usize = 12;

fn consumer(number: usize) -> String {
    format!("web{number}")
}

/// Contracts of many consumers with one provider, all verified; nothing is swept.
async fn set_up() -> Result<(ScriptedBroker, Scene)> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(800)).environment("prod");
        model.main_branch("ledger", Some("main"), ago(900));
        model.build_on("ledger", "l1", "main", ago(800));
        for number in 0..CONSUMERS {
            publish(model, &consumer(number), "1", "billing", ago(600));
            model.verify("billing", "b1", &consumer(number), "1", true, ago(500));
        }
        publish(model, "web0", "1", "ledger", ago(600));
        model.verify("ledger", "l1", "web0", "1", true, ago(500));
    });
    let scene = Scene::start_unswept(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    Ok((broker, scene))
}

/// Waits until so many pairs with billing are in this state, for this reason.
async fn are(scene: &Scene, state: &str, count: usize, version: &str) -> Result<()> {
    let api = scene.cluster.api()?;
    wait_until(&format!("{count} to be {state}"), SOON * 2, async || {
        let answer = api.get("/api/v1/freshness?provider=billing&limit=100").await?.ok()?;
        let pairs = answer["pairs"].as_array().cloned().unwrap_or_default();
        let is_it = |pair: &&Value| {
            pair["state"] == state
                && (version.is_empty() || pair["owes"][0]["provider_version"] == version)
        };
        let found = pairs.iter().filter(is_it).count();
        Ok(Looking::when(found == count, || format!("{found} of {}", pairs.len())))
    })
    .await
}

/// A build that verifies one contract owes all the others, and so does one that verifies none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_build_is_seen_whether_it_verifies_or_not() -> Result<()> {
    let (broker, scene) = set_up().await?;
    are(&scene, "fresh", CONSUMERS, "").await?;
    broker.model(|model| {
        model.build_on("billing", "b2", "main", now());
        model.verify("billing", "b2", "web3", "1", true, now());
    });
    are(&scene, "owing", CONSUMERS - 1, "b2").await?;
    are(&scene, "fresh", 1, "").await?;
    broker.model(|model| {
        model.build_on("billing", "b3", "main", now());
    });
    are(&scene, "owing", CONSUMERS, "b3").await?;
    let made = scene.cluster.api()?.deliveries("").await?;
    ensure!(made.is_empty(), "no broker tells of builds: {made:?}");
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_seen() -> Result<()> {
    let (broker, scene) = set_up().await?;
    are(&scene, "fresh", CONSUMERS, "").await?;
    broker.model(|model| {
        model.build("billing", "old", ago(850));
        model.deploy("billing", "old", "prod", None, now() - SignedDuration::from_secs(30));
    });
    are(&scene, "owing", CONSUMERS, "old").await?;
    scene.cluster.finish().await
}

/// What events told of a pair is no reason for an alarm once it is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_is_deleted_is_unknown() -> Result<()> {
    let (broker, scene) = set_up().await?;
    broker.model(|model| publish(model, "tried", "1", "billing", now()));
    scene.relay(&broker, "tried").await?;
    scene.dispatched(1).await?;
    let api = scene.cluster.api()?;
    let is = async |state: &str| {
        wait_until(&format!("it to be {state}"), SOON, async || {
            let answer = api.get("/api/v1/freshness?consumer=tried").await?.ok()?;
            let pair = &answer["pairs"][0];
            Ok(Looking::when(pair["state"] == state && pair["basis"] == "broker", || {
                pair.to_string()
            }))
        })
        .await
    };
    is("owing").await?;
    broker.model(|model| {
        model.delete_integration("tried", "billing");
    });
    is("unknown").await?;
    // It comes back.
    broker.model(|model| publish(model, "tried", "2", "billing", now()));
    is("owing").await?;
    scene.dispatched(2).await?;
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pair_owed_that_is_gone_is_owed_no_longer() -> Result<()> {
    let (broker, scene) = set_up().await?;
    broker.model(|model| {
        model.build_on("billing", "b2", "main", now());
        model.verify("billing", "b2", "web3", "1", true, now());
    });
    are(&scene, "owing", CONSUMERS - 1, "b2").await?;
    broker.model(|model| {
        model.delete_integration("web5", "billing");
    });
    are(&scene, "owing", CONSUMERS - 2, "b2").await?;
    // Another takes its place.
    broker.model(|model| {
        model.delete_integration("web6", "billing");
        publish(model, "app", "1", "ledger", now());
    });
    are(&scene, "owing", CONSUMERS - 3, "b2").await?;
    // All pairs are read when some are gone, and not again.
    let lists = || broker.seen().iter().filter(|(path, _)| path.contains("pageSize=500")).count();
    wait_until("all pairs to be read twice", SOON, async || {
        Ok(Looking::when(lists() == 2, || lists().to_string()))
    })
    .await?;
    scene.looked(&broker).await?;
    ensure!(lists() == 2, "{}", lists());
    scene.cluster.finish().await
}
