//! Events, sent as a program would.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use futures_util::stream;
use postrider_github_double::Double;
use serde_json::{Value, json};

use crate::system::System;

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_mins(5);

/// What sends.
pub(crate) struct Load<'a> {
    client: reqwest::Client,
    base: String,
    double: &'a Double,
    next: Arc<AtomicU32>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(system: &System, double: &'a Double) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { client, base: system.base_url(), double, next: Arc::default() })
    }

    /// Secret and webhook.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        let secret = self.client.put(format!("{}/api/v1/secrets/githubToken", self.base));
        answered(secret.json(&json!({ "value": "test-token" }))).await?;
        let webhook = json!({
            "description": "bench",
            "provider": { "name": "billing" },
            "events": [{ "name": "contract_requiring_verification_published" }],
            "request": {
                "method": "POST",
                "url": format!("{}/repos/acme/billing/dispatches", self.double.base_url()),
                "headers": {
                    "Accept": "application/vnd.github+json",
                    "Authorization": "Bearer ${user.githubToken}",
                    "Content-Type": "application/json",
                    "X-GitHub-Api-Version": "2022-11-28"
                },
                "body": {
                    "event_type": "contract_requiring_verification_published",
                    "client_payload": {
                        "pact_url": "${pactbroker.pactUrl}",
                        "sha": "${pactbroker.providerVersionNumber}",
                        "branch": "${pactbroker.providerVersionBranch}",
                        "consumer_name": "${pactbroker.consumerName}",
                        "consumer_version_number": "${pactbroker.consumerVersionNumber}",
                        "consumer_version_tags": "${pactbroker.consumerVersionTags}",
                        "consumer_version_branch": "${pactbroker.consumerVersionBranch}",
                        "delivery_id": "${postrider.deliveryId}"
                    }
                }
            }
        });
        answered(self.client.post(format!("{}/webhooks", self.base)).json(&webhook)).await?;
        Ok(())
    }

    /// Sends `count` events as fast as they are accepted.
    pub(crate) async fn burst(&self, count: u32, batch: u32, callers: usize) -> anyhow::Result<()> {
        let calls = count.div_ceil(batch.max(1));
        let results = stream::iter(0..calls)
            .map(|call| {
                let size = batch.min(count - call * batch);
                let events: Vec<Value> = (0..size).map(|_| self.event().1).collect();
                let body = if size == 1 { events[0].clone() } else { Value::Array(events) };
                answered(self.client.post(format!("{}/events", self.base)).json(&body))
            })
            .buffer_unordered(callers)
            .collect::<Vec<_>>()
            .await;
        results.into_iter().collect::<anyhow::Result<Vec<Value>>>()?;
        Ok(())
    }

    /// Sends one event each `1/rate` seconds; returns when each was sent.
    pub(crate) async fn gentle(
        &self,
        rate: u32,
        seconds: u32,
    ) -> anyhow::Result<HashMap<String, Instant>> {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut calls = tokio::task::JoinSet::new();
        let mut sent = HashMap::new();
        for _ in 0..rate * seconds {
            tick.tick().await;
            let (version, event) = self.event();
            let call = self.client.post(format!("{}/events", self.base)).json(&event);
            sent.insert(version, Instant::now());
            calls.spawn(answered(call));
        }
        while let Some(call) = calls.join_next().await {
            call??;
        }
        Ok(sent)
    }

    /// Waits until the target took `count` and nothing is open in the store.
    pub(crate) async fn until_recorded(&self, count: u64) -> anyhow::Result<()> {
        self.double.wait_for(count, PATIENCE).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = answered(self.client.get(format!("{}/api/v1/stats", self.base))).await?;
            let lanes = stats["backlog"].as_array().context("stats without `backlog`")?;
            let waiting: u64 = lanes.iter().filter_map(|lane| lane["waiting"].as_u64()).sum();
            let sending = stats["sending"].as_u64().context("stats without `sending`")?;
            if waiting + sending == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{waiting} wait and {sending} are being sent after {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn event(&self) -> (String, Value) {
        let version = format!("1.0.{}", self.next.fetch_add(1, Ordering::Relaxed));
        let event = json!({
            "event_name": "contract_requiring_verification_published",
            "consumer": { "name": "checkout", "version_number": version, "branch": "main", "tags": ["main", "dev"] },
            "provider": { "name": "billing", "version_number": "5f0c1d9a", "branch": "main" },
            "pact_url": format!("https://broker.example/pacts/provider/billing/consumer/checkout/pact-version/{version}/metadata/Y3ZuPTEmY3Z0JTVCJTVEPWE")
        });
        (version, event)
    }
}

async fn answered(call: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = call.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
