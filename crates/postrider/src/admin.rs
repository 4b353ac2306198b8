//! `/livez /readyz /startupz /healthz /metrics` of every role, without a token.

mod health;
mod verbose;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use postrider_api::Unhealthy;
use postrider_http_server::openapi::{Document, Operation, Tag};
use postrider_http_server::{Route, route, router};
use postrider_telemetry::Metrics;

pub(crate) use health::Health;

/// What is answered.
const ROUTES: &[Route<Admin>] = &[
    route!(GET "/livez" => live, live_described),
    route!(GET "/readyz" => ready, ready_described),
    route!(GET "/healthz" => ready, health_described),
    route!(GET "/startupz" => startup, startup_described),
    route!(GET "/metrics" => metrics, metrics_described),
];

/// The endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    health: Arc<Health>,
    metrics: Metrics,
}

impl Admin {
    pub(crate) fn new(health: Arc<Health>, metrics: Metrics) -> Self {
        Self { health, metrics }
    }

    pub(crate) fn router(self) -> Router {
        router(ROUTES).with_state(self)
    }

    /// Tells the OpenAPI document of the endpoints.
    pub(crate) fn describe(document: &mut Document) {
        for route in ROUTES {
            document.add(route.method, route.path, (route.describe)());
        }
    }
}

async fn live() -> Response {
    Json(postrider_api::Health::ok()).into_response()
}

fn live_described() -> Operation {
    Operation::new(Tag::Admin, "showLive", "Does the process run?")
        .answers::<postrider_api::Health>(200, "Fine.")
        .example(200, postrider_api::Health::ok())
}

async fn ready(State(admin): State<Admin>, uri: Uri) -> Response {
    let unready = admin.health.unready().await;
    if verbose::is_asked(&uri) {
        let is_ready = unready.is_none();
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let readiness = verbose::readiness(&admin.health, &admin.metrics, unready);
        let readiness = Box::pin(readiness).await;
        return (status, Json(readiness)).into_response();
    }
    verdict(unready.as_deref())
}

async fn startup(State(admin): State<Admin>) -> Response {
    verdict((!admin.health.has_started()).then_some("starting"))
}

fn ready_described() -> Operation {
    verbose::described(judged("showReady", "Should it get traffic?"))
}

fn health_described() -> Operation {
    verbose::described(judged("showHealth", "The same as /readyz"))
}

fn startup_described() -> Operation {
    judged("showStarted", "Do all parts of the process run?")
}

fn judged(id: &str, summary: &str) -> Operation {
    Operation::new(Tag::Admin, id, summary)
        .answers::<postrider_api::Health>(200, "Fine.")
        .example(200, postrider_api::Health::ok())
        .answers::<Unhealthy>(503, "No traffic, please.")
        .example(503, Unhealthy::because("the database is away"))
}

fn verdict(unready: Option<&str>) -> Response {
    match unready {
        None => Json(postrider_api::Health::ok()).into_response(),
        Some(reason) => {
            let body = Json(Unhealthy::because(reason));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.health.measure(&admin.metrics);
    match admin.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics.not_rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn metrics_described() -> Operation {
    let text = serde_json::json!({"type": "string"});
    Operation::new(Tag::Admin, "showMetrics", "Metrics of the process")
        .answers_as(200, "Prometheus text format.", "text/plain", &text)
        .answers_nothing(500, "They could not be written; the log has why. Without a body.")
}
