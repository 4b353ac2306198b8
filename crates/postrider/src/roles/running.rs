//! A process's roles while they run, and their end in the right order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_deliver::{Waker, Worker, WorkerConfig};
use postrider_ingest::{Ingest, Road};
use postrider_monitor::Monitor;
use postrider_queue::{Consumer, Publisher};
use postrider_store::WorkerId;
use postrider_telemetry::{Metrics, spans};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Role;
use super::opened::Opened;
use crate::admin::{Admin, Health};
use crate::cli::{Exit, Failure};
use crate::config::{Mode, Settings, wiring};

/// How often a running process looks after its own parts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Requests that are being answered when the intake stops.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// The queue's connections after everything is settled.
const QUEUE_WITHIN: Duration = Duration::from_secs(2);
/// Spans that are not exported yet; a collector that hangs costs this much.
const SPANS_WITHIN: Duration = Duration::from_secs(2);

/// A process's roles.
pub(crate) struct Running {
    role: Role,
    opened: Opened,
    metrics: Metrics,
    health: Arc<Health>,
    listen: Option<SocketAddr>,
    admin_listen: SocketAddr,
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
        let opened = Opened::open(settings, role).await?;
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?;
        if let Some(config) = wiring::span_config(settings, role.as_str()) {
            spans::start(config, metrics.clone()).map_err(|e| Failure::usage(e.to_string()))?;
        }
        let health = Arc::new(Health::new(opened.store.clone()));
        let mut running = Self {
            role,
            opened,
            metrics,
            health,
            listen: None,
            admin_listen: settings.listen.admin,
            worker: None,
            publisher: None,
            intake: CancellationToken::new(),
            intake_tasks: TaskTracker::new(),
            rest: CancellationToken::new(),
            rest_tasks: TaskTracker::new(),
        };
        running.start_admin(settings).await?;
        if role.delivers() {
            running.start_worker(settings)?;
        }
        if role.ingests() {
            running.start_ingest(settings).await?;
        }
        if role.monitors() {
            running.start_monitor(settings)?;
        }
        running.health.started();
        Ok(running)
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
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
    }

    /// Returns when a part ended that must not end.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tick.tick().await;
            if let Some(what) = self.unusable_road() {
                return Failure::usage(what)
                    .fix("delete the queue once it is empty, or use another virtual host")
                    .into();
            }
            if self.worker.as_ref().is_some_and(|worker| !worker.is_alive()) {
                return Failure::new(Exit::No, "the worker stopped by itself; see the log").into();
            }
        }
    }

    /// Queues that exist with other arguments: no retry mends that.
    fn unusable_road(&self) -> Option<String> {
        let published = self.publisher.as_ref().and_then(Publisher::fatal);
        let consumed = self.worker.as_ref().and_then(Worker::unusable_road);
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
        self.opened.store.close().await;
    }

    async fn start_admin(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let listener = bind(settings.listen.admin, "POSTRIDER_ADMIN_LISTEN").await?;
        self.admin_listen = listener.local_addr()?;
        let admin = Admin::new(Arc::clone(&self.health), self.metrics.clone());
        let stop = self.rest.clone();
        self.rest_tasks.spawn(async move {
            let served = axum::serve(listener, admin.router())
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            told("admin", served);
        });
        Ok(())
    }

    fn start_worker(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let road = match &settings.mode {
            Mode::Embedded { .. } => None,
            Mode::Distributed { .. } => {
                let config = wiring::queue_config(settings, "worker")?;
                // Its own token: copies are acknowledged until the very end.
                Some(Consumer::start(config, &self.rest_tasks, self.rest.clone()))
            }
        };
        let worker = Worker::start(
            worker_config(settings)?,
            self.opened.store.clone(),
            WorkerId(Uuid::now_v7()),
            road,
            self.metrics.clone(),
        )
        .map_err(|error| Failure::usage(error.to_string()))?;
        self.worker = Some(worker);
        Ok(())
    }

    async fn start_ingest(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let road = match &settings.mode {
            Mode::Embedded { .. } => Road::InProcess(wake(self.worker.as_ref().map(Worker::waker))),
            Mode::Distributed { .. } => {
                let config = wiring::queue_config(settings, "ingest")?;
                let publisher = Publisher::start(config, &self.rest_tasks, self.rest.clone());
                self.publisher = Some(publisher.clone());
                self.show_depths(publisher.clone(), settings.monitor.interval);
                Road::Queue(publisher)
            }
        };
        let listener = bind(settings.listen.listen, "POSTRIDER_LISTEN").await?;
        self.listen = Some(listener.local_addr()?);
        let config = wiring::ingest_config(settings, self.opened.master_key.clone());
        let ingest = Ingest::start(
            config,
            self.opened.store.clone(),
            road,
            self.metrics.clone(),
            &self.intake_tasks,
            self.intake.clone(),
        );
        let service = ingest.router().into_make_service_with_connect_info::<SocketAddr>();
        let stop = self.intake.clone();
        self.intake_tasks.spawn(async move {
            let served =
                axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
            told("intake", served);
        });
        Ok(())
    }

    fn show_depths(&self, publisher: Publisher, every: Duration) {
        let (metrics, stop) = (self.metrics.clone(), self.rest.clone());
        self.rest_tasks.spawn(async move {
            let mut tick = tokio::time::interval(every);
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                if publisher.is_up() {
                    metrics.set_queue_depths(publisher.depths().await);
                }
            }
        });
    }

    fn start_monitor(&self, settings: &Settings) -> anyhow::Result<()> {
        let config = wiring::monitor_config(settings)?;
        let owner = WorkerId(Uuid::now_v7());
        let monitor = Monitor::new(config, self.opened.store.clone(), self.metrics.clone(), owner)
            .map_err(|error| Failure::usage(error.to_string()))?;
        self.rest_tasks.spawn(monitor.run(self.rest.clone()));
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

fn told(what: &str, served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, what, "serving ended");
    }
}

fn wake(waker: Option<Waker>) -> postrider_ingest::Wake {
    Arc::new(move |lanes| {
        if let Some(waker) = &waker {
            waker.wake(lanes);
        }
    })
}

fn worker_config(settings: &Settings) -> anyhow::Result<WorkerConfig> {
    let (webhook, worker) = (&settings.webhook, &settings.worker);
    let proxy = webhook.https_proxy.as_ref().map(|url| url.expose_secret().to_owned());
    Ok(WorkerConfig {
        timeout: webhook.timeout,
        claim_margin: worker.claim_margin,
        lease: worker.lease,
        poll: worker.poll_interval,
        janitor: worker.janitor_interval,
        probe: worker.probe_interval,
        grace: worker.shutdown_grace,
        concurrency: worker.concurrency,
        retry: webhook.retry.clone(),
        success_codes: webhook.success_codes.clone(),
        schemes: webhook.schemes.clone(),
        methods: webhook.methods.clone(),
        hosts: webhook.hosts.clone(),
        addresses: webhook.addresses.clone(),
        certificates: wiring::certificates(settings)?,
        proxy,
        no_proxy: webhook.no_proxy.clone(),
        user_agent: concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}
