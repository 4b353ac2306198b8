//! Dispatches that led to nothing are made again, within their bounds.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use postrider_github_double::Play;
use postrider_testkit::broker::ScriptedBroker;

use super::scene::{self, Scene, Sent, now, publish};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

/// Contracts of which some dispatches are lost.
const CONTRACTS: usize = 30;

fn plan(mode: Mode, redispatch: &str) -> Plan {
    let plan = Plan::new(mode).set("FRESHNESS", "3s").set("QUIET_DAYS", "none");
    plan.set("REDISPATCH", redispatch)
}

/// How often each was dispatched.
fn dispatches(scene: &Scene) -> Result<BTreeMap<Sent, usize>> {
    let mut counts = BTreeMap::new();
    for sent in scene.sent()? {
        *counts.entry(sent).or_default() += 1;
    }
    Ok(counts)
}

fn sent(consumer: &str) -> Sent {
    (consumer.to_owned(), "1".to_owned(), "b1".to_owned())
}

/// The provider's builds: of every third contract the first dispatch is lost, of every ninth the
/// second too. Which contracts are owed still, of those that are not for ever lost.
fn verify(broker: &ScriptedBroker, counts: &BTreeMap<Sent, usize>) -> usize {
    broker.model(|model| {
        let mut owed = 0;
        for number in 0..CONTRACTS {
            let consumer = format!("web{number}");
            let lost = usize::from(number % 3 == 0) + usize::from(number % 9 == 0);
            let sha = model.sha_of(&consumer, "1", "billing").unwrap_or_default();
            if model.required(&consumer, "billing", &sha).is_empty() {
                continue;
            }
            if counts.get(&sent(&consumer)).is_some_and(|count| *count > lost) {
                model.verify("billing", "b1", &consumer, "1", true, now());
            } else {
                owed += 1;
            }
        }
        owed
    })
}

/// 30 % of the dispatches are lost; beside them there is a verification that failed, and one whose
/// dispatches are lost every time.
async fn converges(mode: Mode) -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(plan(mode, "on"), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| publish(model, "failing", "1", "billing", now()));
    scene.double.wait_for(1, SOON).await?;
    broker.model(|model| {
        model.verify("billing", "b1", "failing", "1", false, now());
    });
    scene.looked(&broker).await?;
    scene.looked(&broker).await?;
    let failing = dispatches(&scene)?.get(&sent("failing")).copied();

    broker.model(|model| {
        for number in 0..CONTRACTS {
            publish(model, &format!("web{number}"), "1", "billing", now());
        }
        publish(model, "dead", "1", "billing", now());
    });
    wait_until("nothing to be owed", SOON * 4, async || {
        let owed = verify(&broker, &dispatches(&scene)?);
        Ok(Looking::when(owed == 0, || format!("{owed} are owed")))
    })
    .await?;
    let api = scene.cluster.api()?;
    let given_up = "/api/v1/incidents?open=true&kind=redispatch_gave_up";
    wait_until("the one that is always lost to be given up", SOON, async || {
        let open = api.get(given_up).await?.ok()?;
        let subject = &open["incidents"][0]["subject"];
        Ok(Looking::when(subject == "default/dead/billing", || open.to_string()))
    })
    .await?;
    let counts = dispatches(&scene)?;
    ensure!(counts.values().all(|count| *count <= 3), "twice again at most: {counts:?}");
    ensure!(counts.get(&sent("dead")) == Some(&3), "{counts:?}");
    ensure!(counts.get(&sent("failing")).copied() == failing, "a result is a result: {counts:?}");
    let again = scene.cluster.lines("watch.redispatched");
    ensure!(!again.is_empty() && again.iter().all(|line| line["times"] != 3), "{again:?}");

    // Its result comes after all.
    broker.model(|model| {
        model.verify("billing", "b1", "dead", "1", true, now());
    });
    wait_until("no incident to be open", SOON, async || {
        let open = api.get(given_up).await?.ok()?;
        let is_over = open["incidents"].as_array().is_some_and(Vec::is_empty);
        Ok(Looking::when(is_over, || open.to_string()))
    })
    .await?;
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_lost_dispatches_come_to_nothing_owed() -> Result<()> {
    Box::pin(converges(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_lost_dispatches_come_to_nothing_owed() -> Result<()> {
    Box::pin(converges(Mode::Distributed)).await
}

/// It says what it would do, once for each, and does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_dispatches_nothing_again() -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(plan(Mode::Embedded, "dry-run"), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| publish(model, "web", "1", "billing", now()));
    scene.dispatched(1).await?;
    let would = scene.line("watch.would_redispatch").await?;
    ensure!(would["consumer"] == "web" && would["times"] == 1, "{would}");
    for _ in 0..5 {
        scene.looked(&broker).await?;
    }
    ensure!(scene.cluster.lines("watch.would_redispatch").len() == 1, "it is said once");
    scene.dispatched(1).await?;
    scene.cluster.finish().await
}

/// A broker that can't be read says nothing of what is owed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dispatched_again_while_the_broker_cannot_be_read() -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(plan(Mode::Embedded, "on"), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| publish(model, "web", "1", "billing", now()));
    scene.double.wait_for(1, SOON).await?;
    broker.trouble(Some((503, None, "{}")));
    scene.refused(&broker).await?;
    let before = scene.double.counts().accepted;
    wait_until("the debt to be late", SOON, async || {
        scene.refused(&broker).await?;
        let open = scene.cluster.api()?.get("/api/v1/incidents?kind=broker_unreachable").await?;
        let open = open.ok()?;
        let is_open = open["incidents"].as_array().is_some_and(|all| !all.is_empty());
        Ok(Looking::when(is_open, || open.to_string()))
    })
    .await?;
    let during = scene.double.counts().accepted;
    ensure!(during == before, "{before} and then {during}");
    broker.trouble(None);
    scene.double.wait_for(before + 1, SOON).await?;
    scene.cluster.finish().await
}

/// A delivery that fails for good is one incident while its verification stays owed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_owed_after_a_failure_is_an_incident() -> Result<()> {
    let broker = scene::broker().await?;
    let plan = Plan::new(Mode::Embedded).set("QUIET_DAYS", "none");
    let scene = Scene::start(plan, &broker).await?;
    scene.looked(&broker).await?;
    scene.double.script("acme/billing", vec![Play::status(422)])?;
    broker.model(|model| publish(model, "web", "1", "billing", now()));
    let incident = scene.incident("owed_after_failure").await?;
    let summary = incident["summary"].as_str().unwrap_or_default();
    ensure!(summary.contains("\"web\" 1 with \"billing\" b1"), "{incident}");
    ensure!(scene.double.counts().accepted == 0, "it is not dispatched again by itself");
    broker.model(|model| {
        model.verify("billing", "b1", "web", "1", true, now());
    });
    let api = scene.cluster.api()?;
    wait_until("the incident to be over", SOON, async || {
        let open = api.get("/api/v1/incidents?open=true").await?.ok()?;
        let is_over = open["incidents"].as_array().is_some_and(Vec::is_empty);
        Ok(Looking::when(is_over, || open.to_string()))
    })
    .await?;
    scene.cluster.finish().await
}
