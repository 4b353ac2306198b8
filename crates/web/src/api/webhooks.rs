//! Whether a webhook's document would be taken, without taking it; the end of a hold by hand.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use postrider_api::{WebhookCheck, WebhookReleased};
use postrider_domain::WebhookUuid;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use serde_json::{Value, json};

use crate::api::body::read_any_object;
use crate::api::example;
use crate::api::params::Segment;
use crate::app::{App, Changes};
use crate::broker_api;

/// `POST /api/v1/webhooks/check`.
pub(super) async fn check(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let document = Value::Object(read_any_object(&app, &headers, body).await?);
    Ok(Json(broker_api::check(&app, &document).await?).into_response())
}

pub(super) fn check_described() -> Operation {
    let anything = json!({
        "type": "object", "description": "A webhook's document, right or wrong.",
    });
    let found = json!({"pointer": "/request/url", "detail": "is missing"});
    Operation::new(Tag::Operations, "checkWebhook", "Check a webhook's document")
        .description(
            "Judges it as creation would, or replacement where its uuid is known; changes nothing.",
        )
        .takes_as("application/json", &anything, example::webhook())
        .answers::<WebhookCheck>(200, "It was judged.")
        .example(200, json!({
            "errors": [found], "warnings": [], "lane": null, "secrets": [], "hidden_changes": [],
        }))
}

/// `POST /api/v1/webhooks/{uuid}/release`.
pub(super) async fn release(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(uuid): Segment,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no webhook with this uuid");
    let uuid: WebhookUuid = uuid.parse().map_err(|_| unknown())?;
    let webhook = app.store().webhook(&uuid).await?.ok_or_else(unknown)?;
    let was_held = changes.release_webhook(&uuid).await?.ok_or_else(unknown)?;
    app.wake(vec![webhook.lane_id]);
    Ok(Json(WebhookReleased { uuid, was_held }).into_response())
}

pub(super) fn release_described() -> Operation {
    Operation::new(Tag::Operations, "releaseHeldWebhook", "Release a webhook")
        .description(
            "What waits for it goes on, if the webhook itself was held. A lane that is held stays \
             so.",
        )
        .path("uuid", "The webhook.", &json!({"type": "string"}))
        .answers::<WebhookReleased>(200, "Fine.")
        .example(200, json!({"uuid": example::WEBHOOK, "was_held": true}))
        .refuses(404, "NotFound")
}
