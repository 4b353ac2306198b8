//! A process's roles while they run, and their end in the right order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use postrider_cli::{Exit, Failure};
use postrider_config::{Mode, Settings};
use postrider_http_client::Outbound;
use postrider_http_server::Shared;
use postrider_ingest::{DispatchQueue, Ingest};
use postrider_monitor::Monitor;
use postrider_queue::{Consumer, Publisher, QueueConfig};
use postrider_store::WorkerId;
use postrider_telemetry::names::CONNECTIONS;
use postrider_telemetry::{Metrics, QueueLink, Supervisor, spans};
use postrider_web::{Announce, Announcement, Web};
use postrider_worker::{Waker, Worker};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::role::Role;
use super::store_handle::StoreHandle;
use crate::admin::{Admin, Health};
use crate::serving::{self, Server};
use crate::{version, wiring};

/// How often a running process looks after its own parts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Connections for health and metrics; those of callers never take their place.
const ADMIN_CONNECTIONS: usize = 64;
/// Requests that are being answered when the intake stops.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// The queue's connections after everything is settled.
const QUEUE_WITHIN: Duration = Duration::from_secs(2);
/// Spans that are not exported yet; a collector that hangs costs this much.
const SPANS_WITHIN: Duration = Duration::from_secs(2);

/// A process's roles.
pub(crate) struct Running {
    role: Role,
    handle: StoreHandle,
    metrics: Metrics,
    health: Arc<Health>,
    listen: Option<SocketAddr>,
    admin_listen: SocketAddr,
    /// Learns of long tasks that can't go on.
    supervisor: Supervisor,
    worker: Option<Worker>,
    publisher: Option<Publisher>,
    /// Stops HTTP in and the intake.
    intake: CancellationToken,
    intake_tasks: TaskTracker,
    /// Stops everything else.
    rest: CancellationToken,
    rest_tasks: TaskTracker,
}

impl Running {
    /// Starts the roles; returns once all sockets are bound.
    pub(crate) async fn start(settings: &Settings, role: Role) -> anyhow::Result<Self> {
        let asks_brokers = role.ingests() && !settings.brokers.is_empty();
        let sends = role.delivers() || role.monitors() || asks_brokers;
        let outbound = if sends { wiring::outbound(settings)? } else { Outbound::default() };
        let supervisor = Supervisor::default();
        let handle = StoreHandle::open(settings, role, &supervisor).await?;
        let metrics = Metrics::new(version::VERSION, version::REVISION)?;
        if let Some(config) = wiring::span_config(settings, role.as_str()) {
            spans::start(config, metrics.clone()).map_err(|e| Failure::usage(e.to_string()))?;
        }
        let health = Arc::new(Health::new(role, handle.store.clone()));
        let mut running = Self {
            role,
            handle,
            metrics,
            health,
            listen: None,
            admin_listen: settings.listen.admin,
            supervisor,
            worker: None,
            publisher: None,
            intake: CancellationToken::new(),
            intake_tasks: TaskTracker::new(),
            rest: CancellationToken::new(),
            rest_tasks: TaskTracker::new(),
        };
        running.start_admin(settings).await?;
        if role.delivers() {
            running.start_worker(settings, &outbound)?;
        }
        if role.ingests() {
            running.start_ingest(settings, &outbound).await?;
        }
        if role.monitors() {
            running.start_monitor(settings, &outbound)?;
        }
        running.health.started();
        running.tell_encryption(settings).await;
        Ok(running)
    }

    /// Encryption costs a fifth of all CPU time and is right on any network that others use; which
    /// of both it is should be somebody's choice.
    async fn tell_encryption(&self, settings: &Settings) {
        let Mode::Distributed { amqp_url, .. } = &settings.mode else {
            return;
        };
        let queue_encrypted = amqp_url.expose_secret().starts_with("amqps:");
        match self.handle.store.is_encrypted().await {
            Ok(store_encrypted) => {
                tracing::info!(store_encrypted, queue_encrypted, "{CONNECTIONS}");
            }
            Err(error) => tracing::warn!(%error, queue_encrypted, "{CONNECTIONS}"),
        }
    }

    /// Where the intake listens; `None` for a role without one.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// The first line that tells other programs where to find this one.
    pub(crate) fn announce(&self) {
        let listen = self.listen.map(|address| address.to_string());
        tracing::info!(
            role = self.role.as_str(),
            listen,
            admin_listen = %self.admin_listen,
            version = version::VERSION,
            revision = version::REVISION,
            "listening"
        );
    }

    /// Returns when a part ended that must not end.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                task = self.supervisor.gave_up() => {
                    let what = format!("the task {task:?} panicked three times within a minute");
                    let failure = Failure::new(Exit::GaveUp, what);
                    return failure.fix("see the log; a supervisor may start the process again").into();
                }
                _ = tick.tick() => self.measure(),
            }
            if let Some(what) = self.unusable_queue() {
                return Failure::usage(what)
                    .fix("delete the queue once it is empty, or use another virtual host")
                    .into();
            }
        }
    }

    /// What the process knows of its own work and its link to `RabbitMQ`.
    fn measure(&self) {
        if let Some(worker) = &self.worker {
            self.metrics.set_claims_in_flight(worker.claims_in_flight());
        }
        if let Some(publisher) = &self.publisher {
            self.metrics.set_queue_up(QueueLink::Publisher, publisher.is_up());
        }
    }

    /// Queues that exist with other arguments: no retry mends that.
    fn unusable_queue(&self) -> Option<String> {
        let published = self.publisher.as_ref().and_then(Publisher::fatal);
        let consumed = self.worker.as_ref().and_then(Worker::unusable_queue);
        published.map(|error| error.to_string()).or_else(|| consumed.map(str::to_owned))
    }

    /// Stops taking events, finishes what is in flight, records it, gives back the rest.
    pub(crate) async fn stop(self) {
        self.health.stopping();
        self.intake.cancel();
        self.intake_tasks.close();
        if tokio::time::timeout(ANSWERS_WITHIN, self.intake_tasks.wait()).await.is_err() {
            tracing::warn!("shutdown.answers_not_given");
        }
        if let Some(worker) = self.worker {
            worker.stop().await;
        }
        self.rest.cancel();
        self.rest_tasks.close();
        if tokio::time::timeout(QUEUE_WITHIN, self.rest_tasks.wait()).await.is_err() {
            tracing::debug!(left = self.rest_tasks.len(), "shutdown.tasks_left");
        }
        if spans::is_on() {
            export_rest().await;
        }
        self.handle.store.close().await;
    }

    async fn start_admin(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let listener = bind(settings.listen.admin, "POSTRIDER_ADMIN_LISTEN").await?;
        self.admin_listen = listener.local_addr()?;
        let admin = Admin::new(Arc::clone(&self.health), self.metrics.clone());
        let (name, most, stop) = ("admin server", ADMIN_CONNECTIONS, self.rest.clone());
        let server = Server { name, router: admin.router(), most, stop };
        server.serve(listener, &self.supervisor, &self.rest_tasks);
        Ok(())
    }

    fn start_worker(&mut self, settings: &Settings, outbound: &Outbound) -> anyhow::Result<()> {
        let queue = match &settings.mode {
            Mode::Embedded { .. } => None,
            Mode::Distributed { .. } => {
                let supervisor = self.supervisor.clone();
                let config =
                    QueueConfig { supervisor, ..wiring::queue_config(settings, "worker")? };
                // Its own token: messages are acknowledged until the very end.
                Some(Consumer::start(config, &self.rest_tasks, &self.rest))
            }
        };
        let worker = Worker::start(
            wiring::worker_config(settings, outbound.clone()),
            self.handle.store.clone(),
            WorkerId(Uuid::now_v7()),
            queue,
            self.metrics.clone(),
            &self.supervisor,
        )
        .map_err(|error| Failure::usage(error.to_string()))?;
        self.worker = Some(worker);
        Ok(())
    }

    async fn start_ingest(
        &mut self,
        settings: &Settings,
        outbound: &Outbound,
    ) -> anyhow::Result<()> {
        let queue = match &settings.mode {
            Mode::Embedded { .. } => {
                let waker = self.worker.as_ref().map(Worker::waker);
                DispatchQueue::InProcess { wake: wake(waker.clone()), offer: offer(waker) }
            }
            Mode::Distributed { .. } => {
                let supervisor = self.supervisor.clone();
                let config =
                    QueueConfig { supervisor, ..wiring::queue_config(settings, "ingest")? };
                let publisher = Publisher::start(config, &self.rest_tasks, self.rest.clone());
                self.publisher = Some(publisher.clone());
                self.show_depths(publisher.clone(), settings.monitor.interval);
                DispatchQueue::RabbitMq(publisher)
            }
        };
        let listener = bind(settings.listen.listen, "POSTRIDER_LISTEN").await?;
        self.listen = Some(listener.local_addr()?);
        let router = self.router(settings, queue, outbound);
        let most = serving::room_for_connections(settings.way_in.max_connections);
        let (name, stop) = ("server", self.intake.clone());
        let server = Server { name, router, most, stop };
        server.serve(listener, &self.supervisor, &self.intake_tasks);
        Ok(())
    }

    /// The intake of events and both APIs under one address.
    fn router(&self, settings: &Settings, queue: DispatchQueue, outbound: &Outbound) -> Router {
        let shared = Shared::new(self.handle.store.clone(), self.metrics.clone());
        let master_key = &self.handle.master_key;
        let (tasks, stop) = (&self.intake_tasks, &self.intake);
        let config = wiring::ingest_config(settings, master_key.clone(), outbound);
        let tasks_of_ingest = (tasks, &self.supervisor);
        let ingest = Ingest::start(config, shared.clone(), queue, tasks_of_ingest, stop.clone());
        let config = wiring::web_config(settings, master_key.clone(), outbound);
        let count = config.tokens.short();
        if count > 0 {
            tracing::warn!(count, fix = "openssl rand -hex 24", "tokens.short");
        }
        let announce = announce(ingest.clone());
        let document = crate::openapi::document;
        let web = Web::new(config, shared, announce, document, tasks.clone(), stop.clone());
        web.router(ingest.router())
    }

    fn show_depths(&self, publisher: Publisher, every: Duration) {
        let (metrics, stop) = (self.metrics.clone(), self.rest.clone());
        self.supervisor.spawn(&self.rest_tasks, "depths", move || {
            let (publisher, metrics, stop) = (publisher.clone(), metrics.clone(), stop.clone());
            async move {
                let mut tick = tokio::time::interval(every);
                while stop.run_until_cancelled(tick.tick()).await.is_some() {
                    if publisher.is_up() {
                        metrics.set_queue_depths(publisher.depths().await);
                    }
                }
            }
        });
    }

    fn start_monitor(&self, settings: &Settings, outbound: &Outbound) -> anyhow::Result<()> {
        let config = wiring::monitor_config(settings, outbound);
        let owner = WorkerId(Uuid::now_v7());
        let (store, metrics) = (self.handle.store.clone(), self.metrics.clone());
        let stop = self.rest.clone();
        let make = move || Monitor::new(config.clone(), store.clone(), metrics.clone(), owner);
        let mut first = Some(make().map_err(|error| Failure::usage(error.to_string()))?);
        self.supervisor.spawn(&self.rest_tasks, "monitor", move || {
            // What could be made once can be made again.
            let monitor = first.take().map_or_else(&make, Ok);
            let stop = stop.clone();
            async move {
                match monitor {
                    Ok(monitor) => Box::pin(monitor.run(stop)).await,
                    Err(error) => tracing::error!(%error, "monitor.not_started"),
                }
            }
        });
        Ok(())
    }
}

/// The last spans; beside the runtime's own threads, because the exporter blocks.
async fn export_rest() {
    if let Err(error) = tokio::task::spawn_blocking(|| spans::stop(SPANS_WITHIN)).await {
        tracing::debug!(%error, "shutdown.spans_not_exported");
    }
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!("{setting}: {address} cannot be listened on: {error}"))
            .fix("choose another address, or port 0 for a free one")
    })
}

/// What the APIs start goes the way of all deliveries.
fn announce(ingest: Ingest) -> Announce {
    Arc::new(move |announcement| match announcement {
        Announcement::Delivery(fresh) => ingest.dispatch(fresh),
        Announcement::Lanes(lanes) => ingest.wake(&lanes),
    })
}

fn wake(waker: Option<Waker>) -> postrider_ingest::Wake {
    Arc::new(move |lanes| {
        if let Some(waker) = &waker {
            waker.wake(lanes);
        }
    })
}

fn offer(waker: Option<Waker>) -> postrider_ingest::Offer {
    Arc::new(move |deliveries| match &waker {
        Some(waker) => waker.offer(deliveries),
        // Whose other end is gone: nobody claims.
        None => oneshot::channel().1,
    })
}
