//! `…/webhooks/status`: of each webhook of a pair and each event the newest delivery.

use http::StatusCode;
use postrider_api::broker::WebhooksStatus;
use postrider_domain::{DeliveryStatus, Event, Selector, Webhook};
use postrider_store::DeliveryRow;
use serde_json::{Map, Value, json};

use crate::broker_api::base::Bases;
use crate::broker_api::described::{Described, call, sides};
use crate::broker_api::document::display_description;
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};
use crate::broker_api::time::xml_time;

/// The broker's word for where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    NotRun,
    Retrying,
    Success,
    Failure,
}

impl Status {
    fn of(row: &DeliveryRow) -> Self {
        match row.status {
            DeliveryStatus::Delivered => Self::Success,
            DeliveryStatus::Failed | DeliveryStatus::Discarded => Self::Failure,
            DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held => {
                if row.attempts > 0 { Self::Retrying } else { Self::NotRun }
            }
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Retrying => "retrying",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    fn is_final(self) -> bool {
        match self {
            Self::NotRun | Self::Retrying => false,
            Self::Success | Self::Failure => true,
        }
    }
}

/// A delivery as the broker shows what it triggered.
struct Triggered {
    row: DeliveryRow,
    status: Status,
    name: String,
    /// How many attempts there can be.
    most: usize,
}

/// `GET /pacts/provider/{provider}/consumer/{consumer}/webhooks/status`.
pub(super) async fn show(context: &RequestContext, provider: &str, consumer: &str) -> Answer {
    context.takes_hal()?;
    let triggered = triggered(context, provider, consumer).await?;
    let version = version(context, &triggered).await?;
    let bases = &context.bases;
    let items: Vec<Value> = triggered.iter().map(|each| item(each, bases)).collect();
    let document = json!({
        "summary": summary(&triggered),
        "_embedded": {"triggeredWebhooks": items},
        "_links": links(&triggered, provider, consumer, version.as_deref(), bases),
    });
    Ok(response::hal(StatusCode::OK, &document))
}

pub(super) fn operations() -> Described {
    let path = "/pacts/provider/{provider}/consumer/{consumer}/webhooks/status";
    let operation = call("showWebhooksStatus", "Show what a pair's webhooks came to")
        .description("Of each webhook and event the newest delivery.")
        .answers::<WebhooksStatus>(200, "Fine.");
    ("GET", path, sides(operation, path))
}

async fn triggered(
    context: &RequestContext,
    provider: &str,
    consumer: &str,
) -> Result<Vec<Triggered>, Failure> {
    let store = context.app.store();
    let table = store.webhook_table(None).await?;
    let mut webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    webhooks.retain(|stored| may_match(&stored.webhook, provider, consumer));
    let ids: Vec<_> = webhooks.iter().map(|stored| stored.id).collect();
    let rows = store.newest_deliveries(&ids, consumer, provider).await?;
    let triggered = |row: DeliveryRow| {
        let webhook = webhooks.iter().find(|stored| stored.webhook.uuid == row.webhook_uuid);
        let name = webhook.map(|stored| display_description(&stored.webhook)).unwrap_or_default();
        let own = webhook.and_then(|stored| stored.webhook.extensions.retry.as_ref());
        let retry = own.unwrap_or(&context.app.config.retry);
        Triggered { status: Status::of(&row), name, most: retry.schedule.len() + 1, row }
    };
    Ok(rows.into_iter().map(triggered).collect())
}

/// Which labels the pacticipants have is known of events only.
fn may_match(webhook: &Webhook, provider: &str, consumer: &str) -> bool {
    let may = |side: Option<&Selector>, name: &str| match side {
        Some(Selector::Name(wanted)) => wanted == name,
        Some(Selector::Label(_)) | None => true,
    };
    may(webhook.provider.as_ref(), provider) && may(webhook.consumer.as_ref(), consumer)
}

/// The consumer version of the newest delivery.
async fn version(
    context: &RequestContext,
    triggered: &[Triggered],
) -> Result<Option<String>, Failure> {
    let Some(newest) = triggered.last() else {
        return Ok(None);
    };
    let view = context.app.store().delivery(newest.row.id).await?;
    let event = view.and_then(|view| serde_json::from_str::<Event>(&view.event).ok());
    let version = event.map(|event| event.consumer.version_number);
    Ok(version.filter(|version| !version.is_empty()))
}

fn summary(triggered: &[Triggered]) -> Value {
    let count = |status| triggered.iter().filter(|each: &&Triggered| each.status == status).count();
    let mut summary = Map::new();
    summary.insert("successful".into(), count(Status::Success).into());
    summary.insert("failed".into(), count(Status::Failure).into());
    for (key, status) in [("retrying", Status::Retrying), ("notRun", Status::NotRun)] {
        if count(status) > 0 {
            summary.insert(key.into(), count(status).into());
        }
    }
    Value::Object(summary)
}

fn item(triggered: &Triggered, bases: &Bases) -> Value {
    let Triggered { row, status, name, most } = triggered;
    let made = usize::try_from(row.attempts).unwrap_or(usize::MAX);
    let left = if status.is_final() { 0 } else { most.saturating_sub(made) };
    let logs = bases.logs(row.id);
    json!({
        "name": name,
        "status": status.as_str(),
        "attemptsMade": made,
        "attemptsRemaining": left,
        "triggerType": "resource_creation",
        "eventName": row.event_name,
        "triggeredAt": xml_time(row.created_at),
        "_links": {
            "pb:logs": {"href": logs, "title": "Webhook execution logs", "name": name},
            "logs": {"href": logs, "title": "DEPRECATED - Use pb:logs", "name": name},
            "pb:webhook": {
                "href": bases.webhook(&row.webhook_uuid), "title": "Webhook", "name": name,
            },
        },
    })
}

fn links(
    triggered: &[Triggered],
    provider: &str,
    consumer: &str,
    version: Option<&str>,
    bases: &Bases,
) -> Value {
    let erroneous =
        triggered.iter().filter(|each| matches!(each.status, Status::Failure | Status::Retrying));
    let errors: Vec<Value> = erroneous
        .map(|each| {
            json!({"href": bases.logs(each.row.id), "title": "Error logs", "name": each.name})
        })
        .collect();
    let mut links = Map::new();
    let mut put = |rel: &str, link: Value| drop(links.insert(rel.to_owned(), link));
    put("self", json!({"href": bases.request, "title": "Webhooks status"}));
    put("pb:error-logs", errors.into());
    let title = format!("Webhooks for the pact between {consumer} and {provider}");
    put(
        "pb:pact-webhooks",
        json!({
            "title": title, "href": bases.pact_webhooks(provider, consumer),
        }),
    );
    if let Some(version) = version {
        let name = format!("Pact between {consumer} ({version}) and {provider}");
        let href = bases.pact_version(provider, consumer, version);
        put("pb:pact-version", json!({"href": href, "title": "Pact", "name": name}));
    }
    for (rel, title, name) in
        [("pb:consumer", "Consumer", consumer), ("pb:provider", "Provider", provider)]
    {
        put(rel, json!({"href": bases.pacticipant(name), "title": title, "name": name}));
    }
    Value::Object(links)
}
