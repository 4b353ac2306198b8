//! `postrider freshness`: how each pair is, worst first.

use std::cmp::Reverse;
use std::time::Duration;

use clap::Args;
use postrider_api::{Basis, FreshnessList, FreshnessQuery, PairFreshness};
use postrider_domain::FreshnessState;

use super::Api;
use crate::one_of::one_of;
use crate::pages::{self, LimitArgs};
use crate::{Connection, Exit, Format, Out, OutputArgs, cell_of, printable, seconds};

/// Pairs that are looked through for the worst; there may be more than are shown.
const LOOKED_THROUGH: u32 = 100_000;

const HELP: &str = "\
Example:
  postrider freshness --provider billing
  postrider freshness --state stale -o json

States, worst first:
  failed     a provider version that counts does not keep the contract
  stale      a verification is owed for longer than the pair's threshold
  unguarded  no version of the provider counts, so that nobody is ever told of a contract
  silent     a contract was published that no event told of
  unknown    the broker could not tell of the pair, or nothing is known of it
  owing      a verification is owed, and not late yet
  fresh      verified; a contract that does not change stays so";

/// Which pairs.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct FreshnessArgs {
    /// Of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// At this broker
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,
    /// In this state
    #[arg(long, value_name = "STATE", value_parser = one_of(FreshnessState::ALL, FreshnessState::as_str))]
    state: Option<FreshnessState>,
    #[command(flatten)]
    most: LimitArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub async fn run(
    args: FreshnessArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let filter = FreshnessQuery {
        broker: args.broker,
        consumer: args.consumer,
        provider: args.provider,
        state: args.state,
    };
    let filter = filter.given();
    let api = connect(&args.connection)?;
    let (mut pairs, next) =
        pages::read::<FreshnessList>(&api, "freshness", &filter, LOOKED_THROUGH).await?;
    pairs.sort_by_key(|pair| (pair.state, Reverse(pair.age_seconds)));
    let all = args.most.cut(&mut pairs);
    match args.output.format() {
        Format::Json => {
            let (total, total_is_exact) = (all as u64, next.0.is_none());
            out.json(&FreshnessList { pairs, next, total, total_is_exact });
        }
        Format::Table => {
            print(&pairs, out);
            out.cut(pairs.len(), all);
        }
    }
    Ok(Exit::Fine)
}

fn print(pairs: &[PairFreshness], out: &mut Out) {
    let rows = pairs.iter().map(|pair| {
        vec![
            pair.broker.clone(),
            pair.consumer.clone(),
            pair.provider.clone(),
            pair.state.as_str().to_owned(),
            pair.age_seconds.map_or_else(|| "-".to_owned(), told),
            format!("{} ({})", told(pair.threshold_seconds), pair.threshold_from.as_str()),
            cell_of(pair.last_verification),
            cell_of(pair.last_dispatch),
            printable(&waits_for(pair)),
        ]
    });
    let header = [
        "broker",
        "consumer",
        "provider",
        "state",
        "age",
        "allowed",
        "last verification",
        "last dispatch",
        "waits for",
    ];
    out.table(&header, rows.collect(), "no pairs");
}

fn told(whole_seconds: u64) -> String {
    seconds(Duration::from_secs(whole_seconds).as_secs_f64())
}

/// The versions that owe or fail, with why they count.
fn waits_for(pair: &PairFreshness) -> String {
    if let Some(trouble) = &pair.trouble {
        return format!("the broker can't tell: {trouble}");
    }
    let failed = pair.failed.iter().map(|failed| {
        format!("{} ({}) failed", failed.provider_version, failed.because.join(", "))
    });
    let owes = pair
        .owes
        .iter()
        .map(|owed| format!("{} ({})", owed.provider_version, owed.because.join(", ")));
    let versions: Vec<String> = failed.chain(owes).collect();
    match (pair.basis, versions.is_empty()) {
        (_, false) => versions.join("; "),
        (Basis::Relay, true) if pair.owed_since.is_some() => {
            "a result; by relayed events alone it is not known whose".to_owned()
        }
        (Basis::Broker | Basis::Relay, true) => "-".to_owned(),
    }
}
