//! Arguments of the commands.

use clap::Args;
use jiff::Timestamp;
use postrider_api::DeliveryFilter;
use postrider_domain::{DeliveryStatus, EventId, EventName, WebhookUuid};
use uuid::Uuid;

use crate::follow::WaitArgs;
use crate::one_of::{event_name, one_of};
use crate::pages::PageArgs;
use crate::{Connection, OutputArgs, moment};

/// Which deliveries.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// In this state
    #[arg(long, value_name = "STATUS", value_parser = one_of(DeliveryStatus::ALL, DeliveryStatus::as_str))]
    pub(super) status: Option<DeliveryStatus>,
    /// Of the webhook with this uuid
    #[arg(long, value_name = "UUID", value_parser = webhook, allow_hyphen_values = true)]
    pub(super) webhook: Option<WebhookUuid>,
    /// Of events of this broker
    #[arg(long, value_name = "NAME")]
    pub(super) broker: Option<String>,
    /// Of this consumer
    #[arg(long, value_name = "NAME")]
    pub(super) consumer: Option<String>,
    /// Of this provider
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// Of events of this consumer version
    #[arg(long, value_name = "NUMBER")]
    pub(super) version: Option<String>,
    /// Of events of this name
    #[arg(long, value_name = "EVENT", value_parser = event_name())]
    pub(super) event: Option<EventName>,
    /// Of the event with this id
    #[arg(long, value_name = "ID")]
    pub(super) event_id: Option<EventId>,
    /// In this lane
    #[arg(long, value_name = "LANE")]
    pub(super) lane: Option<String>,
    /// That this incident is about: a failing webhook's deliveries without success, what waits
    /// in a held lane, the deliveries of a late pair
    #[arg(long, value_name = "ID")]
    pub(super) incident: Option<Uuid>,
    /// Made since this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(super) since: Option<Timestamp>,
    /// Made before this time: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(super) until: Option<Timestamp>,
}

impl Filter {
    /// As the API takes it.
    pub(super) fn words(&self) -> DeliveryFilter {
        DeliveryFilter {
            status: self.status.map(|status| status.as_str().to_owned()),
            webhook: self.webhook.as_ref().map(ToString::to_string),
            broker: self.broker.clone(),
            consumer: self.consumer.clone(),
            provider: self.provider.clone(),
            version: self.version.clone(),
            event: self.event.map(|event| event.to_string()),
            event_id: self.event_id.map(|id| id.to_string()),
            lane: self.lane.clone(),
            incident: self.incident.map(|id| id.to_string()),
            since: self.since.map(|time| time.to_string()),
            until: self.until.map(|time| time.to_string()),
        }
    }
}

/// Which deliveries, and how many.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub(super) filter: Filter,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which deliveries are followed.
#[derive(Debug, Args)]
pub struct TailArgs {
    #[command(flatten)]
    pub(super) filter: Filter,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which delivery.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its id, or as much of it as no other has
    #[arg(value_parser = beginning)]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which deliveries, and whether to act.
#[derive(Debug, Args)]
pub struct BulkArgs {
    /// Exactly these, each by its id or as much of it as no other has
    #[arg(value_parser = beginning)]
    pub(super) ids: Vec<String>,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Do it
    #[arg(long)]
    pub(super) yes: bool,
    /// Go on with an act that was interrupted, by the id that it printed
    #[arg(long, value_name = "ID", conflicts_with = "ids")]
    pub(super) resume: Option<Uuid>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which deliveries, and how.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub(super) bulk: BulkArgs,
    /// Treat earlier attempts that may have arrived as not arrived
    #[arg(long)]
    pub(super) forget_marks: bool,
    #[command(flatten)]
    pub(super) wait: WaitArgs,
}

fn webhook(text: &str) -> Result<WebhookUuid, String> {
    text.parse().map_err(|error: postrider_domain::InvalidWebhookUuid| error.to_string())
}

/// Tables on a terminal cut ids, which shows as an ellipsis.
fn beginning(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('…');
    if text.len() >= 4 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err("is no id, nor the beginning of one: 4 hexadecimal digits at least".to_owned())
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}
