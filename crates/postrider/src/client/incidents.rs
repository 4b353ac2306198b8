//! `postrider incidents`.

use clap::{Args, Subcommand};
use postrider_store::IncidentKind;
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::pages::{self, rows};
use super::{Api, Body};
use crate::cli::{Connection, Exit, Format, Out, OutputArgs, cell, printable};

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// List incidents, newest first
    #[command(after_help = "Example:\n  postrider incidents list --open --kind lane_held")]
    List(ListArgs),
    /// Show an incident: what it is about, since when, what to do next
    #[command(
        after_help = "Example:\n  postrider incidents show 01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"
    )]
    Show(OneArgs),
    /// Note that somebody has seen an incident; it stays open until its condition ends
    #[command(
        after_help = "Example:\n  postrider incidents ack 01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"
    )]
    Ack(OneArgs),
}

/// Which incidents.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those that are not resolved
    #[arg(long)]
    open: bool,
    /// Of this kind, e.g. `verification_stale`
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<IncidentKind>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which incident.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its id
    id: Uuid,
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
    match command {
        IncidentsCommand::List(args) => {
            let answer = list(&connect(&args.connection)?, &args).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print_list(&answer, out),
            }
        }
        IncidentsCommand::Show(args) => {
            let path = ["api", "v1", "incidents", &args.id.to_string()];
            let incident = connect(&args.connection)?.get(&path, &[]).await?;
            print_one(&incident, &args, out);
        }
        IncidentsCommand::Ack(args) => {
            let path = ["api", "v1", "incidents", &args.id.to_string(), "ack"];
            let incident = connect(&args.connection)?.send(Method::POST, &path, Body::None).await?;
            print_one(&incident, &args, out);
        }
    }
    Ok(Exit::Fine)
}

async fn list(api: &Api, args: &ListArgs) -> anyhow::Result<Value> {
    let mut filter = Vec::new();
    if args.open {
        filter.push(("open", "true".to_owned()));
    }
    filter.extend(args.kind.map(|kind| ("kind", kind.as_str().to_owned())));
    Ok(pages::read(api, "incidents", &filter, args.limit).await?)
}

fn print_list(answer: &Value, out: &mut Out) {
    let columns =
        ["id", "opened_at", "acknowledged_at", "resolved_at", "kind", "cause", "summary", "next"];
    let row = |incident: &Value| columns.map(|key| cell(incident, key)).to_vec();
    out.table(
        &["id", "opened", "acknowledged", "resolved", "kind", "cause", "summary", "next"],
        rows(answer, "incidents").iter().map(row).collect(),
        "no incidents",
    );
}

fn print_one(incident: &Value, args: &OneArgs, out: &mut Out) {
    if args.output.format() == Format::Json {
        return out.json(incident);
    }
    let fields = [
        "id",
        "kind",
        "subject",
        "cause",
        "severity",
        "summary",
        "next",
        "opened_at",
        "updated_at",
        "acknowledged_at",
        "resolved_at",
    ];
    for key in fields {
        out.line(format_args!("{key:<16} {}", printable(&cell(incident, key))));
    }
}

fn kind(text: &str) -> Result<IncidentKind, String> {
    text.parse().map_err(|_| {
        format!("use one of {}", IncidentKind::ALL.map(IncidentKind::as_str).join(", "))
    })
}
