//! Testing a webhook: one request by the way of all deliveries, told to whoever waits for it.

mod lanes;
mod unhappy;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options, Play};
use serde_json::{Map, Value, json};

use crate::harness::{Api, Canaries, Cluster, Mode, Plan, event, in_both_modes};

/// What an execution may take beyond waits that are set, on a machine that does other work too.
const SLACK: Duration = Duration::from_secs(20);

/// A cluster beside a double, with a client of its intake.
struct Bench {
    cluster: Cluster,
    api: Api,
    double: Double,
}

impl Bench {
    async fn start(plan: Plan, options: Options) -> Result<Self> {
        let double = Double::start(options).await?;
        let cluster = Box::pin(plan.set("GITHUB_HOSTS", double.addr()).start()).await?;
        let api = cluster.api()?;
        Ok(Self { cluster, api, double })
    }

    /// What a saved webhook's execution answers.
    async fn execute(&self, uuid: &str) -> Result<Value> {
        execute(&self.api, uuid).await
    }
}

async fn execute(api: &Api, uuid: &str) -> Result<Value> {
    let answer = api.send(api.call("POST", &format!("/webhooks/{uuid}/execute"))?).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text);
    answer.json()
}

/// Tests that are known, newest first.
async fn known_tests(api: &Api) -> Result<Vec<Value>> {
    api.deliveries("event=test").await
}

/// A webhook to a hook of the double, with a secret in a header.
fn hook(bench: &Bench, name: &str) -> Value {
    json!({
        "consumer": {"name": "checkout"},
        "provider": {"name": "billing"},
        "events": [{"name": "contract_published"}],
        "request": {
            "method": "POST",
            "url": format!("{}/hook/{name}?v=${{pactbroker.consumerVersionNumber}}",
                bench.double.base_url()),
            "headers": {"Content-Type": "application/json", "X-Sig-Token": "${user.sigToken}"},
            "body": {
                "n": "${pactbroker.consumerVersionNumber}",
                "event": "${pactbroker.eventName}",
                "secret": "${user.sigToken}"
            }
        }
    })
}

fn json_answer(status: u16, body: &Value) -> Play {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Play::Status { status, headers, body: body.to_string() }
}

/// A recorded answer of Pact Broker 2.120.
fn recorded(text: &str) -> Result<Value> {
    let recording: Value = serde_json::from_str(text)?;
    Ok(recording["response"]["body"].clone())
}

/// An answer without what differs from run to run: which members it has, what its links are
/// called, which kinds of lines its log has.
fn shape(answer: &Value) -> Result<Value> {
    let mut shape = answer.clone();
    let lines = answer["logs"].as_str().context("logs")?;
    shape["logs"] = lines.lines().filter_map(kind_of).collect();
    for links in ["webhook", "try-again"] {
        if let Some(href) = shape["_links"][links].get_mut("href") {
            *href = Value::from("…");
        }
    }
    for part in ["request", "response"] {
        let Some(part) = shape[part].as_object_mut() else { continue };
        part.insert("headers".to_owned(), Value::Object(Map::new()));
        for member in ["url", "body"] {
            if let Some(value) = part.get_mut(member) {
                *value = Value::from("…");
            }
        }
    }
    Ok(shape)
}

/// What a log line is; headers are left out, as each side has its own.
fn kind_of(line: &str) -> Option<&'static str> {
    let (_, message) = line.split_once("] ")?;
    let kinds = [
        ("DEBUG: Webhook context {", "context"),
        ("INFO: HTTP/1.1 POST http", "request"),
        ("INFO: HTTP/1.1 ", "status"),
        ("INFO: {", "body"),
        ("INFO: Webhook execution failed", "failed"),
        ("ERROR: Error executing webhook", "error"),
    ];
    kinds.iter().find(|(start, _)| message.starts_with(start)).map(|(_, kind)| *kind)
}

/// Placeholders first, then the pair's latest event; secrets nowhere, and nothing but the answer
/// is left of it.
async fn a_target_that_answers(mode: Mode) -> Result<()> {
    let bench = Bench::start(Plan::new(mode), Options::default()).await?;
    let mut canaries = Canaries::new();
    bench.api.set_secret("sigToken", &canaries.make("sigToken")).await?;
    let uuid = bench.api.create_webhook(&hook(&bench, "exec")).await?;
    bench.double.script("exec", vec![Play::status(204)])?;
    let answer = bench.execute(&uuid).await?;
    canaries.look("the answer", answer.to_string().as_bytes())?;
    let expected = recorded(include_str!("recordings/webhook-execute-response-shown-204.json"))?;
    ensure!(shape(&answer)? == shape(&expected)?, "{answer:#}");
    ensure!(answer["success"] == true && answer["response"]["status"] == 204, "{answer:#}");
    let number = "gggghhhhjjjjkkkkllll66667777888899990000";
    ensure!(answer["request"]["url"] == format!("/hook/exec?v={number}"), "{answer:#}");
    ensure!(answer["request"]["headers"]["x-sig-token"] == "**********", "{answer:#}");
    ensure!(
        answer["request"]["body"] == json!({"n": number, "event": "test", "secret": "********"}),
        "{answer:#}"
    );

    bench.api.publish(&event(7, "billing")).await?;
    bench.double.script("exec", vec![json_answer(401, &json!({"message": "Bad credentials"}))])?;
    let answer = bench.execute(&uuid).await?;
    canaries.look("the second answer", answer.to_string().as_bytes())?;
    let expected = recorded(include_str!("recordings/webhook-execute-response-shown-401.json"))?;
    ensure!(shape(&answer)? == shape(&expected)?, "{answer:#}");
    ensure!(answer["request"]["body"]["n"] == "1.0.7", "the latest event: {answer:#}");
    ensure!(answer["response"]["body"]["message"] == "Bad credentials", "{answer:#}");
    let sent = bench.double.journal();
    ensure!(sent.len() == 2, "each test is one request: {sent:?}");

    ensure!(bench.api.deliveries("").await?.is_empty(), "tests are no deliveries of events");
    let known = known_tests(&bench.api).await?;
    let statuses: Vec<_> = known.iter().map(|test| test["status"].as_str()).collect();
    ensure!(statuses == [Some("failed"), Some("delivered")], "{known:?}");
    ensure!(known.iter().all(|test| test["webhook_uuid"] == uuid.as_str()), "{known:?}");
    canaries.look_below(bench.cluster.dir(), &[])?;
    bench.cluster.finish().await
}

/// One that is not saved is judged, sent and forgotten; a disabled one can be tested.
async fn an_unsaved_webhook(mode: Mode) -> Result<()> {
    let bench = Bench::start(Plan::new(mode), Options::default()).await?;
    let api = &bench.api;
    api.set_secret("sigToken", "value-of-the-token").await?;
    let invalid = api.with_json("POST", "/webhooks/execute", &json!({})).await?;
    ensure!(invalid.status == 400, "{invalid:?}");
    ensure!(invalid.json()? == json!({"errors": {"request": ["is missing"]}}), "{invalid:?}");
    ensure!(known_tests(api).await?.is_empty(), "nothing was started");

    bench.double.script("exec", vec![json_answer(200, &json!({"ok": true}))])?;
    let answer = api.with_json("POST", "/webhooks/execute", &hook(&bench, "exec")).await?;
    let body = answer.ok()?;
    let expected = recorded(include_str!("recordings/webhook-execute-unsaved.json"))?;
    ensure!(shape(&body)? == shape(&expected)?, "{body:#}");
    ensure!(body["response"]["body"] == json!({"ok": true}), "{body:#}");
    ensure!(!answer.text.contains("value-of-the-token"), "{}", answer.text);
    let listed = api.get("/webhooks").await?.ok()?;
    ensure!(listed["_links"]["pb:webhooks"] == json!([]), "{listed}");
    let published = api.publish(&event(1, "billing")).await?;
    ensure!(published["deliveries"] == json!([]), "nothing matches it: {published}");

    let mut disabled = hook(&bench, "exec");
    disabled["enabled"] = false.into();
    let uuid = api.create_webhook(&disabled).await?;
    let answer = bench.execute(&uuid).await?;
    ensure!(answer["success"] == true, "{answer:#}");
    for (method, path, status) in [
        ("POST", "/webhooks/00000000-0000-0000-0000-000000000000/execute", 404),
        ("GET", "/webhooks/execute", 405),
        ("OPTIONS", "/webhooks/execute", 200),
    ] {
        let answer = api.send(api.call(method, path)?).await?;
        ensure!(answer.status == status, "{method} {path}: {answer:?}");
    }
    bench.cluster.finish().await
}

in_both_modes! {
    answers: a_target_that_answers;
    unsaved: an_unsaved_webhook;
    in_vain: unhappy::targets_that_fail;
    dead_token: lanes::a_dead_token;
    backlog: lanes::a_backlog;
    hung_up: lanes::a_client_that_hangs_up;
}
