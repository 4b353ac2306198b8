//! `postrider check`: questions to the broker that a CI job asks.

mod ask;
mod by;
mod github;
mod judge;
mod pairs;
mod report;
mod rule;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use postrider_broker::{Broker, Pair};
use postrider_config::time_zone;
use postrider_domain::{QuietDays, parse_days};

use super::broker::{BrokerArgs, Env, failure};
use crate::{Exit, Failure, Out};
use by::ByArgs;
use judge::{Question, Rule};
use pairs::max_age;
use report::Report;

const HELP: &str = "\
Example:
  export PACT_BROKER_BASE_URL=https://broker.example PACT_BROKER_TOKEN=...
  postrider check verification --consumer checkout --provider billing --max-age 24h
  postrider check verification --pairs-file pairs.csv --quiet-days sat,sun --timezone Europe/Berlin
  postrider check verification --all-pairs --max-age 7d -o json

A contract owes a result for each provider version that counts and has none for its content. As for
the broker, there count the head of the provider's main branch and whatever is deployed or released
and supported. Looked at are the consumer's main head and its deployed or supported contracts, or
what --branch, --tag and --environment choose; --to-environment and --to-tag choose the provider's
side as can-i-deploy does. A pair is stale when it has owed for longer than the maximum age. With
--any-result the plain question is asked: how old is the newest result of any versions?

A pairs file holds CONSUMER,PROVIDER[,MAX-AGE] lines; a line that begins with # is a comment.
POSTRIDER_QUIET_DAYS and POSTRIDER_TIMEZONE apply where the flags are not given. Under
GITHUB_ACTIONS=true the output is that of -o github: annotations, a step summary, and the step
outputs result, exit-code, checked and fresh.

Exit codes; of several pairs the first that applies:
  2  usage, an unknown pacticipant, or nothing was checked
  4  the broker refused the credential
  3  the broker cannot be reached, or its answer makes no sense
  5  the broker limits the rate
  1  a pair is stale, failed, never verified, or unguarded: no version of the provider counts
  0  every pair is fresh, or owes a result that is not late yet";

/// What to check.
#[derive(Debug, Subcommand)]
pub enum CheckCommand {
    /// Say whether pairs of consumer and provider were verified recently
    #[command(after_help = HELP)]
    Verification(Box<VerificationArgs>),
}

/// Which pairs, how recently, and how to tell.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["consumer", "pairs_file", "all_pairs"])))]
pub struct VerificationArgs {
    /// The consumer's name, with --provider
    #[arg(long, value_name = "NAME", requires = "provider", value_parser = NonEmptyStringValueParser::new())]
    consumer: Option<String>,
    /// The provider's name, with --consumer
    #[arg(long, value_name = "NAME", requires = "consumer", value_parser = NonEmptyStringValueParser::new())]
    provider: Option<String>,
    /// Check the pairs in this CSV file
    #[arg(long, value_name = "FILE")]
    pairs_file: Option<PathBuf>,
    /// Check every pair that the broker knows
    #[arg(long)]
    all_pairs: bool,
    /// How long a result may be owed, or be old with --any-result: 24h, 7d; a bare number is seconds
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = max_age)]
    max_age: Duration,
    #[command(flatten)]
    by: ByArgs,
    #[arg(
        long,
        value_name = "DAYS",
        help = "Days that don't count as age, e.g. sat,sun, or none [env POSTRIDER_QUIET_DAYS; default: none]"
    )]
    quiet_days: Option<String>,
    #[arg(
        long,
        value_name = "ZONE",
        help = "Where those days begin and end, e.g. Europe/Berlin [env POSTRIDER_TIMEZONE; default: UTC]"
    )]
    timezone: Option<String>,
    #[command(flatten)]
    broker: BrokerArgs,
    #[arg(
        short = 'o',
        long,
        value_name = "FORMAT",
        value_enum,
        help = "How to tell the result [default: github under GITHUB_ACTIONS=true, else text]"
    )]
    output: Option<Format>,
    /// Same as `-o json`
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// How the result is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// Annotations and a step summary
    Github,
}

/// Carries it out.
pub async fn run(command: CheckCommand, env: &Env, out: &mut Out) -> anyhow::Result<Exit> {
    let CheckCommand::Verification(args) = command;
    let format = args.format(env);
    let checked = verification(&args, env).await;
    match (format, &checked) {
        (Format::Text, Ok(report)) => report.text(out),
        (Format::Json, Ok(report)) => out.json(&report.json()),
        (Format::Github, Ok(report)) => github::tell(report, env, out),
        (Format::Github, Err(failure)) => github::tell_failure(failure, env, out),
        (Format::Text | Format::Json, Err(_)) => {}
    }
    let report = checked?;
    if format != Format::Github {
        report.complain();
    }
    Ok(report.exit())
}

async fn verification(args: &VerificationArgs, env: &Env) -> Result<Report, Failure> {
    let quiet = args.quiet(env)?;
    let broker = args.broker.connect(env)?;
    let questions = args.questions(&broker).await?;
    if questions.is_empty() {
        return Err(args.nothing());
    }
    args.by.check_environments(&broker).await?;
    let rule = Rule { success_only: args.by.success_only(), quiet: &quiet, now: Timestamp::now() };
    let findings = ask::all(&broker, questions, &args.by.by(), &rule).await;
    Ok(Report { broker: broker.address().to_owned(), checked_at: rule.now, findings })
}

impl VerificationArgs {
    fn format(&self, env: &Env) -> Format {
        let on_github = env.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        match (self.output, self.json) {
            (Some(format), _) => format,
            (None, true) => Format::Json,
            (None, false) if on_github => Format::Github,
            (None, false) => Format::Text,
        }
    }

    async fn questions(&self, broker: &Broker) -> Result<Vec<Question>, Failure> {
        if let Some(path) = &self.pairs_file {
            return pairs::read(path, self.max_age);
        }
        let pairs = match (&self.consumer, &self.provider) {
            (Some(consumer), Some(provider)) => {
                vec![Pair { consumer: consumer.clone(), provider: provider.clone() }]
            }
            _ => broker.pairs().await.map_err(|error| failure(&error))?,
        };
        Ok(pairs.into_iter().map(|pair| Question { pair, max_age: self.max_age }).collect())
    }

    fn nothing(&self) -> Failure {
        match &self.pairs_file {
            Some(path) => {
                Failure::usage(format!("nothing was checked: {} names no pair", path.display()))
                    .fix("write CONSUMER,PROVIDER lines into it")
            }
            None => Failure::usage("nothing was checked: the broker has no pairs yet")
                .fix("publish a contract first, or look at another broker"),
        }
    }

    fn quiet(&self, env: &Env) -> Result<QuietDays, Failure> {
        let given = |flag: &Option<String>, name: &'static str, variable: &'static str| {
            let set = || env.get(variable).map(|value| (variable, value.clone()));
            flag.clone().map(|value| (name, value)).or_else(set)
        };
        let days = given(&self.quiet_days, "--quiet-days", "POSTRIDER_QUIET_DAYS");
        let zone = given(&self.timezone, "--timezone", "POSTRIDER_TIMEZONE");
        let wrong = |name: &str, what: String| Failure::usage(format!("{name}: {what}"));
        let zone = match zone {
            None => TimeZone::UTC,
            Some((name, text)) => time_zone(&text)
                .map_err(|what| wrong(name, what).fix("write e.g. Europe/Berlin"))?,
        };
        match days {
            None => Ok(QuietDays::none()),
            Some((name, text)) => {
                let days = parse_days(&text).map_err(|error| {
                    wrong(name, error.to_string()).fix("write e.g. sat,sun, or none")
                })?;
                Ok(QuietDays::new(days, zone))
            }
        }
    }
}
