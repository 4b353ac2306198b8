//! `/livez /readyz /startupz /healthz /metrics` of every role, without a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use postrider_store::Store;
use postrider_telemetry::Metrics;
use serde_json::json;

/// A store that does not answer a ping by then counts as away.
const PING_WITHIN: Duration = Duration::from_secs(2);

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

    /// Why this process should get no traffic, if so. `RabbitMQ` being away is no reason: events
    /// are accepted and delivered without it.
    async fn unready(&self) -> Option<&'static str> {
        if !self.started.load(Ordering::Relaxed) {
            return Some("starting");
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Some("stopping");
        }
        match tokio::time::timeout(PING_WITHIN, self.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => Some("the database is away"),
        }
    }
}

/// What answers at a path.
type Serves = fn() -> MethodRouter<Admin>;

/// What is answered: each a GET. The OpenAPI document is held against it.
const ROUTES: [(&str, Serves); 5] = [
    ("/livez", || get(live)),
    ("/readyz", || get(ready)),
    ("/healthz", || get(ready)),
    ("/startupz", || get(startup)),
    ("/metrics", || get(metrics)),
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
        let add = |all: Router<Self>, (path, serve): &(&str, Serves)| all.route(path, serve());
        ROUTES.iter().fold(Router::new(), add).with_state(self)
    }
}

async fn live() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    verdict(admin.health.unready().await)
}

async fn startup(State(admin): State<Admin>) -> Response {
    let started = admin.health.started.load(Ordering::Relaxed);
    verdict((!started).then_some("starting"))
}

fn verdict(unready: Option<&str>) -> Response {
    match unready {
        None => Json(json!({ "status": "ok" })).into_response(),
        Some(reason) => {
            let body = Json(json!({ "status": "unavailable", "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics.not_rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::ROUTES;

    #[test]
    fn the_openapi_document_tells_of_all_routes() {
        let document: Value = serde_json::from_str(postrider_ingest::OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let told: BTreeSet<&str> = paths
            .filter(|(_, item)| item["get"]["tags"][0] == "admin")
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(told, ROUTES.iter().map(|(path, _)| *path).collect());
    }
}
