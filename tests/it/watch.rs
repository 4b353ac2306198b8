//! The watch of a broker: verifications that it owes and told nobody of become dispatches, each
//! once, and nothing else does.

mod calm;
mod learned;
mod lost;
mod overwritten;
mod relay;
mod scene;
mod stirred;
mod trouble;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use postrider_testkit::broker::ScriptedBroker;

use crate::harness::{Mode, Plan, SOON};
use scene::{Scene, ago, now, publish};

/// Consumers that publish in turn.
const CONSUMERS: usize = 10;

/// The `number`th publication: consumer and version.
fn publication(number: usize) -> (String, String) {
    (format!("web{}", number % CONSUMERS), format!("v{number}"))
}

/// Publishes a few contracts one after the other; the broker's webhook tells of `told` of them.
async fn publish_some(
    scene: &Scene,
    broker: &ScriptedBroker,
    numbers: std::ops::Range<usize>,
    told: usize,
) -> Result<()> {
    for (place, number) in numbers.enumerate() {
        let (consumer, version) = publication(number);
        broker.model(|model| publish(model, &consumer, &version, "billing", now()));
        if place < told {
            scene.relay_all(broker).await?;
        }
    }
    Ok(())
}

/// Killed at 130 of 200 publications, with what its webhooks had still to send: every version that
/// was due is told of every contract, and none twice.
async fn killed(mode: Mode) -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b0", "main", ago(800)).build_on(
            "billing",
            "b1",
            "main",
            ago(700),
        );
        model.deploy("billing", "b0", "prod", None, ago(600));
    });
    let scene = Scene::start(Plan::new(mode), &broker).await?;
    scene.looked(&broker).await?;
    // The webhook is told of half of them, beside the watch.
    publish_some(&scene, &broker, 0..50, 50).await?;
    publish_some(&scene, &broker, 50..130, 20).await?;
    broker.model(|model| {
        model.forget_webhooks();
    });
    broker.trouble(Some((503, None, "{}")));
    scene.refused(&broker).await?;
    broker.trouble(None);
    publish_some(&scene, &broker, 130..200, 35).await?;
    // What its webhook tells of late is known.
    scene.relay_all(&broker).await?;

    scene.dispatched(400).await?;
    scene.looked(&broker).await?;
    scene.dispatched(400).await?;
    let expected: BTreeSet<_> = (0..200)
        .flat_map(|number| {
            let (consumer, version) = publication(number);
            ["b0", "b1"].map(|owing| (consumer.clone(), version.clone(), owing.to_owned()))
        })
        .collect();
    let sent = scene.sent()?;
    ensure!(sent.len() == 400, "{} dispatches", sent.len());
    ensure!(sent.into_iter().collect::<BTreeSet<_>>() == expected, "each of them once");
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_broker_killed_in_the_middle() -> Result<()> {
    Box::pin(killed(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_broker_killed_in_the_middle() -> Result<()> {
    Box::pin(killed(Mode::Distributed)).await
}

/// The watch is faster than the broker's call, which is no second dispatch. A person who runs the
/// consumer's build again gets exactly one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_run_again_is_dispatched_once_more() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(700));
    });
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| publish(model, "web", "1", "billing", now()));
    scene.dispatched(1).await?;
    ensure!(scene.relay_all(&broker).await? == [true], "the call of the same publication");
    scene.looked(&broker).await?;
    scene.dispatched(1).await?;

    broker.model(|model| publish(model, "web", "1", "billing", now()));
    scene.looked(&broker).await?;
    ensure!(scene.relay_all(&broker).await? == [false], "another publication");
    scene.looked(&broker).await?;
    scene.dispatched(2).await?;

    // Told by the relay first: the watch has nothing to add.
    broker.model(|model| publish(model, "web", "2", "billing", now()));
    scene.relay_all(&broker).await?;
    scene.looked(&broker).await?;
    scene.dispatched(3).await?;
    // By a caller without the provider's version, which stands for all.
    let mut event = crate::harness::event(3, "billing");
    event["consumer"]["name"] = "web".into();
    event["provider"]["version_number"] = "".into();
    scene.cluster.api()?.publish(&event).await?;
    broker.model(|model| publish(model, "web", "1.0.3", "billing", now()));
    scene.looked(&broker).await?;
    scene.dispatched(4).await?;
    scene.cluster.finish().await
}

/// The same names at two brokers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_brokers_never_mix() -> Result<()> {
    let (one, two) = (ScriptedBroker::start().await?, ScriptedBroker::start().await?);
    for broker in [&one, &two] {
        broker.model(|model| {
            model.main_branch("billing", Some("main"), ago(900));
            model.build_on("billing", "b1", "main", ago(700));
            publish(model, "web", "0", "billing", ago(600));
        });
    }
    let file = format!(
        "[[broker]]\nname = \"one\"\nbase_url = \"{}\"\n[[broker]]\nname = \"two\"\nbase_url = \"{}\"\n",
        one.url(),
        two.url()
    );
    let scene = Scene::start_with(Plan::new(Mode::Embedded).file(&file)).await?;
    scene.looked(&one).await?;
    scene.looked(&two).await?;
    one.model(|model| publish(model, "web", "1", "billing", now()));
    scene.dispatched(1).await?;
    scene.looked(&two).await?;
    let made = scene.cluster.api()?.deliveries("").await?;
    ensure!(made.len() == 1 && made[0]["broker"] == "one", "{made:?}");
    two.model(|model| publish(model, "web", "1", "billing", now()));
    scene.dispatched(2).await?;
    let made = scene.cluster.api()?.deliveries("").await?;
    let brokers: BTreeSet<_> = made.iter().map(|made| made["broker"].to_string()).collect();
    ensure!(made.len() == 2 && brokers.len() == 2, "{made:?}");
    scene.cluster.finish().await
}

/// It says what it would do, once, and does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observing_is_only_looking_on() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(700));
    });
    let plan = Plan::new(Mode::Embedded).set("BROKER_WATCH", "observe");
    let scene = Scene::start(plan, &broker).await?;
    scene.looked(&broker).await?;
    broker.model(|model| publish(model, "web", "1", "billing", now()));
    let told = scene.line("watch.would_tell").await?;
    ensure!(told["consumer_version"] == "1" && told["provider_version"] == "b1", "{told}");
    scene.looked(&broker).await?;
    ensure!(scene.cluster.lines("watch.would_tell").len() == 1, "it is said once");
    ensure!(scene.cluster.lines("watch.told").is_empty(), "nothing is done");
    let made = scene.cluster.api()?.deliveries("").await?;
    ensure!(made.is_empty(), "{made:?}");
    // The broker's own call is an event as ever.
    scene.relay_all(&broker).await?;
    scene.double.wait_for(1, SOON).await?;
    scene.cluster.finish().await
}
