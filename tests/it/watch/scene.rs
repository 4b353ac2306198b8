//! A postrider with a webhook for billing, and what its tests do to a broker.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options};
use postrider_testkit::broker::{Model, ScriptedBroker};
use serde_json::Value;

use crate::harness::{Cluster, EVENT_NAME, Looking, Plan, dispatched, wait_until, webhook};

/// What many requests take, on a machine that does other work too.
const LONG: Duration = Duration::from_mins(4);
/// What every look at a broker begins with.
const LOOK: &str = "/integrations?pageNumber=1&pageSize=20";
/// Where the relay calls, and how the broker calls the relay.
const RELAY: &str = "/hooks/broker";
const RELAY_UUID: &str = "8c9b5a52-6ed4-4a3d-9a3c-0d4a6f3b1c11";

pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// So many minutes ago.
pub(super) fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// A broker that knows billing, with one build of its main branch.
pub(super) async fn broker() -> Result<ScriptedBroker> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("billing", Some("main"), ago(900));
        model.build_on("billing", "b1", "main", ago(800));
    });
    Ok(broker)
}

/// A contract of a consumer's main branch, with a content of its own.
pub(super) fn publish(
    model: &mut Model,
    consumer: &str,
    version: &str,
    provider: &str,
    at: Timestamp,
) {
    model.main_branch(consumer, Some("main"), at);
    model.build_on(consumer, version, "main", at);
    model.publish(consumer, version, provider, version, at);
}

/// A dispatch: consumer, its version, the version that has to verify.
pub(super) type Sent = (String, String, String);

pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) double: Double,
}

impl Scene {
    /// Asks the broker all the time.
    pub(super) async fn start(plan: Plan, broker: &ScriptedBroker) -> Result<Self> {
        Self::start_with(asking(plan, broker)).await
    }

    /// The same, with a sweep as slow as it usually is.
    pub(super) async fn start_unswept(plan: Plan, broker: &ScriptedBroker) -> Result<Self> {
        let plan = asking(plan, broker).set("BROKER_SWEEP", "6h");
        Self::start_every("200ms", plan).await
    }

    /// Asks the brokers of the settings all the time.
    pub(super) async fn start_with(plan: Plan) -> Result<Self> {
        Self::start_every("200ms", plan.set("BROKER_SWEEP", "1s")).await
    }

    /// Asks the brokers of the settings so often.
    pub(super) async fn start_every(every: &str, plan: Plan) -> Result<Self> {
        let double = Double::start(Options::default()).await?;
        let plan = plan.set("BROKER_INTERVAL", every);
        let cluster = Box::pin(plan.start()).await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
        api.create_webhook(&hook).await?;
        Ok(Self { cluster, double })
    }

    /// Waits until a whole look has passed that began after this call.
    pub(super) async fn looked(&self, broker: &ScriptedBroker) -> Result<()> {
        let before = looks(broker);
        wait_until("looks at the broker", LONG, async || {
            let now = looks(broker);
            Ok(Looking::when(now >= before + 2, || format!("{} looks", now - before)))
        })
        .await
    }

    /// Waits until a look failed.
    pub(super) async fn refused(&self, broker: &ScriptedBroker) -> Result<()> {
        let before = broker.seen().len();
        wait_until("the broker to be asked in vain", LONG, async || {
            let now = broker.seen().len();
            Ok(Looking::when(now >= before + 2, || format!("{} requests", now - before)))
        })
        .await
    }

    /// Makes the calls of the broker's webhook that ask for a verification; whether each was
    /// known already.
    pub(super) async fn relay_all(&self, broker: &ScriptedBroker) -> Result<Vec<bool>> {
        self.relay(broker, EVENT_NAME).await
    }

    /// Makes those of the calls of the broker's webhook that say this; the others are lost.
    pub(super) async fn relay(&self, broker: &ScriptedBroker, says: &str) -> Result<Vec<bool>> {
        let api = self.cluster.api()?;
        let mut known = Vec::new();
        for call in broker.take_relay_calls(RELAY) {
            if !call.contains(EVENT_NAME) || !call.contains(says) {
                continue;
            }
            let answer = api.send(api.call("POST", &call)?).await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text);
            known.push(answer.json()?["duplicate"] == true);
        }
        Ok(known)
    }

    /// Waits until so many dispatches arrived and nothing is open; no more did.
    pub(super) async fn dispatched(&self, count: u64) -> Result<()> {
        dispatched(&self.cluster.api()?, &self.double, count, LONG).await
    }

    /// What was dispatched.
    pub(super) fn sent(&self) -> Result<Vec<Sent>> {
        let accepted = self.double.accepted();
        let sent = |body: Option<&str>| -> Result<Sent> {
            let body: Value = serde_json::from_str(body.context("a body")?)?;
            let text = |key: &str| {
                let value = body["client_payload"][key].as_str();
                value.map(str::to_owned).context("a value")
            };
            Ok((text("consumer_name")?, text("consumer_version_number")?, text("sha")?))
        };
        accepted.iter().map(|entry| sent(entry.body.as_deref())).collect()
    }

    /// Waits for an incident.
    pub(super) async fn incident(&self, kind: &str) -> Result<Value> {
        let api = self.cluster.api()?;
        wait_until(&format!("an incident {kind}"), LONG, async || {
            let answer = api.get(&format!("/api/v1/incidents?kind={kind}")).await?.ok()?;
            let first = answer["incidents"].as_array().and_then(|all| all.first()).cloned();
            Ok(Looking::from_option(first))
        })
        .await
    }

    /// Waits for a line of the log.
    pub(super) async fn line(&self, message: &str) -> Result<Value> {
        wait_until(&format!("the line {message}"), LONG, async || {
            Ok(Looking::from_option(self.cluster.lines(message).into_iter().next()))
        })
        .await
    }
}

/// A plan that asks the broker, which has a relay.
fn asking(plan: Plan, broker: &ScriptedBroker) -> Plan {
    let url = "https://postrider.example/hooks/broker?eventName=x";
    broker.model(|model| {
        model.relay_webhook(RELAY_UUID, url);
    });
    plan.set("PACT_BROKER_BASE_URL", broker.url())
}

/// How often the broker was looked at.
pub(super) fn looks(broker: &ScriptedBroker) -> usize {
    broker.seen().iter().filter(|(path, _)| path == LOOK).count()
}
