//! `postrider webhooks`, over the routes that a Pact Broker has.

mod apply;
mod args;
pub(super) mod document;
mod execute;
mod file;
mod lint;
pub(super) mod plan;
pub(crate) mod read;

use std::cmp::Reverse;
use std::io::{IsTerminal as _, stdin};

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_api::{Delivery, LaneList, WebhookReleased};
use postrider_domain::WebhookUuid;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) use apply::{print_differences, refusal};
pub(super) use execute::{execute, succeeded};
pub(super) use read::{documents, uuids};

use super::broker::Env;
use super::deliveries::last;
use super::import::{self, ImportArgs};
use super::{Api, Body};
use crate::pages::read_all;
use crate::{Connection, Exit, Failure, Format, Out, cell, cell_of, complain, printable, typed};
use args::{ApplyArgs, DeleteArgs, LintArgs, ListArgs, OneArgs};
use read::{PARALLEL, last_delivery, webhook};

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List webhooks with the outcome of their last delivery
    #[command(after_help = "Example:\n  postrider webhooks list")]
    List(ListArgs),
    /// Show a webhook as YAML that `webhooks apply` takes
    #[command(
        after_help = "Example:\n  postrider webhooks show dCGCl-Ba3PqEFJ_iE9mJkQ > webhook.yaml"
    )]
    Show(OneArgs),
    /// Delete a webhook; what waits for it is discarded
    #[command(after_help = "Example:\n  postrider webhooks delete dCGCl-Ba3PqEFJ_iE9mJkQ")]
    Delete(DeleteArgs),
    /// Let a webhook go on that is held because its target refused it
    #[command(
        after_help = "Example:\n  postrider webhooks release dCGCl-Ba3PqEFJ_iE9mJkQ\n\nA lane that is held stays so: `postrider lanes release` opens it, and its webhooks with it."
    )]
    Release(OneArgs),
    /// Create and replace webhooks from a file
    #[command(
        after_help = "Example:\n  postrider webhooks apply -f webhooks.yaml --yes\n\nThe file holds one webhook document or a list, JSON or YAML. A document with a uuid is that\nwebhook, one without is the webhook of the same description. Without --yes the plan is shown\nand nothing is changed. Values that the server stars are compared only where the file stars\nthem too; --replace sends a document whose only difference could be such a value."
    )]
    Apply(ApplyArgs),
    /// Send a webhook's request once, with the latest event or placeholders, and show the log
    #[command(
        after_help = "Example:\n  postrider webhooks test dCGCl-Ba3PqEFJ_iE9mJkQ\n\nIt goes through the webhook's lane as a delivery would, is tried once and never repeated.\nExit codes: 0 the target took it, 1 it did not, 3 postrider can't be reached."
    )]
    Test(OneArgs),
    /// Look for secrets, GitHub's limits, noisy events and mistyped variables
    #[command(
        after_help = "Example:\n  postrider webhooks lint -f webhooks.yaml\n\nWithout a file it looks at what the running postrider has: credentials are starred there, so\ntheir lanes are asked, and the names of secrets are compared with those that have a value.\nExit codes: 0 clean, 1 an error or a warning was found, 2 nothing was checked."
    )]
    Lint(LintArgs),
    /// Bring a broker's webhooks over
    #[command(
        after_help = "Example:\n  postrider webhooks import --from-broker https://broker.example \\\n    --map 'Authorization=Bearer ${user.githubToken}' --yes\n\nWebhooks keep their uuid; the relay to postrider is skipped. A broker stars credentials, so\n--map says which secret each one is: by the header's name, `password`, or a value that stands\nanywhere in the webhook (other users of the machine see arguments). A webhook with a star that\nno --map explains is not brought over. At GitHub a bare secret becomes `Bearer ${user.NAME}`.\nWithout --yes the plan is shown and nothing is changed; a second run changes nothing.\nExit codes: 0 all came over, 1 some did not, 3 broker or postrider can't be reached, 4 refused."
    )]
    Import(ImportArgs),
}

/// Carries it out.
pub async fn run(
    command: WebhooksCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    env: &Env,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        WebhooksCommand::List(args) => list(&connect(&args.connection)?, &args, out).await?,
        WebhooksCommand::Show(args) => {
            let api = connect(&args.connection)?;
            let webhook = webhook(&api, args.uuid.as_str()).await?;
            match args.output.format() {
                Format::Json => out.json(&webhook),
                Format::Table => {
                    out.line(yaml(&webhook)?.trim_end());
                    tell_of_hold(&api, &args.uuid).await;
                }
            }
        }
        WebhooksCommand::Delete(DeleteArgs { one: args, yes }) => {
            let api = connect(&args.connection)?;
            if !yes && stdin().is_terminal() {
                let webhook = webhook(&api, args.uuid.as_str()).await?;
                let name = printable(&plan::name(&webhook));
                let what =
                    format!("Delete {name:?} ({})? What waits for it is discarded", args.uuid);
                if !typed::confirmed(&what)? {
                    return Err(Failure::new(Exit::No, "nothing was deleted").into());
                }
            }
            let path = ["webhooks", args.uuid.as_str()];
            let () = api.send(Method::DELETE, &path, Body::None).await?;
            match args.output.format() {
                Format::Json => out.json(&json!({ "deleted": args.uuid })),
                Format::Table => out.line(format_args!("deleted {}", args.uuid)),
            }
        }
        WebhooksCommand::Release(args) => {
            let path = ["api", "v1", "webhooks", args.uuid.as_str(), "release"];
            let released: WebhookReleased =
                connect(&args.connection)?.send(Method::POST, &path, Body::None).await?;
            match args.output.format() {
                Format::Json => out.json(&released),
                Format::Table if released.was_held => {
                    out.line(format_args!("released {}", args.uuid));
                }
                Format::Table => out.line(format_args!("{} was not held", args.uuid)),
            }
        }
        WebhooksCommand::Apply(args) => return apply::run(&args, connect, out).await,
        WebhooksCommand::Test(args) => {
            return Ok(execute::run(&connect(&args.connection)?, &args, out).await?);
        }
        WebhooksCommand::Lint(args) => return lint::run(&args, connect, out).await,
        WebhooksCommand::Import(args) => return import::run(&args, connect, env, out).await,
    }
    Ok(Exit::Fine)
}

/// On standard error, so that the document can be kept as a file. A broker has no lanes.
async fn tell_of_hold(api: &Api, uuid: &WebhookUuid) {
    let Ok(lanes) = read_all::<LaneList>(api, "lanes").await else { return };
    let held = lanes.iter().flat_map(|lane| &lane.held_webhooks);
    for hold in held.filter(|hold| hold.webhook_uuid == *uuid) {
        let next = hold.next_probe_at.map(|at| format!(", tried again at {at}"));
        complain(&format!(
            "held since {}: {}; {} wait{}; `postrider webhooks release {uuid}` lets them go",
            hold.since,
            hold.cause.as_str(),
            hold.backlog,
            next.unwrap_or_default()
        ));
    }
}

/// The document without what the server adds.
fn yaml(webhook: &Value) -> Result<String, Failure> {
    let mut document = webhook.clone();
    if let Some(members) = document.as_object_mut() {
        for key in ["createdAt", "updatedAt", "_links"] {
            members.shift_remove(key);
        }
    }
    serde_norway::to_string(&document)
        .map_err(|error| Failure::new(Exit::No, format!("the webhook can't be written: {error}")))
}

async fn list(api: &Api, args: &ListArgs, out: &mut Out) -> Result<(), Failure> {
    let uuids = uuids(api).await?;
    let mut webhooks = documents(api, &uuids).await?;
    webhooks.sort_by_key(|webhook| Reverse(cell(webhook, "createdAt")));
    let all = args.most.cut(&mut webhooks);
    let listed: Vec<(Value, Option<Delivery>)> = stream::iter(webhooks)
        .map(|webhook| async move {
            let delivery = last_delivery(api, &webhook).await?;
            Ok::<_, Failure>((webhook, delivery))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    match args.output.format() {
        Format::Json => {
            let rows: Vec<Value> = listed
                .into_iter()
                .map(|(webhook, delivery)| json!({ "webhook": webhook, "last_delivery": delivery }))
                .collect();
            out.json(&json!({ "webhooks": rows, "total": all }));
        }
        Format::Table => {
            print(&listed, out);
            out.cut(listed.len(), all);
        }
    }
    Ok(())
}

fn print(listed: &[(Value, Option<Delivery>)], out: &mut Out) {
    let row = |(webhook, delivery): &(Value, Option<Delivery>)| {
        let delivery = delivery.as_ref();
        let enabled = webhook.get("enabled").and_then(Value::as_bool) == Some(true);
        vec![
            cell(webhook, "uuid"),
            cell(webhook, "description"),
            if enabled { "yes".to_owned() } else { "no".to_owned() },
            side(webhook, "consumer"),
            side(webhook, "provider"),
            cell_of(delivery.map(|delivery| delivery.updated_at)),
            cell_of(delivery.map(|delivery| delivery.status)),
            last(
                delivery.and_then(|delivery| delivery.last_outcome),
                delivery.and_then(|delivery| delivery.last_status_code),
            ),
        ]
    };
    out.table(
        &["uuid", "description", "enabled", "consumer", "provider", "last", "status", "outcome"],
        listed.iter().map(row).collect(),
        "no webhooks",
    );
}

/// `Name`, `label x`, or `any`.
fn side(webhook: &Value, side: &str) -> String {
    let text = |key: &str| webhook.get(side)?.get(key)?.as_str().map(str::to_owned);
    text("name")
        .or_else(|| text("label").map(|label| format!("label {label}")))
        .unwrap_or_else(|| "any".to_owned())
}
