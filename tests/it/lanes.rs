//! Lanes beside each other: each limit is used and never exceeded, and targets that hang cost
//! nobody but themselves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options, Play};

use crate::harness::{
    Api, Cluster, Load, Looking, Mode, Plan, SOON, event, hook_webhook, say, wait_until, waits,
};

/// Of the pace that the margin leaves.
const USED_AT_LEAST: f64 = 0.95;
/// τ: what timers are late.
const TOLERANCE: Duration = Duration::from_millis(5);

/// How much a busy machine moves arrivals beyond what the limit's margin allows for.
const JOSTLED: Duration = Duration::from_millis(150);

/// A limit and the target behind it.
struct Limited {
    name: &'static str,
    count: u32,
    per: Duration,
    concurrency: u32,
    /// Deliveries that wait at once.
    backlog: usize,
    double: Double,
}

impl Limited {
    async fn new(
        name: &'static str,
        (count, per): (u32, u64),
        concurrency: u32,
        backlog: usize,
    ) -> Result<Self> {
        let latency = Some(Duration::from_millis(10));
        let double = Double::start(Options { latency, ..Options::default() }).await?;
        Ok(Self { name, count, per: Duration::from_secs(per), concurrency, backlog, double })
    }

    fn table(&self) -> String {
        format!(
            "[[lane]]\nmatch = ['{}/none']\nname = '{}'\nrate = '{}/{}s'\nconcurrency = {}\n",
            self.double.addr(),
            self.name,
            self.count,
            self.per.as_secs(),
            self.concurrency
        )
    }

    /// The time between two requests (rule MARGIN).
    fn apart(&self) -> f64 {
        let jitter = (self.per / 20).clamp(Duration::from_millis(50), Duration::from_secs(1));
        (self.per + jitter + TOLERANCE).as_secs_f64() / f64::from(self.count)
    }

    fn arrivals(&self) -> Vec<Duration> {
        self.double.accepted().into_iter().map(|entry| entry.at).collect()
    }

    /// No window held more than the limit, and the pace was kept while something waited.
    fn judge(&self) -> Result<()> {
        let arrivals = self.arrivals();
        let (first, last) =
            (arrivals.first().context("arrivals")?, arrivals.last().context("arrivals")?);
        for (place, start) in arrivals.iter().enumerate() {
            let until = *start + self.per.saturating_sub(JOSTLED);
            let inside = arrivals[place..].iter().filter(|at| **at < until).count();
            ensure!(inside <= self.count as usize, "{}: {inside} in one window", self.name);
        }
        let passed = last.saturating_sub(*first).as_secs_f64();
        let sent = f64::from(u32::try_from(arrivals.len() - 1)?);
        let used = sent * self.apart() / passed;
        say(&format!("{}: {:.1} % of the pace over {passed:.1} s", self.name, used * 100.0));
        ensure!(used >= USED_AT_LEAST, "{}: {:.1} % of the pace", self.name, used * 100.0);
        Ok(())
    }
}

async fn hooks(api: &Api, limits: &[Limited]) -> Result<()> {
    for limited in limits {
        let hook = hook_webhook(&limited.double.base_url(), limited.name, limited.name);
        api.create_webhook(&hook).await?;
    }
    Ok(())
}

/// What waited too long for its turn was once given back instead of sent: 10 a minute sent
/// nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backlogs_are_sent_at_the_pace_of_their_limits() -> Result<()> {
    let limits = [
        Limited::new("ten-a-minute", (10, 60), 1, 40).await?,
        Limited::new("five-a-second", (5, 1), 1, 250).await?,
        Limited::new("five-at-once", (5, 1), 4, 250).await?,
        Limited::new("much", (180, 6), 1, 1_500).await?,
        Limited::new("much-at-once", (180, 6), 8, 1_500).await?,
    ];
    let tables: String = limits.iter().map(Limited::table).collect();
    let cluster = Plan::new(Mode::Embedded).file(&tables).start().await?;
    let api = cluster.api()?;
    hooks(&api, &limits).await?;
    for limited in &limits {
        let load = Load::of(limited.backlog)?;
        load.send(&cluster.intakes(), |number| event(number, limited.name)).await?;
    }
    // Seven requests of the slowest, and what the others make meanwhile.
    limits[0].double.wait_for(8, Duration::from_secs(90)).await?;
    for limited in &limits {
        limited.judge()?;
    }
    cluster.finish().await
}

/// Sends `count` events over `time`; the wait of the 99th of 100.
async fn p99(
    cluster: &Cluster,
    (double, began): (&Double, Instant),
    (count, time): (usize, Duration),
) -> Result<Duration> {
    let before = double.counts().accepted;
    let load = Load::of(count)?.over(time);
    let sent = load.send(&cluster.intakes(), |number| event(number, "healthy")).await?;
    double.wait_for(before + u64::try_from(count)?, SOON).await?;
    let waits = waits(&sent, double, began)?;
    Ok(waits[waits.len() * 99 / 100])
}

/// What a busy machine adds to any wait; far below the time-out of 15 s that a delivery would wait
/// for which hanging targets keep from being sent.
const NOISE: Duration = Duration::from_millis(2_500);

/// Ten hanging targets were once enough to keep a healthy one waiting for a whole time-out, and a
/// limited one from sending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_hanging_targets_beside_a_healthy_and_a_limited_one() -> Result<()> {
    let limited = [Limited::new("limited", (20, 1), 1, 120).await?];
    let began = Instant::now();
    let healthy = Double::start(Options::default()).await?;
    let mut hanging = Vec::new();
    for _ in 0..10 {
        let double = Double::start(Options::default()).await?;
        double.script_repeating("stuck", vec![Play::HalfOpen])?;
        hanging.push(double);
    }
    let plan = Plan::new(Mode::Distributed)
        .set("WEBHOOK_TIMEOUT", "15s")
        .set("WORKER_CONCURRENCY", 128)
        .file(&limited[0].table());
    let cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    hooks(&api, &limited).await?;
    api.create_webhook(&hook_webhook(&healthy.base_url(), "healthy", "healthy")).await?;
    for double in &hanging {
        api.create_webhook(&hook_webhook(&double.base_url(), "stuck", "stuck")).await?;
    }
    let over = Duration::from_secs(4);
    let alone = p99(&cluster, (&healthy, began), (200, over)).await?;
    let intakes = cluster.intakes();
    Load::of(40)?.send(&intakes, |number| event(number, "stuck")).await?;
    let load = Load::of(limited[0].backlog)?;
    load.send(&intakes, |number| event(number, "limited")).await?;
    let beside = p99(&cluster, (&healthy, began), (200, over)).await?;
    say(&format!("p99 {alone:?} alone, {beside:?} beside ten that hang"));
    ensure!(beside <= 2 * alone + NOISE, "{beside:?} beside ten that hang, {alone:?} alone");
    limited[0].double.wait_for(u64::try_from(limited[0].backlog)?, SOON).await?;
    limited[0].judge()?;
    let tried: u64 = hanging.iter().map(|double| double.counts().requests).sum();
    ensure!(tried >= 10, "those that hang are tried: {tried}");
    Ok(())
}

/// Accepts connections, as far as the system does, and never answers.
fn silent() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

const HANGING: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_hanging_targets_beside_proven_and_new_ones() -> Result<()> {
    let began = Instant::now();
    let healthy = Double::start(Options::default()).await?;
    let fresh = Double::start(Options::default()).await?;
    let plan = Plan::new(Mode::Embedded)
        .set("WEBHOOK_TIMEOUT", "15s")
        .set("SHUTDOWN_GRACE", "1s")
        .set("WORKER_CONCURRENCY", 1_024);
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(&healthy.base_url(), "healthy", "healthy")).await?;
    api.create_webhook(&hook_webhook(&fresh.base_url(), "fresh", "fresh")).await?;
    let mut listeners = Vec::new();
    for _ in 0..HANGING {
        let (listener, url) = silent()?;
        api.create_webhook(&hook_webhook(&url, "stuck", "stuck")).await?;
        listeners.push(listener);
    }
    let over = Duration::from_secs(4);
    let alone = p99(&cluster, (&healthy, began), (200, over)).await?;
    // Three for each of them.
    Load::of(3)?.send(&cluster.intakes(), |number| event(number, "stuck")).await?;
    let beside = p99(&cluster, (&healthy, began), (200, over)).await?;
    say(&format!("p99 {alone:?} alone, {beside:?} beside {HANGING} that hang"));
    ensure!(beside <= 2 * alone + NOISE, "{beside:?} beside those that hang, {alone:?} alone");
    let sent = Instant::now();
    Load::of(1)?.send(&cluster.intakes(), |number| event(number, "fresh")).await?;
    wait_until("a lane that was never seen to be served", SOON, async || {
        let accepted = fresh.counts().accepted;
        Ok(Looking::when(accepted == 1, || format!("{accepted} accepted")))
    })
    .await?;
    let waited = sent.elapsed();
    say(&format!("a new lane waited {waited:?}"));
    ensure!(waited < Duration::from_secs(6), "a new lane waited {waited:?}");
    Ok(())
}
