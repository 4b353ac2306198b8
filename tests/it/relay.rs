//! What the webhooks of unmodified brokers send: the right dispatch, none for the broker's own
//! repeat, one for each publication.

#[path = "../../crates/web/tests/http/recorded.rs"]
mod recorded;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::harness::{
    Api, Cluster, EVENT_NAME, Looking, Mode, Plan, Proxy, SOON, Services, dispatched, wait_until,
    webhook,
};
use crate::smoke::sum;

/// What a relayed call of the tests says, besides the consumer's version.
const PARAMETERS: [(&str, &str); 8] = [
    ("eventName", EVENT_NAME),
    ("consumerName", "Con \"Sumer\""),
    ("providerName", "billing"),
    ("providerVersionNumber", "5f0c1d9"),
    ("providerVersionBranch", "feat/a+b & c"),
    ("consumerVersionTags", "dev, te\"st, back\\slash"),
    ("consumerVersionBranch", "é中"),
    ("consumerLabels", ""),
];

/// The query of the consumer's `number`th version.
fn query(number: usize) -> String {
    let pact = format!("https://broker.example/pacts/provider/billing/consumer/c/{number}");
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(PARAMETERS)
        .append_pair("consumerVersionNumber", &number.to_string())
        .append_pair("pactUrl", &pact)
        .finish()
}

/// A cluster with the seed webhook, and the double it sends to.
struct Scene {
    cluster: Cluster,
    double: Double,
}

impl Scene {
    async fn start(plan: Plan, provider: &str) -> Result<Self> {
        let double = Double::start(Options::default()).await?;
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        let hook = webhook(&double.base_url(), "acme/billing", provider, "githubToken");
        api.create_webhook(&hook).await?;
        Ok(Self { cluster, double })
    }

    /// Calls as a broker does, at the last intake.
    async fn relay(&self, path: &str, query: &str, body: &str) -> Result<Value> {
        let api = self.cluster.api()?;
        let call = api.call("POST", &format!("{path}?{query}"))?.body(body.to_owned());
        let answer = api.send(call).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text);
        answer.json()
    }

    /// Waits until nothing is open; so many requests were accepted, no more.
    async fn dispatched(&self, count: u64) -> Result<()> {
        dispatched(&self.cluster.api()?, &self.double, count, SOON).await
    }

    /// The payload of each accepted dispatch, in order.
    fn payloads(&self) -> Result<Vec<Value>> {
        let accepted = self.double.accepted();
        let payload = |body: Option<&str>| -> Result<Value> {
            let body: Value = serde_json::from_str(body.context("a body")?)?;
            Ok(body["client_payload"].clone())
        };
        accepted.iter().map(|entry| payload(entry.body.as_deref())).collect()
    }
}

fn is_repeat(answer: &Value) -> bool {
    answer["duplicate"] == true
}

/// Values, a broken body beside them, and the runbook's last step: the same once more.
async fn relayed_events_become_dispatches(mode: Mode) -> Result<()> {
    let scene = Box::pin(Scene::start(Plan::new(mode), "billing")).await?;
    let broken = r#"{"consumerVersionTags":"dev, te"st, back\slash"}"#;
    let first = scene.relay("/hooks/broker", &query(1), broken).await?;
    scene.dispatched(1).await?;
    let payload = scene.payloads()?.pop().context("a payload")?;
    let wanted = json!({
        "pact_url": "https://broker.example/pacts/provider/billing/consumer/c/1",
        "sha": "5f0c1d9",
        "branch": "feat/a+b & c",
        "consumer_name": "Con \"Sumer\"",
        "consumer_version_number": "1",
        "consumer_version_tags": "dev, te\"st, back\\slash",
        "consumer_version_branch": "é中",
        "delivery_id": first["deliveries"][0]["id"],
    });
    ensure!(payload == wanted, "{payload}");
    let tried = scene.relay("/hooks/broker", "eventName=test", "null").await?;
    ensure!(tried["deliveries"] == json!([]), "{tried}");

    let again = scene.relay("/hooks/broker", &query(1), "").await?;
    ensure!(!is_repeat(&again) && again["event_id"] != first["event_id"], "{first} {again}");
    scene.dispatched(2).await?;
    let broken = r#"postrider_relay_broken_bodies_total{accepted="true"}"#;
    let metrics = last_intake(&scene.cluster)?.get("/metrics").await?.text;
    ensure!((sum(&metrics, broken) - 1.0).abs() < 0.1, "{metrics}");
    scene.cluster.finish().await
}

fn last_intake(cluster: &Cluster) -> Result<Api> {
    cluster.admin(match cluster.mode() {
        Mode::Embedded => "serve",
        Mode::Distributed => "ingest-2",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_dispatches() -> Result<()> {
    Box::pin(relayed_events_become_dispatches(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_dispatches() -> Result<()> {
    Box::pin(relayed_events_become_dispatches(Mode::Distributed)).await
}

/// What a broker sent, recorded: one dispatch for each provider version that has to verify.
async fn recorded_deliveries(mode: Mode) -> Result<()> {
    let scene = Box::pin(Scene::start(Plan::new(mode), "Pro/vider")).await?;
    let mut wanted = BTreeSet::new();
    for request in recorded::all() {
        let answer = scene.relay("/hooks/broker", &request.query(), &request.body).await?;
        ensure!(!is_repeat(&answer), "{answer}");
        let deliveries = answer["deliveries"].as_array().context("deliveries")?.len();
        let is_wanted = request.value("eventName") == EVENT_NAME;
        ensure!(deliveries == usize::from(is_wanted), "{answer}");
        if is_wanted {
            let values = ["providerVersionNumber", "pactUrl", "consumerVersionNumber"];
            wanted.insert(values.map(|name| request.value(name).to_owned()));
        }
    }
    ensure!(wanted.len() == 2, "{wanted:?}");
    scene.dispatched(2).await?;
    let text = |payload: &Value, key: &str| payload[key].as_str().unwrap_or_default().to_owned();
    let seen: BTreeSet<[String; 3]> = scene
        .payloads()?
        .iter()
        .map(|payload| ["sha", "pact_url", "consumer_version_number"].map(|key| text(payload, key)))
        .collect();
    ensure!(seen == wanted, "{seen:?}");
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_recorded() -> Result<()> {
    Box::pin(recorded_deliveries(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_recorded() -> Result<()> {
    Box::pin(recorded_deliveries(Mode::Distributed)).await
}

/// Calls the process that is to die between the commit and the answer, and starts it again.
async fn unanswered(cluster: &mut Cluster, victim: &str, path: &str) -> Result<()> {
    let process = cluster.process(victim)?;
    let api = Api::new(&format!("http://{}", process.listen().context("an intake")?))?;
    let call = api.send(api.call("POST", &format!("{path}?{}", query(1)))?).await;
    ensure!(call.is_err(), "the broker gets no answer: {call:?}");
    process.crashed(SOON).await?;
    process.unset("CRASH_AT");
    cluster.restart(victim).await
}

/// The process dies between the commit and the answer; the broker calls again, and later
/// somebody publishes again.
async fn killed_before_the_answer(mode: Mode, victim: &str) -> Result<()> {
    let plan = Plan::new(mode).set_for(victim, "CRASH_AT", "committed:1");
    let mut scene = Box::pin(Scene::start(plan, "billing")).await?;
    unanswered(&mut scene.cluster, victim, "/hooks/broker").await?;
    let repeat = scene.relay("/hooks/broker", &query(1), "").await?;
    ensure!(is_repeat(&repeat), "{repeat}");
    ensure!(repeat["deliveries"].as_array().is_some_and(|made| made.len() == 1), "{repeat}");
    scene.dispatched(1).await?;
    let again = scene.relay("/hooks/broker", &query(1), "").await?;
    ensure!(!is_repeat(&again), "the repeat was answered: {again}");
    scene.dispatched(2).await?;
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_killed_before_the_answer() -> Result<()> {
    Box::pin(killed_before_the_answer(Mode::Embedded, "serve")).await
}

/// The repeat comes to the other replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_killed_before_the_answer() -> Result<()> {
    Box::pin(killed_before_the_answer(Mode::Distributed, "ingest-1")).await
}

/// Each piece of data to or from Postgres comes this much later, so that a commit takes longer
/// than the answer may.
const DELAY: Duration = Duration::from_millis(700);
const ANSWER_WITHIN: &str = "1s";

/// The store is slower than the answer may be: 503, and the event is taken all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_store_slower_than_the_answer() -> Result<()> {
    let services = Services::through_lines().await?;
    let plan = Plan::new(Mode::Distributed).set("RELAY_ANSWER_WITHIN", ANSWER_WITHIN).on(services);
    let mut scene = Box::pin(Scene::start(plan, "billing")).await?;
    // The intake knows its webhooks from here on.
    scene.relay("/hooks/broker", &query(1), "").await?;
    scene.dispatched(1).await?;
    line(&mut scene.cluster)?.delay(DELAY);
    let api = scene.cluster.api()?;
    let call = api.call("POST", &format!("/hooks/broker?{}", query(2)))?;
    let late = api.send(call).await?;
    line(&mut scene.cluster)?.restore();
    ensure!(late.status == 503, "{}: {}", late.status, late.text);
    ensure!(late.headers.contains_key("retry-after"), "{:?}", late.headers);
    scene.dispatched(2).await?;

    let repeat = scene.relay("/hooks/broker", &query(2), "").await?;
    ensure!(is_repeat(&repeat), "{repeat}");
    scene.dispatched(2).await?;
    let again = scene.relay("/hooks/broker", &query(2), "").await?;
    ensure!(!is_repeat(&again), "{again}");
    scene.dispatched(3).await?;
    scene.cluster.finish().await
}

/// The line to Postgres.
fn line(cluster: &mut Cluster) -> Result<&Proxy> {
    cluster.services()?.postgres_line.as_ref().context("a line")
}

/// The store hangs: 503 within the time, nothing half-done, and the repeat is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_store_away() -> Result<()> {
    let services = Services::through_lines().await?;
    let plan = Plan::new(Mode::Distributed).set("RELAY_ANSWER_WITHIN", ANSWER_WITHIN).on(services);
    let mut scene = Box::pin(Scene::start(plan, "billing")).await?;
    line(&mut scene.cluster)?.half_open();
    let api = scene.cluster.api()?;
    let call = api.call("POST", &format!("/hooks/broker?{}", query(1)))?;
    let refused = api.send(call).await?;
    line(&mut scene.cluster)?.restore();
    ensure!(refused.status == 503, "{}: {}", refused.status, refused.text);
    wait_until("the broker's repeat to be taken", SOON, async || {
        let taken = scene.relay("/hooks/broker", &query(1), "").await;
        Ok(Looking::from_option(taken.ok()))
    })
    .await?;
    scene.dispatched(1).await?;
    scene.cluster.finish().await
}

/// Two brokers with equal pacticipants: each event is its own, and so are the repeats.
async fn two_brokers(mode: Mode, victim: &str) -> Result<()> {
    let plan = Plan::new(mode).set_for(victim, "CRASH_AT", "committed:1");
    let mut scene = Box::pin(Scene::start(plan, "billing")).await?;
    unanswered(&mut scene.cluster, victim, "/hooks/broker/left").await?;
    let right = scene.relay("/hooks/broker/right", &query(1), "").await?;
    ensure!(!is_repeat(&right), "another broker's call is no repeat: {right}");
    let left = scene.relay("/hooks/broker/left", &query(1), "").await?;
    ensure!(is_repeat(&left), "{left}");
    scene.dispatched(2).await?;
    let listed = scene.cluster.api()?.deliveries("").await?;
    let seen: BTreeSet<_> =
        listed.iter().map(|row| (row["broker"].to_string(), row["event_id"].to_string())).collect();
    let wanted: BTreeSet<_> = [("\"left\"", &left), ("\"right\"", &right)]
        .map(|(broker, answer)| (broker.to_owned(), answer["event_id"].to_string()))
        .into();
    ensure!(seen == wanted, "{seen:?}");
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_two_brokers() -> Result<()> {
    Box::pin(two_brokers(Mode::Embedded, "serve")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_two_brokers() -> Result<()> {
    Box::pin(two_brokers(Mode::Distributed, "ingest-1")).await
}
