//! How fast the real program is: events in over HTTP, dispatches out to a stand-in for GitHub on
//! the same machine that answers 204 at once, outcomes recorded; the rate, and the CPU time of
//! every process that takes part.
//!
//! ```text
//! cargo build --release
//! cargo run --release -p postrider-bench -- --mode embedded
//! POSTRIDER_BENCH_DATABASE_URL=... POSTRIDER_BENCH_AMQP_URL=... \
//!   cargo run --release -p postrider-bench -- --mode distributed
//! ```

mod cpu;
mod load;
mod system;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use postrider_github_double::{Double, Options};
use serde::Serialize;

use crate::load::Load;
use crate::system::System;

/// Which mode to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// One process, SQLite.
    Embedded,
    /// Ingest, worker and monitor over Postgres and `RabbitMQ`.
    Distributed,
}

/// Measures postrider on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Which mode.
    #[arg(long, value_enum, default_value = "embedded")]
    mode: Mode,
    /// Events of the burst.
    #[arg(long, default_value_t = 50_000)]
    events: u32,
    /// Events in one call.
    #[arg(long, default_value_t = 100)]
    batch: u32,
    /// Calls at once.
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// Events a second of the gentle run; 0 leaves it out.
    #[arg(long, default_value_t = 100)]
    gentle_rate: u32,
    /// Length of the gentle run in seconds.
    #[arg(long, default_value_t = 20)]
    gentle_seconds: u32,
    /// The program to measure.
    #[arg(long, default_value = "target/release/postrider")]
    program: PathBuf,
    /// An empty database (distributed).
    #[arg(long, env = "POSTRIDER_BENCH_DATABASE_URL")]
    database_url: Option<String>,
    /// An empty virtual host (distributed).
    #[arg(long, env = "POSTRIDER_BENCH_AMQP_URL")]
    amqp_url: Option<String>,
}

/// What a run came to.
#[derive(Debug, Serialize)]
struct Report {
    mode: Mode,
    events: u32,
    batch: u32,
    accepted_per_second: f64,
    recorded_per_second: f64,
    duplicates: u64,
    cpu_us_per_delivery: std::collections::BTreeMap<String, f64>,
    cpu_us_per_delivery_total: f64,
    gentle: Option<Gentle>,
}

/// From the start of the POST to the arrival at the target.
#[derive(Debug, Serialize)]
struct Gentle {
    rate: u32,
    events: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let report = run(&args).await?;
    let text = serde_json::to_string_pretty(&report)?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes())?;
    Ok(())
}

async fn run(args: &Args) -> anyhow::Result<Report> {
    let epoch = Instant::now();
    let double = Double::start(Options { journal_capacity: 200_000, ..Options::default() }).await?;
    let system = System::start(args, double.addr()).await.context("starting postrider")?;
    let load = Load::new(&system, &double)?;
    load.prepare().await?;
    // Warm: connections, plans, caches.
    load.burst(args.events.min(1_000), args.batch, args.callers).await?;
    load.until_recorded(u64::from(args.events.min(1_000))).await?;

    let before = double.counts();
    let cpu = cpu::Reading::of(&system)?;
    let started = Instant::now();
    load.burst(args.events, args.batch, args.callers).await?;
    let accepted_in = started.elapsed();
    load.until_recorded(before.accepted + u64::from(args.events)).await?;
    let recorded_in = started.elapsed();
    let used = cpu::Reading::of(&system)?.since(&cpu);
    let duplicates = double.counts().duplicates;

    let gentle = match args.gentle_rate {
        0 => None,
        rate => Some(gentle(&load, &double, epoch, rate, args.gentle_seconds).await?),
    };
    system.stop()?;
    let count = f64::from(args.events);
    let per_delivery: std::collections::BTreeMap<String, f64> =
        used.into_iter().map(|(name, time)| (name, time.as_secs_f64() * 1e6 / count)).collect();
    Ok(Report {
        mode: args.mode,
        events: args.events,
        batch: args.batch,
        accepted_per_second: count / accepted_in.as_secs_f64(),
        recorded_per_second: count / recorded_in.as_secs_f64(),
        duplicates,
        cpu_us_per_delivery_total: per_delivery.values().sum(),
        cpu_us_per_delivery: per_delivery,
        gentle,
    })
}

async fn gentle(
    load: &Load<'_>,
    double: &Double,
    epoch: Instant,
    rate: u32,
    seconds: u32,
) -> anyhow::Result<Gentle> {
    double.reset();
    let sent = load.gentle(rate, seconds).await?;
    load.until_recorded(sent.len() as u64).await?;
    let mut waits: Vec<Duration> = Vec::with_capacity(sent.len());
    for entry in double.accepted() {
        let body: serde_json::Value =
            serde_json::from_str(entry.body.as_deref().unwrap_or("null"))?;
        let version = body["client_payload"]["consumer_version_number"].as_str();
        if let Some(at) = version.and_then(|version| sent.get(version)) {
            waits.push((epoch + entry.at).saturating_duration_since(*at));
        }
    }
    anyhow::ensure!(waits.len() == sent.len(), "{} of {} arrived", waits.len(), sent.len());
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok(Gentle { rate, events: waits.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) })
}
