//! What a webhook asks for beyond what a broker knows, by the real program: its own time-out,
//! schedule and rule for a success, filters, and signatures that another implementation verifies.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{
    Api, Looking, Mode, Plan, Received, Receiver, Reply, SOON, event, wait_until,
};
use crate::harness::{Scripted, ScriptedTarget};
use crate::real_clients::{ended, installed};

const EVENT: &str = "contract_requiring_verification_published";

/// Keys of this test alone.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PREVIOUS: &str = "whsec_c2VjcmV0IG9mIHR3ZW50eS1mb3VyIGJ5dGVz";

/// A webhook for the provider of the same name.
fn webhook(name: &str, url: &str, body: &Value, rules: &Value) -> Value {
    json!({
        "description": name,
        "events": [{"name": EVENT}],
        "provider": {"name": name},
        "request": {"method": "POST", "url": url, "body": body},
        "postrider": rules,
    })
}

/// Registers a webhook and sends an event for it; the delivery's id.
async fn deliver(api: &Api, webhook: &Value) -> Result<String> {
    api.create_webhook(webhook).await?;
    let name = webhook["provider"]["name"].as_str().context("a name")?;
    let accepted = api.publish(&event(1, name)).await?;
    Ok(accepted["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned())
}

async fn settled(api: &Api, id: &str, status: &str, outcomes: &[&str]) -> Result<Value> {
    wait_until("the delivery to settle", SOON, async || {
        let delivery = api.delivery(id).await?;
        let attempts = delivery["attempts"].as_array().into_iter().flatten();
        let found: Vec<_> = attempts.filter_map(|attempt| attempt["outcome"].as_str()).collect();
        let is_so = delivery["status"] == status && found == outcomes;
        Ok(Looking::when(is_so, || delivery.to_string()))
    })
    .await?;
    api.delivery(id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_has_rules_of_its_own() -> Result<()> {
    const WRONG: Scripted =
        Scripted { status: 200, headers: &[("content-type", "text/plain")], body: "with error" };
    const RIGHT: Scripted = Scripted { status: 200, headers: &[], body: "1" };
    const MOVED: Scripted =
        Scripted { status: 307, headers: &[("location", "/elsewhere")], body: "" };
    let target =
        ScriptedTarget::start(&[("/teams", &[WRONG, RIGHT]), ("/moved", &[MOVED])]).await?;
    let silent = Receiver::start(&[Reply::Hang]).await?;
    let plan = Plan::new(Mode::Embedded)
        .set("WEBHOOK_RETRY_SCHEDULE", "3600")
        .set("WEBHOOK_TIMEOUT", "60s");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    let body = json!({"text": "x"});

    let rules = json!({"success": {"bodyExcludes": "error"}, "retrySchedule": "1 1"});
    let teams = webhook("teams", &format!("{}/teams", target.url()), &body, &rules);
    let teams = deliver(&api, &teams).await?;
    let rules = json!({"timeout": "1s", "retrySchedule": "1"});
    let silent = deliver(&api, &webhook("silent", silent.url(), &body, &rules)).await?;
    let rules = json!({"success": {"codes": [307]}});
    let moved = webhook("moved", &format!("{}/moved", target.url()), &body, &rules);
    let moved = deliver(&api, &moved).await?;

    let teams = settled(&api, &teams, "delivered", &["server_error", "accepted"]).await?;
    let first = &teams["attempts"][0];
    ensure!(first["response"]["cause"] == "success_rule", "{first}");
    let rule = first["response"]["rule"].as_str().unwrap_or_default();
    ensure!(rule.contains("postrider.success.bodyExcludes"), "{first}");
    ensure!(teams["attempts"][1]["possible_duplicate"] == true, "{teams}");
    settled(&api, &silent, "failed", &["timeout", "timeout"]).await?;
    settled(&api, &moved, "delivered", &["accepted"]).await?;
    ensure!(target.asked("/elsewhere").is_empty(), "a redirect that is a success is not followed");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_arrive_as_filters_write_them() -> Result<()> {
    let target = Receiver::start(&[]).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret("pat", "p52").await?;
    let inner = r#"{"env":"test","branch":"${pactbroker.consumerVersionBranch|json}"}"#;
    let mut document = webhook("p", target.url(), &json!({"parameters": inner}), &Value::Null);
    document["request"]["password"] = json!("${user.pat}");
    api.create_webhook(&document).await?;
    let mut event = event(1, "p");
    let branch = "x\",\"env\":\"prod";
    event["consumer"]["branch"] = json!(branch);
    api.publish(&event).await?;
    let received = first(&target, 1).await?;
    ensure!(received[0].header("authorization") == "Basic OnA1Mg==", "{received:?}");
    let parameters = received[0].json()?["parameters"].clone();
    let parameters: Value = serde_json::from_str(parameters.as_str().context("a text")?)?;
    ensure!(parameters == json!({"env": "test", "branch": branch}), "{parameters}");
    cluster.finish().await
}

/// What the target got, once it is so many requests.
async fn first(target: &Receiver, count: usize) -> Result<Vec<Received>> {
    wait_until("requests to arrive", SOON, async || {
        let received = target.received();
        Ok(Looking::when(received.len() >= count, || format!("{received:?}")))
    })
    .await?;
    Ok(target.received())
}

/// Whether another implementation finds a request signed by the secret.
async fn verifies(library: &Path, received: &Received, secret: &str) -> Result<bool> {
    const SCRIPT: &str = "const {Webhook} = require('standardwebhooks');\n\
        const [secret, text] = [process.argv[2], require('fs').readFileSync(process.argv[3])];\n\
        const {headers, body} = JSON.parse(text);\n\
        try { new Webhook(secret).verify(body, headers); } catch (e) { process.exit(7); }\n";
    let dir = tempfile::tempdir()?;
    let (script, call) = (dir.path().join("verify.js"), dir.path().join("call.json"));
    fs::write(&script, SCRIPT)?;
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| (*name, received.header(name))).collect();
    fs::write(&call, json!({"headers": headers, "body": received.text}).to_string())?;
    let mut node = Command::new("node");
    node.env("NODE_PATH", library.join("node_modules")).arg(&script).arg(secret).arg(&call);
    let output = ended(&mut node, dir.path(), Duration::from_mins(1)).await?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(7) => Ok(false),
        _ => anyhow::bail!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_implementation_verifies_what_is_signed() -> Result<()> {
    let package = "standardwebhooks@1.1.1";
    let Some(library) = installed("standardwebhooks-1.1.1", &[package]).await? else {
        return Ok(());
    };
    let target = Receiver::start(&[Reply::Status(500), Reply::Status(200)]).await?;
    let cluster = Plan::new(Mode::Embedded).set("WEBHOOK_RETRY_SCHEDULE", "2").start().await?;
    let api = cluster.api()?;
    api.set_secret("key", SECRET).await?;
    api.set_secret("oldKey", PREVIOUS).await?;
    let signing = json!({"signing": {"secret": "${user.key}", "previous": "${user.oldKey}"}});
    let body = json!({"text": "\u{e4} \"x\" ${pactbroker.consumerName}"});
    let document = webhook("signed", target.url(), &body, &signing);
    let uuid = api.create_webhook(&document).await?;
    let accepted = api.publish(&event(1, "signed")).await?;
    let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?;
    let received = first(&target, 2).await?;
    for one in &received {
        ensure!(one.header("webhook-id") == id, "{one:?}");
        ensure!(verifies(&library, one, SECRET).await?, "by the secret: {one:?}");
        ensure!(verifies(&library, one, PREVIOUS).await?, "by the previous one: {one:?}");
        ensure!(!verifies(&library, one, "whsec_b3RoZXIga2V5IG9mIDI0IGJ5dGVzIQ==").await?);
    }
    let seconds = |one: &Received| one.header("webhook-timestamp").parse::<i64>();
    ensure!(seconds(&received[1])? > seconds(&received[0])?, "each attempt has its own time");

    let tested = api.call("POST", &format!("/webhooks/{uuid}/execute"))?;
    ensure!(api.send(tested).await?.ok()?["success"] == true);
    let received = first(&target, 3).await?;
    ensure!(verifies(&library, &received[2], SECRET).await?, "a test is signed too");
    ensure!(received[2].header("webhook-id") != id);

    let replay = json!({"ids": [id], "dry_run": false});
    api.with_json("POST", "/api/v1/deliveries/replay", &replay).await?.ok()?;
    let received = first(&target, 4).await?;
    ensure!(received[3].header("webhook-id") == id, "a replay keeps the id: {:?}", received[3]);
    ensure!(verifies(&library, &received[3], SECRET).await?);
    cluster.finish().await
}
