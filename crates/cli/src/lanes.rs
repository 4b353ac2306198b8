//! `postrider lanes`.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use postrider_api::{HoldLane, Lane, LaneList, LaneName, LaneState};
use postrider_domain::HoldCause;
use serde_json::json;

use super::Api;
use crate::pages::{LimitArgs, read_all};
use crate::{Connection, Exit, Format, Out, OutputArgs, cell_of, moment_ahead, seconds};

/// What to do with lanes.
#[derive(Debug, Subcommand)]
pub enum LanesCommand {
    /// List lanes: state, reason, since when, limits, backlog, time to drain
    #[command(after_help = "Example:\n  postrider lanes list -o json")]
    List(ListArgs),
    /// Let a lane's deliveries wait until it is released, or until a time
    #[command(
        after_help = "Example:\n  postrider lanes hold api.github.com/githubToken --reason 'new token' --until 2h"
    )]
    Hold(HoldArgs),
    /// Open a lane, whatever held it, and let its webhooks go on
    #[command(after_help = "Example:\n  postrider lanes release api.github.com/githubToken")]
    Release(LaneArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    most: LimitArgs,
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

/// Which lane, why and how long.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// Why, for those who wonder
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// When it opens by itself: 2h or 3d from now, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    lane: LaneArgs,
}

fn until(text: &str) -> Result<Timestamp, String> {
    moment_ahead(text, Timestamp::now())
}

/// Carries it out.
pub async fn run(
    command: LanesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        LanesCommand::List(args) => {
            let mut lanes = read_all::<LaneList>(&connect(&args.connection)?, "lanes").await?;
            lanes.sort_by_key(|lane| Reverse(lane.backlog));
            let all = args.most.cut(&mut lanes);
            match args.output.format() {
                Format::Json => out.json(&json!({"lanes": lanes, "total": all})),
                Format::Table => {
                    print(&lanes, out);
                    out.cut(lanes.len(), all);
                }
            }
        }
        LanesCommand::Hold(HoldArgs { reason, until, lane }) => {
            let hold = HoldLane { lane: lane.lane.clone(), reason, until };
            let api = connect(&lane.connection)?;
            let lane_now: Lane = api.post(&["api", "v1", "lanes", "hold"], &hold).await?;
            let until =
                lane_now.until.map(|until| format!(" until {until:.0}")).unwrap_or_default();
            tell(&lane_now, &lane, format_args!("held {}{until}", lane_now.name), out);
        }
        LanesCommand::Release(args) => {
            let name = LaneName { lane: args.lane.clone() };
            let api = connect(&args.connection)?;
            let lane: Lane = api.post(&["api", "v1", "lanes", "release"], &name).await?;
            tell(&lane, &args, format_args!("released {}", lane.name), out);
        }
    }
    Ok(Exit::Fine)
}

fn tell(lane: &Lane, args: &LaneArgs, done: fmt::Arguments<'_>, out: &mut Out) {
    match args.output.format() {
        Format::Json => out.json(lane),
        Format::Table => out.line(done),
    }
}

/// How long the backlog takes, or what it waits for first.
fn drains(lane: &Lane) -> String {
    match (lane.state, lane.drain_seconds) {
        (_, Some(needed)) => seconds(Duration::from_secs(needed).as_secs_f64()),
        (LaneState::Held, None) if lane.until.is_none() => "when released".to_owned(),
        (LaneState::Held, None) => "after the hold".to_owned(),
        (LaneState::Paused | LaneState::Open, None) => "after the pause".to_owned(),
    }
}

fn print(lanes: &[Lane], out: &mut Out) {
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
            drains(lane),
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
        lanes.iter().map(row).collect(),
        "no lanes: they appear with the first webhook",
    );
}
