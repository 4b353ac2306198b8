//! Work that goes on beside judging, each kind under a lease of its own: one process does it, and
//! nothing else waits for it.

use std::time::Duration;

use postrider_store::{Store, StoreError, WorkerId};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// One kind of work that comes again and again.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Its name, also of the lease.
    pub(crate) name: &'static str,
    /// How long after its end it begins again.
    pub(crate) every: Duration,
    /// How often the lease is renewed.
    pub(crate) beat: Duration,
    pub(crate) store: Store,
    pub(crate) owner: WorkerId,
}

impl Task {
    /// Until cancelled; to drop it is fine at any time.
    pub(crate) async fn run<W>(self, cancel: &CancellationToken, work: impl Fn() -> W)
    where
        W: Future<Output = Result<(), StoreError>>,
    {
        let mut ended: Option<Instant> = None;
        while !cancel.is_cancelled() {
            let is_due = ended.is_none_or(|at| at.elapsed() >= self.every);
            if self.holds().await && is_due {
                tokio::select! {
                    done = work() => {
                        if let Err(error) = done {
                            tracing::warn!(%error, task = self.name, "monitor.task_failed");
                        }
                    }
                    () = self.until_lost() => {
                        tracing::warn!(task = self.name, "monitor.task_lease_lost");
                    }
                }
                ended = Some(Instant::now());
            }
            let _ = cancel.run_until_cancelled(sleep(self.beat)).await;
        }
    }

    /// Takes or renews the lease.
    async fn holds(&self) -> bool {
        let length = self.beat * 3 + Duration::from_secs(5);
        match self.store.task_lease(self.name, self.owner, length).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, task = self.name, "monitor.task_lease_unknown");
                false
            }
        }
    }

    /// Until two renewals in a row failed: somebody else may hold it soon.
    async fn until_lost(&self) {
        let mut failed = 0;
        while failed < 2 {
            sleep(self.beat).await;
            failed = if self.holds().await { 0 } else { failed + 1 };
        }
    }
}
