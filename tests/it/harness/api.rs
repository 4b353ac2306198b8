//! A client of the product's HTTP interfaces.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Deliveries asked for at one time when all are looked at one by one.
const SIDE_BY_SIDE: usize = 8;

/// A client at one base address.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// Its body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("not JSON: {}", self.text))
    }

    /// Its body as JSON, null when empty, if it is a success.
    pub(crate) fn ok(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("answered {}: {}", self.status, self.text);
        }
        if self.text.is_empty() { Ok(Value::Null) } else { self.json() }
    }
}

impl Api {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { client, base: base.to_owned(), token: None })
    }

    /// Sends this token with each call.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Starts a call of any kind.
    pub(crate) fn call(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        let call = self.client.request(method.parse()?, format!("{}{path}", self.base));
        Ok(match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        })
    }

    pub(crate) async fn send(&self, call: reqwest::RequestBuilder) -> Result<Answer> {
        let response = call.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.call("GET", path)?).await
    }

    pub(crate) async fn with_json(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.call(method, path)?.json(body)).await
    }

    pub(crate) async fn set_secret(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/api/v1/secrets/{name}");
        let answer = self.with_json("PUT", &path, &json!({ "value": value })).await?;
        answer.ok().context("setting a secret")?;
        Ok(())
    }

    /// Creates a webhook and returns its uuid.
    pub(crate) async fn create_webhook(&self, webhook: &Value) -> Result<String> {
        let answer = self.with_json("POST", "/webhooks", webhook).await?;
        let created = answer.ok().context("creating a webhook")?;
        let link = created["_links"]["self"]["href"].as_str().context("a self link")?;
        let uuid = link.rsplit('/').next().context("a uuid in the self link")?;
        Ok(uuid.to_owned())
    }

    /// Sends one event.
    pub(crate) async fn publish(&self, event: &Value) -> Result<Value> {
        self.with_json("POST", "/events", event).await?.ok().context("publishing an event")
    }

    /// All deliveries that a query (without `?`) matches, newest first.
    pub(crate) async fn deliveries(&self, query: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/deliveries?limit=1000&{query}{cursor}");
            let page = self.get(&path).await?.ok().context("listing deliveries")?;
            all.extend(page["deliveries"].as_array().context("deliveries")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    pub(crate) async fn delivery(&self, id: &str) -> Result<Value> {
        let answer = self.get(&format!("/api/v1/deliveries/{id}")).await?;
        answer.ok().with_context(|| format!("delivery {id}"))
    }

    /// Deliveries one by one, with their attempts.
    pub(crate) async fn each_delivery(&self, ids: Vec<String>) -> Result<Vec<Value>> {
        let shown = stream::iter(ids).map(async |id| self.delivery(&id).await);
        shown.buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    /// The lane whose name ends like this.
    pub(crate) async fn lane(&self, ending: &str) -> Result<Option<Value>> {
        let lanes = self.get("/api/v1/lanes").await?.ok().context("listing lanes")?;
        let lanes = lanes["lanes"].as_array().context("lanes")?;
        let named =
            |lane: &&Value| lane["name"].as_str().is_some_and(|name| name.ends_with(ending));
        Ok(lanes.iter().find(named).cloned())
    }

    /// What is not final yet, as text; `None` when everything is. Asked twice: figures name the
    /// lanes that have work and count it then, and in between it may have moved to another lane.
    pub(crate) async fn unfinished(&self) -> Result<Option<String>> {
        match self.unfinished_now().await? {
            None => self.unfinished_now().await,
            open => Ok(open),
        }
    }

    async fn unfinished_now(&self) -> Result<Option<String>> {
        let stats = self.get("/api/v1/stats").await?.ok().context("stats")?;
        let waits = stats["backlog"].as_array().context("backlog")?;
        let waits = waits.iter().any(|lane| lane["waiting"] != 0);
        Ok((waits || stats["sending"] != 0).then(|| stats.to_string()))
    }
}
