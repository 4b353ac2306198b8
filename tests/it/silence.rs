//! Connections to Postgres that die without a word, at each hot statement in turn: everything
//! arrives soon, and once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use serde_json::Value;

use crate::harness::{
    Accepted, Cluster, Load, Looking, Mode, Moment, Plan, SOON, Services, Silence, event,
    hook_webhook, say, settled, wait_until, waits, webhook,
};

/// Events sent around each death.
const EVENTS: usize = 40;
const OVER: Duration = Duration::from_millis(1_500);
/// A claim lasts 21 s and a sweep comes after 120 s: without anybody doing something about it, a
/// claim whose answer was lost would come back after that.
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);
/// Requests that one process may have in flight.
const IN_FLIGHT: usize = 64;

/// What is run for an unlimited lane, each by a piece of its text that no other has.
const UNLIMITED: &[&str] = &[
    // Events and their deliveries are written; a claim for a message; its outcome.
    "insert into idempotency",
    "next_at = greatest(d.next_at, ",
    "insert into attempts as k",
    // Looking at lanes; the heartbeat; claims that ran out.
    "as probe_due",
    "insert into workers",
    "each.next_at > $2 and each.next_at <= now()",
];

/// What is run for a limited lane, besides.
const LIMITED: &[&str] = &[
    // Taking the lease; the parts of a leader's claim, one after the other; renewing the lease.
    "epoch = m.epoch + 1,",
    "select per_hour from limits",
    "d.claim_epoch <> $2",
    ", claim_epoch = $7",
    "insert into limit_minutes as m",
    "COMMIT",
    "set lease_until = now() + $4",
    "insert into attempts as k",
];

struct Cell {
    cluster: Cluster,
    double: Double,
    line: Silence,
    began: Instant,
    accepted: Vec<Accepted>,
    /// What happened when, since then.
    deaths: Vec<(String, Duration)>,
}

impl Cell {
    async fn start(connections: u32, limited: bool) -> Result<Self> {
        let services = Services::shared().await?;
        let database = services.database.clone();
        let address = (database.host_str().context("a host")?, database.port().unwrap_or(5432));
        let address = tokio::net::lookup_host(address).await?.next().context("an address")?;
        let line = Silence::start(address).await?;
        let began = Instant::now();
        let latency = Some(Duration::from_millis(5));
        let double = Double::start(Options { latency, ..Options::default() }).await?;
        let mut plan = Plan::new(Mode::Distributed)
            .set("WORKER_CONCURRENCY", IN_FLIGHT)
            .set("DB_CONNECTIONS", connections)
            .set("WEBHOOK_TIMEOUT", "15s")
            .set("CLAIM_MARGIN", "5s")
            .set("LEASE", "10s")
            .set("POLL_INTERVAL", "1s")
            .set("JANITOR_INTERVAL", "1s")
            .set("SWEEP_AFTER", "120s")
            .on(services);
        if limited {
            plan = plan.set("GITHUB_HOSTS", double.addr()).set("LANE_RATE", "200/2s");
        }
        let through = through(&database, line.address())?;
        for process in ["ingest-1", "ingest-2", "worker-1", "worker-2"] {
            plan = plan.set_for(process, "DATABASE_URL", &through);
        }
        let cluster = Box::pin(plan.start()).await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "test-token").await?;
        api.create_webhook(&hook(&double, limited)).await?;
        Ok(Self { cluster, double, line, began, accepted: Vec::new(), deaths: Vec::new() })
    }

    /// Sends events, and meanwhile the next connection that runs this statement falls silent.
    async fn silent_at(&mut self, statement: &str, moment: Moment) -> Result<()> {
        let before = self.line.silenced();
        self.line.at(statement, moment, 1);
        let what = format!("a connection falls silent at {statement:?}");
        let line = &self.line;
        let met = wait_until(&what, SOON, async || {
            Ok(Looking::when(line.silenced() > before, String::new))
        });
        let intakes = self.cluster.intakes();
        let load = Load::of(EVENTS)?.over(OVER);
        let sent = load.send(&intakes, |number| event(number, "billing"));
        let met = async {
            met.await?;
            Ok::<_, anyhow::Error>(self.began.elapsed())
        };
        let (sent, met) = tokio::join!(sent, met);
        self.accepted.extend(sent?);
        let died = met?;
        // What arrives late is looked for, so something has to arrive.
        let more = Load::of(10)?;
        self.accepted.extend(more.send(&intakes, |number| event(number, "billing")).await?);
        let what = format!("{statement:?}, {moment:?}");
        let double = &self.double;
        wait_until(&format!("arrivals after {what}"), SOON, async || {
            Ok(Looking::from_option(recovered(double, died)))
        })
        .await?;
        self.deaths.push((what, died));
        Ok(())
    }

    /// Everything arrived soon after it was accepted, and nothing twice that is not marked.
    async fn finish(self, limited: bool) -> Result<()> {
        let Self { cluster, double, accepted, began, deaths, .. } = self;
        let api = cluster.api()?;
        let figures = Box::pin(settled(&api, &double, &accepted, SOON)).await?;
        let longest = waits(&accepted, &double, began)?.pop().context("something was accepted")?;
        say(&format!("{figures:?}, at most {longest:?} from accepted to arrived"));
        ensure!(figures.marked <= IN_FLIGHT, "{figures:?}");
        for (what, at) in &deaths {
            let recovered = recovered(&double, *at).with_context(|| what.clone())?;
            say(&format!("{what}: arrivals again after {recovered:?}"));
            ensure!(recovered < RECOVERED_WITHIN, "{what}: {recovered:?}");
        }
        // A limited lane also waits for its turn.
        ensure!(limited || longest < RECOVERED_WITHIN, "one arrived after {longest:?}");
        let lost = cluster.lines("outcomes.unrecordable");
        ensure!(lost.is_empty(), "{lost:?}");
        cluster.finish().await
    }
}

fn hook(double: &Double, limited: bool) -> Value {
    let url = double.base_url();
    if limited {
        webhook(&url, "acme/billing", "billing", "githubToken")
    } else {
        hook_webhook(&url, "billing", "billing")
    }
}

/// The same database by way of the line; encrypted, no line could tell statements apart.
fn through(database: &url::Url, line: SocketAddr) -> Result<String> {
    let mut through = database.clone();
    through.set_ip_host(line.ip()).ok().context("a host")?;
    through.set_port(Some(line.port())).ok().context("a port")?;
    through.set_query(Some("sslmode=disable"));
    Ok(through.into())
}

/// From then on until something arrives.
fn recovered(double: &Double, since: Duration) -> Option<Duration> {
    let later = double.accepted().into_iter().map(|entry| entry.at).filter(|at| *at > since);
    Some(later.min()?.saturating_sub(since))
}

async fn each_in_turn(
    statements: &[&str],
    connections: u32,
    moments: &[Moment],
    limited: bool,
) -> Result<()> {
    let mut cell = Cell::start(connections, limited).await?;
    for (statement, moment) in statements.iter().zip(moments.iter().cycle()) {
        cell.silent_at(statement, *moment).await?;
    }
    // All at once, as when a machine on the way is switched off.
    cell.line.all();
    cell.deaths.push(("all at once".to_owned(), cell.began.elapsed()));
    let intakes = cell.cluster.intakes();
    let load = Load::of(EVENTS)?.over(OVER);
    cell.accepted.extend(load.send(&intakes, |number| event(number, "billing")).await?);
    Box::pin(cell.finish(limited)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unlimited_with_two_connections() -> Result<()> {
    Box::pin(each_in_turn(UNLIMITED, 2, &[Moment::Before], false)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unlimited_with_ten_connections() -> Result<()> {
    Box::pin(each_in_turn(UNLIMITED, 10, &[Moment::After, Moment::Answered], false)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_with_two_connections() -> Result<()> {
    Box::pin(each_in_turn(LIMITED, 2, &[Moment::After], true)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limited_with_ten_connections() -> Result<()> {
    Box::pin(each_in_turn(LIMITED, 10, &[Moment::Before, Moment::Halved], true)).await
}
