//! A claim that is held: for how long its request may leave, and how it is given back.

use std::sync::Arc;
use std::time::Duration;

use postrider_queue::MessageContext;
use postrider_store::{Claim, Recorded, Transition};

use crate::clock::BoottimeInstant;

/// A claim with the moment before it was asked for.
#[derive(Debug)]
pub(crate) struct HeldClaim {
    pub(crate) claim: Claim,
    pub(crate) asked_at: BoottimeInstant,
    /// Set when a message brought it whose publishing was recorded.
    pub(crate) message: Option<Arc<MessageContext>>,
    /// It is made to see whether the lane's credential is taken again.
    pub(crate) is_probe: bool,
}

impl HeldClaim {
    /// Rule SEND_CHECK: the answer must be able to arrive within the claim.
    pub(super) fn is_too_late(&self) -> bool {
        self.time_left().is_zero()
    }

    /// For how long the request may still leave.
    pub(super) fn time_left(&self) -> Duration {
        let claim = &self.claim;
        claim.length.saturating_sub(claim.timeout).saturating_sub(self.asked_at.elapsed())
    }

    /// T11: not sent.
    pub(crate) fn released(&self) -> Recorded {
        self.released_after(Duration::ZERO)
    }

    /// T11: not sent, due after a while.
    pub(crate) fn released_after(&self, after: Duration) -> Recorded {
        Recorded::of(&self.claim, Transition::Released { after }, None)
    }
}
