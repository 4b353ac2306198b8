//! Runs years.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use postrider_year::{Plan, Report, run, summary, tables};

/// Simulates years of traffic over the real rules of the monitor, one for each seed, and says how
/// late planted faults were found and how many alarms were false.
///
/// Ends with 1 when a fault was not found within its bound, or when there was more than 1 false
/// alarm for 100,000 dispatches.
///
/// Example: `cargo run --release -p postrider-year -- --seeds 10`
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// How many days of the year.
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(30..=365))]
    days: u16,
    /// How many pairs.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(60..=5000))]
    pairs: u16,
    /// How often the busiest pair publishes in an hour of work.
    #[arg(long, value_name = "N", default_value_t = 6_000, value_parser = clap::value_parser!(u16).range(1..=6_000))]
    fastest: u16,
    /// The runs that one publication starts are slow together or not at all.
    #[arg(long)]
    slow_together: bool,
    /// Seeds at once; as many as there are cores when left out.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How to write what it came to.
    #[arg(short, long, value_enum, default_value_t = Output::Tables)]
    output: Output,
    /// Writes false alarms and faults that were not found in time one by one, to standard error.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Tables in Markdown.
    Tables,
    /// JSON.
    Json,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let args = Args::parse();
    let began = Instant::now();
    let mut reports = Vec::new();
    for report in start(&args) {
        tell(&args, &report, reports.len() + 1)?;
        reports.push(report);
    }
    reports.sort_by_key(|report| report.plan.seed);
    let summary = summary(&reports);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Tables => writeln!(out, "{}", tables(&summary))?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
    }
    writeln!(std::io::stderr(), "{:.0} s", began.elapsed().as_secs_f64())?;
    let is_found = summary.faults.values().all(|of| of.found.0 == of.found.1);
    let is_well = is_found && summary.false_rate.0 <= 1.0;
    Ok(if is_well { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}

/// Runs the seeds on several threads.
fn start(args: &Args) -> mpsc::IntoIter<Report> {
    let (from, end) = (args.from, args.from.saturating_add(args.seeds));
    let (days, pairs, is_slow_together) = (args.days, usize::from(args.pairs), args.slow_together);
    let fastest = f64::from(args.fastest);
    let next = Arc::new(AtomicU64::new(from));
    let (reports, results) = mpsc::channel();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for _ in 0..args.jobs.unwrap_or(cores).max(1) {
        let (next, reports) = (Arc::clone(&next), reports.clone());
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let plan = Plan { days, pairs, fastest, is_slow_together, ..Plan::year(seed) };
                if seed >= end || reports.send(run(plan)).is_err() {
                    break;
                }
            }
        });
    }
    results.into_iter()
}

/// Progress, and what is asked for one by one.
fn tell(args: &Args, report: &Report, done: usize) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        writeln!(err, "seed {}: {done} of {} done", report.plan.seed, args.seeds)?;
    }
    if !args.list {
        return Ok(());
    }
    let seed = report.plan.seed;
    for fault in report.faults.iter().filter(|fault| fault.is_wrong()) {
        writeln!(err, "seed {seed}: {fault:?}")?;
    }
    for alarm in report.alarms.iter().filter(|alarm| alarm.is_false()) {
        let hours = alarm.at / 3_600_000;
        writeln!(err, "seed {seed}: hour {hours}: {} {}", alarm.kind.as_str(), alarm.subject)?;
        for owed in &alarm.owed {
            writeln!(err, "    {owed}")?;
        }
    }
    Ok(())
}
