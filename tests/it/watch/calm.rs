//! What is no news dispatches nothing, and costs a broker little.

use anyhow::{Result, ensure};
use jiff::SignedDuration;
use postrider_testkit::broker::ScriptedBroker;

use super::scene::{self, Scene, ago, looks, now, publish};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

/// Requests of a look at which nothing changed, at most.
const IDLE: usize = 10;

/// 500 pairs that owe, for longer than they may: all of it was so before anybody looked, and one
/// incident says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_contact_dispatches_nothing() -> Result<()> {
    let broker = scene::broker().await?;
    broker.model(|model| {
        for number in 0..500 {
            publish(model, &format!("web{number}"), "1", "billing", ago(600));
        }
    });
    let plan = Plan::new(Mode::Embedded).set("FRESHNESS", "1h").set("QUIET_DAYS", "none");
    let scene = Scene::start(plan, &broker).await?;
    let met = scene.line("watch.walked").await?;
    ensure!(met["first_contact"] == 500 && met["told"] == 0, "{met}");
    scene.looked(&broker).await?;
    let made = scene.cluster.api()?.deliveries("").await?;
    ensure!(made.is_empty(), "{} deliveries", made.len());
    let open = scene.incident("first_contact").await?;
    ensure!(open["subject"] == "default", "{open}");
    let all = scene.cluster.api()?.get("/api/v1/incidents").await?.ok()?;
    ensure!(all["incidents"].as_array().is_some_and(|all| all.len() == 1), "{all}");

    // From then on a publication is news.
    broker.model(|model| publish(model, "web7", "2", "billing", now()));
    scene.dispatched(1).await?;
    let sent = scene.sent()?;
    ensure!(sent == [("web7".to_owned(), "2".to_owned(), "b1".to_owned())], "{sent:?}");
    scene.cluster.finish().await
}

/// A provider builds after its contracts were verified: it owes them anew, which is shown, and no
/// broker tells anybody. Neither does a restart, which forgets which contracts were seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_build_of_the_provider_dispatches_nothing() -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| {
        for number in 0..25 {
            let consumer = format!("web{number}");
            publish(model, &consumer, "1", "billing", now());
            model.verify("billing", "b1", &consumer, "1", true, now());
        }
    });
    scene.looked(&broker).await?;
    broker.model(|model| {
        // A broker tells whole seconds: it has to be another one than that of the contracts.
        model.build_on("billing", "b2", "main", now() + SignedDuration::from_secs(5));
        // These move once more, so that they are looked at.
        for number in 0..5 {
            model.verify("billing", "b1", &format!("web{number}"), "1", true, now());
        }
    });
    owes_anew(&scene, "web4").await?;
    let Scene { mut cluster, double } = scene;
    cluster.process("serve")?.signal(crate::harness::Signal::TERM)?;
    cluster.process("serve")?.ended(SOON).await?;
    cluster.restart("serve").await?;
    let scene = Scene { cluster, double };
    scene.looked(&broker).await?;
    owes_anew(&scene, "web24").await?;
    let made = scene.cluster.api()?.deliveries("").await?;
    ensure!(made.is_empty(), "{made:?}");
    scene.cluster.finish().await
}

/// Waits until the newest build is known to owe.
async fn owes_anew(scene: &Scene, consumer: &str) -> Result<()> {
    let api = scene.cluster.api()?;
    wait_until("the debt of the new build", SOON * 2, async || {
        let answer = api.get(&format!("/api/v1/freshness?consumer={consumer}")).await?.ok()?;
        let owes = &answer["pairs"][0]["owes"][0];
        let is_it = owes["provider_version"] == "b2" && owes["due"] == "later";
        Ok(Looking::when(is_it, || answer.to_string()))
    })
    .await
}

/// 60 pairs of which nothing changes, with a sweep as slow as it usually is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_at_a_broker_at_rest_are_cheap() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(800)).environment("prod");
        for number in 0..60 {
            let consumer = format!("web{number}");
            publish(model, &consumer, "1", "billing", ago(600));
            model.verify("billing", "b1", &consumer, "1", true, ago(500));
        }
        // Each is the other's consumer, and their versions have the same number.
        publish(model, "zeta", "1", "alpha", ago(400));
        publish(model, "alpha", "1", "zeta", ago(300));
        model.verify("alpha", "1", "zeta", "1", true, ago(200));
        model.verify("zeta", "1", "alpha", "1", true, ago(200));
    });
    let scene = Scene::start_unswept(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    let (requests, before) = (broker.seen().len(), looks(&broker));
    wait_until("twenty looks", SOON * 2, async || {
        let more = looks(&broker) - before;
        Ok(Looking::when(more >= 20, || format!("{more} looks")))
    })
    .await?;
    let (requests, looked) = (broker.seen().len() - requests, looks(&broker) - before);
    ensure!(requests <= IDLE * looked, "{requests} requests of {looked} looks");
    scene.cluster.finish().await
}
