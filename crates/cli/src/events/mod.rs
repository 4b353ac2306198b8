//! `postrider events publish`.

mod input;
mod send;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::Api;
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, complain, printable};
use send::Verdict;

/// Refusals that are told one by one; the rest is counted.
const MAX_TOLD: usize = 100;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Send events to POST /events
    #[command(
        after_help = "Example:\n  postrider events publish -f events.ndjson\n\nThe input is JSON, an array, JSON lines or CloudEvents. Nothing is sent when it can't be parsed.\nAn event's own id is its idempotency key; an event without one gets a key for this run, so that\nrepeats within the run do no harm."
    )]
    Publish(PublishArgs),
}

/// What to send.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// File to read; - is standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// What became of the events so far.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    refused: u64,
    told: Vec<Refusal>,
}

/// One event that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    /// Place in the input, from 0.
    index: usize,
    status: u64,
    reasons: Vec<String>,
}

/// Carries it out.
pub async fn run(
    command: EventsCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let EventsCommand::Publish(args) = command;
    let api = connect(&args.connection)?;
    let events = input::read(&args.file)?;
    let mut tally = Tally::default();
    let ended = publish(&api, &events, &mut tally).await;
    match args.output.format() {
        Format::Json => out.json(&tally.json(events.len())),
        Format::Table => tally.print(out),
    }
    ended.map_err(|failure| tally.add_to(failure))?;
    Ok(if tally.refused == 0 { Exit::Fine } else { Exit::No })
}

/// Draws on standard error, and only if that is a terminal.
async fn publish(api: &Api, events: &[input::Event], tally: &mut Tally) -> Result<(), Failure> {
    let progress = ProgressBar::new(events.len() as u64);
    let mut first = 0;
    for chunk in input::chunks(events) {
        let verdicts = send::send(api, chunk).await;
        match verdicts {
            Ok(verdicts) => verdicts.into_iter().enumerate().for_each(|(i, verdict)| {
                tally.count(first + i, verdict);
            }),
            Err(failure) => {
                progress.abandon();
                return Err(failure);
            }
        }
        first += chunk.len();
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

impl Tally {
    fn count(&mut self, index: usize, verdict: Verdict) {
        match verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Duplicate => self.duplicates += 1,
            Verdict::Refused { status, reasons } => {
                self.refused += 1;
                if self.told.len() < MAX_TOLD {
                    self.told.push(Refusal { index, status, reasons });
                }
            }
        }
    }

    fn json(&self, events: usize) -> Value {
        let told: Vec<Value> = self
            .told
            .iter()
            .map(|refusal| {
                json!({
                    "index": refusal.index,
                    "status": refusal.status,
                    "reasons": refusal.reasons,
                })
            })
            .collect();
        json!({
            "events": events,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "refusals": told,
        })
    }

    fn print(&self, out: &mut Out) {
        for Refusal { index, status, reasons } in &self.told {
            let reasons = printable(&reasons.join("; "));
            complain(&format!("event {} refused ({status}): {reasons}", index + 1));
        }
        let untold = self.refused - self.told.len() as u64;
        if untold > 0 {
            complain(&format!("and {untold} more"));
        }
        let Self { accepted, duplicates, refused, .. } = self;
        out.line(format_args!("accepted {accepted}, duplicate {duplicates}, refused {refused}"));
    }

    /// What a run that ended early has done already.
    fn add_to(&self, mut failure: Failure) -> Failure {
        let done = self.accepted + self.duplicates;
        if done > 0 {
            failure.message = format!("{} (after {done} events were taken)", failure.message);
        }
        failure
    }
}
