//! Whether a request may leave, asked right before it does.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::HeldClaim;
use crate::clock::Clock;
use crate::driver::owed::Events;
use postrider_scheduler::{ClaimKey, Clearance, Event, Ticket};

/// What the scheduler says to a request that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It leaves.
    Send,
    /// It does not.
    Withdraw,
}

/// A request that leaves when it is told.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) events: Events,
    pub(crate) told: oneshot::Receiver<Told>,
}

impl Turn {
    /// The request is ready; `claim` is one that the scheduler does not know. Whether it leaves;
    /// it does not when the scheduler is gone.
    pub(crate) async fn comes(self, ticket: Ticket, claim: Option<ClaimKey>) -> bool {
        self.events.tell(Event::Prepared { ticket, claim });
        match self.told.await {
            Ok(Told::Send) => true,
            Ok(Told::Withdraw) | Err(_) => false,
        }
    }
}

/// What an attempt asks.
#[derive(Debug)]
pub(crate) struct Leave {
    pub(crate) clearance: Clearance,
    pub(crate) clock: Clock,
    pub(crate) stopping: CancellationToken,
    /// Set where the request leaves when it is told.
    pub(crate) turn: Option<Turn>,
}

impl Leave {
    /// The work, unless nothing more is to be sent anyway.
    pub(super) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(work).await
    }

    /// The request of a probe without a claim is ready: whether it leaves.
    pub(crate) async fn granted_to_probe(self) -> bool {
        match self.turn {
            Some(turn) => turn.comes(self.clearance.ticket(), None).await,
            None => false,
        }
    }

    /// The request is ready: whether it leaves. The scheduler's clock and the claim's own time
    /// must both allow it (BOOTTIME).
    pub(super) async fn granted(self, held: &Arc<HeldClaim>) -> bool {
        if let Some(turn) = self.turn {
            let claim = &held.claim;
            let own = ClaimKey { id: claim.id, claim_no: claim.claim_no };
            let comes = turn.comes(self.clearance.ticket(), held.is_probe.then_some(own));
            let is_told = if held.is_probe {
                // The scheduler does not know how long its claim lasts: it is given back in time.
                tokio::time::timeout(held.time_left(), comes).await.unwrap_or(false)
            } else {
                comes.await
            };
            if !is_told {
                return false;
            }
        }
        self.clearance.may_send(self.clock.now()) && !held.is_too_late()
    }
}
