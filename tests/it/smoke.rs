//! An event in, a GitHub dispatch out, and what can be seen of it afterwards.

use anyhow::{Context, Result, ensure};
use postrider_api::Readiness;
use postrider_github_double::{Double, Options, REPOSITORY_DISPATCH_SCHEMA};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Cluster, EVENT_NAME, Looking, Mode, Plan, SOON, event, wait_until, webhook,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(an_event_becomes_a_dispatch(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(an_event_becomes_a_dispatch(Mode::Distributed)).await
}

async fn an_event_becomes_a_dispatch(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
    let uuid = api.create_webhook(&hook).await?;

    let accepted = api.publish(&event(7, "billing")).await?;
    ensure!(accepted["duplicate"] == false, "{accepted}");
    ensure!(accepted["deliveries"][0]["webhook_uuid"] == uuid.as_str(), "{accepted}");
    let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned();

    double.wait_for(1, SOON).await?;
    check_dispatch(&double, &id)?;
    wait_until("the delivery to be recorded", SOON, async || {
        let shown = api.delivery(&id).await?;
        Ok(Looking::when(shown["status"] == "delivered", || shown.to_string()))
    })
    .await?;
    let shown = api.delivery(&id).await?;
    check_delivery(&shown, &accepted, &uuid)?;
    let listed = api.deliveries("status=delivered&consumer=checkout").await?;
    ensure!(listed.len() == 1 && listed[0]["id"] == id.as_str(), "{listed:?}");
    ensure!(api.deliveries("status=failed").await?.is_empty(), "nothing failed");

    let ignored = api.publish(&event(8, "a provider that nobody wants")).await?;
    ensure!(ignored["deliveries"] == json!([]), "{ignored}");

    check_log(&cluster, &accepted, &id, &uuid)?;
    check_encryption(&cluster)?;
    check_metrics(&cluster).await?;
    ensure!(double.counts().accepted == 1, "{:?}", double.counts());
    cluster.finish().await
}

/// The body is what GitHub's schema asks for and what the template says, empty values included.
fn check_dispatch(double: &Double, id: &str) -> Result<()> {
    let entry = double.accepted().into_iter().next().context("a dispatch")?;
    let body: Value = serde_json::from_str(entry.body.as_deref().context("a body")?)?;
    let schema: Value = serde_json::from_str(REPOSITORY_DISPATCH_SCHEMA)?;
    let validator = jsonschema::validator_for(&schema)?;
    let errors: Vec<String> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
    ensure!(errors.is_empty(), "{errors:?} in {body}");
    let wanted = json!({
        "event_type": EVENT_NAME,
        "client_payload": {
            "pact_url": "https://broker.example/pacts/provider/billing/consumer/checkout/7",
            "sha": "5f0c1d9",
            "branch": "main",
            "consumer_name": "checkout",
            "consumer_version_number": "1.0.7",
            "consumer_version_tags": "main, prod",
            "consumer_version_branch": "main",
            "delivery_id": id,
        }
    });
    ensure!(body == wanted, "{body}");
    ensure!(entry.user_agent.as_deref() == Some("PactFlow"), "{:?}", entry.user_agent);
    ensure!(entry.path == "/repos/acme/billing/dispatches", "{}", entry.path);
    Ok(())
}

fn check_delivery(shown: &Value, accepted: &Value, uuid: &str) -> Result<()> {
    let wanted = [
        ("event_id", accepted["event_id"].clone()),
        ("event_name", json!(EVENT_NAME)),
        ("broker", json!("default")),
        ("webhook_uuid", json!(uuid)),
        ("consumer", json!("checkout")),
        ("provider", json!("billing")),
        ("status", json!("delivered")),
        ("last_outcome", json!("accepted")),
        ("last_status_code", json!(204)),
        ("next_attempt_at", Value::Null),
    ];
    for (key, value) in wanted {
        ensure!(shown[key] == value, "{key} is {} in {shown}", shown[key]);
    }
    let attempts = shown["attempts"].as_array().context("attempts")?;
    ensure!(attempts.len() == 1, "{shown}");
    ensure!(attempts[0]["number"] == 1 && attempts[0]["outcome"] == "accepted", "{shown}");
    ensure!(attempts[0]["possible_duplicate"] == false, "{shown}");
    ensure!(attempts[0]["status_code"] == 204, "{shown}");
    ensure!(shown["event"]["pact_url"].is_string(), "{shown}");
    ensure!(!shown.to_string().contains("test-token"), "the token is redacted: {shown}");
    Ok(())
}

/// One line per attempt with all the promised fields.
fn check_log(cluster: &Cluster, accepted: &Value, id: &str, uuid: &str) -> Result<()> {
    let lines = cluster.lines("delivery.attempted");
    ensure!(lines.len() == 1, "{lines:?}");
    let line = &lines[0];
    let wanted = [
        ("level", json!("INFO")),
        ("delivery_id", json!(id)),
        ("event_id", accepted["event_id"].clone()),
        ("event_name", json!(EVENT_NAME)),
        ("webhook_uuid", json!(uuid)),
        ("consumer", json!("checkout")),
        ("provider", json!("billing")),
        ("attempt", json!(1)),
        ("outcome", json!("accepted")),
        ("status_code", json!(204)),
        ("possible_duplicate", json!(false)),
        ("will_retry", json!(false)),
    ];
    for (key, value) in wanted {
        ensure!(line[key] == value, "{key} is {} in {line}", line[key]);
    }
    for key in ["timestamp", "trace_id", "span_id", "lane", "github_request_id"] {
        ensure!(line[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {line}");
    }
    ensure!(line["duration_ms"].is_u64(), "{line}");
    ensure!(line["lane"].as_str().is_some_and(|lane| lane.ends_with("/githubToken")), "{line}");
    Ok(())
}

/// Each process says once whether what it sends to store and queue is encrypted.
fn check_encryption(cluster: &Cluster) -> Result<()> {
    let lines = cluster.lines("connections");
    if cluster.mode() == Mode::Embedded {
        ensure!(lines.is_empty(), "{lines:?}");
        return Ok(());
    }
    let listening = cluster.lines("listening");
    ensure!(lines.len() == listening.len(), "{lines:?}");
    for line in &lines {
        ensure!(line["store_encrypted"].is_boolean(), "{line}");
        ensure!(line["queue_encrypted"] == false, "{line}");
    }
    Ok(())
}

async fn check_metrics(cluster: &Cluster) -> Result<()> {
    let names: &[&str] = match cluster.mode() {
        Mode::Embedded => &["serve"],
        Mode::Distributed => &["ingest-1", "ingest-2", "worker-1", "worker-2", "monitor"],
    };
    let mut received = 0.0;
    let mut delivered = 0.0;
    for name in names {
        let admin = cluster.admin(name)?;
        for path in ["/livez", "/readyz", "/startupz", "/healthz"] {
            let answer = admin.get(path).await?;
            ensure!(answer.status == 200, "{name}{path}: {} {}", answer.status, answer.text);
        }
        // A link to the queue is looked at each second.
        let answer = wait_until(&format!("{name} to see its link"), SOON, async || {
            let answer = admin.get("/readyz?verbose").await?;
            let says: Readiness = serde_json::from_str(&answer.text)?;
            let is_up = says.queue.values().all(|is_up| *is_up);
            Ok(if is_up { Looking::Found(answer) } else { Looking::NotYet(answer.text) })
        })
        .await?;
        check_readiness(cluster.mode(), name, &answer)?;
        let text = admin.get("/metrics").await?.text;
        received += sum(&text, "postrider_events_received_total");
        delivered += sum(&text, r#"postrider_deliveries_total{outcome="accepted"}"#);
        ensure!(sum(&text, "postrider_build_info") >= 1.0, "{name}: {text}");
    }
    ensure!((received - 2.0_f64).abs() < 0.1, "{received} events received");
    ensure!((delivered - 1.0_f64).abs() < 0.1, "{delivered} deliveries");
    Ok(())
}

/// What a process says that it stands on.
fn check_readiness(mode: Mode, process: &str, answer: &Answer) -> Result<()> {
    let says: Readiness = serde_json::from_str(&answer.text)?;
    let role = process.split('-').next().unwrap_or_default();
    let (kind, links): (&str, &[&str]) = match (mode, role) {
        (Mode::Embedded, _) => ("sqlite", &[]),
        (Mode::Distributed, "ingest") => ("postgres", &["publisher"]),
        (Mode::Distributed, "worker") => ("postgres", &["consumer"]),
        (Mode::Distributed, _) => ("postgres", &[]),
    };
    ensure!(answer.status == 200 && says.status == "ok" && says.reason.is_none(), "{says:?}");
    ensure!(says.role == role && says.version == env!("CARGO_PKG_VERSION"), "{says:?}");
    ensure!(says.store.kind == kind && says.store.answers, "{says:?}");
    ensure!(says.queue.keys().eq(links), "{says:?}");
    ensure!(says.queue.values().all(|is_up| *is_up), "{says:?}");
    ensure!(says.brokers == Some(Vec::new()) && says.oldest_pending_ms.is_some(), "{says:?}");
    Ok(())
}

/// The sum of the samples whose line begins like this.
pub(crate) fn sum(text: &str, beginning: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
