//! Events that came in.

use clap::Args;
use jiff::Timestamp;
use postrider_api::{
    Delivery, EventDetail, EventFilter, EventList, EventSummary, MergedCalls, UnwantedBy,
};
use postrider_domain::{EventId, EventName, EventSource, MergedBecause, counted};
use serde_json::json;

use crate::one_of::event_name;
use crate::pages::{PageArgs, read_page};
use crate::{Api, Connection, Exit, Format, Out, OutputArgs, cell_of, moment, printable};

/// Which events.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Of this version of the consumer
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    version: Option<String>,
    /// Of this name
    #[arg(long, value_name = "EVENT", value_parser = event_name())]
    event: Option<EventName>,
    /// Of this broker
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,
    /// Taken in since this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Taken in before this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only those that no webhook wanted
    #[arg(long)]
    unmatched: bool,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Which event.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its id
    id: EventId,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

fn time(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}

/// Lists them.
pub(super) async fn list(
    args: ListArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let filter = EventFilter {
        broker: args.broker,
        consumer: args.consumer,
        provider: args.provider,
        version: args.version,
        event: args.event.map(|event| event.to_string()),
        unmatched: args.unmatched.then_some(true),
        since: args.since.map(|at| at.to_string()),
        until: args.until.map(|at| at.to_string()),
    };
    let filter = filter.given();
    let api = connect(&args.connection)?;
    let (events, next) = read_page::<EventList>(&api, "events", &filter, &args.page).await?;
    match args.output.format() {
        Format::Json => out.json(&json!({"events": events, "next": next})),
        Format::Table => {
            print_list(&events, out);
            out.more(events.len(), next.0.as_deref());
        }
    }
    Ok(Exit::Fine)
}

fn print_list(events: &[EventSummary], out: &mut Out) {
    let row = |event: &EventSummary| {
        vec![
            event.id.to_string(),
            event.received_at.to_string(),
            source(event.source),
            event.event_name.to_string(),
            cell_of(Some(&event.consumer)),
            cell_of(Some(&event.consumer_version)),
            cell_of(Some(&event.provider)),
            cell_of(Some(&event.provider_version)),
            event.deliveries.to_string(),
        ]
    };
    let header = [
        "id",
        "received",
        "source",
        "event",
        "consumer",
        "version",
        "provider",
        "version",
        "deliveries",
    ];
    out.table(&header, events.iter().map(row).collect(), "no events");
}

fn source(source: Option<EventSource>) -> String {
    source.map_or_else(|| "unknown".to_owned(), |source| source.to_string())
}

/// Shows one.
pub(super) async fn show(
    args: ShowArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let path = ["api", "v1", "events", &args.id.to_string()];
    let event: EventDetail = connect(&args.connection)?.get(&path, &[]).await?;
    match args.output.format() {
        Format::Json => out.json(&event),
        Format::Table => print_one(&event, out),
    }
    Ok(Exit::Fine)
}

fn print_one(event: &EventDetail, out: &mut Out) {
    let fields = [
        ("id", event.id.to_string()),
        ("source", source(event.source)),
        ("received_at", event.received_at.to_string()),
        ("event", event.event.to_string()),
    ];
    for (key, value) in fields {
        out.line(format_args!("{key:<16} {}", printable(&value)));
    }
    if let Some(merged) = &event.merged {
        out.line(format_args!("{:<16} {}", "merged", sentence(merged)));
    }
    out.line("");
    if event.deliveries.is_empty() {
        print_unwanted(event, out);
        return;
    }
    let row = |delivery: &Delivery| {
        vec![
            delivery.id.to_string(),
            delivery.webhook_uuid.to_string(),
            delivery.status.to_string(),
            delivery.attempts.to_string(),
            cell_of(delivery.last_outcome),
            cell_of(Some(&delivery.lane)),
        ]
    };
    out.table(
        &["delivery", "webhook", "status", "attempts", "last", "lane"],
        event.deliveries.iter().map(row).collect(),
        "",
    );
}

/// What was merged with it, and why.
fn sentence(merged: &MergedCalls) -> String {
    let why = match merged.because {
        MergedBecause::JustMade => "it came within a minute of the watch's event",
        MergedBecause::OnePublication => "the broker published no more often than was told of",
        MergedBecause::RelayUnknown => {
            "the broker's webhook was not found, so that nobody can tell publications apart: \
             `postrider connect` mends that"
        }
        MergedBecause::BrokerUnasked => {
            "the broker could not be asked whether it is of another publication"
        }
    };
    let calls = counted(merged.calls, "call", "calls");
    format!("{calls} of the broker's relay into this event, the last {:.0}: {why}", merged.last_at)
}

/// Webhooks that are told of one by one where an event was just sent.
const TOLD: usize = 20;

/// A line for each webhook: what it is, and what keeps it from wanting the event; none where that
/// can't be read, as with a token that sends events alone.
pub(super) async fn why_unwanted(api: &Api, event: EventId) -> Vec<String> {
    let path = ["api", "v1", "events", &event.to_string()];
    let Ok(event) = api.get::<EventDetail>(&path, &[]).await else { return Vec::new() };
    if event.webhooks == 0 {
        return vec!["there are no webhooks: `postrider webhooks apply` makes one".to_owned()];
    }
    let mut lines: Vec<String> = event.unwanted_by.iter().take(TOLD).map(line).collect();
    let more = event.webhooks.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("and {}", counted(more, "more webhook", "more webhooks")));
    }
    lines
}

fn line(webhook: &UnwantedBy) -> String {
    let name =
        if webhook.description.is_empty() { "webhook" } else { webhook.description.as_str() };
    format!("{name} ({}): {}", webhook.webhook_uuid, reason(webhook))
}

fn reason(webhook: &UnwantedBy) -> String {
    let changed = || "would want it now: it was made or changed since".to_owned();
    webhook.reason.clone().unwrap_or_else(changed)
}

fn print_unwanted(event: &EventDetail, out: &mut Out) {
    if event.webhooks == 0 {
        out.line("it led to no delivery: there are no webhooks");
        return;
    }
    out.line("it led to no delivery; the webhooks as they are now:");
    let rows = event.unwanted_by.iter().map(|webhook| {
        vec![webhook.webhook_uuid.to_string(), webhook.description.clone(), reason(webhook)]
    });
    out.table(&["webhook", "description", "why not"], rows.collect(), "");
    let more = event.webhooks.saturating_sub(event.unwanted_by.len() as u64);
    if more > 0 {
        out.line(format_args!("and {more} more that are further from it"));
    }
}
