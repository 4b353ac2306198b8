//! The broker's own webhook: gone, refused, and what its calls wake.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::scene::{self, Scene, now, publish};
use crate::harness::{EVENT_NAME, Looking, Mode, Plan, SOON, wait_until};

/// Waits until the open incidents of a kind are as many; the last one of them.
async fn open(scene: &Scene, kind: &str, count: usize) -> Result<Value> {
    let api = scene.cluster.api()?;
    wait_until(&format!("{count} open incidents {kind}"), SOON, async || {
        let answer = api.get(&format!("/api/v1/incidents?open=true&kind={kind}")).await?.ok()?;
        let all = answer["incidents"].as_array().cloned().unwrap_or_default();
        let last = all.last().cloned().unwrap_or_default();
        Ok(if all.len() == count {
            Looking::Found(last)
        } else {
            Looking::NotYet(answer.to_string())
        })
    })
    .await
}

/// Removed, put back, switched off, switched on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_gone_is_an_incident() -> Result<()> {
    let broker = scene::broker().await?;
    let scene = Scene::start(Plan::new(Mode::Embedded), &broker).await?;
    let is_read = |(path, _): &(String, _)| path.starts_with("/webhooks/");
    wait_until("the relay to be seen", SOON, async || {
        Ok(Looking::when(broker.seen().iter().any(is_read), String::new))
    })
    .await?;
    scene.looked(&broker).await?;
    open(&scene, "relay_gone", 0).await?;
    broker.model(|model| {
        model.remove_relay();
    });
    let gone = open(&scene, "relay_gone", 1).await?;
    ensure!(gone["subject"] == "default" && gone["cause"] == "removed", "{gone}");
    broker.model(|model| {
        model.relay_webhook(
            "another-relay-of-this-broker",
            "https://p.example/hooks/broker?eventName=x",
        );
    });
    open(&scene, "relay_gone", 0).await?;
    broker.model(|model| {
        model.switch_relay(false);
    });
    let off = open(&scene, "relay_gone", 1).await?;
    ensure!(off["cause"] == "disabled", "{off}");
    broker.model(|model| {
        model.switch_relay(true);
    });
    open(&scene, "relay_gone", 0).await?;
    scene.cluster.finish().await
}

/// Refused for its token until it has another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_refused_is_an_incident() -> Result<()> {
    let plan = Plan::new(Mode::Embedded).set("API_TOKENS", "operate:0123456789abcdef");
    let cluster = Box::pin(plan.start()).await?;
    let (stranger, known) =
        (cluster.api()?.with_token("nobody"), cluster.api()?.with_token("0123456789abcdef"));
    let call =
        format!("/hooks/broker/team%20a?eventName={EVENT_NAME}&consumerName=c&providerName=p");
    for _ in 0..3 {
        let answer = stranger.send(stranger.call("POST", &call)?).await?;
        ensure!(answer.status == 401, "{}", answer.status);
    }
    // Whoever tries doors is no broker.
    stranger.send(stranger.call("POST", "/hooks/broker/x")?).await?;
    let incidents = async |open: &str| -> Result<Vec<Value>> {
        let answer =
            known.get(&format!("/api/v1/incidents?kind=relay_refused{open}")).await?.ok()?;
        Ok(answer["incidents"].as_array().cloned().unwrap_or_default())
    };
    let refused = wait_until("the incident", SOON, async || {
        Ok(Looking::from_option(incidents("").await?.into_iter().next()))
    })
    .await?;
    ensure!(refused["subject"] == "team a" && refused["severity"] == "critical", "{refused}");
    ensure!(cluster.lines("intake.refused").len() == 1, "it is told once a minute");

    let answer = known.send(known.call("POST", &call)?).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text);
    wait_until("the incident to be over", SOON, async || {
        let open = incidents("&open=true").await?;
        Ok(Looking::when(open.is_empty(), || format!("{open:?}")))
    })
    .await?;
    cluster.finish().await
}

/// Two relays of a broker call, one with a token that is not known here: the other one's calls, which
/// are taken, end nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_taken_ends_nothing_of_another() -> Result<()> {
    let plan = Plan::new(Mode::Embedded).set("API_TOKENS", "operate:0123456789abcdef");
    let cluster = Box::pin(plan.start()).await?;
    let (stranger, known) =
        (cluster.api()?.with_token("nobody"), cluster.api()?.with_token("0123456789abcdef"));
    let of = |number: usize, relay: &str| {
        format!(
            "/hooks/broker?eventName={EVENT_NAME}&consumerName=c&consumerVersionNumber={number}\
             &providerName=p&relay={relay}"
        )
    };
    let (bad, good) = ("relay-with-a-bad-token", "relay-with-a-good-token");
    let incidents = async || -> Result<Vec<Value>> {
        let answer = known.get("/api/v1/incidents?kind=relay_refused").await?.ok()?;
        Ok(answer["incidents"].as_array().cloned().unwrap_or_default())
    };
    let call = async |number: usize| -> Result<()> {
        let refused = stranger.send(stranger.call("POST", &of(number, bad))?).await?;
        let taken = known.send(known.call("POST", &of(number, good))?).await?;
        ensure!((refused.status, taken.status) == (401, 200), "{} {}", refused.text, taken.text);
        Ok(())
    };
    call(0).await?;
    wait_until("the incident", SOON, async || {
        Ok(Looking::from_option(incidents().await?.into_iter().next()))
    })
    .await?;
    // Rounds of the monitor come between, which would end the incident or open another. Of many
    // calls in a second the first is written down, with those before.
    let mut number = 0;
    wait_until("six calls to be told of", SOON, async || {
        number += 1;
        call(number).await?;
        let all = incidents().await?;
        ensure!(all.len() == 1 && all[0]["resolved_at"].is_null(), "{all:?}");
        let summary = all[0]["summary"].as_str().unwrap_or_default().to_owned();
        let told: u64 = summary.split(' ').next().unwrap_or_default().parse()?;
        Ok(Looking::when(told >= 6, || summary))
    })
    .await?;
    // The other one has its token now.
    let taken = known.send(known.call("POST", &of(0, bad))?).await?;
    ensure!(taken.status == 200, "{}", taken.text);
    wait_until("the incident to be over", SOON, async || {
        let all = incidents().await?;
        Ok(Looking::when(!all[0]["resolved_at"].is_null(), || format!("{all:?}")))
    })
    .await?;
    cluster.finish().await
}

/// A broker that is looked at every hour, and a call that tells of one of two publications.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_the_relay_wakes_the_watch() -> Result<()> {
    let broker = scene::broker().await?;
    let plan = Plan::new(Mode::Embedded).set("PACT_BROKER_BASE_URL", broker.url());
    let scene = Scene::start_every("1h", plan).await?;
    wait_until("the end of the first look", SOON, async || {
        let is_over = broker.seen().iter().any(|(path, _)| path == "/webhooks");
        Ok(Looking::when(is_over, String::new))
    })
    .await?;
    broker.model(|model| {
        publish(model, "web", "1", "billing", now());
        publish(model, "app", "1", "billing", now());
    });
    scene.relay(&broker, "consumerName=web").await?;
    scene.dispatched(2).await?;
    scene.cluster.finish().await
}
