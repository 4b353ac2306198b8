//! Retention of a day while events come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_store::Store;

use super::{Figures, GROWN};
use crate::args::Growth;
use crate::load::{PATIENCE, Schedule, Sender, Webhooks};
use crate::rounds::tell;
use crate::sample::Latency;
use crate::services::Services;
use crate::subject::{Conditions, Running, Subject};
use crate::target::{Answers, Target};

/// Events a second, and for how long at a time.
const RATE: u32 = 300;
const SECONDS: u32 = 30;
/// Times before retention begins, the first of which warms up.
const QUIET: u32 = 3;
/// What ended is older than that.
const KEEP: Duration = Duration::from_hours(36);
/// As the monitor does it.
const KEEP_KEYS: Duration = Duration::from_hours(7 * 24);
const CHUNK: u32 = 2_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn measure(
    growth: &Growth,
    services: &mut Services,
    store: &Store,
) -> Result<String> {
    let target = Target::start().await?;
    let conditions =
        Conditions { target: target.address(), workers: 1, settings: &[], database: Some(GROWN) };
    let subject = Subject::Postrider { program: growth.program.clone(), distributed: true };
    let running = Running::start(&subject, services, &conditions).await?;
    let base = running.base.as_ref().context("an intake")?;
    let load = Load { sender: Sender::new(base, Webhooks::One, false)?, target: &target };
    load.sender.prepare(&format!("http://{}", target.address())).await?;
    // From now on nothing of it is whole any more.
    services.sql_in(GROWN, "drop table growth").await?;
    let mut figures = Figures::new("retention");
    let mut first = 0;
    let mut quiet = Vec::new();
    for time in 0..QUIET {
        let waits = load.some(&mut first).await?;
        if time > 0 {
            quiet.extend(waits);
        }
    }
    let is_over = AtomicBool::new(false);
    let (gone, during) = tokio::join!(retain(store, &is_over), load.until(&mut first, &is_over));
    let (gone, took) = gone?;
    figures.line("deliveries that went", &gone.to_string())?;
    figures.line("it took", &format!("{:.0} s", took.as_secs_f64()))?;
    for (what, waits) in [("without", quiet), ("with", during?)] {
        let latency = Latency::of(waits).context("no latency")?;
        let Latency { p50, p99, p999, max, .. } = latency;
        let line = format!("{p50:.1}, {p99:.1}, {p999:.1}, {max:.1} ms");
        figures.line(&format!("p50, p99, p99.9, max at {RATE}/s {what} it"), &line)?;
    }
    let began = Instant::now();
    store.prune(KEEP, KEEP_KEYS, CHUNK).await?;
    figures.took("the next round of it", began.elapsed())?;
    running.stop(services).await?;
    Ok(figures.text())
}

/// One round of retention as the monitor does it.
async fn retain(store: &Store, is_over: &AtomicBool) -> Result<(u64, Duration)> {
    let began = Instant::now();
    let gone = store.prune(KEEP, KEEP_KEYS, CHUNK).await;
    is_over.store(true, Ordering::Relaxed);
    Ok((gone?, began.elapsed()))
}

struct Load<'a> {
    sender: Sender,
    target: &'a Target,
}

impl Load<'_> {
    /// Events for a while; how long each took from when it was due.
    async fn some(&self, first: &mut u32) -> Result<Vec<Duration>> {
        self.target.reset(Answers::default());
        let schedule = Schedule::new(*first, RATE, SECONDS);
        *first += RATE * SECONDS;
        schedule.send(&self.sender).await?;
        let deadline = Instant::now() + PATIENCE;
        while self.target.accepted() < u64::from(schedule.count) {
            ensure!(Instant::now() < deadline, "{} arrived", self.target.accepted());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let arrivals = self.target.arrivals()?;
        let wait = |number, at: Instant| Some(at.saturating_duration_since(schedule.due(number)?));
        Ok(arrivals.iter().filter_map(|arrival| wait(arrival.number, arrival.at)).collect())
    }

    async fn until(&self, first: &mut u32, is_over: &AtomicBool) -> Result<Vec<Duration>> {
        let mut waits = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let some = self.some(first).await?;
            if let Some(Latency { p50, p99, max, .. }) = Latency::of(some.clone()) {
                tell(&format!("retention: p50 {p50:.1}, p99 {p99:.1}, max {max:.1} ms"));
            }
            waits.extend(some);
        }
        Ok(waits)
    }
}
