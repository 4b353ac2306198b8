//! `/triggered-webhooks/{uuid}/logs`: what was sent and answered, attempt by attempt. A
//! triggered webhook is a delivery, by whose id it goes.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use postrider_api::broker::TriggeredWebhookLogs;
use postrider_domain::{DeliveryId, DeliveryStatus, Event, EventName, Outcome};
use postrider_http_server::openapi::refer;
use postrider_store::{AttemptRow, DeliveryRow, DeliveryView};
use serde_json::{Map, Value, json};

use crate::broker_api::content_negotiation::{HAL, TEXT};
use crate::broker_api::described::{Described, call, text};
use crate::broker_api::logs::{Ending, LoggedAttempt, log_lines};
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};
use crate::broker_api::time::xml_time;
use crate::shown::{self, ShownRequest};

/// The broker's words.
const NOT_YET: &str = "Webhook has not executed yet. Please retry in a few seconds.";

/// `GET /triggered-webhooks/{uuid}/logs`: text unless HAL is asked for.
pub(super) async fn logs(context: &RequestContext, uuid: &str) -> Answer {
    let kind = context.choose(&[TEXT, HAL])?;
    let id: DeliveryId = uuid.parse().map_err(|_| Failure::NotFound)?;
    let view = context.app.store().delivery(id).await?.ok_or(Failure::NotFound)?;
    let event_context = event_context(&view, &context.bases.base);
    let requests =
        shown::requests(context.app.store(), &view, &context.app.config.redact_more).await?;
    let numbered = requests.iter().enumerate();
    let logs: Vec<String> = numbered
        .filter_map(|(index, request)| log(&view, index, request, &event_context))
        .collect();
    if kind == HAL { as_document(context, &view, &logs).await } else { Ok(as_text(&logs)) }
}

pub(super) fn operations() -> Described {
    let hal = refer::<TriggeredWebhookLogs>();
    let log = "[2026-11-21T09:00:00Z] INFO: Successfully executed webhook\n";
    let operation = call("showTriggeredWebhookLogs", "Show a delivery's attempts")
        .description("A triggered webhook is a delivery, by whose id it goes.")
        .path("uuid", "The delivery.", &text())
        .knows::<TriggeredWebhookLogs>()
        .answers_as(200, "Text, unless HAL is accepted.", "text/plain", &text())
        .example(200, log)
        .answers_as(200, "Text, unless HAL is accepted.", "application/hal+json", &hal);
    ("GET", "/triggered-webhooks/{uuid}/logs", operation)
}

fn as_text(logs: &[String]) -> Response {
    response::text(if logs.is_empty() { NOT_YET.to_owned() } else { logs.join("\n") })
}

async fn as_document(context: &RequestContext, view: &DeliveryView, logs: &[String]) -> Answer {
    let row = &view.row;
    let executions: Vec<Value> = view
        .attempts
        .iter()
        .zip(logs)
        .map(|(attempt, log)| {
            let success = attempt.outcome == Outcome::Accepted;
            json!({"success": success, "logs": log, "createdAt": xml_time(end(attempt))})
        })
        .collect();
    let bases = &context.bases;
    let mut links = Map::new();
    let own = json!({"title": "Triggered webhook logs", "href": bases.request});
    links.insert("self".into(), own);
    if context.app.store().webhook(&row.webhook_uuid).await?.is_some() {
        let href = bases.webhook(&row.webhook_uuid);
        links.insert("pb:webhook".into(), json!({"href": href, "title": "Webhook"}));
    }
    let document = json!({
        "eventName": row.event_name,
        "consumerName": row.consumer,
        "providerName": row.provider,
        "executions": executions,
        "_embedded": {"triggeredWebhook": {"uuid": row.id}},
        "_links": links,
    });
    Ok(response::hal(StatusCode::OK, &document))
}

fn log(
    view: &DeliveryView,
    index: usize,
    request: &ShownRequest,
    context: &Value,
) -> Option<String> {
    let attempt = view.attempts.get(index)?;
    let webhook = Some(&view.row.webhook_uuid);
    let ending = ending(&view.row, &view.attempts, index, attempt);
    Some(log_lines(&LoggedAttempt { attempt, request, webhook, context, ending }))
}

/// What followed, or follows, an attempt.
fn ending<'a>(
    row: &'a DeliveryRow,
    attempts: &[AttemptRow],
    index: usize,
    attempt: &AttemptRow,
) -> Ending<'a> {
    if attempt.outcome == Outcome::Accepted {
        return Ending::Succeeded;
    }
    let next = attempts.get(index + 1).map(|next| next.started_at);
    match (next, row.status) {
        (Some(at), _) => retry(row, attempt, Some(at)),
        (None, DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded) => {
            Ending::GivenUp { attempts: row.attempts }
        }
        (None, DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held) => {
            retry(row, attempt, row.next_attempt_at)
        }
    }
}

/// A credential that was refused waits for its lane, however long that took.
fn retry<'a>(row: &'a DeliveryRow, attempt: &AttemptRow, at: Option<Timestamp>) -> Ending<'a> {
    match at {
        Some(at) if !attempt.outcome.waits_for_a_credential() => {
            let wait = at.duration_since(end(attempt));
            Ending::RetryIn(Duration::try_from(wait).unwrap_or_default())
        }
        Some(_) | None => Ending::RetryWhenOpen(&row.lane),
    }
}

fn end(attempt: &AttemptRow) -> Timestamp {
    let duration = SignedDuration::try_from(attempt.duration).unwrap_or_default();
    attempt.started_at.saturating_add(duration).unwrap_or(attempt.started_at)
}

/// What the broker calls the context of an event; unknown values are null.
fn event_context(view: &DeliveryView, base: &str) -> Value {
    let mut context = Map::new();
    context.insert("base_url".into(), base.into());
    // Our own text, which reads unless the store was tampered with.
    if let Ok(event) = serde_json::from_str::<Event>(&view.event) {
        let known = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        context.insert("consumer_version_branch".into(), known(&event.consumer.branch));
        context.insert("build_url".into(), known(&event.build_url));
        context.insert("consumer_version_tags".into(), json!(event.consumer.tags));
        if event.event_name == EventName::ContractRequiringVerificationPublished {
            let provider = &event.provider;
            context.insert("provider_version_number".into(), known(&provider.version_number));
            context.insert("provider_version_branch".into(), known(&provider.branch));
            let descriptions = json!(provider.version_descriptions);
            context.insert("provider_version_descriptions".into(), descriptions);
        }
    }
    context.insert("event_name".into(), view.row.event_name.as_str().into());
    Value::Object(context)
}

#[cfg(test)]
mod tests {
    use postrider_store::KeptRequest;

    use super::*;

    fn attempt(outcome: Outcome, started_at: &str) -> AttemptRow {
        AttemptRow {
            number: 1,
            started_at: started_at.parse().unwrap(),
            duration: Duration::from_secs(1),
            outcome,
            status_code: None,
            github_request_id: None,
            possible_duplicate: false,
            retry_after_capped: false,
            request: KeptRequest::Nothing,
            response: String::new(),
        }
    }

    fn row(status: DeliveryStatus, next_attempt_at: Option<&str>) -> DeliveryRow {
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        let id = "01930000-0000-7000-8000-000000000000";
        DeliveryRow {
            id: id.parse().unwrap(),
            event_id: id.parse().unwrap(),
            event_name: EventName::ContractPublished,
            broker: "default".to_owned(),
            webhook_uuid: "2LCteR1tS9v0HLxPmpkNaA".parse().unwrap(),
            consumer: "C".to_owned(),
            provider: "P".to_owned(),
            consumer_version: String::new(),
            status,
            lane: "host/token".to_owned(),
            attempts: 2,
            last_outcome: None,
            last_status_code: None,
            next_attempt_at: next_attempt_at.map(|at| at.parse().unwrap()),
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn endings() {
        let attempts = [
            attempt(Outcome::ServerError, "2026-11-22T00:00:00Z"),
            attempt(Outcome::Credential, "2026-11-22T00:00:11Z"),
            attempt(Outcome::ServerError, "2026-11-22T00:01:00Z"),
        ];
        let failed = row(DeliveryStatus::Failed, None);
        let waits = row(DeliveryStatus::Retrying, Some("2026-11-22T00:02:01Z"));
        let held = row(DeliveryStatus::Held, None);
        let seconds = |seconds| Ending::RetryIn(Duration::from_secs(seconds));
        let when_open = Ending::RetryWhenOpen("host/token");
        for (row, index, expected) in [
            (&failed, 0, seconds(10)),
            (&failed, 1, when_open),
            (&failed, 2, Ending::GivenUp { attempts: 2 }),
            (&waits, 2, seconds(60)),
            (&held, 2, when_open),
        ] {
            assert_eq!(ending(row, &attempts, index, &attempts[index]), expected, "{index}");
        }
        let taken = attempt(Outcome::Accepted, "2026-11-22T00:00:00Z");
        assert_eq!(ending(&failed, &attempts, 0, &taken), Ending::Succeeded);
    }
}
