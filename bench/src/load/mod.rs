//! Events, sent as programs would.

mod open;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_domain::example_webhook;
use serde_json::{Value, json};

use crate::bodies;

pub(crate) use open::Schedule;

/// Nothing may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);
/// Calls of a preparation at once.
const PREPARING: usize = 8;

/// Which webhooks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Webhooks {
    /// One, for the events of one provider.
    One,
    /// So many for each event, all in one lane.
    FanOut(u32),
    /// So many lanes with a webhook each; events go round.
    Lanes(u32),
}

/// Somebody who sends.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: reqwest::Client,
    base: String,
    webhooks: Webhooks,
    /// The bare intake takes requests ready-made.
    ready_made: bool,
}

impl Sender {
    pub(crate) fn new(base: &str, webhooks: Webhooks, ready_made: bool) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { client, base: base.to_owned(), webhooks, ready_made })
    }

    /// Secrets and webhooks that send to `target`.
    pub(crate) async fn prepare(&self, target: &str) -> Result<()> {
        let (lanes, each) = match self.webhooks {
            Webhooks::One => (1, 1),
            Webhooks::FanOut(webhooks) => (1, webhooks),
            Webhooks::Lanes(lanes) => (lanes, 1),
        };
        stream::iter(0..lanes)
            .map(|lane| async move { self.secret(&format!("token{lane}")).await })
            .buffer_unordered(PREPARING)
            .try_collect::<()>()
            .await?;
        stream::iter((0..lanes).flat_map(|lane| (0..each).map(move |number| (lane, number))))
            .map(|(lane, number)| async move {
                let repository = format!("acme/billing{lane}-{number}");
                let (provider, secret) = (format!("billing{lane}"), format!("token{lane}"));
                self.webhook(&example_webhook(target, &repository, &provider, &secret)).await
            })
            .buffer_unordered(PREPARING)
            .try_collect()
            .await
    }

    pub(crate) async fn secret(&self, name: &str) -> Result<()> {
        let put = self.client.put(format!("{}/api/v1/secrets/{name}", self.base));
        answered(put.json(&json!({ "value": format!("value-of-{name}") }))).await.map(drop)
    }

    pub(crate) async fn webhook(&self, document: &Value) -> Result<()> {
        let post = self.client.post(format!("{}/webhooks", self.base)).json(document);
        answered(post).await.map(drop)
    }

    /// Deliveries that come of one event.
    pub(crate) fn deliveries_each(&self) -> u32 {
        match self.webhooks {
            Webhooks::One | Webhooks::Lanes(_) => 1,
            Webhooks::FanOut(webhooks) => webhooks,
        }
    }

    /// Sends events `first..first + count` as fast as they are accepted, `batch` in a call,
    /// `callers` calls at once.
    pub(crate) async fn burst(
        &self,
        first: u32,
        count: u32,
        batch: u32,
        callers: usize,
    ) -> Result<()> {
        let calls = (first..first + count).step_by(batch as usize);
        stream::iter(calls)
            .map(|start| self.call(start, batch.min(first + count - start)))
            .buffer_unordered(callers)
            .try_collect()
            .await
    }

    /// Sends events of another provider, 100 in a call.
    pub(crate) async fn others(&self, provider: &str, count: u32) -> Result<()> {
        stream::iter((0..count).step_by(100))
            .map(|start| {
                let numbers = start..(start + 100).min(count);
                self.post(bodies::events(numbers, |_| provider.to_owned()))
            })
            .buffer_unordered(PREPARING)
            .try_collect()
            .await
    }

    /// One call with so many events.
    pub(crate) async fn call(&self, first: u32, count: u32) -> Result<()> {
        let body = match (self.ready_made, count) {
            (true, _) => bodies::dispatch(first),
            (false, 1) => bodies::event(first, &self.provider(first)),
            (false, _) => bodies::events(first..first + count, |number| self.provider(number)),
        };
        self.post(body).await
    }

    async fn post(&self, body: String) -> Result<()> {
        let post = self.client.post(format!("{}/events", self.base));
        answered(post.header("content-type", "application/json").body(body)).await.map(drop)
    }

    fn provider(&self, number: u32) -> String {
        match self.webhooks {
            Webhooks::One | Webhooks::FanOut(_) => "billing0".to_owned(),
            Webhooks::Lanes(lanes) => format!("billing{}", number % lanes.max(1)),
        }
    }

    /// Deliveries that wait in lanes that are not held, and those being sent.
    pub(crate) async fn open(&self) -> Result<u64> {
        let stats = answered(self.client.get(format!("{}/api/v1/stats", self.base))).await?;
        let lanes = stats["backlog"].as_array().context("stats without `backlog`")?;
        let open = lanes.iter().filter(|lane| lane["state"] != "held");
        let waiting: u64 = open.filter_map(|lane| lane["waiting"].as_u64()).sum();
        Ok(waiting + stats["sending"].as_u64().context("stats without `sending`")?)
    }

    /// Deliveries to our providers that are open, as far as the list shows them: other than
    /// [`Self::open`] it does not see what has gathered in other lanes.
    pub(crate) async fn listed_as_open(&self) -> Result<u64> {
        let mut open = 0;
        for status in ["queued", "retrying"] {
            let list = format!("{}/api/v1/deliveries?status={status}&provider=billing0", self.base);
            let answer = answered(self.client.get(list)).await?;
            open += answer["deliveries"].as_array().context("no `deliveries`")?.len() as u64;
        }
        Ok(open)
    }

    /// Names of all lanes that use the secret.
    pub(crate) async fn lanes_of(&self, secret: &str) -> Result<Vec<String>> {
        let answer = answered(self.client.get(format!("{}/api/v1/lanes", self.base))).await?;
        let lanes = answer["lanes"].as_array().context("no `lanes`")?;
        let names = lanes.iter().filter_map(|lane| lane["name"].as_str());
        let end = format!("/{secret}");
        Ok(names.filter(|name| name.ends_with(&end)).map(str::to_owned).collect())
    }

    /// Holds or releases a lane by hand.
    pub(crate) async fn turn(&self, lane: &str, act: &str) -> Result<()> {
        let post = self.client.post(format!("{}/api/v1/lanes/{act}", self.base));
        answered(post.json(&json!({ "lane": lane }))).await.map(drop)
    }
}

async fn answered(call: reqwest::RequestBuilder) -> Result<Value> {
    let response = call.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
