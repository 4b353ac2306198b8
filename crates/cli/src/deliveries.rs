//! `postrider deliveries`.

mod args;
mod bulk;
mod last;
mod show;
mod tail;

use clap::Subcommand;
use postrider_api::{Delivery, DeliveryDetail, DeliveryList};
use serde_json::json;

use super::Api;
use super::pages::read_page;
use crate::{Connection, Exit, Format, Out, cell_of};
use args::{BulkArgs, ListArgs, ReplayArgs, ShowArgs, TailArgs};
use bulk::{discard, replay};

pub(crate) use last::last;
pub use tail::run as tail;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List deliveries, newest first
    #[command(
        after_help = "Example:\n  postrider deliveries list --status held --provider Orders --since 3d"
    )]
    List(ListArgs),
    /// Show a delivery: its event, what happened when, each request with its answer
    #[command(
        after_help = "Example:\n  postrider deliveries show 01936f2e-7b1c-7cc0\n\nThe beginning of an id that no other delivery has suffices. Secrets are starred."
    )]
    Show(ShowArgs),
    /// Follow deliveries as they change, until Ctrl-C
    #[command(
        after_help = "Example:\n  postrider deliveries tail --provider billing\n\nWith -o json each line is the delivery as the list has it. A lost connection is made again, and what\nhappened meanwhile is told; what was too much for that is said on standard error."
    )]
    Tail(TailArgs),
    /// Send finished deliveries again
    #[command(
        after_help = "Example:\n  postrider deliveries replay --status failed --since 2h --yes\n\nWithout --yes it says what it would do and how long the lanes need for it."
    )]
    Replay(ReplayArgs),
    /// Discard deliveries that wait
    #[command(
        after_help = "Example:\n  postrider deliveries discard --lane api.github.com/old --yes\n\nWithout --yes it says what it would do."
    )]
    Discard(BulkArgs),
}

/// Carries it out.
pub async fn run(
    command: DeliveriesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        DeliveriesCommand::List(args) => {
            let api = connect(&args.connection)?;
            let filter = args.filter.words().given();
            let (deliveries, next) =
                read_page::<DeliveryList>(&api, "deliveries", &filter, &args.page).await?;
            match args.output.format() {
                Format::Json => out.json(&json!({"deliveries": deliveries, "next": next})),
                Format::Table => {
                    print_list(&deliveries, out);
                    out.more(deliveries.len(), next.0.as_deref());
                }
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Show(args) => {
            let path = ["api", "v1", "deliveries", &args.id];
            let answer: DeliveryDetail = connect(&args.connection)?.get(&path, &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => show::print(&answer, out),
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Tail(args) => tail(&args, connect, out).await,
        DeliveriesCommand::Replay(args) => replay(args, connect, out).await,
        DeliveriesCommand::Discard(args) => discard(args, connect, out).await,
    }
}

fn print_list(deliveries: &[Delivery], out: &mut Out) {
    let row = |delivery: &Delivery| {
        vec![
            delivery.id.to_string(),
            delivery.created_at.to_string(),
            delivery.event_name.to_string(),
            cell_of(Some(&delivery.consumer)),
            cell_of(Some(&delivery.provider)),
            delivery.status.to_string(),
            delivery.attempts.to_string(),
            last(delivery.last_outcome, delivery.last_status_code),
            cell_of(delivery.next_attempt_at),
            cell_of(Some(&delivery.lane)),
        ]
    };
    out.table(
        &[
            "id", "created", "event", "consumer", "provider", "status", "attempts", "last", "next",
            "lane",
        ],
        deliveries.iter().map(row).collect(),
        "no deliveries",
    );
}
