//! The command line: what there is to say, and its help.

mod arrange;
mod dispatch;
mod grouped;
mod manual;
mod reach;
mod report;
mod settings;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use postrider_cli::{
    OutputArgs, RoleFlags, Style, audit, check, connect, context, deliveries, doctor, events,
    freshness, health, incidents, lanes, reconcile, secrets, webhooks,
};

pub(crate) use dispatch::run;
pub(crate) use report::report;

/// Delivers what a Pact Broker or PactFlow says to GitHub and other targets, and loses nothing.
#[derive(Debug, Parser)]
#[command(
    name = "postrider",
    version = crate::version::LONG,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Example:\n  postrider demo\n\nExit codes: 0 fine, 1 the answer is no, 2 usage or configuration, 3 not reachable,\n4 credential refused, 5 rate limited, 70 the process gave itself up."
)]
pub(crate) struct Cli {
    /// Settings file; without it ./postrider.toml is read if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What was asked for, and how it is to be written; wrong usage ends the program.
pub(crate) fn parse() -> (Cli, Style) {
    let args = arrange::arranged(std::env::args_os());
    let asks_shortly = args.len() < 2 || args.iter().any(|arg| arg == "-h");
    let matches = command(asks_shortly).get_matches_from(args);
    let style = style(&matches);
    (Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), style)
}

/// The command line, with the program's own help short or whole.
fn command(is_short: bool) -> clap::Command {
    grouped::grouped(Cli::command(), is_short)
}

/// What `-o` of the command says.
fn style(matches: &ArgMatches) -> Style {
    if let Some((_, below)) = matches.subcommand() {
        return style(below);
    }
    let is_json = matches.try_get_one::<bool>("json").ok().flatten().copied().unwrap_or(false);
    let given = matches.try_get_one::<Style>("output").ok().flatten().copied();
    if is_json { Style::Json } else { given.unwrap_or_default() }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole way of an event on this machine, with a GitHub double
    Demo(DemoArgs),
    /// Run all roles in one process
    #[command(
        after_help = "Example:\n  POSTRIDER_API_TOKENS=operate:$TOKEN postrider serve --listen 0.0.0.0:9393\n\nTo try things out on this machine, with a stand-in for GitHub and a webhook that is there:\n  postrider serve --dev"
    )]
    Serve(ServeArgs),
    /// Run the role that takes events in (distributed mode)
    #[command(
        after_help = "Example:\n  POSTRIDER_DATABASE_URL=postgres://db/postrider POSTRIDER_AMQP_URL=amqp://mq \\\n    postrider ingest"
    )]
    Ingest(RoleFlags),
    /// Run the role that sends deliveries (distributed mode)
    #[command(
        after_help = "Example:\n  POSTRIDER_DATABASE_URL=postgres://db/postrider POSTRIDER_AMQP_URL=amqp://mq \\\n    postrider worker --admin-listen 127.0.0.1:0"
    )]
    Worker(RoleFlags),
    /// Run the role that watches for what a person should know (distributed mode)
    #[command(
        after_help = "Example:\n  POSTRIDER_DATABASE_URL=postgres://db/postrider POSTRIDER_AMQP_URL=amqp://mq \\\n    postrider monitor"
    )]
    Monitor(RoleFlags),
    /// Bring the database up to date
    #[command(
        after_help = "Example:\n  POSTRIDER_DATABASE_URL_FILE=/run/secrets/db POSTRIDER_AMQP_URL_FILE=/run/secrets/mq \\\n    POSTRIDER_MASTER_KEY_FILE=/run/secrets/key postrider migrate"
    )]
    Migrate,
    /// Check or show the settings
    #[command(subcommand, after_help = "Example:\n  postrider config check")]
    Config(ConfigCommand),
    /// Ask a running role whether it is ready; for health checks of containers
    #[command(after_help = "Example:\n  postrider health --admin-url http://127.0.0.1:9394")]
    Health(health::HealthArgs),
    /// Test whether those who are told of incidents can be told
    #[command(subcommand, after_help = "Example:\n  postrider alerts test")]
    Alerts(AlertsCommand),
    /// Print RabbitMQ's exchanges, queues and their arguments
    #[command(after_help = "Example:\n  postrider topology -o json")]
    Topology(OutputArgs),
    /// Print the OpenAPI document of everything that is answered over HTTP
    #[command(after_help = "Example:\n  postrider openapi > openapi.json")]
    Openapi,
    /// Print a script that completes commands and options in a shell
    #[command(
        after_help = "Example:\n  postrider completions bash > /etc/bash_completion.d/postrider"
    )]
    Completions(manual::CompletionsArgs),
    /// Print which version this is, and the commit that it was built of
    #[command(after_help = "Example:\n  postrider version -o json")]
    Version(OutputArgs),
    /// Write manual pages into a folder
    #[command(after_help = "Example:\n  postrider man /usr/local/share/man/man1")]
    Man(manual::ManArgs),
    /// Publish, list and show events
    #[command(subcommand, after_help = "Example:\n  postrider events publish -f events.ndjson")]
    Events(events::EventsCommand),
    /// List, show, delete, apply, test, lint and import webhooks
    #[command(
        subcommand,
        after_help = "Example:\n  postrider webhooks apply -f webhooks.yaml --yes"
    )]
    Webhooks(webhooks::WebhooksCommand),
    /// Register the relay at a Pact Broker or PactFlow, so that all its events arrive here
    Connect(Box<connect::ConnectArgs>),
    /// Keep addresses and tokens of running postriders under names
    #[command(subcommand, after_help = "Example:\n  postrider context use prod")]
    Context(context::ContextCommand),
    /// Set, list and delete the secrets that webhooks use as ${user.NAME}
    #[command(
        subcommand,
        after_help = "Example:\n  postrider secrets set githubToken --from-file token.txt"
    )]
    Secrets(secrets::SecretsCommand),
    /// List, show, follow and replay deliveries
    #[command(
        subcommand,
        after_help = "Example:\n  postrider deliveries list --status failed --since 2h"
    )]
    Deliveries(deliveries::DeliveriesCommand),
    /// List, hold and release lanes
    #[command(subcommand, after_help = "Example:\n  postrider lanes list")]
    Lanes(lanes::LanesCommand),
    /// List what a person should know of
    #[command(subcommand, after_help = "Example:\n  postrider incidents list")]
    Incidents(incidents::IncidentsCommand),
    /// List who changed what
    #[command(subcommand, after_help = "Example:\n  postrider audit list --since 7d")]
    Audit(audit::AuditCommand),
    /// Tell how each pair of consumer and provider is, worst first
    Freshness(Box<freshness::FreshnessArgs>),
    /// Tell why a verification is not there, and what to do about it
    Doctor(Box<doctor::DoctorArgs>),
    /// Dispatch what the broker says is unverified and has no delivery here
    Reconcile(Box<reconcile::ReconcileArgs>),
    /// Ask the broker what a CI job wants to know
    #[command(
        subcommand,
        after_help = "Example:\n  postrider check verification --consumer checkout --provider billing --max-age 24h"
    )]
    Check(check::CheckCommand),
}

/// Arguments of all roles in one process.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// For trying things out on this machine: targets over http and on this machine are allowed, a
    /// stand-in for GitHub runs beside it, an example webhook is there
    #[arg(long)]
    pub(crate) dev: bool,
    #[command(flatten)]
    pub(crate) flags: RoleFlags,
}

/// Arguments of the demo.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  postrider demo --events 1000 --keep")]
pub(crate) struct DemoArgs {
    /// Events to send
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub(crate) events: u32,
    /// Leave everything running until Ctrl-C and print the address
    #[arg(long)]
    pub(crate) keep: bool,
    /// End with one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `postrider alerts`.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Send a test alert to each channel that is set; exit 1 if one refused it
    ///
    /// Uses the settings of this process (`POSTRIDER_ALERT_*`), not those of a running monitor.
    #[command(
        after_help = "Example:\n  POSTRIDER_ALERT_SLACK_URL_FILE=/run/secrets/slack postrider alerts test"
    )]
    Test(OutputArgs),
}

/// `postrider config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report everything that is wrong with the settings
    #[command(
        after_help = "Example:\n  postrider config check --config /etc/postrider.toml --connect"
    )]
    Check(CheckArgs),
    /// Show the settings in force, each with its origin; secrets are starred
    #[command(after_help = "Example:\n  postrider config show -o json")]
    Show(ShowArgs),
}

/// How far settings are checked.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Try store, queue and brokers, and say what is encrypted; exit 3 if one is not reachable
    #[arg(long)]
    pub(crate) connect: bool,
}

/// How settings are shown.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Say of each also what it means, its type, default, an example, and who reads it
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
