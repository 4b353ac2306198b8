//! `postrider audit`: who changed what.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use postrider_api::{AuditEntry, AuditList, AuditQuery};
use postrider_domain::AuditKind;

use super::Api;
use crate::one_of::one_of;
use crate::pages::{PageArgs, read_page};
use crate::{Connection, Exit, Format, Out, OutputArgs, cell_of, moment};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List changes of webhooks, secrets, lanes and deliveries, newest first
    #[command(after_help = "Example:\n  postrider audit list --kind secret --since 7d")]
    List(ListArgs),
}

/// Which changes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// By the owner of this token, or `local`
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Of a thing of this kind
    #[arg(long, value_name = "KIND", value_parser = one_of(AuditKind::ALL, AuditKind::as_str))]
    kind: Option<AuditKind>,
    /// Of the thing of exactly this name or id
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Not before this time, or this long ago (2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Before this time, or this long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub async fn run(
    command: AuditCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let AuditCommand::List(args) = command;
    let filter = AuditQuery {
        who: args.who,
        kind: args.kind,
        object: args.object,
        since: args.since.map(|at| at.to_string()),
        until: args.until.map(|at| at.to_string()),
    };
    let filter = filter.given();
    let api = connect(&args.connection)?;
    let (entries, next) = read_page::<AuditList>(&api, "audit", &filter, &args.page).await?;
    match args.output.format() {
        Format::Json => out.json(&serde_json::json!({"entries": entries, "next": next})),
        Format::Table => {
            print(&entries, out);
            out.more(entries.len(), next.0.as_deref());
        }
    }
    Ok(Exit::Fine)
}

fn print(entries: &[AuditEntry], out: &mut Out) {
    let row = |entry: &AuditEntry| {
        vec![
            entry.at.to_string(),
            cell_of(Some(&entry.who)),
            entry.kind.as_str().to_owned(),
            cell_of(Some(&entry.object)),
            entry.action.as_str().to_owned(),
            cell_of(Some(&entry.detail)),
            cell_of(Some(&entry.route)),
        ]
    };
    out.table(
        &["at", "who", "kind", "object", "action", "detail", "route"],
        entries.iter().map(row).collect(),
        "nothing was changed",
    );
}

fn time(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}
