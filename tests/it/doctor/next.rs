//! What a verdict says is to be done next, done: each command as it stands, with what stands in
//! capitals filled in.

use anyhow::{Context, Result, ensure};
use postrider_github_double::Play;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CONSUMER, LATER, Scene};
use crate::harness::{EVENT_NAME, Looking, SOON, hook_webhook, run_with, wait_until};
use crate::webhook_broker::{Behaviour, WebhookBroker};

const TOKEN: &str = "test-token";
const NEW_TOKEN: &str = "another-token";
const APPLY: &str = "postrider webhooks apply -f FILE --yes";
const RECONCILE: &str = "postrider reconcile --broker default --yes";

struct Doing {
    scene: Scene,
    files: TempDir,
}

impl Doing {
    async fn set_up() -> Result<Self> {
        let scene = Box::pin(Scene::set_up_with("1 1", Some([TOKEN, NEW_TOKEN]))).await?;
        Ok(Self { scene, files: tempfile::tempdir()? })
    }

    /// What is to be done about this verdict.
    async fn next(&self, provider: &str, verdict: &str) -> Result<Vec<String>> {
        let report = self.scene.verdict(provider, verdict).await?;
        let next: Vec<String> = serde_json::from_value(report["next"].clone())?;
        ensure!(!next.is_empty(), "{report:#}");
        Ok(next)
    }

    /// Runs a command to this exit code; what it says. Of several pairs that are lost `reconcile` says
    /// with 1 that some are wanted by no webhook.
    async fn run(&self, command: &str, input: &str, code: i32) -> Result<String> {
        ensure!(!command.contains(['\'', '"']), "a shell would have to read {command}");
        let words = command.strip_prefix("postrider ").context("a command of ours")?;
        let args: Vec<&str> = words.split(' ').collect();
        let variables = [
            ("POSTRIDER_URL".to_owned(), self.scene.api.base().to_owned()),
            ("PACT_BROKER_BASE_URL".to_owned(), self.scene.broker.url().to_owned()),
        ];
        let output = run_with(&args, &variables, input).await?;
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let is_partly = words.starts_with("reconcile ") && output.status.code() == Some(1);
        let is_expected = output.status.code() == Some(code) || is_partly;
        ensure!(is_expected, "{command}: {} {text}", output.status);
        Ok(text)
    }

    /// Does all that is to be done, each command to its good end.
    async fn done(&self, provider: &str, verdict: &str) -> Result<Vec<String>> {
        let next = self.next(provider, verdict).await?;
        let mut told = Vec::new();
        for command in &next {
            told.push(self.run(command, TOKEN, 0).await?);
        }
        Ok(told)
    }

    /// The provider's newest delivery, once it has this status and at least so many attempts.
    async fn newest(&self, provider: &str, status: &str, attempts: u64) -> Result<Value> {
        wait_until(&format!("{provider} to be {status}"), SOON, async || {
            let all = self.scene.api.deliveries(&format!("provider={provider}")).await?;
            let newest = all.into_iter().next().unwrap_or_default();
            let made = newest["attempts"].as_u64().unwrap_or_default();
            let is_so = newest["status"] == status && made >= attempts;
            Ok(if is_so { Looking::Found(newest) } else { Looking::NotYet(newest.to_string()) })
        })
        .await
    }

    /// The command with this document in a file.
    fn apply(&self, document: &Value) -> Result<String> {
        let path = self.files.path().join("webhook.json");
        std::fs::write(&path, document.to_string())?;
        Ok(APPLY.replace("FILE", path.to_str().context("a path")?))
    }

    /// A webhook that somebody holds, with a delivery that waits; its uuid.
    async fn held(&self, provider: &str) -> Result<String> {
        let uuid = self.scene.registered(provider).await?;
        self.scene.hold(provider).await?;
        self.scene.told(provider).await?;
        Ok(uuid)
    }

    async fn release(&self, provider: &str) -> Result<()> {
        let lane = self.scene.api.lane(&format!("/token-{provider}")).await?.context("a lane")?;
        let name = json!({"lane": lane["name"]});
        self.scene.api.with_json("POST", "/api/v1/lanes/release", &name).await?.ok()?;
        Ok(())
    }
}

/// Secrets and holds: what waited leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_leaves() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let (scene, api) = (&doing.scene, &doing.scene.api);
    api.create_webhook(&scene.dispatches("valueless", None).await?).await?;
    api.create_webhook(&scene.dispatches("dead", Some("revoked-token")).await?).await?;
    scene.told("valueless").await?;
    scene.told("dead").await?;
    doing.held("halted").await?;
    for (provider, verdict, command) in [
        ("valueless", "secret_missing", "postrider secrets set token-valueless"),
        ("dead", "credential_dead", "postrider secrets rotate token-dead"),
        ("halted", "held", "postrider lanes release "),
    ] {
        let next = doing.next(provider, verdict).await?;
        ensure!(next.len() == 1 && next[0].starts_with(command), "{next:?}");
        doing.newest(provider, "held", 0).await?;
        doing.run(&next[0], NEW_TOKEN, 0).await?;
        doing.newest(provider, "delivered", 1).await?;
    }
    let waits = Play::Status {
        status: 429,
        headers: vec![("retry-after".to_owned(), "3600".to_owned())],
        body: String::new(),
    };
    scene.double.script_repeating("acme/hurried", vec![waits])?;
    scene.registered("hurried").await?;
    scene.told("hurried").await?;
    let told = doing.done("hurried", "limited").await?;
    ensure!(told[0].contains("/token-hurried"), "{told:?}");
    doing.scene.cluster.finish().await
}

/// What failed is sent again once its cause is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_sent_again() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let scene = &doing.scene;
    let stories = [
        ("forbidden", "permission_missing", Play::Recorded("pat-not-accessible-403")),
        ("nowhere", "target_missing", Play::Recorded("not-found-404")),
        ("picky", "payload_rejected", Play::status(422)),
        ("broken", "target_down", Play::status(500)),
    ];
    for (provider, _, play) in &stories {
        scene.double.script_repeating(&format!("acme/{provider}"), vec![play.clone()])?;
        scene.registered(provider).await?;
        scene.told(provider).await?;
    }
    for (provider, verdict, _) in &stories {
        let failed = doing.newest(provider, "failed", 1).await?;
        scene.double.clear_script(&format!("acme/{provider}"));
        let told = doing.done(provider, verdict).await?;
        let sent = doing.newest(provider, "delivered", 2).await?;
        ensure!(sent["id"] == failed["id"], "{sent} {told:?}");
    }
    overfull(&doing).await?;
    blocked(&doing).await?;
    doing.scene.cluster.finish().await
}

/// Its webhook sends too much, until somebody changes it.
async fn overfull(doing: &Doing) -> Result<()> {
    let scene = &doing.scene;
    let good = scene.dispatches("overfull", Some(TOKEN)).await?;
    let mut bad = good.clone();
    for number in 0..11 {
        bad["request"]["body"]["client_payload"][format!("more-{number}")] = json!("x");
    }
    let uuid = scene.api.create_webhook(&bad).await?;
    scene.told("overfull").await?;
    doing.newest("overfull", "failed", 1).await?;
    scene.api.with_json("PUT", &format!("/webhooks/{uuid}"), &good).await?.ok()?;
    doing.done("overfull", "render_error").await?;
    doing.newest("overfull", "delivered", 2).await?;
    Ok(())
}

/// Where it may not go it is tried again, and may still not go.
async fn blocked(doing: &Doing) -> Result<()> {
    let inside = hook_webhook("http://10.255.255.1", "inside", "inside");
    doing.scene.api.create_webhook(&inside).await?;
    doing.scene.told("inside").await?;
    doing.newest("inside", "failed", 1).await?;
    let told = doing.done("inside", "blocked").await?;
    ensure!(told[0].contains("blocked"), "{told:?}");
    doing.newest("inside", "failed", 2).await?;
    Ok(())
}

/// What was taken and led to nothing is sent once more; a run is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_led_to_nothing_is_sent_again() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let scene = &doing.scene;
    scene.registered("idle").await?;
    let silent = hook_webhook(&scene.double.base_url(), "silent", "silent");
    scene.api.create_webhook(&silent).await?;
    for (provider, verdict) in [("idle", "no_run"), ("silent", "no_result")] {
        scene.told(provider).await?;
        doing.newest(provider, "delivered", 1).await?;
        doing.done(provider, verdict).await?;
        doing.newest(provider, "delivered", 2).await?;
    }
    scene.ran("running", "in_progress", None).await?;
    scene.ran("red", "completed", Some("failure")).await?;
    scene.ran("green", "completed", Some("success")).await?;
    for (provider, verdict) in
        [("running", "in_progress"), ("red", "run_failed"), ("green", "run_without_result")]
    {
        let delivery = doing.newest(provider, "delivered", 1).await?;
        let told = doing.done(provider, verdict).await?;
        let id = delivery["id"].as_str().context("an id")?;
        ensure!(told[0].contains(id), "{told:?}");
    }
    doing.scene.cluster.finish().await
}

/// Its webhook was deleted, or switched off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_discarded_is_sent_after_all() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let (scene, api) = (&doing.scene, &doing.scene.api);
    let deleted = doing.held("given-up").await?;
    let gone = api.call("DELETE", &format!("/webhooks/{deleted}"))?;
    ensure!(api.send(gone).await?.status == 204);
    let disabled = doing.held("idle").await?;
    let mut off = scene.dispatches("idle", None).await?;
    off["enabled"] = json!(false);
    api.with_json("PUT", &format!("/webhooks/{disabled}"), &off).await?.ok()?;
    for (provider, uuid) in [("idle", Some(disabled)), ("given-up", None)] {
        doing.newest(provider, "discarded", 0).await?;
        doing.release(provider).await?;
        let mut document = scene.dispatches(provider, None).await?;
        if let Some(uuid) = &uuid {
            document["uuid"] = json!(uuid);
            document["enabled"] = json!(true);
        }
        let next = doing.next(provider, "discarded").await?;
        ensure!(next.iter().any(|command| command == APPLY), "{next:?}");
        for command in next {
            let command = if command == APPLY { doing.apply(&document)? } else { command };
            doing.run(&command, "", 0).await?;
        }
        doing.newest(provider, "delivered", 1).await?;
    }
    doing.scene.cluster.finish().await
}

/// No call of the broker came, and then nobody wanted the event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_told_of_is_told() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let relays = WebhookBroker::start(Behaviour::default()).await?;
    let next = doing.next("untold", "event_not_received").await?;
    let [connect, reconcile] = &next[..] else { anyhow::bail!("{next:?}") };
    let connect = connect.replacen("URL", relays.url(), 1);
    let connect = connect.replacen("URL", "https://postrider.example", 1);
    doing.run(&connect, "", 0).await?;
    let registered = relays.webhooks();
    ensure!(registered.len() == 1, "{registered:?}");
    let events = registered[0]["events"].to_string();
    ensure!(events.contains(EVENT_NAME), "{events}");

    ensure!(reconcile == RECONCILE, "{next:?}");
    doing.run(reconcile, "", 0).await?;
    let next = doing.next("untold", "no_webhook").await?;
    let [show, apply, reconcile] = &next[..] else { anyhow::bail!("{next:?}") };
    ensure!(doing.run(show, "", 0).await?.contains("untold"), "{show}");
    ensure!(apply == APPLY, "{next:?}");
    let document = doing.scene.dispatches("untold", Some(TOKEN)).await?;
    doing.run(&doing.apply(&document)?, "", 0).await?;
    doing.run(reconcile, "", 0).await?;
    doing.newest("untold", "delivered", 1).await?;
    // A second run does nothing.
    doing.run(reconcile, "", 0).await?;
    let all = doing.scene.api.deliveries("provider=untold").await?;
    ensure!(all.len() == 1, "{all:?}");
    doing.scene.cluster.finish().await
}

/// A version that came later is told of; what the broker's own commands do is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_came_later_is_told_of() -> Result<()> {
    let doing = Box::pin(Doing::set_up()).await?;
    let scene = &doing.scene;
    scene.registered(LATER).await?;
    doing.done(LATER, "wrong_provider_version").await?;
    let sent = doing.newest(LATER, "delivered", 1).await?;
    let sent = scene.api.delivery(sent["id"].as_str().context("an id")?).await?;
    ensure!(sent["event"]["provider"]["version_number"] == "m2", "{sent:#}");
    for (provider, verdict) in
        [("headless", "provider_not_there"), ("kept-not", "verification_failed")]
    {
        let next = doing.next(provider, verdict).await?;
        ensure!(next[0].starts_with("pact-broker "), "{next:?}");
    }
    scene.broker.trouble(Some((500, None, "")));
    let next = doing.next("well", "unknown").await?;
    let check = format!("postrider check verification --consumer {CONSUMER} --provider well");
    ensure!(next == [check], "{next:?}");
    doing.run(&next[0], "", 3).await?;
    scene.broker.trouble(None);
    doing.run(&next[0], "", 0).await?;
    doing.scene.cluster.finish().await
}
