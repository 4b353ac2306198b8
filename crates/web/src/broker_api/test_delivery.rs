//! Executing a webhook to test it, saved or not: 200 with what came of it, whatever that is
//! (Pact Broker 2.120). The answer of the target is always shown.

mod data;

use axum::body::Body;
use http::StatusCode;
use jiff::Timestamp;
use postrider_api::broker::{Execution, WebhookDocument};
use postrider_domain::{DeliveryId, DeliveryStatus, EventId, Webhook, WebhookUuid};
use postrider_store::{DeliveryView, NewExecution, StoredWebhook, Subject, WebhookWrite};
use postrider_telemetry::TraceContext;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::api::example;
use crate::broker_api::base::Bases;
use crate::broker_api::described::{Described, call, text};
use crate::broker_api::logs::{self, Level, LoggedAttempt, log_line, log_lines};
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};
use crate::broker_api::scope::Scope;
use crate::broker_api::webhooks;
use crate::shown::ShownRequest;
use crate::test_delivery::{Ending, obstacle};

/// The webhook to test.
enum Tested {
    Saved(Box<StoredWebhook>),
    Unsaved(Box<WebhookWrite>),
}

impl Tested {
    fn webhook(&self) -> &Webhook {
        match self {
            Self::Saved(stored) => &stored.webhook,
            Self::Unsaved(write) => &write.webhook,
        }
    }

    /// How clients know it.
    fn uuid(&self) -> Option<&WebhookUuid> {
        match self {
            Self::Saved(stored) => Some(&stored.webhook.uuid),
            Self::Unsaved(_) => None,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Saved(stored) => Subject::Saved(stored.id),
            Self::Unsaved(write) => Subject::Unsaved(write.clone()),
        }
    }
}

/// `/webhooks/{uuid}/execute`; a body is not looked at.
pub(super) async fn saved(context: &RequestContext, uuid: &str) -> Answer {
    context.takes_hal()?;
    let stored = webhooks::stored(context, uuid).await?.ok_or(Failure::NotFound)?;
    test(context, &Tested::Saved(Box::new(stored))).await
}

/// `/webhooks/execute`: judged as if it were to be created.
pub(super) async fn unsaved(context: &RequestContext, body: Body) -> Answer {
    let (webhook, _) = webhooks::described(context, &Scope::all(), body).await?;
    let write = webhooks::to_write(&context.app, webhook).await?;
    test(context, &Tested::Unsaved(Box::new(write))).await
}

pub(super) fn operations() -> [Described; 2] {
    let webhook = "https://postrider.example.org/webhooks/2LCteR1tS9v0HLxPmpkNaA";
    let again = format!("{webhook}/execute");
    let example = json!({
        "request": {
            "headers": {"content-type": "application/json"},
            "body": {"event_type": "x"},
            "url": "/repos/acme/billing/dispatches",
        },
        "response": {"status": 204, "headers": {}},
        "logs": "[2026-11-21T09:00:00Z] INFO: HTTP/1.1 204 No Content\n",
        "success": true,
        "_links": {
            "webhook": {"href": webhook},
            "try-again": {"title": "Execute the webhook again", "href": again},
        },
    });
    let what = "What came of it, whatever that is.";
    let saved = call("executeWebhook", "Test a webhook")
        .description(
            "Sends it once, rendered from the newest event that fits, and waits for the answer.",
        )
        .path("uuid", "The webhook.", &text())
        .answers::<Execution>(200, what)
        .example(200, example);
    let unsaved = call("executeUnsavedWebhook", "Test a webhook without saving it")
        .takes::<WebhookDocument>(example::webhook())
        .answers::<Execution>(200, what);
    [("POST", "/webhooks/{uuid}/execute", saved), ("POST", "/webhooks/execute", unsaved)]
}

async fn test(context: &RequestContext, tested: &Tested) -> Answer {
    let (app, bases) = (&context.app, &context.bases);
    let event = data::event(app.store(), tested.webhook(), &bases.base).await?;
    let new = NewExecution {
        id: DeliveryId(Uuid::now_v7()),
        event_id: EventId(Uuid::now_v7()),
        event,
        traceparent: Some(TraceContext::new_root().to_traceparent()),
        subject: tested.subject(),
        wait: app.test_deliveries.wait(),
    };
    let (changes, timeout) = (context.changes(), tested.webhook().extensions.timeout);
    let ending = app.test_deliveries.run(changes, new, timeout).await?;
    let told = match &ending {
        Ending::Gone => return Err(Failure::NotFound),
        Ending::Made { delivery, lane } => made(delivery, obstacle(lane), tested, bases),
        Ending::NotSent(why) => not_made(why, tested, bases),
        Ending::NoWord => not_made(NO_WORD, tested, bases),
    };
    Ok(response::hal(StatusCode::OK, &document(told, tested, bases)))
}

const NO_WORD: &str = "the worker that took it was not heard of again: it may have been sent";

/// What is told of a test.
struct Told {
    error: Option<String>,
    request: Option<Value>,
    response: Option<Value>,
    logs: String,
    success: bool,
}

fn made(delivery: &DeliveryView, lane: Option<String>, tested: &Tested, bases: &Bases) -> Told {
    let Some(attempt) = delivery.attempts.last() else {
        return not_made(NO_WORD, tested, bases);
    };
    let success = delivery.row.status == DeliveryStatus::Delivered;
    let request = ShownRequest::kept(&attempt.request);
    let mut logs = log_lines(&LoggedAttempt {
        attempt,
        request: &request,
        webhook: tested.uuid(),
        context: &context(bases),
        ending: if success { logs::Ending::Tested } else { logs::Ending::TestFailed },
    });
    if let Some(lane) = lane.filter(|_| !success) {
        logs.push_str(&log_line(Timestamp::now(), Level::Info, &format!("From now on {lane}")));
    }
    let response = kept(&attempt.response);
    let error = response.as_ref().and_then(|kept| kept["error"].as_str()).map(str::to_owned);
    let response = response.filter(|_| error.is_none()).map(|kept| shown_response(&kept));
    Told { error, request: shown_request(&request), response, logs, success }
}

/// Nothing is known of a request.
fn not_made(why: &str, tested: &Tested, bases: &Bases) -> Told {
    let uuid = tested.uuid().map(|uuid| format!(" {uuid}")).unwrap_or_default();
    let lines = [
        (Level::Debug, format!("Webhook context {}", context(bases))),
        (Level::Error, format!("Error executing webhook{uuid} - {why}")),
        (Level::Info, "Webhook execution failed".to_owned()),
    ];
    let now = Timestamp::now();
    Told {
        error: Some(why.to_owned()),
        request: None,
        response: None,
        logs: lines.iter().map(|(level, line)| log_line(now, *level, line)).collect(),
        success: false,
    }
}

fn context(bases: &Bases) -> Value {
    json!({"base_url": bases.base, "event_name": "test"})
}

/// What was kept of a request or an answer (`postrider_render::describe_request`).
fn kept(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// As the broker shows it: without method and origin.
fn shown_request(request: &ShownRequest) -> Option<Value> {
    let mut kept = kept(&request.text)?;
    let url = path_of(kept["url"].as_str().unwrap_or_default()).to_owned();
    let mut shown = Map::new();
    shown.insert("headers".into(), kept["headers"].take());
    let body = kept["body"].take();
    if !body.is_null() {
        shown.insert("body".into(), body);
    }
    shown.insert("url".into(), url.into());
    Some(shown.into())
}

fn shown_response(kept: &Value) -> Value {
    let mut shown = Map::new();
    for member in ["status", "headers", "body"] {
        if !kept[member].is_null() {
            shown.insert(member.into(), kept[member].clone());
        }
    }
    shown.into()
}

/// Path and query of an absolute URL.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find(['/', '?']).and_then(|at| after_scheme.get(at..)).unwrap_or("/")
}

/// The broker's order of members; what is missing is left out.
fn document(told: Told, tested: &Tested, bases: &Bases) -> Value {
    let mut document = Map::new();
    if let Some(message) = told.error {
        document.insert("error".into(), json!({"message": message}));
    }
    if let Some(request) = told.request {
        document.insert("request".into(), request);
    }
    if let Some(response) = told.response {
        document.insert("response".into(), response);
    }
    document.insert("logs".into(), told.logs.into());
    document.insert("success".into(), told.success.into());
    document.insert("_links".into(), links(tested, bases));
    document.into()
}

fn links(tested: &Tested, bases: &Bases) -> Value {
    let again = json!({"title": "Execute the webhook again", "href": bases.request});
    match tested.uuid() {
        Some(uuid) => json!({"webhook": {"href": bases.webhook(uuid)}, "try-again": again}),
        None => json!({"try-again": again}),
    }
}

#[cfg(test)]
mod tests;
