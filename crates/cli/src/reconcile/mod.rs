//! `postrider reconcile`: what was lost before it came here.
//!
//! A broker keeps webhook calls in memory: a restart, or a relay that is switched off, loses
//! them (Pact Broker 2.120). What it does know is which provider versions have no result for a
//! contract. Those without a delivery here are dispatched now, each with the values that the
//! broker itself would have sent.

use std::num::NonZeroU32;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use postrider_api::{DeliveryDetail, DeliveryList, EventDetail};
use postrider_broker::reconcile::{self, Here, Owed, State, Taken, Trouble, Wanted, look};
use postrider_broker::{Broker, BrokerError, Pair, Scope, Survey};
use postrider_domain::owed::Role;
use postrider_domain::{DeliveryId, EventId, EventSource};
use reqwest::Method;
use serde_json::{Value, json};

use super::broker::{BrokerArgs, Env, failure};
use super::{Api, Body};
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, complain, moment, printable};

/// Pairs that are looked at side by side.
const SIDE_BY_SIDE: usize = 4;
/// After so many unanswered questions the broker is not asked any more: with time-outs and
/// repeats each costs minutes.
const MAX_TROUBLES: usize = 3;

const HELP: &str = "\
Example:
  export PACT_BROKER_BASE_URL=https://broker.example PACT_BROKER_TOKEN=...
  postrider reconcile --since 3d
  postrider reconcile --since 3d --yes

Looked at is the newest contract of each branch of each consumer, and what is deployed or supported.
It owes a result for each provider version that counts and has none: the head of the main branch,
and what is deployed or released. A debt is lost when no delivery here, delivered or still open, is
about the contract and that version. Without --yes nothing is sent. With it each becomes the event
contract_requiring_verification_published with the values that the broker would have sent; a second
run does nothing. Brokers tell nobody of debts that came with a build, a deployment or a release
later than the contract: they are listed as `later`, and --later dispatches them, too. Don't look
back further than postrider keeps deliveries (POSTRIDER_RETENTION).

Exit codes: 0 nothing is lost, or all of it was dispatched; 1 something lost was not dispatched;
2 usage, or nothing was checked; 3 not reachable; 4 credential refused; 5 rate limited.";

/// Which broker, how far back, and whether to act.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReconcileArgs {
    /// What is owed since this time or a later one: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    since: Timestamp,
    /// Also what came to be owed after the contract's publication
    #[arg(long)]
    later: bool,
    /// Dispatch what is lost
    #[arg(long)]
    yes: bool,
    /// Dispatch at most this many, oldest first
    #[arg(long, value_name = "N", default_value = "100")]
    limit: NonZeroU32,
    /// The name under which postrider knows the broker
    #[arg(long = "broker", value_name = "NAME", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    name: String,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

fn since(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}

/// Carries it out.
pub async fn run(
    args: ReconcileArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    env: &Env,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let broker = args.broker.connect(env)?;
    let api = connect(&args.connection)?;
    let survey = Survey::new(&broker, Scope::Many);
    let mut found = collect(&broker, &survey, &api, &args).await?;
    let dispatched =
        if args.yes { dispatch(&survey, &api, &args, &mut found.owed).await } else { Ok(()) };
    // What was dispatched before the intake failed is told all the same.
    match args.output.format() {
        Format::Json => out.json(&found.json(&args)),
        Format::Table => found.print(&args, out),
    }
    dispatched?;
    Ok(found.end())
}

/// What both sides know.
struct Found {
    pairs: usize,
    looked: usize,
    owed: Vec<(Owed, State)>,
    /// Why some pairs are not known.
    troubles: Vec<(Pair, Failure)>,
}

/// Asks the broker what is owed, and postrider what it has of it. That postrider can't be asked
/// ends the command; a pair that the broker can't tell about does not.
async fn collect(
    broker: &Broker,
    survey: &Survey<'_>,
    api: &Api,
    args: &ReconcileArgs,
) -> Result<Found, Failure> {
    let pairs = broker.pairs().await.map_err(|error| failure(&error))?;
    if pairs.is_empty() {
        return Err(Failure::usage("nothing was checked: the broker has no pairs yet")
            .fix("publish a contract first, or look at another broker"));
    }
    let mut found = Found { pairs: pairs.len(), looked: 0, owed: Vec::new(), troubles: Vec::new() };
    // Draws on standard error, and only if that is a terminal.
    let progress = ProgressBar::new(pairs.len() as u64);
    let wanted = Wanted { broker: &args.name, since: args.since, later: args.later };
    let mut looked = stream::iter(pairs)
        .map(async |pair| {
            let looked = look(survey, &Told(api), &pair, wanted).await;
            (pair, looked)
        })
        .buffered(SIDE_BY_SIDE);
    while let Some((pair, looked)) = looked.next().await {
        progress.inc(1);
        match looked {
            Ok(owed) => {
                found.looked += 1;
                found.owed.extend(owed);
            }
            Err(Trouble::Here(failure)) => return Err(failure),
            // It holds for every pair.
            Err(Trouble::Broker(
                error @ (BrokerError::Credential { .. } | BrokerError::RateLimited { .. }),
            )) => return Err(failure(&error)),
            Err(Trouble::Broker(error)) => {
                found.troubles.push((pair, failure(&error)));
                if found.troubles.len() == MAX_TROUBLES {
                    break;
                }
            }
        }
    }
    progress.finish_and_clear();
    found.owed.sort_by_key(|(owed, _)| owed.debt.since);
    Ok(found)
}

/// A running postrider.
struct Told<'a>(&'a Api);

impl Here for Told<'_> {
    type Fault = Failure;

    async fn deliveries(&self, query: &[(&str, String)]) -> Result<DeliveryList, Failure> {
        self.0.get(&["api", "v1", "deliveries"], query).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryDetail, Failure> {
        self.0.get(&["api", "v1", "deliveries", &id.to_string()], &[]).await
    }

    async fn event(&self, id: EventId) -> Result<EventDetail, Failure> {
        self.0.get(&["api", "v1", "events", &id.to_string()], &[]).await
    }

    async fn take(&self, event: &Value) -> Result<Taken, Failure> {
        let source = [("source", EventSource::Reconcile.to_string())];
        let answer = self.0.call(Method::POST, &["events"], &source, Body::Json(event)).await?;
        match answer.status.as_u16() {
            202 => Ok(Taken::Accepted(self.0.ok(answer)?)),
            400 | 422 => Ok(Taken::Refused(self.0.refusal(&answer).message)),
            _ => Err(self.0.refusal(&answer)),
        }
    }
}

/// Sends an event for each that is lost, oldest first.
async fn dispatch(
    survey: &Survey<'_>,
    api: &Api,
    args: &ReconcileArgs,
    owed: &mut [(Owed, State)],
) -> Result<(), Failure> {
    let limit = usize::try_from(args.limit.get()).unwrap_or(usize::MAX);
    let lost = owed.iter_mut().filter(|(_, state)| *state == State::Lost);
    for (owed, state) in lost.take(limit) {
        let dispatched = reconcile::dispatch(survey, &Told(api), owed, &args.name).await;
        *state = dispatched.map_err(|trouble| match trouble {
            Trouble::Here(failure) => failure,
            Trouble::Broker(error) => failure(&error),
        })?;
    }
    Ok(())
}

impl Found {
    fn count(&self, wanted: impl Fn(&State) -> bool) -> usize {
        self.owed.iter().filter(|(_, state)| wanted(state)).count()
    }

    fn json(&self, args: &ReconcileArgs) -> Value {
        let owed = self.owed.iter().map(|(owed, state)| {
            json!({
                "consumer": owed.pair.consumer,
                "provider": owed.pair.provider,
                "consumer_version": owed.debt.consumer_version,
                "lines": texts(&owed.debt.lines),
                "published_at": owed.debt.published_at,
                "provider_version": owed.debt.provider.version,
                "because": texts(&owed.debt.provider.roles()),
                "due": owed.debt.due.as_str(),
                "blocking": owed.debt.blocking,
                "since": owed.debt.since,
                "pact_url": owed.pact_url,
                "state": state.name(),
                "detail": state.detail(),
            })
        });
        let troubles = self.troubles.iter().map(|(pair, failure)| {
            json!({
                "consumer": pair.consumer,
                "provider": pair.provider,
                "detail": failure.message,
            })
        });
        json!({
            "broker": args.name,
            "since": args.since,
            "pairs": self.pairs,
            "checked": self.looked,
            "owed": owed.collect::<Vec<_>>(),
            "not_checked": troubles.collect::<Vec<_>>(),
        })
    }

    fn print(&self, args: &ReconcileArgs, out: &mut Out) {
        let rows = self.owed.iter().map(|(owed, state)| {
            vec![
                owed.pair.consumer.clone(),
                owed.debt.consumer_version.clone(),
                texts(&owed.debt.lines).join(", "),
                owed.pair.provider.clone(),
                owed.debt.provider.version.clone(),
                texts(&owed.debt.provider.roles()).join(", "),
                owed.debt.since.to_string(),
                state.name().to_owned(),
                state.detail(),
            ]
        });
        let nothing = format!("{} of {} pairs checked: nothing is owed", self.looked, self.pairs);
        let header = [
            "consumer",
            "version",
            "line",
            "provider",
            "version",
            "counts as",
            "since",
            "state",
            "what it means",
        ];
        out.table(&header, rows.collect(), &nothing);
        let lost = self.count(|state| *state == State::Lost);
        match (lost, args.yes) {
            (0, _) => {}
            (lost, false) => out.line(format_args!("{lost} lost; --yes dispatches them")),
            (lost, true) => out.line(format_args!(
                "{lost} lost and not dispatched, because of --limit {}; run it again",
                args.limit
            )),
        }
    }

    /// What could not be known outweighs what is known to be lost.
    fn end(&self) -> Exit {
        for (pair, failure) in &self.troubles {
            let line = format!("{} -> {}: {failure}", pair.consumer, pair.provider);
            complain(&format!("error: {}", printable(&line)));
        }
        match self.troubles.first() {
            Some((_, failure)) => failure.exit,
            None if self.count(State::is_settled) == self.owed.len() => Exit::Fine,
            None => Exit::No,
        }
    }
}

fn texts(roles: &[Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}
