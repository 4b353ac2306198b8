//! `postrider incidents`.

use clap::{Args, Subcommand};
use postrider_api::{Incident, IncidentList, IncidentQuery};
use postrider_domain::IncidentKind;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{Api, Body};
use crate::one_of::one_of;
use crate::pages::{PageArgs, read_page};
use crate::{Connection, Exit, Format, Out, OutputArgs, cell_of, printable};

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
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
pub struct ListArgs {
    /// Only those that are not resolved
    #[arg(long)]
    open: bool,
    /// Of this kind
    #[arg(long, value_name = "KIND", value_parser = one_of(IncidentKind::ALL, IncidentKind::as_str))]
    kind: Option<IncidentKind>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which incident.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Its id
    #[arg(value_parser = id)]
    id: Uuid,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

fn id(text: &str) -> Result<Uuid, String> {
    let whole = "give the whole id, as `postrider incidents list -o wide` shows it";
    text.parse().map_err(|_| whole.to_owned())
}

/// Carries it out.
pub async fn run(
    command: IncidentsCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        IncidentsCommand::List(args) => {
            let filter = IncidentQuery { open: args.open.then_some(true), kind: args.kind };
            let (api, filter) = (connect(&args.connection)?, filter.given());
            let (incidents, next) =
                read_page::<IncidentList>(&api, "incidents", &filter, &args.page).await?;
            match args.output.format() {
                Format::Json => out.json(&json!({"incidents": incidents, "next": next})),
                Format::Table => {
                    print_list(&incidents, out);
                    out.more(incidents.len(), next.0.as_deref());
                }
            }
        }
        IncidentsCommand::Show(args) => {
            let path = ["api", "v1", "incidents", &args.id.to_string()];
            let incident: Incident = connect(&args.connection)?.get(&path, &[]).await?;
            print_one(&incident, &args, out);
        }
        IncidentsCommand::Ack(args) => {
            let path = ["api", "v1", "incidents", &args.id.to_string(), "ack"];
            let api = connect(&args.connection)?;
            let incident: Incident = api.send(Method::POST, &path, Body::None).await?;
            print_one(&incident, &args, out);
        }
    }
    Ok(Exit::Fine)
}

fn print_list(incidents: &[Incident], out: &mut Out) {
    let row = |incident: &Incident| {
        vec![
            incident.id.to_string(),
            state(incident).to_owned(),
            incident.opened_at.to_string(),
            cell_of(incident.acknowledged_at),
            cell_of(incident.resolved_at),
            incident.kind.as_str().to_owned(),
            cell_of(Some(&incident.cause)),
            cell_of(Some(&incident.summary)),
            cell_of(Some(&incident.next)),
        ]
    };
    out.table(
        &["id", "state", "opened", "acknowledged", "resolved", "kind", "cause", "summary", "next"],
        incidents.iter().map(row).collect(),
        "no incidents",
    );
}

/// What a person has to know first.
fn state(incident: &Incident) -> &'static str {
    match (incident.resolved_at, incident.acknowledged_at) {
        (Some(_), _) => "resolved",
        (None, Some(_)) => "acknowledged",
        (None, None) => "open",
    }
}

fn print_one(incident: &Incident, args: &OneArgs, out: &mut Out) {
    if args.output.format() == Format::Json {
        return out.json(incident);
    }
    let fields = [
        ("id", incident.id.to_string()),
        ("kind", incident.kind.as_str().to_owned()),
        ("subject", cell_of(Some(&incident.subject))),
        ("cause", cell_of(Some(&incident.cause))),
        ("severity", incident.severity.as_str().to_owned()),
        ("summary", cell_of(Some(&incident.summary))),
        ("next", cell_of(Some(&incident.next))),
        ("opened_at", incident.opened_at.to_string()),
        ("updated_at", incident.updated_at.to_string()),
        ("acknowledged_at", cell_of(incident.acknowledged_at)),
        ("resolved_at", cell_of(incident.resolved_at)),
    ];
    for (key, value) in fields {
        out.line(format_args!("{key:<16} {}", printable(&value)));
    }
}
