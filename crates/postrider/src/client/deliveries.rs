//! `postrider deliveries`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use postrider_domain::{DeliveryId, DeliveryStatus, EventId, EventName, WebhookUuid};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::pages::{self, rows};
use super::{Api, Body};
use crate::cli::{
    Connection, Exit, Failure, Format, Out, OutputArgs, cell, moment, printable, seconds,
};

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesCommand {
    /// List deliveries, newest first
    #[command(
        after_help = "Example:\n  postrider deliveries list --status held --provider Orders --since 3d"
    )]
    List(ListArgs),
    /// Show a delivery with its event and attempts
    #[command(
        after_help = "Example:\n  postrider deliveries show 01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"
    )]
    Show(ShowArgs),
    /// Send finished deliveries again
    #[command(
        after_help = "Example:\n  postrider deliveries replay --status failed --since 2h --yes\n\nWithout --yes it says what it would do and how long the lanes need for it."
    )]
    Replay(ReplayArgs),
}

/// Which deliveries.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// queued, delivered, retrying, held, failed or discarded
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<DeliveryStatus>,
    /// Of the webhook with this uuid
    #[arg(long, value_name = "UUID", value_parser = webhook)]
    webhook: Option<WebhookUuid>,
    /// Of events of this broker
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,
    /// Of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Of events of this name
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Option<EventName>,
    /// Of the event with this id
    #[arg(long, value_name = "ID")]
    event_id: Option<EventId>,
    /// In this lane
    #[arg(long, value_name = "LANE")]
    lane: Option<String>,
    /// That this incident is about: a failing webhook's deliveries without success, what waits
    /// in a held lane, the deliveries of a late pair
    #[arg(long, value_name = "ID")]
    incident: Option<Uuid>,
    /// Made since this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Made before this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
}

impl Filter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("status", self.status.map(|status| status.as_str().to_owned())),
            ("webhook", self.webhook.as_ref().map(ToString::to_string)),
            ("broker", self.broker.clone()),
            ("consumer", self.consumer.clone()),
            ("provider", self.provider.clone()),
            ("event", self.event.map(|event| event.to_string())),
            ("event_id", self.event_id.map(|id| id.to_string())),
            ("lane", self.lane.clone()),
            ("incident", self.incident.map(|id| id.to_string())),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Which deliveries, and how many.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which delivery.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id
    id: DeliveryId,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which deliveries, and whether to act.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Exactly these
    ids: Vec<DeliveryId>,
    #[command(flatten)]
    filter: Filter,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Treat earlier attempts that may have arrived as not arrived
    #[arg(long)]
    forget_marks: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub(crate) async fn run(
    command: DeliveriesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        DeliveriesCommand::List(args) => {
            let api = connect(&args.connection)?;
            let filter = args.filter.pairs();
            let answer = pages::read(&api, "deliveries", &filter, args.limit).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print_list(&answer, out),
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Show(args) => {
            let path = ["api", "v1", "deliveries", &args.id.to_string()];
            let answer = connect(&args.connection)?.get(&path, &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print_one(&answer, out),
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Replay(args) => replay(args, connect, out).await,
    }
}

fn print_list(answer: &Value, out: &mut Out) {
    let row = |delivery: &Value| {
        let mut cells =
            ["id", "created_at", "event_name", "consumer", "provider", "status", "attempts"]
                .map(|key| cell(delivery, key))
                .to_vec();
        cells.push(last(delivery, "last_outcome", "last_status_code"));
        cells.push(cell(delivery, "next_attempt_at"));
        cells.push(cell(delivery, "lane"));
        cells
    };
    out.table(
        &[
            "id", "created", "event", "consumer", "provider", "status", "attempts", "last", "next",
            "lane",
        ],
        rows(answer, "deliveries").iter().map(row).collect(),
        "no deliveries",
    );
}

/// `server_error 503`, `timeout`, `-`.
pub(super) fn last(object: &Value, outcome: &str, code: &str) -> String {
    match object.get(code).and_then(Value::as_u64) {
        Some(code) => format!("{} {code}", cell(object, outcome)),
        None => cell(object, outcome),
    }
}

fn print_one(delivery: &Value, out: &mut Out) {
    let fields = [
        "id",
        "status",
        "lane",
        "webhook_uuid",
        "event_name",
        "event_id",
        "broker",
        "consumer",
        "provider",
        "created_at",
        "updated_at",
        "next_attempt_at",
    ];
    for key in fields {
        out.line(format_args!("{key:<16} {}", printable(&cell(delivery, key))));
    }
    if let Some(event) = delivery.get("event") {
        out.line(format_args!("{:<16} {}", "event", printable(&event.to_string())));
    }
    out.line("");
    let attempts = rows(delivery, "attempts");
    let row = |attempt: &Value| {
        vec![
            cell(attempt, "number"),
            cell(attempt, "started_at"),
            format!("{} ms", cell(attempt, "duration_ms")),
            last(attempt, "outcome", "status_code"),
            cell(attempt, "github_request_id"),
            cell(attempt, "possible_duplicate"),
        ]
    };
    out.table(
        &["attempt", "started", "took", "outcome", "github request", "possible duplicate"],
        attempts.iter().map(row).collect(),
        "no attempts yet",
    );
}

async fn replay(
    args: ReplayArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let mut body: Map<String, Value> = args
        .filter
        .pairs()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    if !args.ids.is_empty() {
        body.insert("ids".to_owned(), json!(args.ids));
    }
    if body.is_empty() {
        return Err(Failure::usage("replay needs to know which deliveries")
            .fix("give ids or a filter, e.g. --status failed --since 2h")
            .into());
    }
    body.insert("dry_run".to_owned(), json!(!args.yes));
    body.insert("forget_marks".to_owned(), json!(args.forget_marks));
    let path = ["api", "v1", "deliveries", "replay"];
    let api = connect(&args.connection)?;
    let answer = api.send(Method::POST, &path, Body::Json(&Value::Object(body))).await?;
    match args.output.format() {
        Format::Json => out.json(&answer),
        Format::Table => print_replay(&answer, args.yes, out),
    }
    let known = touched(&answer) + count(&answer, "open") + count(&answer, "without_webhook");
    let all_known = known >= args.ids.len() as u64;
    Ok(if all_known { Exit::Fine } else { Exit::No })
}

fn count(answer: &Value, key: &str) -> u64 {
    answer.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn touched(answer: &Value) -> u64 {
    rows(answer, "lanes").iter().map(|lane| count(lane, "deliveries")).sum()
}

fn print_replay(answer: &Value, acted: bool, out: &mut Out) {
    let lanes = rows(answer, "lanes");
    let row = |lane: &Value| {
        let drain = lane.get("drain_seconds").and_then(Value::as_f64);
        vec![cell(lane, "lane"), cell(lane, "deliveries"), drain.map_or("-".to_owned(), seconds)]
    };
    out.table(
        &["lane", "deliveries", "needs"],
        lanes.iter().map(row).collect(),
        "nothing to send again",
    );
    for (key, what) in [
        ("open", "not touched: on their way already"),
        ("without_webhook", "not touched: their webhook is deleted or disabled"),
    ] {
        if count(answer, key) > 0 {
            out.line(format_args!("{} {what}", count(answer, key)));
        }
    }
    if acted {
        out.line(format_args!("{} deliveries are sent again", count(answer, "replayed")));
    } else if !lanes.is_empty() {
        out.line("nothing was done yet: add --yes to send them again");
    }
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    text.parse()
}

fn webhook(text: &str) -> Result<WebhookUuid, String> {
    text.parse().map_err(|error: postrider_domain::InvalidWebhookUuid| error.to_string())
}

fn event(text: &str) -> Result<EventName, String> {
    if text == EventName::Test.as_str() {
        return Ok(EventName::Test);
    }
    text.parse().map_err(|_| {
        let names: Vec<&str> = EventName::ALL.iter().map(|name| name.as_str()).collect();
        format!("use one of {}", names.join(", "))
    })
}

fn since(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}
