//! One target that hangs never slows another lane.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use postrider_github_double::{Double, Options, Play};

use crate::harness::{Load, Mode, Plan, event, hook_webhook, say, waits};

const EVENTS: usize = 300;
const OVER: Duration = Duration::from_secs(5);
/// Far above a delivery's usual few milliseconds on a busy machine, and far below the time-out
/// that the hanging target costs.
const P99_AT_MOST: Duration = Duration::from_millis(1_500);

async fn a_hanging_target(mode: Mode) -> Result<()> {
    let hanging = Double::start(Options::default()).await?;
    hanging.script_repeating("stuck", vec![Play::HalfOpen])?;
    let began = Instant::now();
    let healthy = Double::start(Options::default()).await?;
    // The default, which is more than one lane may take.
    let plan = Plan::new(mode).set("WEBHOOK_TIMEOUT", "10s").set("WORKER_CONCURRENCY", 512);
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(&hanging.base_url(), "stuck", "stuck")).await?;
    api.create_webhook(&hook_webhook(&healthy.base_url(), "fine", "fine")).await?;

    let intakes = cluster.intakes();
    let (to_hanging, to_healthy) = (Load::of(EVENTS)?.over(OVER), Load::of(EVENTS)?.over(OVER));
    let (stuck, fine) = tokio::join!(
        to_hanging.send(&intakes, |number| event(number, "stuck")),
        to_healthy.send(&intakes, |number| event(number, "fine")),
    );
    ensure!(stuck?.len() == EVENTS, "the hanging target's events are accepted too");
    let fine = fine?;
    healthy.wait_for(u64::try_from(EVENTS)?, Duration::from_secs(20)).await?;
    ensure!(hanging.counts().requests >= 1, "the hanging target is tried: {:?}", hanging.counts());

    let waits = waits(&fine, &healthy, began)?;
    let p99 = waits[waits.len() * 99 / 100];
    say(&format!("p50 {:?}, p99 {p99:?} beside a target that hangs", waits[waits.len() / 2]));
    ensure!(p99 < P99_AT_MOST, "p99 is {p99:?} beside a target that hangs for 10 s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(a_hanging_target(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(a_hanging_target(Mode::Distributed)).await
}
