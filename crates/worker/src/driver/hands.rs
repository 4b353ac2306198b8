//! What commands are carried out with.

use std::sync::Arc;
use std::time::Duration;

use postrider_queue::Settler;
use postrider_store::{Lease, Recorded, Store, WorkerId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::owed::Events;
use crate::attempt::{Context, HeldClaim};
use crate::clock::Clock;
use crate::live::LiveClaims;
use postrider_scheduler as scheduler;

/// What all schedulers of a worker share, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Hands {
    pub(crate) context: Arc<Context>,
    pub(crate) store: Store,
    pub(crate) worker: WorkerId,
    pub(crate) clock: Clock,
    pub(crate) live: LiveClaims,
    pub(crate) recorder: mpsc::Sender<Recorded>,
    pub(crate) settler: Option<Settler>,
    /// Attempts; they outlive a scheduler.
    pub(crate) attempts: TaskTracker,
    /// Cancelled when attempts must end at once.
    pub(crate) cut: CancellationToken,
    /// Cancelled when nothing more is to be sent.
    pub(crate) stopping: CancellationToken,
}

/// [`Hands`] with the way to one scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Carrier {
    pub(crate) hands: Hands,
    pub(crate) events: Events,
    /// Steps of the store under way.
    pub(crate) steps: TaskTracker,
    /// Cancelled with its scheduler.
    pub(crate) gone: CancellationToken,
}

impl Hands {
    /// A lease as the store has it.
    pub(crate) fn lease(&self, lease: scheduler::Lease) -> Lease {
        Lease { limit: lease.limit, worker: self.worker, epoch: lease.epoch }
    }

    /// T11. Never waits: what finds the recorder full is handed over beside.
    pub(crate) fn release(&self, held: &HeldClaim, after: Duration) {
        self.live.takes(&held.claim);
        let release = held.released_after(after);
        if let Err(mpsc::error::TrySendError::Full(release)) = self.recorder.try_send(release) {
            let recorder = self.recorder.clone();
            self.attempts.spawn(async move {
                if recorder.send(release).await.is_err() {
                    tracing::debug!("outcome.nobody_records");
                }
            });
        }
    }
}
