//! `postrider lanes`.

use std::time::Duration;

use clap::{Args, Subcommand};
use postrider_api::{Lane, LaneList, LaneName};
use postrider_domain::HoldCause;

use super::Api;
use crate::{Connection, Exit, Format, Out, OutputArgs, cell_of, seconds};

/// What to do with lanes.
#[derive(Debug, Subcommand)]
pub enum LanesCommand {
    /// List lanes: state, reason, since when, limits, backlog, time to drain
    #[command(after_help = "Example:\n  postrider lanes list -o json")]
    List(ListArgs),
    /// Let a lane's deliveries wait until it is released
    #[command(after_help = "Example:\n  postrider lanes hold api.github.com/githubToken")]
    Hold(LaneArgs),
    /// Open a lane, whatever held it, and let its webhooks go on
    #[command(after_help = "Example:\n  postrider lanes release api.github.com/githubToken")]
    Release(LaneArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which lane.
#[derive(Debug, Args)]
pub struct LaneArgs {
    /// Name of the lane, as `lanes list` shows it
    lane: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub async fn run(
    command: LanesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        LanesCommand::List(args) => {
            let answer: LaneList =
                connect(&args.connection)?.get(&["api", "v1", "lanes"], &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print(&answer, out),
            }
        }
        LanesCommand::Hold(args) => change(&connect(&args.connection)?, "hold", &args, out).await?,
        LanesCommand::Release(args) => {
            change(&connect(&args.connection)?, "release", &args, out).await?;
        }
    }
    Ok(Exit::Fine)
}

async fn change(api: &Api, verb: &str, args: &LaneArgs, out: &mut Out) -> anyhow::Result<()> {
    let name = LaneName { lane: args.lane.clone() };
    let lane: Lane = api.post(&["api", "v1", "lanes", verb], &name).await?;
    match args.output.format() {
        Format::Json => out.json(&lane),
        Format::Table => {
            let done = if verb == "hold" { "held" } else { "released" };
            out.line(format_args!("{done} {}", args.lane));
        }
    }
    Ok(())
}

fn print(answer: &LaneList, out: &mut Out) {
    let row = |lane: &Lane| {
        // Said where it is not the lane's own.
        let limit = (lane.limit != lane.name).then_some(&lane.limit);
        let held = (!lane.held_webhooks.is_empty()).then_some(lane.held_webhooks.len());
        vec![
            lane.name.clone(),
            lane.state.as_str().to_owned(),
            cell_of(lane.cause.map(HoldCause::as_str)),
            cell_of(lane.since),
            cell_of(limit),
            cell_of(held),
            lane.rate.clone(),
            lane.concurrency.to_string(),
            cell_of(lane.per_hour),
            lane.backlog.to_string(),
            cell_of(lane.oldest_at),
            cell_of(lane.paused_until),
            seconds(Duration::from_secs(lane.drain_seconds).as_secs_f64()),
        ]
    };
    out.table(
        &[
            "lane",
            "state",
            "cause",
            "since",
            "limit",
            "held webhooks",
            "rate",
            "conc.",
            "per hour",
            "backlog",
            "oldest",
            "paused until",
            "drains in",
        ],
        answer.lanes.iter().map(row).collect(),
        "no lanes: they appear with the first webhook",
    );
}
