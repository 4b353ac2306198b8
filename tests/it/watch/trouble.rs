//! Brokers in trouble: nothing false, and nothing lost once they answer again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::ScriptedBroker;
use serde_json::Value;

use super::scene::{self, Scene, ago, now, publish};
use crate::harness::{Looking, Mode, Plan, SOON, wait_until};

/// A provider with a build, and a consumer that was verified.
async fn broker() -> Result<ScriptedBroker> {
    let broker = scene::broker().await?;
    broker.model(|model| {
        for consumer in ["web", "app"] {
            publish(model, consumer, "0", "billing", ago(600));
            model.verify("billing", "b1", consumer, "0", true, ago(500));
        }
    });
    Ok(broker)
}

async fn state(scene: &Scene, consumer: &str) -> Result<Value> {
    let api = scene.cluster.api()?;
    let answer = api.get(&format!("/api/v1/freshness?consumer={consumer}")).await?.ok()?;
    answer["pairs"].as_array().and_then(|pairs| pairs.first()).cloned().context("the pair")
}

async fn open_incidents(scene: &Scene) -> Result<Vec<String>> {
    let answer = scene.cluster.api()?.get("/api/v1/incidents?open=true").await?.ok()?;
    let kinds = answer["incidents"].as_array().context("incidents")?.iter();
    Ok(kinds.map(|incident| incident["kind"].as_str().unwrap_or_default().to_owned()).collect())
}

/// More versions than a look reads are published while the broker can't tell of their pair: a look
/// that came to its end without it was none of this pair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_in_a_pairs_trouble_is_not_lost() -> Result<()> {
    const VERSIONS: u64 = 30;
    let broker = broker().await?;
    let scene = Scene::start_unswept(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    broker.answer_of("[pacticipant]=app", Some((500, "oops")));
    broker.model(|model| {
        for number in 1..=VERSIONS {
            let version = number.to_string();
            model.build_on("app", &version, &format!("feature-{number}"), now());
            model.publish("app", &version, "billing", &version, now());
        }
    });
    wait_until("the pair to be unknown", SOON, async || {
        let pair = state(&scene, "app").await?;
        Ok(Looking::when(pair["state"] == "unknown", || pair.to_string()))
    })
    .await?;
    scene.looked(&broker).await?;
    broker.answer_of("[pacticipant]=app", None);
    scene.dispatched(VERSIONS).await?;
    scene.cluster.finish().await
}

/// One pair that the broker can't tell of leaves the others, and is dispatched when it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pair_that_answers_500_leaves_the_others() -> Result<()> {
    let broker = broker().await?;
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    broker.answer_of("[pacticipant]=app", Some((500, "oops")));
    broker.model(|model| {
        for consumer in ["app", "web"] {
            publish(model, consumer, "1", "billing", now());
        }
    });
    scene.dispatched(1).await?;
    wait_until("the pair to be unknown", SOON, async || {
        let pair = state(&scene, "app").await?;
        Ok(Looking::when(pair["state"] == "unknown", || pair.to_string()))
    })
    .await?;
    scene.looked(&broker).await?;
    let sent = scene.sent()?;
    ensure!(sent == [("web".to_owned(), "1".to_owned(), "b1".to_owned())], "{sent:?}");
    let open = open_incidents(&scene).await?;
    ensure!(open.is_empty(), "{open:?}");
    broker.answer_of("[pacticipant]=app", None);
    scene.dispatched(2).await?;
    scene.cluster.finish().await
}

/// Refused, away, slow: no pair is called late because of it, nothing is dispatched that is not
/// owed, and what was published meanwhile is dispatched once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_cannot_be_asked_makes_nothing_false() -> Result<()> {
    let broker = broker().await?;
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    scene.looked(&broker).await?;
    for (place, status) in [401, 503].into_iter().enumerate() {
        broker.trouble(Some((status, None, "{}")));
        broker.model(|model| publish(model, "web", &format!("1.{place}"), "billing", now()));
        wait_until("the incident of the broker", SOON, async || {
            let open = open_incidents(&scene).await?;
            Ok(Looking::when(open == ["broker_unreachable"], || format!("{open:?}")))
        })
        .await?;
        ensure!(state(&scene, "app").await?["state"] == "fresh", "as it was");
        broker.trouble(None);
        scene.dispatched(place as u64 + 1).await?;
        wait_until("the end of the incident", SOON, async || {
            let open = open_incidents(&scene).await?;
            Ok(Looking::when(open.is_empty(), || format!("{open:?}")))
        })
        .await?;
    }
    broker.delay(Duration::from_millis(700));
    broker.model(|model| publish(model, "app", "2", "billing", now()));
    scene.dispatched(3).await?;
    broker.delay(Duration::ZERO);
    scene.looked(&broker).await?;
    scene.dispatched(3).await?;
    let open = open_incidents(&scene).await?;
    ensure!(open.is_empty(), "{open:?}");
    scene.cluster.finish().await
}

/// A walk takes long at first contact: the broker is away since it answered last, not since the
/// walk began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_away_since_it_last_answered() -> Result<()> {
    let broker = scene::broker().await?;
    broker.model(|model| {
        for number in 0..40 {
            publish(model, &format!("web{number}"), "0", "billing", ago(600));
        }
    });
    broker.delay(Duration::from_millis(200));
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    wait_until("the walk to be under way", SOON, async || {
        let asked = broker.seen().len();
        Ok(Looking::when(asked > 40, || format!("{asked} requests")))
    })
    .await?;
    let answered = now();
    broker.trouble(Some((503, None, "text/plain")));
    let api = scene.cluster.api()?;
    let since = wait_until("the broker to be away", SOON, async || {
        let brokers = api.get("/api/v1/brokers").await?.ok()?;
        let since = brokers["brokers"][0]["failing_since"].as_str().map(str::to_owned);
        Ok(Looking::from_option(since))
    })
    .await?;
    let since: Timestamp = since.parse()?;
    // Requests that were under way are answered yet, or not.
    let before = answered.duration_since(since);
    ensure!(before < SignedDuration::from_secs(1), "away since {since}, {before:#} too early");
    scene.cluster.finish().await
}
