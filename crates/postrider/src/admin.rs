//! `/livez /readyz /startupz /healthz /metrics` of every role, without a token.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use postrider_api::Unhealthy;
use postrider_http_server::openapi::{Document, Operation, Tag};
use postrider_http_server::{Route, route, router};
use postrider_store::Store;
use postrider_telemetry::{Metrics, PoolSample};

/// A store that does not answer a ping by then counts as away.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// A step that has been under way for longer gets no answer from the database: it is given up
/// soon, and until then what depends on it stands still.
const STEP_WITHIN: Duration = Duration::from_secs(3);

/// What the probes ask for.
#[derive(Debug)]
pub(crate) struct Health {
    store: Store,
    started: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, started: AtomicBool::new(false), stopping: AtomicBool::new(false) }
    }

    /// All parts of the process run.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// The process is about to end: no more traffic, please.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What the store says of itself, for the metrics.
    fn measure(&self, metrics: &Metrics) {
        let pool = |(pool, size, idle): (&'static str, u32, u32)| PoolSample {
            pool,
            used: size.saturating_sub(idle),
            idle,
        };
        let pools = self.store.connections().into_iter().map(pool).collect();
        let oldest = self.store.oldest_step().map(|(_, age)| age);
        metrics.set_database(pools, oldest.unwrap_or_default());
    }

    /// Why this process should get no traffic, if so. `RabbitMQ` being away is no reason: events
    /// are accepted and delivered without it.
    async fn unready(&self) -> Option<Cow<'static, str>> {
        if !self.started.load(Ordering::Relaxed) {
            return Some("starting".into());
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Some("stopping".into());
        }
        let oldest = self.store.oldest_step();
        if let Some((step, age)) = oldest.filter(|(_, age)| *age > STEP_WITHIN) {
            let age = age.as_secs_f32();
            return Some(format!("the database has not answered {step} for {age:.1} s").into());
        }
        match tokio::time::timeout(PING_WITHIN, self.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => Some("the database is away".into()),
        }
    }
}

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

async fn ready(State(admin): State<Admin>) -> Response {
    verdict(admin.health.unready().await.as_deref())
}

async fn startup(State(admin): State<Admin>) -> Response {
    let started = admin.health.started.load(Ordering::Relaxed);
    verdict((!started).then_some("starting"))
}

fn ready_described() -> Operation {
    judged("showReady", "Should it get traffic?")
}

fn health_described() -> Operation {
    judged("showHealth", "The same as /readyz")
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
