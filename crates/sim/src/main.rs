//! Runs seeds of the simulation.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use postrider_sim::Report;
use tokio::sync::mpsc;

/// Simulates workers, ingests, queue, store and targets with everything that can go wrong, one
/// seed after the other, and says which seeds break a promise.
///
/// Example: `cargo run -p postrider-sim -- --seeds 2000`, and for a seed that failed
/// `cargo run -p postrider-sim -- --seed 17 --trace`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    /// How many seeds to run.
    #[arg(long, value_name = "N", conflicts_with = "seed", default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", conflicts_with = "seed", default_value_t = 0)]
    from: u64,
    /// Runs this seed alone.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Prints what happens in it, step by step.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Seeds at once; as many as there are cores when left out.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let args = Args::parse();
    let failed = match args.seed {
        Some(seed) => one(seed, args.trace)?,
        None => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(many(&args))?,
    };
    Ok(if failed { std::process::ExitCode::FAILURE } else { std::process::ExitCode::SUCCESS })
}

/// Runs one seed; whether it failed.
fn one(seed: u64, is_traced: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    let report = if is_traced {
        let (report, lines) = postrider_sim::trace(seed, None);
        for line in lines {
            writeln!(out, "{line}")?;
        }
        report
    } else {
        postrider_sim::run(seed, None)
    };
    writeln!(out, "{}", text(&report))?;
    Ok(report.wrong.is_some())
}

fn text(report: &Report) -> String {
    let Report { seed, happenings, requests, wrong } = report;
    let found = wrong.as_deref().unwrap_or("nothing wrong");
    format!("seed {seed}: {found} ({happenings} steps, {requests} requests)")
}

/// Runs many seeds; whether any failed.
async fn many(args: &Args) -> anyhow::Result<bool> {
    let began = Instant::now();
    let end = args.from.saturating_add(args.seeds);
    let (next, ends) = (Arc::new(AtomicU64::new(args.from)), Arc::new(AtomicBool::new(false)));
    let (reports, mut results) = mpsc::unbounded_channel();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for _ in 0..args.jobs.unwrap_or(cores).max(1) {
        let (next, ends, reports) = (Arc::clone(&next), Arc::clone(&ends), reports.clone());
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let is_over = seed >= end || ends.load(Ordering::Relaxed);
                if is_over || reports.send(postrider_sim::run(seed, None)).is_err() {
                    break;
                }
            }
        });
    }
    drop(reports);
    let (mut done, mut steps, mut failed) = (0_u64, 0_u64, 0_u64);
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            report = results.recv() => {
                let Some(report) = report else { break };
                (done, steps) = (done + 1, steps + report.happenings);
                if report.wrong.is_some() {
                    failed += 1;
                    writeln!(std::io::stdout(), "{}", text(&report))?;
                }
            }
            _ = ticks.tick() => {
                writeln!(std::io::stderr(), "{done} of {} seeds, {failed} failed", args.seeds)?;
            }
            _ = &mut interrupted => {
                ends.store(true, Ordering::Relaxed);
                writeln!(std::io::stderr(), "interrupted: what runs is finished")?;
                break;
            }
        }
    }
    while let Some(report) = results.recv().await {
        (done, steps) = (done + 1, steps + report.happenings);
        if report.wrong.is_some() {
            failed += 1;
            writeln!(std::io::stdout(), "{}", text(&report))?;
        }
    }
    let took = began.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{done} seeds from {}, {failed} failed, {steps} steps, {took:.1} s",
        args.from
    )?;
    Ok(failed > 0)
}
