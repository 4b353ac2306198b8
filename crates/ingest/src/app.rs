//! What the handlers of all calls share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use postrider_http_server::{Caller, Limit, MemoryBudget, Problem, Shared};
use postrider_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::IngestConfig;
use crate::commit::{Committer, Parts};

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: IngestConfig,
    pub(crate) committer: Committer,
    /// Places for calls of several events to build them.
    pub(crate) builders: Semaphore,
    pub(crate) parts: Arc<Parts>,
    pub(crate) limit: Limit,
    pub(crate) tracker: TaskTracker,
    pub(crate) cancel: CancellationToken,
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// 503 while no event can be taken.
    pub(crate) fn is_open(&self) -> Result<(), Problem> {
        if self.cancel.is_cancelled() {
            Err(Problem::away("shutting down: try again"))
        } else if self.parts.dispatcher.is_full() {
            Err(Problem::away("RabbitMQ is away and too much waits for it: try again later"))
        } else {
            Ok(())
        }
    }

    /// Who sends events, where that matters.
    pub(crate) fn caller(&self, request: &Request) -> Option<Caller> {
        let config = &self.config;
        let is_counted = self.limit.is_on();
        is_counted.then(|| Caller::of(request, &config.tokens, &config.trusted_proxies))
    }

    /// Takes so many events out of the caller's bucket.
    ///
    /// # Errors
    /// 429: there are not enough, and nothing is to be done.
    pub(crate) fn count_events(
        &self,
        caller: Option<Caller>,
        events: usize,
    ) -> Result<(), Problem> {
        let Some(caller) = caller else { return Ok(()) };
        let amount = u32::try_from(events).unwrap_or(u32::MAX);
        self.limit.take(caller, amount, Instant::now()).inspect_err(|_| {
            let name = caller.name(&self.config.tokens, &self.config.master_key);
            self.shared().metrics.http_limited(&name, "events");
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.parts.shared
    }

    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.shared().memory
    }

    pub(crate) fn store(&self) -> &Store {
        self.parts.store()
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
