//! `reconcile`: what the broker lost is found and dispatched once.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{Cluster, Mode, Plan, SOON, ScriptedBroker, event, row, run_with, webhook};

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// A postrider with the seed webhook for billing, and a broker.
struct Scene {
    double: Double,
    cluster: Cluster,
    broker: ScriptedBroker,
}

impl Scene {
    async fn set_up() -> Result<Self> {
        let double = Double::start(Options::default()).await?;
        let cluster = Plan::new(Mode::Embedded).start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
        api.create_webhook(&hook).await?;
        Ok(Self { double, cluster, broker: ScriptedBroker::start().await? })
    }

    async fn reconcile(&self, args: &[&str]) -> Result<Output> {
        let variables = [
            ("POSTRIDER_URL".to_owned(), self.cluster.api()?.base().to_owned()),
            ("PACT_BROKER_BASE_URL".to_owned(), self.broker.url().to_owned()),
        ];
        run_with(&[&["reconcile"], args].concat(), &variables, "").await
    }

    /// Runs it and reads its JSON: the exit code, and state by consumer and version.
    async fn states(&self, args: &[&str]) -> Result<(Option<i32>, Vec<String>)> {
        let output = self.reconcile(&[args, &["-o", "json"]].concat()).await?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let state = |owed: &Value| {
            let text = |key: &str| owed[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("consumer"), text("consumer_version"), text("state"))
        };
        let owed = report["owed"].as_array().context("owed")?;
        Ok((output.status.code(), owed.iter().map(state).collect()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_dispatched_once() -> Result<()> {
    let scene = Scene::set_up().await?;
    let Scene { double, cluster, broker } = &scene;
    let api = cluster.api()?;
    // The event of checkout 1.0.7 came here, that of web 2.0.0 was lost.
    api.publish(&event(7, "billing")).await?;
    broker.set("checkout", "billing", &[row("1.0.7", ago(1), None)]);
    broker.set("web", "billing", &[row("2.0.0", ago(1), None), row("1.9.0", ago(2), None)]);
    broker.set("app", "billing", &[row("3", ago(1), Some((false, ago(0))))]);
    broker.set("old", "billing", &[row("1", ago(24 * 8), None)]);
    double.wait_for(1, SOON).await?;

    let (code, states) = scene.states(&[]).await?;
    let mut sorted = states.clone();
    sorted.sort_unstable();
    ensure!(sorted == ["checkout 1.0.7 delivery_exists", "web 2.0.0 lost"], "{states:?}");
    ensure!(code == Some(1), "something is lost: {code:?}");
    let output = scene.reconcile(&[]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("1 lost; --yes dispatches them"), "{text}");
    ensure!(double.counts().accepted == 1, "nothing is sent without --yes");

    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states.contains(&"web 2.0.0 dispatched".to_owned()), "{states:?}");
    ensure!(code == Some(0), "{code:?}");
    double.wait_for(2, SOON).await?;
    let sent = double.accepted().pop().context("a dispatch")?;
    let body: Value = serde_json::from_str(sent.body.as_deref().context("a body")?)?;
    let payload = &body["client_payload"];
    ensure!(payload["consumer_version_number"] == "2.0.0", "{body}");
    ensure!(payload["pact_url"] == "https://broker.example/pacts/version/2.0.0", "{body}");
    ensure!(payload["sha"] == "", "the provider's version is not known: {body}");

    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states.iter().all(|state| state.ends_with(" delivery_exists")), "{states:?}");
    ensure!(code == Some(0), "{code:?}");
    ensure!(api.deliveries("consumer=web").await?.len() == 1, "a second run does nothing");
    ensure!(double.counts().accepted == 2, "{:?}", double.counts());
    let Scene { cluster, .. } = scene;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_not_lost_and_brokers_do_not_mix() -> Result<()> {
    let scene = Scene::set_up().await?;
    let Scene { double, cluster, broker } = &scene;
    let api = cluster.api()?;
    double.accept_tokens(["another"]);
    api.publish(&event(7, "billing")).await?;
    crate::harness::wait_until("the lane to be held", SOON, async || {
        let held = api.deliveries("status=held").await?;
        Ok(crate::harness::Looking::when(held.len() == 1, || format!("{held:?}")))
    })
    .await?;
    broker.set("checkout", "billing", &[row("1.0.7", ago(1), None)]);
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["checkout 1.0.7 delivery_exists"] && code == Some(0), "{states:?}");

    let (code, states) = scene.states(&["--broker", "second"]).await?;
    ensure!(states == ["checkout 1.0.7 lost"] && code == Some(1), "{states:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_or_sent() -> Result<()> {
    let scene = Scene::set_up().await?;
    let broker = &scene.broker;
    let told = |output: &Output, code: i32, words: &str| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(code), "{}: {errors}", output.status);
        ensure!(errors.contains(words), "{words:?} is not told: {errors}");
        Ok(())
    };
    told(&scene.reconcile(&[]).await?, 2, "nothing was checked")?;
    broker.set("web", "nobody", &[row("1", ago(1), None)]);
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["web 1 no_webhook"] && code == Some(1), "{states:?} {code:?}");

    broker.set("web", "billing", &[row("2", ago(2), None)]);
    broker.set("app", "billing", &[row("3", ago(1), None)]);
    broker.set("web", "nobody", &[]);
    let (code, states) = scene.states(&["--yes", "--limit", "1"]).await?;
    ensure!(states == ["web 2 dispatched", "app 3 lost"], "oldest first: {states:?}");
    ensure!(code == Some(1), "{code:?}");

    for (status, retry_after, code) in [(401, None, 4), (429, Some(9), 5), (500, None, 3)] {
        broker.trouble(Some((status, retry_after, "")));
        told(&scene.reconcile(&["--yes"]).await?, code, "error: ")?;
    }
    broker.trouble(None);
    let away = scene.reconcile(&["--url", "http://127.0.0.1:1"]).await?;
    told(&away, 3, "cannot reach postrider")?;
    told(&scene.reconcile(&["--since", "soon"]).await?, 2, "--since")
}
