//! A claim while it is worked: dropped without an end, by a panic or a cancellation, it is
//! recorded as what it is (`LOST_ATTEMPT`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::Outcome;
use postrider_store::{AttemptRow, KeptRequest, Recorded, Transition};
use tokio::sync::mpsc;

use super::HeldClaim;
use super::made::error_json;

/// A claim that is worked.
#[derive(Debug)]
pub(crate) struct InHand {
    held: Arc<HeldClaim>,
    /// The request may have left.
    begun: AtomicBool,
    is_over: bool,
    recorder: mpsc::Sender<Recorded>,
}

impl InHand {
    pub(crate) fn new(held: Arc<HeldClaim>, recorder: mpsc::Sender<Recorded>) -> Self {
        Self { held, begun: AtomicBool::new(false), is_over: false, recorder }
    }

    pub(crate) fn held(&self) -> &Arc<HeldClaim> {
        &self.held
    }

    /// From now on the request may have left.
    pub(crate) fn begins(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// It came to this.
    pub(crate) async fn record(mut self, recorded: Recorded) {
        self.is_over = true;
        if self.recorder.send(recorded).await.is_err() {
            tracing::debug!(delivery_id = %self.held.claim.id, "outcome.nobody_records");
        }
    }

    /// It is given back by somebody else.
    pub(crate) fn hand_over(mut self) -> Arc<HeldClaim> {
        self.is_over = true;
        Arc::clone(&self.held)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let claim = &self.held.claim;
        let (has_begun, has_panicked) =
            (self.begun.load(Ordering::Acquire), std::thread::panicking());
        if has_panicked {
            tracing::error!(delivery_id = %claim.id, has_begun, "attempt.panicked");
        } else {
            tracing::warn!(delivery_id = %claim.id, has_begun, "attempt.cut_off");
        }
        let recorded = if has_begun || has_panicked {
            lost(&self.held, has_begun)
        } else {
            self.held.released()
        };
        // The claim runs out if this fails.
        if let Err(error) = self.recorder.try_send(recorded) {
            tracing::warn!(%error, delivery_id = %claim.id, "outcome.not_recorded");
        }
    }
}

/// J1 without waiting for the claim to run out.
fn lost(held: &HeldClaim, may_have_arrived: bool) -> Recorded {
    let claim = &held.claim;
    let attempt = AttemptRow {
        number: claim.number,
        started_at: Timestamp::now(),
        duration: Duration::ZERO,
        outcome: Outcome::Lost,
        status_code: None,
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request: KeptRequest::Nothing,
        response: error_json("the attempt ended without a word"),
    };
    Recorded::of(claim, Transition::Lost { may_have_arrived }, Some(attempt))
}
