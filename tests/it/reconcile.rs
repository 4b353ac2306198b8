//! `reconcile`: what the broker lost is found and dispatched once.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options, Play};
use postrider_testkit::broker::{Model, ScriptedBroker};
use serde_json::Value;

use crate::harness::{Cluster, Looking, Mode, Plan, SOON, event, run_with, wait_until, webhook};

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// A contract for billing of a consumer's main branch.
fn publish(model: &mut Model, consumer: &str, version: &str, hours: i64) {
    model.main_branch(consumer, Some("main"), ago(hours));
    model.build_on(consumer, version, "main", ago(hours));
    model.publish(consumer, version, "billing", version, ago(hours));
}

/// A postrider with the seed webhook for billing, and a broker.
struct Scene {
    double: Double,
    cluster: Cluster,
    broker: ScriptedBroker,
}

impl Scene {
    /// Billing's main head is `5f0c1d9`, as in the seed event; `a1` is in production.
    async fn set_up() -> Result<Self> {
        let double = Double::start(Options::default()).await?;
        let cluster = Plan::new(Mode::Embedded).start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
        api.create_webhook(&hook).await?;
        let broker = ScriptedBroker::start().await?;
        broker.model(|model| {
            model.main_branch("billing", Some("main"), ago(500));
            model.build_on("billing", "a1", "rel", ago(400));
            model.build_on("billing", "5f0c1d9", "main", ago(300));
        });
        Ok(Self { double, cluster, broker })
    }

    async fn reconcile(&self, args: &[&str]) -> Result<Output> {
        let variables = [
            ("POSTRIDER_URL".to_owned(), self.cluster.api()?.base().to_owned()),
            ("PACT_BROKER_BASE_URL".to_owned(), self.broker.url().to_owned()),
        ];
        run_with(&[&["reconcile"], args].concat(), &variables, "").await
    }

    /// Runs it and reads its JSON: the exit code, and `consumer version provider-version state`.
    async fn states(&self, args: &[&str]) -> Result<(Option<i32>, Vec<String>)> {
        let output = self.reconcile(&[args, &["-o", "json"]].concat()).await?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let state = |owed: &Value| {
            let text = |key: &str| owed[key].as_str().unwrap_or_default().to_owned();
            let (consumer, version) = (text("consumer"), text("consumer_version"));
            format!("{consumer} {version} {} {}", text("provider_version"), text("state"))
        };
        let owed = report["owed"].as_array().context("owed")?;
        Ok((output.status.code(), owed.iter().map(state).collect()))
    }
}

/// The values of what was dispatched for web are those of the broker's own webhooks, and never an
/// empty sha.
fn values_are_the_brokers_own(scene: &Scene) -> Result<()> {
    let Scene { double, broker, .. } = scene;
    let expected = broker.model(|model| {
        let of_web = model.triggers().iter().filter(|one| {
            one.consumer == "web" && one.event == "contract_requiring_verification_published"
        });
        let mut values: Vec<_> =
            of_web.map(|one| (one.provider_version.clone(), one.provider_branch.clone())).collect();
        values.sort();
        values
    });
    let mut sent = Vec::new();
    for delivery in double.accepted().iter().skip(1) {
        let body: Value = serde_json::from_str(delivery.body.as_deref().context("a body")?)?;
        let payload = body["client_payload"].clone();
        ensure!(payload["consumer_version_number"] == "2.0.0", "{body}");
        ensure!(payload["consumer_version_branch"] == "main", "{body}");
        ensure!(payload["consumer_version_tags"] == "x y", "{body}");
        let url = payload["pact_url"].as_str().unwrap_or_default().to_owned();
        ensure!(url.contains("/consumer/web/pact-version/") && url.contains("/metadata/"), "{url}");
        let text = |key: &str| payload[key].as_str().unwrap_or_default().to_owned();
        sent.push((text("sha"), text("branch")));
    }
    sent.sort();
    ensure!(sent == expected, "{sent:?} instead of {expected:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_dispatched_once() -> Result<()> {
    let scene = Scene::set_up().await?;
    let Scene { double, cluster, broker } = &scene;
    let api = cluster.api()?;
    // The event of checkout 1.0.7 came here, those of web 2.0.0 were lost.
    api.publish(&event(7, "billing")).await?;
    broker.model(|model| {
        model.deploy("billing", "a1", "prod", None, ago(100));
        publish(model, "checkout", "1.0.7", 1);
        publish(model, "web", "2.0.0", 2);
        model.tag("web", "2.0.0", "x y", ago(2));
        publish(model, "app", "3", 3);
        for version in ["a1", "5f0c1d9"] {
            model.verify("billing", version, "app", "3", false, ago(1));
        }
        publish(model, "old", "1", 24 * 8);
        model.verify("billing", "a1", "old", "1", true, ago(24));
        model.verify("billing", "a1", "checkout", "1.0.7", true, ago(0));
    });
    double.wait_for(1, SOON).await?;

    let (code, states) = scene.states(&[]).await?;
    let expected =
        ["web 2.0.0 5f0c1d9 lost", "web 2.0.0 a1 lost", "checkout 1.0.7 5f0c1d9 delivery_exists"];
    ensure!(states == expected && code == Some(1), "{code:?} {states:?}");
    let text = String::from_utf8(scene.reconcile(&[]).await?.stdout)?;
    ensure!(text.contains("2 lost; --yes dispatches them"), "{text}");
    ensure!(double.counts().accepted == 1, "nothing is sent without --yes");

    let (code, states) = scene.states(&["--yes"]).await?;
    let dispatched = states.iter().filter(|state| state.ends_with(" dispatched")).count();
    ensure!(dispatched == 2 && code == Some(0), "{code:?} {states:?}");
    double.wait_for(3, SOON).await?;
    values_are_the_brokers_own(&scene)?;

    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states.iter().all(|state| state.ends_with(" delivery_exists")), "{states:?}");
    ensure!(code == Some(0), "{code:?}");
    ensure!(api.deliveries("consumer=web").await?.len() == 2, "a second run does nothing");
    ensure!(double.counts().accepted == 3, "{:?}", double.counts());
    let Scene { cluster, .. } = scene;
    cluster.finish().await
}

/// A build, a deployment, a feature branch: what no broker tells of is listed, and dispatched
/// only where it is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_later_waits_to_be_asked_for() -> Result<()> {
    let scene = Scene::set_up().await?;
    let Scene { double, broker, .. } = &scene;
    broker.model(|model| {
        publish(model, "web", "2.0.0", 24 * 30);
        model.verify("billing", "5f0c1d9", "web", "2.0.0", true, ago(24 * 30));
        model.deploy("billing", "a1", "prod", None, ago(3));
        model.build_on("web", "f1", "feat/x", ago(2)).publish("web", "f1", "billing", "f", ago(2));
    });
    let (code, states) = scene.states(&["--yes"]).await?;
    let expected = ["web 2.0.0 a1 later", "web f1 5f0c1d9 dispatched", "web f1 a1 dispatched"];
    ensure!(states == expected && code == Some(0), "{code:?} {states:?}");
    double.wait_for(2, SOON).await?;
    let (code, states) = scene.states(&["--yes", "--later"]).await?;
    ensure!(states.first().is_some_and(|state| state == "web 2.0.0 a1 dispatched"), "{states:?}");
    ensure!(code == Some(0), "{code:?}");
    double.wait_for(3, SOON).await?;
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
    wait_until("the lane to be held", SOON, async || {
        let held = api.deliveries("status=held").await?;
        Ok(Looking::when(held.len() == 1, || format!("{held:?}")))
    })
    .await?;
    broker.model(|model| publish(model, "checkout", "1.0.7", 1));
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["checkout 1.0.7 5f0c1d9 delivery_exists"] && code == Some(0), "{states:?}");

    let (code, states) = scene.states(&["--broker", "second"]).await?;
    ensure!(states == ["checkout 1.0.7 5f0c1d9 lost"] && code == Some(1), "{states:?}");
    Ok(())
}

/// A delivery that failed told nobody: what it was about is lost, and can be dispatched anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_here_is_lost_again() -> Result<()> {
    let scene = Scene::set_up().await?;
    let Scene { double, cluster, broker } = &scene;
    let api = cluster.api()?;
    broker.model(|model| publish(model, "checkout", "1.0.7", 1));
    double.script("acme/billing", vec![Play::status(422)])?;
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["checkout 1.0.7 5f0c1d9 dispatched"] && code == Some(0), "{states:?}");
    wait_until("the delivery to fail", SOON, async || {
        let failed = api.deliveries("status=failed").await?;
        Ok(Looking::when(failed.len() == 1, || format!("{failed:?}")))
    })
    .await?;
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["checkout 1.0.7 5f0c1d9 dispatched"] && code == Some(0), "{states:?}");
    double.wait_for(1, SOON).await?;
    let Scene { cluster, .. } = scene;
    cluster.finish().await
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
    broker.model(|model| {
        model.main_branch("nobody", Some("main"), ago(90)).build_on("nobody", "n", "main", ago(80));
        model.main_branch("web", Some("main"), ago(1)).build_on("web", "1", "main", ago(1));
        model.publish("web", "1", "nobody", "one", ago(1));
    });
    let (code, states) = scene.states(&["--yes"]).await?;
    ensure!(states == ["web 1 n no_webhook"] && code == Some(1), "{states:?} {code:?}");

    broker.model(|model| {
        model.verify("nobody", "n", "web", "1", true, ago(0));
        publish(model, "app", "3", 3);
        publish(model, "shop", "2", 2);
    });
    let (code, states) = scene.states(&["--yes", "--limit", "1"]).await?;
    let expected = ["app 3 5f0c1d9 dispatched", "shop 2 5f0c1d9 lost"];
    ensure!(states == expected, "oldest first: {states:?}");
    ensure!(code == Some(1), "{code:?}");

    for (status, retry_after, code) in [(401, None, 4), (429, Some(9), 5), (500, None, 3)] {
        broker.trouble(Some((status, retry_after, "")));
        told(&scene.reconcile(&["--yes"]).await?, code, "error: ")?;
    }
    broker.trouble(None);
    // One pair in trouble leaves the others.
    broker.answer_of("[pacticipant]=shop", Some((500, "")));
    let (code, states) = scene.states(&[]).await?;
    ensure!(states == ["app 3 5f0c1d9 delivery_exists"] && code == Some(3), "{states:?} {code:?}");
    broker.answer_of("[pacticipant]=shop", None);
    let away = scene.reconcile(&["--url", "http://127.0.0.1:1"]).await?;
    told(&away, 3, "cannot reach postrider")?;
    told(&scene.reconcile(&["--since", "soon"]).await?, 2, "--since")
}
