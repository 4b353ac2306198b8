//! What a delivery costs: CPU time of each process that takes part, deliveries a second, latency
//! and memory, of postrider beside the bare pipeline of its own design, measured in turn.
//!
//! Services are private, only their processes and ours are counted, and everything that was
//! started ends with this program. `bench --help` has examples.

mod args;
mod bare;
mod bodies;
mod growth;
mod load;
mod machine;
mod process;
mod report;
mod rounds;
mod run;
mod sample;
mod scale;
mod scenario;
mod services;
mod subject;
mod target;
mod usage;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Bare, Cli, Command, Format, Run};
use crate::machine::Machine;
use crate::report::{Report, Summary};
use crate::rounds::Measured;
use crate::scenario::Scenario;
use crate::services::Services;
use crate::target::Target;

/// Ended by a signal.
const INTERRUPTED: u8 = 130;
const ROUNDS: u32 = 5;
/// The yardstick is part of this program.
const DEBUG: &str =
    if cfg!(debug_assertions) { "NOT A RELEASE BUILD: the figures mean nothing\n" } else { "" };

fn main() -> Result<ExitCode> {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(until_signal(command))
}

/// A signal drops the work, and with it everything that was started.
async fn until_signal(command: Command) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let is_role = matches!(command, Command::BareRole(_));
    let done = tokio::select! {
        done = Box::pin(obey(command)) => done,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        // A role of the bare pipeline ends well by it.
        _ = terminate.recv(), if !is_role => return Ok(ExitCode::from(INTERRUPTED)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn obey(command: Command) -> Result<()> {
    match command {
        Command::Run(run) => measure(&run).await,
        Command::Bare(bare) => measure_bare(&bare).await,
        Command::BareRole(role) => bare::run(role).await,
        Command::Growth(growth) => growth::run(&growth).await,
        Command::Scale(scale) => show(&scale::tables(&scale::read(&scale.costs)?)),
        Command::List => {
            let list = scenario::names().map(|(name, about)| format!("{name:<14} {about}\n"));
            show(&list.collect::<String>())
        }
    }
}

async fn measure(run: &Run) -> Result<()> {
    let scenarios = scenario::chosen(run)?;
    for program in [Some(&run.program), run.old.as_ref()].into_iter().flatten() {
        ensure!(program.exists(), "{} is missing; build it first", program.display());
    }
    let old = run.old.iter().map(|old| ("old", old.as_path()));
    let programs: Vec<(&'static str, &Path)> =
        [("new", run.program.as_path())].into_iter().chain(old).collect();
    let machine = Machine::look(&programs);
    let rounds = run.rounds.unwrap_or(if run.quick { 1 } else { ROUNDS });
    let measured = all(&scenarios, rounds, &machine, run.format).await?;
    if let Some(path) = &run.json {
        let scenarios = measured.iter().map(Summary::of).collect();
        let report = Report { machine: &machine, rounds, scenarios };
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(())
}

async fn measure_bare(bare: &Bare) -> Result<()> {
    let machine = Machine::look(&[]);
    let scenario = scenario::bare_alone(bare.events);
    all(&[scenario], bare.rounds, &machine, Format::Table).await.map(drop)
}

/// Runs the scenarios one after the other and shows each when it is done.
async fn all(
    scenarios: &[Scenario],
    rounds: u32,
    machine: &Machine,
    format: Format,
) -> Result<Vec<Measured>> {
    show(&format!(
        "{}\nmedians of {rounds} interleaved rounds, ranges in parentheses\n{DEBUG}\n",
        machine.line()
    ))?;
    let target = Target::start().await?;
    let mut services = Services::start().await?;
    let mut measured = Vec::new();
    for scenario in scenarios {
        let one = rounds::measure(scenario, rounds, &mut services, &target).await?;
        show(&format!("{}\n", Summary::of(&one).table(format)))?;
        measured.push(one);
    }
    Ok(measured)
}

pub(crate) fn show(text: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
