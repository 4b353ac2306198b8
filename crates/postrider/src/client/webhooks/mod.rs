//! `postrider webhooks`, over the routes that a Pact Broker has.

mod apply;
pub(super) mod document;
mod execute;
mod file;
mod lint;
pub(super) mod plan;

use std::cmp::Reverse;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_domain::WebhookUuid;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) use apply::print_differences;
pub(super) use execute::{execute, succeeded};
pub(super) use plan::is_starred;

use super::broker::Env;
use super::broker_webhooks::linked_uuids;
use super::deliveries::last;
use super::import::{self, ImportArgs};
use super::{Api, Body};
use crate::cli::{Connection, Exit, Failure, Format, Out, OutputArgs, cell};

/// Documents fetched at a time: a collection only links to them.
const PARALLEL: usize = 8;

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
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
    Delete(OneArgs),
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

/// How to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which webhook.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its uuid
    #[arg(value_parser = uuid)]
    uuid: WebhookUuid,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// What to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// File to read; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Replace also where only values that the server stars could differ
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// File with webhooks; - is standard input. Without it: what the running postrider has
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub(crate) async fn run(
    command: WebhooksCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    env: &Env,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        WebhooksCommand::List(args) => list(&connect(&args.connection)?, &args, out).await?,
        WebhooksCommand::Show(args) => {
            let webhook =
                connect(&args.connection)?.get(&["webhooks", args.uuid.as_str()], &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&webhook),
                Format::Table => out.line(yaml(&webhook)?.trim_end()),
            }
        }
        WebhooksCommand::Delete(args) => {
            let path = ["webhooks", args.uuid.as_str()];
            connect(&args.connection)?.send(Method::DELETE, &path, Body::None).await?;
            match args.output.format() {
                Format::Json => out.json(&json!({ "deleted": args.uuid })),
                Format::Table => out.line(format_args!("deleted {}", args.uuid)),
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

/// The uuids that the collection links to.
async fn uuids(api: &Api) -> Result<Vec<String>, Failure> {
    let collection = api.get(&["webhooks"], &[]).await?;
    Ok(linked_uuids(&collection))
}

/// All webhooks in the collection's order; one that is deleted meanwhile is left out.
pub(super) async fn documents(api: &Api, uuids: &[String]) -> Result<Vec<Value>, Failure> {
    let fetched: Vec<Option<Value>> = stream::iter(uuids)
        .map(|uuid| async move {
            let answer = api.call(Method::GET, &["webhooks", uuid], &[], Body::None).await?;
            if answer.status.as_u16() == 404 { Ok(None) } else { api.ok(answer).map(Some) }
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(fetched.into_iter().flatten().collect())
}

async fn list(api: &Api, args: &ListArgs, out: &mut Out) -> Result<(), Failure> {
    let uuids = uuids(api).await?;
    let mut webhooks = documents(api, &uuids).await?;
    webhooks.sort_by_key(|webhook| Reverse(cell(webhook, "createdAt")));
    webhooks.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    let listed: Vec<(Value, Value)> = stream::iter(webhooks)
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
            out.json(&json!({ "webhooks": rows }));
        }
        Format::Table => print(&listed, out),
    }
    Ok(())
}

async fn last_delivery(api: &Api, webhook: &Value) -> Result<Value, Failure> {
    let query = [("webhook", cell(webhook, "uuid")), ("limit", "1".to_owned())];
    let page = api.get(&["api", "v1", "deliveries"], &query).await?;
    Ok(page.pointer("/deliveries/0").cloned().unwrap_or(Value::Null))
}

fn print(listed: &[(Value, Value)], out: &mut Out) {
    let row = |(webhook, delivery): &(Value, Value)| {
        let enabled = webhook.get("enabled").and_then(Value::as_bool) == Some(true);
        vec![
            cell(webhook, "uuid"),
            cell(webhook, "description"),
            if enabled { "yes".to_owned() } else { "no".to_owned() },
            side(webhook, "consumer"),
            side(webhook, "provider"),
            cell(delivery, "updated_at"),
            cell(delivery, "status"),
            last(delivery, "last_outcome", "last_status_code"),
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

fn uuid(text: &str) -> Result<WebhookUuid, String> {
    text.parse().map_err(|error: postrider_domain::InvalidWebhookUuid| error.to_string())
}
