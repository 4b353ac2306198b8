//! One attempt or probe of a process, and its request.

use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, LaneId, LimitId, WebhookId};
use postrider_scheduler::{Lease, Millis, Permit, SendWhen};
use postrider_store::{Claim, ProbeClaim};

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Preparing,
    Ready,
    Sent { at: u64, limit: LimitId },
}

/// An attempt or a probe under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// `None` once a flaw gave it back.
    pub(crate) permit: Option<Permit>,
    pub(crate) claim: Option<Claim>,
    pub(crate) lane: LaneId,
    pub(crate) stage: Stage,
    pub(crate) send: SendWhen,
    /// The claim's own last instant, where the permit does not know it.
    pub(crate) send_by: Millis,
    pub(crate) probing: Option<Probing>,
}

impl Attempt {
    pub(crate) fn of_probe(permit: Permit, lane: LaneId, probing: Probing) -> Self {
        Self {
            permit: Some(permit),
            claim: None,
            lane,
            stage: Stage::Preparing,
            send: SendWhen::Told,
            send_by: Millis(u64::MAX),
            probing: Some(probing),
        }
    }

    pub(crate) fn forfeit(self) {
        if let Some(permit) = self.permit {
            permit.forfeit();
        }
    }
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// `None`: a read.
    pub(crate) delivery: Option<DeliveryId>,
    pub(crate) webhook: Option<WebhookId>,
    pub(crate) lane: LaneId,
    pub(crate) limit: LimitId,
    pub(crate) claim_no: ClaimNo,
    /// Of a probe: beside the concurrency of its lane.
    pub(crate) is_probe: bool,
    /// It says that it may be a duplicate.
    pub(crate) is_marked: bool,
}

/// What a probe knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probing {
    pub(crate) lease: Option<Lease>,
    /// By which its delivery moves the limit's next send.
    pub(crate) interval: Duration,
    pub(crate) right: Option<ProbeClaim>,
    /// It was withdrawn while it waited for the store.
    pub(crate) is_withdrawn: bool,
}

impl Probing {
    pub(crate) fn new(lease: Option<Lease>, interval: Duration) -> Self {
        Self { lease, interval, right: None, is_withdrawn: false }
    }
}
