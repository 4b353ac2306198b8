//! `postrider events`: what is sent, and what came in.

mod ignored;
mod input;
mod kept;
mod send;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use postrider_api::AcceptedResult;
use postrider_domain::{DeliveryId, EventId, counted};
use serde_json::{Value, json};

use super::Api;
use crate::follow::{Ended, MOST, WaitArgs, to_the_end};
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, complain, printable};
use send::Verdict;

/// `1 event was`, `2 events were`.
fn were(events: u64) -> String {
    let was = if events == 1 { "was" } else { "were" };
    format!("{} {was}", counted(events, "event", "events"))
}

/// Refusals that are told one by one; the rest is counted.
const MAX_TOLD: usize = 100;
/// Events whose ids are told.
const MAX_IDS: usize = 20;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Send events to POST /events
    #[command(
        after_help = "Example:\n  postrider events publish -f events.ndjson\n  echo '{\"event_name\": \"contract_requiring_verification_published\",\n    \"consumer\": {\"name\": \"checkout\", \"version_number\": \"1.0.1\"},\n    \"provider\": {\"name\": \"billing\"}}' | postrider events publish -f -\n\nThe input is JSON, an array, JSON lines or CloudEvents. Nothing is sent when it can't be parsed.\nAn event's own id is its idempotency key; an event without one gets a key for this run, so that\nrepeats within the run do no harm."
    )]
    Publish(PublishArgs),
    /// List what came in, newest first
    #[command(
        after_help = "Example:\n  postrider events list --consumer checkout --provider billing --unmatched --since 3d"
    )]
    List(kept::ListArgs),
    /// Show an event, how it came in and what it led to; and if to nothing, why
    #[command(
        after_help = "Example:\n  postrider events show 01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"
    )]
    Show(kept::ShowArgs),
}

/// What to send.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// File to read; - is standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    wait: WaitArgs,
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
    event_ids: Vec<EventId>,
    deliveries: Vec<DeliveryId>,
    /// The first accepted event that no webhook wants, and how many those are.
    unwanted: Option<EventId>,
    unwanted_count: u64,
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
    match command {
        EventsCommand::Publish(args) => send_all(args, connect, out).await,
        EventsCommand::List(args) => kept::list(args, connect, out).await,
        EventsCommand::Show(args) => kept::show(args, connect, out).await,
    }
}

async fn send_all(
    args: PublishArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let api = connect(&args.connection)?;
    let events = input::read(&args.file)?;
    for member in ignored::ignored(&events) {
        complain(&format!(
            "warning: {} means nothing in an event; `postrider openapi` names what does (Event)",
            printable(&member)
        ));
    }
    let mut tally = Tally::default();
    let ended = publish(&api, &events, &mut tally).await;
    let why = match tally.unwanted {
        Some(event) => kept::why_unwanted(&api, event).await,
        None => Vec::new(),
    };
    let outcome = if args.wait.wait && ended.is_ok() {
        Some(follow(&api, &tally, args.wait.timeout).await?)
    } else {
        None
    };
    match args.output.format() {
        Format::Json => out.json(&tally.json(events.len(), &why, outcome)),
        // What can't be reached has done nothing that could be counted.
        Format::Table if ended.is_err() && tally.is_empty() => {}
        Format::Table => tally.print(&why, outcome, out),
    }
    ended.map_err(|failure| tally.add_to(failure))?;
    let exit = outcome.map_or(Exit::Fine, Ended::exit);
    Ok(if tally.refused == 0 { exit } else { Exit::No })
}

async fn follow(api: &Api, tally: &Tally, within: Duration) -> Result<Ended, Failure> {
    let count = tally.deliveries.len();
    if count > MOST {
        return Err(Failure::usage(format!("{count} deliveries are too many to wait for"))
            .fix("look at them with `postrider deliveries list`; all events were sent"));
    }
    if let Some(event) = tally.event_ids.last().filter(|_| count > 0) {
        let many = counted(count as u64, "delivery", "deliveries");
        complain(&format!("{many} to wait for; also: `postrider events show {event}`"));
    }
    to_the_end(api, tally.deliveries.clone(), within).await
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
            Verdict::Accepted(accepted) => {
                self.accepted += 1;
                if accepted.deliveries.is_empty() {
                    self.unwanted.get_or_insert(accepted.event_id);
                    self.unwanted_count += 1;
                }
                self.note(&accepted);
            }
            Verdict::Duplicate(accepted) => {
                self.duplicates += 1;
                self.note(&accepted);
            }
            Verdict::Refused { status, reasons } => {
                self.refused += 1;
                if self.told.len() < MAX_TOLD {
                    self.told.push(Refusal { index, status, reasons });
                }
            }
        }
    }

    fn note(&mut self, accepted: &AcceptedResult) {
        self.event_ids.push(accepted.event_id);
        self.deliveries.extend(accepted.deliveries.iter().map(|delivery| delivery.id));
    }

    fn json(&self, events: usize, why: &[String], outcome: Option<Ended>) -> Value {
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
            "event_ids": self.event_ids,
            "deliveries": self.deliveries.len(),
            "unwanted": self.unwanted_count,
            "why_unwanted": why,
            "outcome": outcome,
        })
    }

    fn print(&self, why: &[String], outcome: Option<Ended>, out: &mut Out) {
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
        if self.event_ids.len() <= MAX_IDS {
            for id in &self.event_ids {
                out.line(format_args!("event {id}"));
            }
        }
        out.line(counted(self.deliveries.len() as u64, "delivery", "deliveries"));
        if self.unwanted_count > 0 {
            let colon = if why.is_empty() { "" } else { ":" };
            out.line(format_args!("no webhook wants {} of the events{colon}", self.unwanted_count));
            for line in why {
                out.line(format_args!("  {}", printable(line)));
            }
        }
        match outcome {
            Some(outcome) => outcome.print(out),
            None if self.deliveries.is_empty() => {}
            None => out.line("what becomes of them: `postrider deliveries tail`"),
        }
    }

    /// Nothing was answered yet.
    fn is_empty(&self) -> bool {
        self.accepted + self.duplicates + self.refused == 0
    }

    /// What a run that ended early has done already.
    fn add_to(&self, mut failure: Failure) -> Failure {
        let done = self.accepted + self.duplicates;
        if done > 0 {
            failure.message = format!("{} (after {} taken)", failure.message, were(done));
        }
        failure
    }
}
