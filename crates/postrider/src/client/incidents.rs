//! `postrider incidents`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Api;
use crate::cli::{Connection, Exit, Format, Out, OutputArgs, cell};

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// List incidents, newest first
    #[command(after_help = "Example:\n  postrider incidents list --limit 10")]
    List(ListArgs),
}

/// Which incidents.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those that are not resolved
    #[arg(long)]
    open: bool,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub(crate) async fn run(
    command: IncidentsCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let IncidentsCommand::List(args) = command;
    let api = connect(&args.connection)?;
    let mut query = vec![("limit", args.limit.to_string())];
    if args.open {
        query.push(("open", "true".to_owned()));
    }
    let answer = api.get(&["api", "v1", "incidents"], &query).await?;
    match args.output.format() {
        Format::Json => out.json(&answer),
        Format::Table => print(&answer, out),
    }
    Ok(Exit::Fine)
}

fn print(answer: &Value, out: &mut Out) {
    let incidents = answer.get("incidents").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |incident: &Value| {
        ["opened_at", "resolved_at", "kind", "subject", "summary", "next"]
            .map(|key| cell(incident, key))
            .to_vec()
    };
    out.table(
        &["opened", "resolved", "kind", "subject", "summary", "next"],
        incidents.iter().map(row).collect(),
        "no incidents",
    );
}
