//! A version that publishes another contract than it did: what was told of the one is not told of the
//! other.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::ScriptedBroker;
use serde_json::Value;

use super::scene::{Scene, ago, now, publish};
use crate::harness::{EVENT_NAME, Mode, Plan, SOON, Signal, run_with};

/// A broker tells whole seconds: each publication is of another one.
const APART: SignedDuration = SignedDuration::from_secs(5);

/// The publications of a version, each with a content of its own, and lost by the broker's webhook.
struct Overwriting {
    broker: ScriptedBroker,
    scene: Scene,
    published: i32,
}

impl Overwriting {
    async fn set_up(plan: Plan) -> Result<Self> {
        let broker = ScriptedBroker::start().await?;
        broker.model(|model| {
            model.main_branch("billing", Some("main"), ago(900));
            model.build_on("billing", "b1", "main", ago(700));
        });
        let scene = Scene::start_unswept(plan, &broker).await?;
        scene.looked(&broker).await?;
        broker.model(|model| publish(model, "web", "1", "billing", now()));
        ensure!(scene.relay_all(&broker).await? == [false], "the first is told of");
        scene.dispatched(1).await?;
        Ok(Self { broker, scene, published: 0 })
    }

    fn overwrite(&mut self, content: &str) {
        self.published += 1;
        self.overwrite_at(content, now() + APART * self.published);
    }

    fn overwrite_at(&self, content: &str, at: Timestamp) {
        self.broker.model(|model| {
            model.publish("web", "1", "billing", content, at).forget_webhooks();
        });
    }

    fn verify(&self) {
        self.broker.model(|model| {
            model.verify("billing", "b1", "web", "1", true, now());
        });
    }

    fn delete(&self) {
        self.broker.model(|model| {
            model.delete_pact("web", "1", "billing");
        });
    }

    /// Waits until there were so many dispatches, and no more.
    async fn dispatched(&self, count: u64) -> Result<()> {
        self.scene.dispatched(count).await?;
        self.scene.looked(&self.broker).await?;
        self.scene.dispatched(count).await
    }

    async fn run(&self, args: &[&str]) -> Result<(Option<i32>, Value)> {
        let variables = [
            ("POSTRIDER_URL".to_owned(), self.scene.cluster.api()?.base().to_owned()),
            ("PACT_BROKER_BASE_URL".to_owned(), self.broker.url().to_owned()),
        ];
        let output = run_with(args, &variables, "").await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).context(said)?;
        Ok((output.status.code(), report))
    }
}

/// The pair leads the order of changes all the time and moves nowhere; the watch does not wait for
/// its sweep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_tells_of_each_content_once() -> Result<()> {
    let mut story = Overwriting::set_up(Plan::new(Mode::Embedded)).await?;
    story.overwrite("another");
    story.dispatched(2).await?;
    story.verify();
    story.scene.looked(&story.broker).await?;
    story.overwrite("a third");
    story.dispatched(3).await?;
    story.delete();
    story.scene.looked(&story.broker).await?;
    story.overwrite("a fourth");
    story.dispatched(4).await?;

    // The same once more is no other publication, and a content that was told of is told of.
    story.overwrite("a fourth");
    story.dispatched(4).await?;
    story.overwrite("a third");
    story.verify();
    story.overwrite("a fourth");
    story.dispatched(4).await?;
    let sent = story.scene.sent()?;
    ensure!(sent.iter().all(|(_, version, owing)| version == "1" && owing == "b1"), "{sent:?}");
    story.scene.cluster.finish().await
}

/// The order of changes is what it was after the contract of one pair and a result of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_behind_another_is_found() -> Result<()> {
    let mut story = Overwriting::set_up(Plan::new(Mode::Embedded)).await?;
    story.verify();
    story.broker.model(|model| publish(model, "app", "1", "billing", now()));
    story.dispatched(2).await?;
    story.broker.model(|model| {
        model.verify("billing", "b1", "app", "1", true, now());
    });
    story.scene.looked(&story.broker).await?;
    story.overwrite("another");
    story.broker.model(|model| {
        model.verify("billing", "b1", "app", "1", true, now());
    });
    story.dispatched(3).await?;
    story.scene.cluster.finish().await
}

/// What was published while nobody looked is found by whoever looks next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_forgets_nothing() -> Result<()> {
    let mut story = Overwriting::set_up(Plan::new(Mode::Embedded)).await?;
    story.scene.looked(&story.broker).await?;
    story.scene.cluster.process("serve")?.signal(Signal::TERM)?;
    story.scene.cluster.process("serve")?.ended(SOON).await?;
    story.overwrite("another");
    story.scene.cluster.restart("serve").await?;
    story.dispatched(2).await?;
    story.scene.cluster.finish().await
}

/// Nobody watches: the commands find it, and say where it got lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_tell_one_content_from_another() -> Result<()> {
    let plan = Plan::new(Mode::Embedded).set("BROKER_WATCH", "off");
    let story = Overwriting::set_up(plan).await?;
    let doctor =
        ["doctor", "--consumer", "web", "--provider", "billing", "--version", "1", "-o", "json"];
    let reconcile = ["reconcile", "--yes", "-o", "json"];
    let (_, report) = story.run(&doctor).await?;
    ensure!(report["verdict"] != "event_not_received", "{report:#}");
    let (code, report) = story.run(&reconcile).await?;
    ensure!(code == Some(0) && report["owed"][0]["state"] == "delivery_exists", "{report:#}");

    // Longer ago than a broker may take to call.
    story.overwrite_at("another", ago(10));
    let (_, report) = story.run(&doctor).await?;
    ensure!(report["verdict"] == "event_not_received", "{report:#}");
    let (_, report) = story.run(&reconcile).await?;
    ensure!(report["owed"][0]["state"] == "dispatched", "{report:#}");
    story.scene.dispatched(2).await?;
    let (code, report) = story.run(&reconcile).await?;
    ensure!(code == Some(0) && report["owed"][0]["state"] == "delivery_exists", "{report:#}");
    let bodies = story.scene.double.accepted();
    let urls: Vec<&str> = bodies.iter().filter_map(|entry| entry.body.as_deref()).collect();
    ensure!(urls.len() == 2 && urls[0] != urls[1], "{EVENT_NAME}: {urls:?}");
    story.scene.cluster.finish().await
}
