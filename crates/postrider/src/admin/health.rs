//! How the process is.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_store::Store;
use postrider_telemetry::{Metrics, PoolSample};

use crate::roles::Role;

/// A store that does not answer a ping by then counts as away.
pub(super) const PING_WITHIN: Duration = Duration::from_secs(2);

/// A step that has been under way for longer gets no answer from the database: it is given up
/// soon, and until then what depends on it stands still. One that has been refused for longer
/// stands still as well.
const STEP_WITHIN: Duration = Duration::from_secs(3);

/// What the probes ask for.
#[derive(Debug)]
pub(crate) struct Health {
    pub(super) role: Role,
    pub(super) store: Store,
    started: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    pub(crate) fn new(role: Role, store: Store) -> Self {
        Self { role, store, started: AtomicBool::new(false), stopping: AtomicBool::new(false) }
    }

    /// All parts of the process run.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// The process is about to end: no more traffic, please.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// What the store says of itself, for the metrics.
    pub(super) fn measure(&self, metrics: &Metrics) {
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
    pub(super) async fn unready(&self) -> Option<Cow<'static, str>> {
        if !self.has_started() {
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
        if let Some((step, time)) =
            self.store.failing_step().filter(|(_, time)| *time > STEP_WITHIN)
        {
            let time = time.as_secs_f32();
            return Some(format!("the database has refused {step} for {time:.1} s").into());
        }
        match tokio::time::timeout(PING_WITHIN, self.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => Some("the database is away".into()),
        }
    }
}
