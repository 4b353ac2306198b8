//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  nice cargo build --release && nice cargo build --release -p postrider-bench
  target/release/bench run --quick                    # a first look, below three minutes
  target/release/bench run --json figures.json        # everything, about an hour and a half
  target/release/bench run burst-40k latency-100      # only these
  target/release/bench run burst-40k --old /opt/postrider-0.1/postrider
  target/release/bench bare --events 40000            # the yardstick alone
  target/release/bench list                           # the scenarios
  target/release/bench scale                          # what 1, 10, 100 nodes carry
  target/release/bench growth --dir /var/tmp/grown    # what has gathered costs, about an hour
  target/release/bench growth lists --finished 200000 --waiting 20000 # a first look

Postgres and RabbitMQ are private instances on free ports (tests/service); what runs on the usual
ports is neither used nor counted. Ctrl-C stops everything that was started.

A busy machine makes figures bigger: compare only what one run measured, by its ratios. The share
of CPU time that others used is printed; above 8 % a run is marked with *.";

/// Measures what a delivery costs: postrider beside the bare pipeline of its design.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs scenarios, contenders in turn, and prints medians and ranges.
    Run(Run),
    /// Runs the bare pipeline alone.
    Bare(Bare),
    /// Names the scenarios.
    List,
    /// Computes from measured costs what 1, 10 and 100 nodes carry: the tables of docs/scale.md.
    Scale(Scale),
    /// Measures what people, the monitor, deliveries and retention pay when much has gathered, over
    /// a database filled for it; takes long.
    Growth(Growth),
    /// One process of the bare pipeline.
    #[command(hide = true, subcommand)]
    BareRole(BareRole),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scenarios by name; all when none is named.
    pub(crate) scenarios: Vec<String>,
    /// A few small scenarios, below three minutes together.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each contender runs [default: 5; 1 with --quick].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: Option<u32>,
    /// Divides the numbers of events by this, to try things out.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) scale: u32,
    /// The program to measure.
    #[arg(long, value_name = "PATH", default_value = "target/release/postrider")]
    pub(crate) program: PathBuf,
    /// An older one to measure beside it.
    #[arg(long, value_name = "PATH")]
    pub(crate) old: Option<PathBuf>,
    /// Only contenders whose name contains one of these.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Writes everything that was measured to this file.
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Bare {
    /// Events, one delivery each.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) events: u32,
    /// How often.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Measured costs.
    #[arg(default_value = "bench/costs.toml")]
    pub(crate) costs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Growth {
    /// Only these parts; all when none is named.
    pub(crate) parts: Vec<Part>,
    /// The program to measure.
    #[arg(long, value_name = "PATH", default_value = "target/release/postrider")]
    pub(crate) program: PathBuf,
    /// Where the filled databases are, and stay for the next time; retention takes its one away.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    /// How often empty and filled are measured in turn.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Events of a burst.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) events: u32,
    #[command(flatten)]
    pub(crate) size: Size,
}

/// What is measured of what has gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Lists, counts and figures.
    Lists,
    /// The page's views and streams.
    Page,
    /// The monitor's rounds and memory, and how long processes take to start.
    Monitor,
    /// What a delivery costs, beside a database in which nothing has gathered.
    Cost,
    /// Retention while events come; nothing that ended is left then.
    Retention,
    /// Lists and retention in one process with SQLite.
    Sqlite,
}

impl Part {
    pub(crate) const ALL: [Self; 6] =
        [Self::Lists, Self::Page, Self::Monitor, Self::Cost, Self::Retention, Self::Sqlite];
}

/// How much has gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub(crate) struct Size {
    /// Finished deliveries of one day, with their attempts; a tenth of them with SQLite.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub(crate) finished: u32,
    /// Deliveries that wait in held and limited lanes.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) waiting: u32,
    /// Pairs of consumers and providers.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) pairs: u32,
    /// Webhooks.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) webhooks: u32,
    /// Lanes.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) lanes: u32,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For README files.
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BareRole {
    /// Events from inside.
    Produce(At),
    /// Events over HTTP.
    Intake(At),
    /// Delivers.
    Work(At),
}

/// Where the bare pipeline works.
#[derive(Debug, Args)]
pub(crate) struct At {
    #[arg(long)]
    pub(crate) database_url: String,
    #[arg(long)]
    pub(crate) amqp_url: String,
    /// Where requests go.
    #[arg(long)]
    pub(crate) target: Option<String>,
}
