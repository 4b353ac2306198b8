//! A token dies: its lane is held and nothing else; with a new secret everything goes out, once
//! and oldest first.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Entry, Kind, Options, Play, TokenSeen};
use serde_json::Value;

use crate::harness::{
    Accepted, Api, Cluster, Load, Looking, Mode, Plan, SOON, Settled, event, hook_webhook,
    in_both_modes, settled, wait_until, webhook,
};

const EVENTS: usize = 500;
/// Deliveries that the hold may find on their way.
const ON_THEIR_WAY: usize = 4;
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long a held lane is watched.
const WATCH: Duration = Duration::from_secs(6);

/// Two lanes at one GitHub, and the first one's token is dead.
struct Held {
    cluster: Cluster,
    api: Api,
    double: Double,
    webhook: String,
    accepted: Vec<Accepted>,
    /// Events of the healthy lane.
    others: Vec<Accepted>,
}

impl Held {
    async fn start(mode: Mode) -> Result<Self> {
        let options = Options::default().with_tokens(["token-of-a", "token-of-b"]);
        let double = Double::start(options).await?;
        let plan = Plan::new(mode)
            .set("GITHUB_HOSTS", double.addr())
            .set("LANE_RATE", "200/s")
            .set("PROBE_INTERVAL", format!("{}s", PROBE_EVERY.as_secs()));
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        api.set_secret("tokenA", "token-of-a").await?;
        api.set_secret("tokenB", "token-of-b").await?;
        let base = double.base_url();
        let uuid = api.create_webhook(&webhook(&base, "acme/a", "a", "tokenA")).await?;
        api.create_webhook(&webhook(&base, "acme/b", "b", "tokenB")).await?;
        double.accept_tokens(["token-of-b"]);
        let load = Load::of(EVENTS)?.one_after_the_other();
        let accepted = load.send(&cluster.intakes(), |number| event(number, "a")).await?;
        let held = Self { cluster, api, double, webhook: uuid, accepted, others: Vec::new() };
        held.until_held().await?;
        Ok(held)
    }

    async fn until_held(&self) -> Result<()> {
        let (api, double) = (&self.api, &self.double);
        wait_until("the lane to be held", SOON, async || {
            let lane = api.lane("/tokenA").await?.unwrap_or_default();
            let is_held = lane["state"] == "held" && lane["cause"] == "credential";
            Ok(Looking::when(is_held, || lane.to_string()))
        })
        .await?;
        let refused = double.journal().iter().filter(|entry| entry.kind == Kind::Dispatch).count();
        // The proof, and what another worker had in flight.
        ensure!((1..=ON_THEIR_WAY).contains(&refused), "{refused} deliveries met the dead token");
        let shown = api.deliveries("status=held").await?;
        ensure!(shown.len() == EVENTS, "{} are shown as held", shown.len());
        Ok(())
    }

    /// One read per interval and no delivery, while the other lane works.
    async fn watch(&mut self) -> Result<()> {
        let before = self.double.journal().len();
        let from = tokio::time::Instant::now();
        let load = Load::of(100)?.over(WATCH / 2);
        self.others = load.send(&self.cluster.intakes(), |number| event(number, "b")).await?;
        wait_until("the watch to be over", WATCH * 2, async || {
            Ok(Looking::when(from.elapsed() >= WATCH, String::new))
        })
        .await?;
        let seen = self.double.journal().split_off(before);
        let of_a = |entry: &&Entry| entry.token == TokenSeen::Dead(0);
        let attempts = seen.iter().filter(of_a).filter(|entry| entry.kind != Kind::Read).count();
        ensure!(attempts == 0, "{attempts} deliveries were tried in the held lane");
        let probes: Vec<&Entry> = seen.iter().filter(of_a).collect();
        let paths: Vec<&str> = probes.iter().map(|entry| entry.path.as_str()).collect();
        ensure!(paths.iter().all(|path| path.ends_with("/repos/acme/a")), "{paths:?}");
        let wanted = usize::try_from(WATCH.as_secs() / PROBE_EVERY.as_secs())?;
        ensure!(probes.len() <= wanted + 1, "{} probes in {WATCH:?}", probes.len());
        ensure!(probes.len() * 2 >= wanted, "{} probes in {WATCH:?}", probes.len());
        let delivered = seen.iter().filter(|entry| entry.accepted && is_of(entry, "acme/b"));
        ensure!(delivered.count() == 100, "the other lane delivers: {:?}", self.double.counts());
        let lane = self.api.lane("/tokenB").await?.context("the other lane")?;
        ensure!(lane["state"] == "open", "{lane}");
        Ok(())
    }

    /// Everything arrived once, oldest first.
    async fn all_arrived(self) -> Result<()> {
        let all = [self.accepted.as_slice(), &self.others].concat();
        let Settled { duplicates, marked, .. } =
            Box::pin(settled(&self.api, &self.double, &all, SOON)).await?;
        ensure!(duplicates == 0 && marked == 0, "{duplicates} duplicates, {marked} marked");
        let journal = self.double.accepted();
        let arrived: Vec<&str> = journal
            .iter()
            .filter(|entry| is_of(entry, "acme/a"))
            .filter_map(|entry| entry.delivery_id.as_deref())
            .collect();
        ensure!(arrived.len() == EVENTS, "{} arrived", arrived.len());
        let number_of = |id: &str| {
            self.accepted.iter().position(|event| event.deliveries.iter().any(|own| own == id))
        };
        let order: Vec<_> = arrived.iter().map(|id| number_of(id)).collect();
        let out_of_order = order.windows(2).find(|pair| pair[0] > pair[1]);
        ensure!(out_of_order.is_none(), "not oldest first: {out_of_order:?} in {:?}", &order[..20]);
        let shown = self.api.delivery(arrived[0]).await?;
        ensure!(attempts(&shown, "accepted") == 1, "{shown}");
        self.cluster.finish().await
    }
}

fn is_of(entry: &Entry, repo: &str) -> bool {
    entry.repo.as_deref() == Some(repo)
}

fn attempts(shown: &Value, outcome: &str) -> usize {
    let all = shown["attempts"].as_array();
    all.map_or(0, |all| all.iter().filter(|one| one["outcome"] == outcome).count())
}

async fn new_secret(mode: Mode) -> Result<()> {
    let mut held = Box::pin(Held::start(mode)).await?;
    Box::pin(held.watch()).await?;
    held.double.accept_tokens(["token-of-a-2", "token-of-b"]);
    held.api.set_secret("tokenA", "token-of-a-2").await?;
    Box::pin(held.all_arrived()).await
}

async fn moved_to_another_secret(mode: Mode) -> Result<()> {
    let mut held = Box::pin(Held::start(mode)).await?;
    Box::pin(held.watch()).await?;
    held.double.accept_tokens(["token-of-b", "token-of-c"]);
    held.api.set_secret("tokenC", "token-of-c").await?;
    let moved = webhook(&held.double.base_url(), "acme/a", "a", "tokenC");
    let path = format!("/webhooks/{}", held.webhook);
    held.api.with_json("PUT", &path, &moved).await?.ok()?;
    Box::pin(held.all_arrived()).await
}

async fn deleted_while_held(mode: Mode) -> Result<()> {
    let held = Box::pin(Held::start(mode)).await?;
    let path = format!("/webhooks/{}", held.webhook);
    let answer = held.api.send(held.api.call("DELETE", &path)?).await?;
    ensure!(answer.status == 204, "{}: {}", answer.status, answer.text);
    wait_until("all that waited to be discarded", SOON, async || {
        let discarded = held.api.deliveries("status=discarded").await?.len();
        Ok(Looking::when(discarded == EVENTS, || format!("{discarded} discarded")))
    })
    .await?;
    ensure!(held.double.counts().accepted == 0, "{:?}", held.double.counts());
    held.cluster.finish().await
}

in_both_modes! {
    new_secret: new_secret;
    moved: moved_to_another_secret;
    deleted: deleted_while_held;
    elsewhere: a_delivery_proves_the_credential;
}

/// A target that is not GitHub: a refusal parks the webhook and leaves its lane open, then one
/// delivery asks again, less and less often, and the first that is not refused ends it.
async fn a_delivery_proves_the_credential(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let refusals = 4;
    double.script("target", vec![Play::status(401); refusals])?;
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    api.set_secret("apiToken", "token-of-the-target").await?;
    let mut hook = hook_webhook(&double.base_url(), "target", "a");
    hook["request"]["headers"]["Authorization"] = "Bearer ${user.apiToken}".into();
    api.create_webhook(&hook).await?;
    let accepted = api.publish(&event(1, "a")).await?;
    let id = accepted["deliveries"][0]["id"].as_str().context("a delivery")?;
    wait_until("the webhook alone to be held", SOON, async || {
        let lane = api.lane("/apiToken").await?.unwrap_or_default();
        let held = &lane["held_webhooks"][0];
        let is_held = lane["state"] == "open" && held["cause"] == "credential";
        Ok(Looking::when(is_held, || lane.to_string()))
    })
    .await?;
    wait_until("the delivery to arrive", SOON, async || {
        let shown = api.delivery(id).await?;
        Ok(Looking::when(shown["status"] == "delivered", || shown.to_string()))
    })
    .await?;
    let shown = api.delivery(id).await?;
    let attempts = shown["attempts"].as_array().context("attempts")?;
    let outcomes: Vec<_> = attempts.iter().filter_map(|each| each["outcome"].as_str()).collect();
    let expected: Vec<_> =
        std::iter::repeat_n("credential", refusals).chain(["accepted"]).collect();
    ensure!(outcomes == expected, "{shown}");
    let numbers: Vec<_> = attempts.iter().filter_map(|each| each["number"].as_u64()).collect();
    ensure!(numbers.iter().copied().eq(1..=refusals as u64 + 1), "numbers only grow: {shown}");
    wait_until("the webhook to be held no more", SOON, async || {
        let lane = api.lane("/apiToken").await?.unwrap_or_default();
        let is_free = lane["state"] == "open" && lane["held_webhooks"] == serde_json::json!([]);
        Ok(Looking::when(is_free, || lane.to_string()))
    })
    .await?;
    ensure!(double.counts().hooks == refusals as u64 + 1, "{:?}", double.counts());
    cluster.finish().await
}

/// What is written into a webhook has no row of its own: what uses it tells how it fares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_written_into_a_webhook_shows_how_it_fares() -> Result<()> {
    let double = Double::start(Options::default().with_tokens(["written-here"])).await?;
    let cluster = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr()).start().await?;
    let api = cluster.api()?;
    let mut hook = webhook(&double.base_url(), "acme/a", "a", "none");
    hook["request"]["headers"]["Authorization"] = "Bearer written-here".into();
    api.create_webhook(&hook).await?;
    api.publish(&event(1, "a")).await?;
    let shows = async |member: &str| {
        wait_until(&format!("{member} of the credential"), SOON, async || {
            let list = api.get("/api/v1/credentials").await?.ok()?;
            let credential = list["credentials"][0].clone();
            Ok(if credential[member].is_string() {
                Looking::Found(credential)
            } else {
                Looking::NotYet(credential.to_string())
            })
        })
        .await
    };
    let fine = shows("last_success_at").await?;
    ensure!(fine["last_refusal_at"].is_null(), "{fine}");
    double.accept_tokens(["another"]);
    api.publish(&event(2, "a")).await?;
    shows("last_refusal_at").await?;
    cluster.finish().await
}
