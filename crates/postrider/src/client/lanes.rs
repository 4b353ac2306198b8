//! `postrider lanes`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, Body};
use crate::cli::{Connection, Exit, Format, Out, OutputArgs, cell, seconds};

/// What to do with lanes.
#[derive(Debug, Subcommand)]
pub(crate) enum LanesCommand {
    /// List lanes: state, reason, since when, limits, backlog, time to drain
    #[command(after_help = "Example:\n  postrider lanes list -o json")]
    List(ListArgs),
    /// Let a lane's deliveries wait until it is released
    #[command(after_help = "Example:\n  postrider lanes hold api.github.com/githubToken")]
    Hold(LaneArgs),
    /// Open a lane, whatever held it
    #[command(after_help = "Example:\n  postrider lanes release api.github.com/githubToken")]
    Release(LaneArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which lane.
#[derive(Debug, Args)]
pub(crate) struct LaneArgs {
    /// Name of the lane, as `lanes list` shows it
    lane: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub(crate) async fn run(
    command: LanesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        LanesCommand::List(args) => {
            let answer = connect(&args.connection)?.get(&["api", "v1", "lanes"], &[]).await?;
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
    let body = json!({ "lane": args.lane });
    let path = ["api", "v1", "lanes", verb];
    let answer = api.send(Method::POST, &path, Body::Json(&body)).await?;
    match args.output.format() {
        Format::Json => out.json(&answer),
        Format::Table => {
            let done = if verb == "hold" { "held" } else { "released" };
            out.line(format_args!("{done} {}", args.lane));
        }
    }
    Ok(())
}

fn print(answer: &Value, out: &mut Out) {
    let lanes = answer.get("lanes").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |lane: &Value| {
        let drain =
            lane.get("drain_seconds").and_then(Value::as_f64).map_or("-".to_owned(), seconds);
        let mut cells = [
            "name",
            "state",
            "cause",
            "since",
            "rate",
            "concurrency",
            "per_hour",
            "backlog",
            "oldest_at",
            "paused_until",
        ]
        .map(|key| cell(lane, key))
        .to_vec();
        cells.push(drain);
        cells
    };
    out.table(
        &[
            "lane",
            "state",
            "cause",
            "since",
            "rate",
            "conc.",
            "per hour",
            "backlog",
            "oldest",
            "paused until",
            "drains in",
        ],
        lanes.iter().map(row).collect(),
        "no lanes: they appear with the first webhook",
    );
}
