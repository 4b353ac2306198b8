//! The stations of the tour.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use postrider_config::{Flags, Settings, Sources};
use postrider_domain::example_webhook;
use postrider_github_double::{Double, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::say::{Say, Summary};
use super::seed;
use crate::roles::{Role, Running};

const PROVIDER: &str = "billing";
const REPOSITORY: &str = "acme/billing";
const SECRET: &str = "githubToken";
/// Events in one call.
const CHUNK: u32 = 50;
/// How often the tour looks whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// No station of the tour may take longer, and so much for each event beside.
const PATIENCE: Duration = Duration::from_mins(1);
const PATIENCE_EACH: Duration = Duration::from_millis(10);

/// Everything that runs.
pub(crate) struct Tour {
    events: u32,
    patience: Duration,
    github: Double,
    running: Running,
    client: reqwest::Client,
    old_token: String,
    new_token: String,
    _data_dir: TempDir,
}

impl Tour {
    /// Starts all roles and the stand-in on free ports.
    pub(crate) async fn start(events: u32) -> anyhow::Result<Self> {
        let (old_token, new_token) = (token(), token());
        let options = Options { journal_capacity: 250_000, ..Options::default() };
        let github = Double::start(options.with_tokens([old_token.clone()])).await?;
        let data_dir = tempfile::tempdir()?;
        let settings = settings(&data_dir, &github, events)?;
        let running = Running::start(&settings, Role::Serve).await?;
        let patience = PATIENCE + PATIENCE_EACH * events;
        let client = reqwest::Client::builder().no_proxy().timeout(patience).build()?;
        Ok(Self {
            events,
            patience,
            github,
            running,
            client,
            old_token,
            new_token,
            _data_dir: data_dir,
        })
    }

    pub(crate) fn url(&self) -> String {
        self.running.listen().map_or_else(String::new, |address| format!("http://{address}"))
    }

    pub(crate) fn github_url(&self) -> String {
        self.github.base_url()
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
        self.github.stop().await;
    }

    /// All stations in order.
    pub(crate) async fn go(&mut self, say: &mut Say) -> anyhow::Result<Summary> {
        let started = Instant::now();
        self.set_secret(&self.old_token).await?;
        self.create_webhook().await?;
        say.line(&format!("secret {SECRET} set, webhook for {REPOSITORY} registered"));
        let half = self.events / 2;
        self.send(0..half).await?;
        self.until_attempted().await?;
        self.github.accept_tokens([&self.new_token]);
        say.line(&format!("{half} events accepted; now the token dies (401 Bad credentials)"));
        self.send(half..self.events).await?;
        let held = self.until_held().await?;
        say.line(&format!(
            "{} events accepted; lane {} is held, {} deliveries wait, none is dropped",
            self.events, held.lane, held.backlog
        ));
        self.set_secret(&self.new_token).await?;
        say.line("secret rotated; the lane opens and the backlog drains, oldest first");
        self.until_drained().await?;
        self.summary(held.backlog, started.elapsed()).await
    }

    async fn set_secret(&self, value: &str) -> anyhow::Result<()> {
        let call = self.client.put(format!("{}/api/v1/secrets/{SECRET}", self.url()));
        answer(call.json(&json!({ "value": value }))).await.context("setting the secret")?;
        Ok(())
    }

    async fn create_webhook(&self) -> anyhow::Result<()> {
        let webhook = example_webhook(&self.github.base_url(), REPOSITORY, PROVIDER, SECRET);
        let call = self.client.post(format!("{}/webhooks", self.url()));
        answer(call.json(&webhook)).await.context("registering the webhook")?;
        Ok(())
    }

    async fn send(&self, numbers: std::ops::Range<u32>) -> anyhow::Result<()> {
        let mut from = numbers.start;
        while from < numbers.end {
            let to = numbers.end.min(from + CHUNK);
            let events: Vec<Value> = (from..to).map(|n| seed::event(n, PROVIDER)).collect();
            let call = self.client.post(format!("{}/events", self.url()));
            answer(call.json(&events)).await.context("sending events")?;
            from = to;
        }
        Ok(())
    }

    /// The token should die under a lane that is at work.
    async fn until_attempted(&self) -> anyhow::Result<()> {
        self.github.wait_for(1, self.patience).await?;
        Ok(())
    }

    async fn until_held(&self) -> anyhow::Result<HeldLane> {
        self.until("the lane to be held", |lane| {
            (lane["state"] == "held").then(|| HeldLane {
                lane: lane["name"].as_str().unwrap_or_default().to_owned(),
                backlog: lane["backlog"].as_u64().unwrap_or_default(),
            })
        })
        .await
    }

    async fn until_drained(&self) -> anyhow::Result<()> {
        self.github.wait_for(u64::from(self.events), self.patience).await?;
        self.until("the backlog to drain", |lane| (lane["backlog"] == 0).then_some(())).await?;
        let deadline = Instant::now() + self.patience;
        while self.delivered().await? < u64::from(self.events) {
            if Instant::now() > deadline {
                bail!("not all deliveries were recorded within {:?}", self.patience);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until the demo's one lane looks as wanted.
    async fn until<T>(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + self.patience;
        loop {
            let lanes = answer(self.client.get(format!("{}/api/v1/lanes", self.url()))).await?;
            if let Some(found) =
                lanes["lanes"].as_array().and_then(|all| all.iter().find_map(&wanted))
            {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("waited {:?} in vain for {what}", self.patience);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Deliveries recorded as delivered.
    async fn delivered(&self) -> anyhow::Result<u64> {
        let mut count = 0;
        let mut cursor: Option<String> = None;
        loop {
            let mut url = format!("{}/api/v1/deliveries?status=delivered&limit=1000", self.url());
            if let Some(cursor) = &cursor {
                url.push_str("&cursor=");
                url.push_str(cursor);
            }
            let page = answer(self.client.get(url)).await?;
            count += page["deliveries"].as_array().map_or(0, Vec::len) as u64;
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// Counts at the target, not at the sender: what arrived, and how often.
    async fn summary(&self, held_peak: u64, took: Duration) -> anyhow::Result<Summary> {
        let mut arrived: HashMap<String, u64> = HashMap::new();
        for entry in self.github.accepted() {
            let body: Value = serde_json::from_str(entry.body.as_deref().unwrap_or("null"))?;
            let version = body["client_payload"]["consumer_version_number"].as_str();
            *arrived.entry(version.unwrap_or_default().to_owned()).or_default() += 1;
        }
        let events = u64::from(self.events);
        let distinct = arrived.len() as u64;
        Ok(Summary {
            events,
            deliveries: events,
            delivered: self.delivered().await?,
            held_peak,
            duplicates: arrived.values().map(|count| count - 1).sum(),
            lost: events.saturating_sub(distinct),
            seconds: took.as_secs_f64(),
        })
    }
}

struct HeldLane {
    lane: String,
    backlog: u64,
}

/// Sends a call and reads its JSON; anything but 2xx is an error that shows the answer.
async fn answer(call: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = call.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("postrider answered {status}: {text}");
    }
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}

/// A made-up token that no scanner takes for a real one.
fn token() -> String {
    format!("demo-{:032x}", rand::random::<u128>())
}

/// The settings of the demo's own run.
fn settings(data_dir: &TempDir, github: &Double, events: u32) -> anyhow::Result<Settings> {
    // The slower half of the way takes about two seconds, whatever the number of events.
    let rate = (events / 2).max(100);
    let given = [
        ("POSTRIDER_DATA_DIR", data_dir.path().display().to_string()),
        ("POSTRIDER_LISTEN", "127.0.0.1:0".to_owned()),
        ("POSTRIDER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("POSTRIDER_WEBHOOK_SCHEME_WHITELIST", "https http".to_owned()),
        ("POSTRIDER_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
        ("POSTRIDER_GITHUB_HOSTS", github.addr().to_string()),
        ("POSTRIDER_LANE_RATE", format!("{rate}/s")),
        ("POSTRIDER_POLL_INTERVAL", "200ms".to_owned()),
        ("POSTRIDER_MONITOR_INTERVAL", "1s".to_owned()),
    ];
    let env: BTreeMap<String, String> =
        given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Settings::resolve(&Sources {
        env: &env,
        file: None,
        flags: &Flags::new(),
        read: &|path| std::fs::read_to_string(path),
    })?)
}
