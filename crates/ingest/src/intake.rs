//! The role as one object: its tasks and its calls.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::post;
use postrider_domain::LaneId;
use postrider_http_server::openapi::Document;
use postrider_http_server::{Limit, Route, Shared, route, router};
use postrider_queue::Fresh;
use postrider_telemetry::{Supervisor, spans};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Inner};
use crate::commit::{Committer, Parts};
use crate::dispatch::{DispatchQueue, Dispatcher, Ready};
use crate::events::BUILDERS;
use crate::webhook_cache::WebhookCache;
use crate::{IngestConfig, events, relay, traced};

/// The calls that bring events.
const ROUTES: &[Route<App>] = &[
    route!(POST "/events" => events::post, events::described),
    route!(POST "/hooks/broker" => relay::unnamed, relay::unnamed_described),
    route!(POST "/hooks/broker/{name}" => relay::named, relay::named_described),
];

/// The intake of events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest(App);

impl Ingest {
    /// Starts the `tasks` of the role; their supervisor learns of those that can't go on. They
    /// end after `cancel`, once what was taken is committed; from then on new events are refused
    /// with 503.
    pub fn start(
        config: IngestConfig,
        shared: Shared,
        queue: DispatchQueue,
        tasks: (&TaskTracker, &Supervisor),
        cancel: CancellationToken,
    ) -> Self {
        let (tracker, supervisor) = tasks;
        shared.metrics.expect_events();
        let memory = shared.memory.clone();
        let (webhooks, dispatcher) = (WebhookCache::default(), Dispatcher::new(queue));
        let parts = Arc::new(Parts { shared, webhooks, dispatcher });
        let committer = Committer::start(Arc::clone(&parts), memory, tasks, cancel.clone());
        let (guarded, most, until) = (Arc::clone(&parts), config.max_unpublished, cancel.clone());
        supervisor.spawn(tracker, "unpublished", move || {
            let (guarded, until) = (Arc::clone(&guarded), until.clone());
            async move { guarded.dispatcher.guard(guarded.store(), most, until).await }
        });
        let limit = Limit::new(config.intake_rate);
        Self(App::new(Inner {
            config,
            committer,
            builders: Semaphore::new(BUILDERS),
            parts,
            limit,
            tracker: tracker.clone(),
            cancel,
        }))
    }

    /// The calls that bring events; who may make them is judged outside. Serve it with connect
    /// info (`into_make_service_with_connect_info::<SocketAddr>()`), which trusted proxies need.
    pub fn router(&self) -> Router {
        // As at the broker's own paths, a slash at the end changes nothing.
        let routes = router(ROUTES)
            .route("/hooks/broker/", post(relay::unnamed))
            .route("/hooks/broker/{name}/", post(relay::named));
        let routes = if spans::is_on() { routes.layer(from_fn(traced::call)) } else { routes };
        routes.with_state(self.0.clone())
    }

    /// Tells the OpenAPI document of these calls.
    pub fn describe(document: &mut Document) {
        for route in ROUTES {
            document.add(route.method, route.path, (route.describe)());
        }
    }

    /// Sends a delivery that was committed elsewhere to a worker, without waiting for it.
    pub fn dispatch(&self, fresh: Fresh) {
        // A limited lane's leader is woken by its name; whether it is one the worker knows.
        let wake = vec![(fresh.lane, None)];
        let ready = Ready { fresh: vec![fresh], wake };
        let parts = Arc::clone(&self.0.parts);
        // The store path takes it too, should the queue be slow.
        self.0.tracker.spawn(async move {
            let handover = parts.dispatcher.handover(&ready).await;
            parts.dispatcher.dispatch(parts.store(), ready, handover).await;
        });
    }

    /// Wakes the workers of lanes that changed; over RabbitMQ they look each second anyway.
    pub fn wake(&self, lanes: &[LaneId]) {
        self.0.parts.dispatcher.wake(lanes);
    }
}
