//! `webhooks import`: a broker's webhooks come over as they were recorded, once, and the
//! originals are switched off only when their copies work.

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};

use crate::harness::{Api, Cluster, EVENT_NAME, Mode, Plan, Setting, run, setting, webhook};
use crate::webhook_broker::{Behaviour, WebhookBroker, recorded};

/// Recorded webhooks: by provider, by label, by both names.
const RECORDED: [&str; 3] =
    ["webhook-get", "webhook-create-label", "webhook-create-for-consumer-provider"];

/// Which secrets the recorded stars stand for.
const MAPS: [&str; 8] = [
    "--map",
    "Authorization=Bearer ${user.githubToken}",
    "--map",
    "X-Plain-Token=${user.plain}",
    "--map",
    "X-Token=${user.plain}",
    "--map",
    "password=${user.plain}",
];

/// The documents as the broker answered them, and as it must have stored them.
fn originals() -> Result<(Vec<Value>, Vec<Value>)> {
    let shown: Vec<Value> = RECORDED.iter().map(|name| recorded(name)).collect::<Result<_>>()?;
    let mut stored = shown.clone();
    for webhook in &mut stored {
        let request = &mut webhook["request"];
        for (_, value) in request["headers"].as_object_mut().context("headers")? {
            if value == "**********" {
                *value = json!("original");
            }
        }
        if request["password"].is_string() {
            request["password"] = json!("original");
        }
    }
    Ok((shown, stored))
}

/// A broker with webhooks, and a postrider to import them.
struct Moving {
    broker: WebhookBroker,
    cluster: Cluster,
    api: Api,
}

impl Moving {
    async fn from(webhooks: Vec<Value>) -> Result<Self> {
        let behaviour = Behaviour { webhooks, takes_http: true, ..Behaviour::default() };
        let broker = WebhookBroker::start(behaviour).await?;
        let cluster = Plan::new(Mode::Embedded).start().await?;
        let api = cluster.api()?;
        Ok(Self { broker, cluster, api })
    }

    async fn import(&self, code: i32, args: &[&str]) -> Result<(String, String)> {
        let command = ["webhooks", "import", "--from-broker", self.broker.url()];
        let settings: [Setting; 1] = [setting("URL", self.api.base())];
        let Output { status, stdout, stderr } =
            run(&[&command[..], args].concat(), &settings, "").await?;
        let (out, err) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        ensure!(status.code() == Some(code), "{args:?}: {status}\n{out}\n{err}");
        Ok((out, err))
    }

    /// What postrider has, by uuid.
    async fn here(&self) -> Result<BTreeMap<String, Value>> {
        let collection = self.api.get("/webhooks").await?.ok()?;
        let mut here = BTreeMap::new();
        for link in collection["_links"]["pb:webhooks"].as_array().context("links")? {
            let href = link["href"].as_str().context("a link")?;
            let uuid = href.rsplit('/').next().context("a uuid")?.to_owned();
            let webhook = self.api.get(&format!("/webhooks/{uuid}")).await?.ok()?;
            here.insert(uuid, webhook);
        }
        Ok(here)
    }
}

/// A document without what each server adds of its own.
fn bare(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    if let Some(members) = webhook.as_object_mut() {
        for key in ["createdAt", "updatedAt", "_links", "warnings"] {
            members.remove(key);
        }
    }
    webhook
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_comes_over_and_once_is_enough() -> Result<()> {
    let (shown, stored) = originals()?;
    let moving = Moving::from(stored).await?;
    for (name, value) in [("githubToken", "a"), ("plain", "b")] {
        moving.api.set_secret(name, value).await?;
    }
    let (out, _) = moving.import(0, &MAPS).await?;
    ensure!(out.contains("3 to create") && out.contains("add --yes"), "{out}");
    ensure!(moving.here().await?.is_empty(), "a plan changes nothing");
    moving.import(0, &[&MAPS[..], &["--yes"]].concat()).await?;
    let here = moving.here().await?;
    ensure!(here.len() == RECORDED.len(), "{here:#?}");
    for original in &shown {
        let uuid = original["uuid"].as_str().context("a uuid")?;
        let copy = here.get(uuid).with_context(|| format!("{uuid} keeps its uuid"))?;
        ensure!(bare(copy) == bare(original), "{copy:#} is not {original:#}");
    }
    for args in [&MAPS[..], &[]] {
        let (out, _) = moving.import(0, &[args, &["--yes"]].concat()).await?;
        ensure!(out.contains("0 to create, 0 to replace, 3 unchanged"), "{out}");
    }
    ensure!(moving.here().await? == here, "the second and third time change nothing");
    ensure!(moving.broker.take_writes().is_empty(), "the broker is only read");
    moving.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stars_without_a_secret_stay_behind() -> Result<()> {
    let (_, stored) = originals()?;
    let moving = Moving::from(stored).await?;
    let (out, err) =
        moving.import(1, &[&MAPS[..6], &["--map", "X-No=${user.n}", "--yes"]].concat()).await?;
    ensure!(out.contains("needs a secret: request.password") && out.contains("--map"), "{out}");
    ensure!(out.contains("2 to create"), "the others come over: {out}");
    ensure!(err.contains("--map X-No=… has no place"), "{err}");
    ensure!(err.contains("the secret githubToken has no value here yet"), "{err}");
    ensure!(moving.here().await?.len() == 2);
    let output = moving.import(1, &["--output", "json"]).await?.0;
    let json: Value = serde_json::from_str(&output)?;
    let actions: Vec<&str> = json["webhooks"]
        .as_array()
        .context("webhooks")?
        .iter()
        .filter_map(|one| one["action"].as_str())
        .collect();
    ensure!(actions == ["unchanged", "unchanged", "needs_secret"], "{json:#}");
    moving.cluster.finish().await
}

/// A relay that sends the one event.
fn relay() -> Value {
    json!({
        "uuid": "relay-0123456789ab", "description": "relay", "enabled": true,
        "request": { "method": "POST",
            "url": "https://p.example/hooks/broker?eventName=${pactbroker.eventName}" },
        "events": [{ "name": EVENT_NAME }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_goes_off_only_when_its_copy_works() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let made = |repo: &str, uuid: &str| {
        let mut hook = webhook(&double.base_url(), repo, "billing", "unused");
        hook["uuid"] = json!(uuid);
        hook["description"] = json!(repo);
        hook["enabled"] = json!(true);
        hook["request"]["headers"]["Authorization"] = json!("Bearer original-token");
        hook
    };
    let mut refused = made("acme/refused", "refused-0123456789");
    refused["request"]["url"] = json!("http://127.0.0.1:1/repos/acme/refused/dispatches");
    let mut unsent = made("acme/unsent", "unsent-0123456789");
    unsent["events"] = json!([{ "name": "contract_content_changed" }]);
    let webhooks = vec![made("acme/works", "works-0123456789ab"), refused, relay(), unsent];
    let moving = Moving::from(webhooks).await?;
    moving.api.set_secret("githubToken", "test-token").await?;
    let args = ["--map", "Authorization=${user.githubToken}", "--disable-source"];
    moving.import(0, &args).await?;
    ensure!(moving.broker.take_writes().is_empty(), "a plan switches nothing off");
    let (out, err) = moving.import(1, &[&args[..], &["--yes"]].concat()).await?;
    ensure!(
        out.contains("skip       relay") && out.contains("switched off at the broker: acme/works"),
        "{out}"
    );
    ensure!(err.contains("acme/refused") && err.contains("stays on"), "{err}");
    ensure!(err.contains("relay does not send contract_content_changed"), "{err}");
    ensure!(double.accepted().len() == 1, "the copy was tested at its target");
    let enabled = || -> BTreeMap<String, bool> {
        let row = |webhook: &Value| {
            let name = webhook["description"].as_str().unwrap_or_default().to_owned();
            (name, webhook["enabled"] == true)
        };
        moving.broker.webhooks().iter().map(row).collect()
    };
    let expected =
        [("acme/works", false), ("acme/refused", true), ("acme/unsent", true), ("relay", true)];
    ensure!(
        enabled() == expected.map(|(name, on)| (name.to_owned(), on)).into(),
        "{:?}",
        enabled()
    );
    let works = moving.broker.webhooks().into_iter().find(|one| one["description"] == "acme/works");
    let headers = works.context("the original")?["request"]["headers"].clone();
    let kept = headers.as_object().context("headers")?.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("authorization") && value == "Bearer original-token"
    });
    ensure!(kept, "switching off keeps the original's secrets: {headers}");
    moving.broker.take_calls();
    let (out, _) = moving.import(1, &[&args[..], &["--yes"]].concat()).await?;
    ensure!(out.contains("3 unchanged"), "{out}");
    ensure!(moving.broker.take_writes().is_empty(), "what is off is left alone");
    ensure!(moving.here().await?["works-0123456789ab"]["enabled"] == true, "the copy stays on");
    moving.cluster.finish().await
}

#[tokio::test]
async fn a_broker_that_is_away_or_refuses_has_its_exit_code() -> Result<()> {
    let away = ["webhooks", "import", "--from-broker", "http://127.0.0.1:9"];
    ensure!(run(&away, &[], "").await?.status.code() == Some(3));
    let basic = Some(("u".to_owned(), "p".to_owned()));
    let broker = WebhookBroker::start(Behaviour { basic, ..Behaviour::default() }).await?;
    let refused = ["webhooks", "import", "--from-broker", broker.url()];
    ensure!(run(&refused, &[], "").await?.status.code() == Some(4));
    let wrong = [&refused[..], &["--map", "Authorization=a-token-in-clear"]].concat();
    ensure!(run(&wrong, &[], "").await?.status.code() == Some(2));
    Ok(())
}
