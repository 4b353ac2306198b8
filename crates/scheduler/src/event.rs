//! What the scheduler is told.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, LaneId, LimitId};

use super::permit::Offer;
use super::{Batch, Permit, Ticket};

/// Something that happened. `P` is what a claim carries for its attempt; the scheduler never
/// looks into it.
///
/// Each command that names a [`Batch`] is answered by exactly one event with that batch, and
/// [`Renew`](super::Command::Renew), [`Acquire`](super::Command::Acquire) and
/// [`Poll`](super::Command::Poll) by exactly one of theirs, however the step ended: the
/// scheduler holds back what would overtake an open step, and waits.
#[derive(Debug)]
pub enum Event<P> {
    /// A message brought deliveries that were never claimed, and lanes to look at. An id that
    /// comes twice is kept once.
    Received {
        /// Deliveries and the lane that each was in when the message was written.
        deliveries: Vec<(DeliveryId, LaneId)>,
        /// Lanes for which something was committed that no message carries.
        wake: Vec<LaneId>,
    },
    /// Something was committed for these lanes. A hint: losing it costs time only.
    Woken(Vec<LaneId>),
    /// Intake of this process is about to commit these. Answered at once by
    /// [`ClaimAtIntake`](super::Command::ClaimAtIntake) or [`Decline`](super::Command::Decline).
    /// The lanes of what was committed and not claimed are told with [`Woken`](Self::Woken).
    Offered {
        /// Names it.
        offer: Offer,
        /// Deliveries and their lanes.
        deliveries: Vec<(DeliveryId, LaneId)>,
    },

    /// Answers [`ClaimFresh`](super::Command::ClaimFresh),
    /// [`ClaimAtIntake`](super::Command::ClaimAtIntake),
    /// [`ClaimDue`](super::Command::ClaimDue) or a [`ClaimLimited`](super::Command::ClaimLimited)
    /// that was permitted: committed. What is not among `claims` is not claimed.
    Claimed {
        /// Which claim.
        batch: Batch,
        /// What was got, oldest first in each lane; may be empty.
        claims: Vec<ClaimedDelivery<P>>,
    },
    /// Answers [`ClaimLimited`](super::Command::ClaimLimited): committed, and nothing was got.
    LimitRefused {
        /// Which claim.
        batch: Batch,
        /// Why.
        why: LimitRefusal,
    },
    /// A claim failed.
    ClaimFailed {
        /// Which claim.
        batch: Batch,
        /// What it may have done.
        commit: CommitResult,
    },
    /// Answers [`Unclaim`](super::Command::Unclaim): committed.
    Unclaimed {
        /// Which.
        batch: Batch,
    },
    /// An unclaim failed, whatever came of it; it is repeated.
    UnclaimFailed {
        /// Which.
        batch: Batch,
    },
    /// Answers [`MakeDue`](super::Command::MakeDue): committed.
    MadeDue {
        /// Which.
        batch: Batch,
    },
    /// Deliveries could not be made due, or nobody knows; it is repeated.
    MakeDueFailed {
        /// Which.
        batch: Batch,
    },

    /// An attempt that was started with [`SendWhen::Told`](super::SendWhen::Told), or a probe,
    /// has its request ready and waits for [`Send`](super::Command::Send) or
    /// [`Withdraw`](super::Command::Withdraw).
    Prepared {
        /// Which.
        ticket: Ticket,
        /// The claim that a probe took for itself, which lives until it is
        /// [`Recorded`](Self::Recorded). `None` for attempts, whose claims are known.
        claim: Option<ClaimKey>,
    },
    /// An attempt ended. What came of it is already with whoever records it, if anything is to
    /// be recorded.
    AttemptEnded {
        /// Its permit.
        permit: Permit,
        /// How it ended.
        ended: Ended<P>,
    },
    /// A probe ended, whatever it found; what it changed is committed or lost.
    Probed {
        /// Its permit.
        permit: Permit,
    },
    /// Outcomes are committed.
    Recorded {
        /// The claims that ended with it, late ones and given up ones among them.
        claims: Vec<ClaimKey>,
        /// Lanes for which a refusal or a limit was among the outcomes: their rows tell the
        /// truth from now on.
        closed: Vec<LaneId>,
    },

    /// Answers [`Poll`](super::Command::Poll).
    Polled {
        /// What was asked for, as far as it exists.
        lanes: Vec<LaneStatus>,
        /// For a page: the lane after which the next page begins, if there is one.
        next: Option<LaneId>,
    },
    /// A poll failed.
    PollFailed,
    /// Answers [`Renew`](super::Command::Renew): the heartbeat was beaten, and these leases are
    /// still ours. Those that were asked for and are not here are lost.
    Renewed {
        /// Kept leases.
        leases: Vec<Lease>,
    },
    /// Leases could not be renewed, or nobody knows.
    RenewFailed,
    /// Answers [`Acquire`](super::Command::Acquire).
    Acquired {
        /// Which limit.
        limit: LimitId,
        /// The lease; `None` if it was not to be had.
        lease: Option<Lease>,
    },
    /// A lease could not be acquired, or nobody knows; then it runs out.
    AcquireFailed {
        /// Which limit's.
        limit: LimitId,
    },

    /// The process is asked to stop. Once is enough.
    Stop,
    /// [`next_wakeup`](super::Scheduler::next_wakeup) has come.
    Timeout,
}

/// A delivery under a claim and the claim's number: what UNCLAIM must not touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// Which delivery.
    pub id: DeliveryId,
    /// Which of its claims.
    pub claim_no: ClaimNo,
}

/// A claim that was got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedDelivery<P> {
    /// Delivery and claim number.
    pub key: ClaimKey,
    /// The lane that it is in now.
    pub lane: LaneId,
    /// How long the claim lasts, counted from before it was asked for (`DEADLINE_T0`).
    pub length: Duration,
    /// The time-out of its request.
    pub timeout: Duration,
    /// What its attempt needs.
    pub payload: P,
}

/// What a step that failed may have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitResult {
    /// Nothing, for certain.
    Nothing,
    /// Nobody knows.
    Unknown,
}

/// Why the store refused a leader's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitRefusal {
    /// A claim under another epoch still runs (`OLD_CLAIMS`).
    OldClaims,
    /// The hour's budget is used up (`COUNT_CLAIM`).
    HourFull {
        /// When something becomes free.
        frees_in: Duration,
    },
    /// The lease is not ours any more, or nothing may be claimed: held, paused, not limited.
    NotPermitted,
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<P> {
    /// The target answered, whatever it said.
    Answered {
        /// From the request's start to its answer.
        took: Duration,
        /// What follows for lane and limit.
        verdict: Verdict,
    },
    /// A request was tried for a while and no answer came: time-out, connection lost.
    Silent {
        /// What follows for lane and limit.
        verdict: Verdict,
    },
    /// It failed at once without a request: connection refused, blocked, not to be rendered.
    NotRequested {
        /// What follows for lane and limit.
        verdict: Verdict,
    },
    /// Nothing was tried; the claim comes back to be released.
    Unsent {
        /// The claim.
        claim: P,
        /// Why.
        why: Unsent,
    },
    /// It panicked. The claim is recorded as lost.
    Panicked,
}

/// Why nothing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// [`Permit::may_send`] said no, or it was withdrawn.
    Stopped,
    /// The store did not give what the request is made from.
    StoreAway,
    /// This machine could not: no descriptors, no buffers, no ports, no memory, no resolver.
    LocalTrouble,
}

/// What an attempt says about its lane and limit before it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Go on; the delivery is due again then.
    Retry {
        /// From now.
        after: Duration,
    },
    /// The lane's credential was refused or has no value.
    CredentialRejected,
    /// The target wants to be left alone: the limit is paused.
    Limited,
}

/// Leadership of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Which limit.
    pub limit: LimitId,
    /// Which acquisition; grows with each.
    pub epoch: i64,
}

/// A lane as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStatus {
    /// Which.
    pub lane: LaneId,
    /// Host and port of its targets.
    pub host: Arc<str>,
    /// Whether it is held.
    pub hold: Hold,
    /// Something waits and is due. For a limited lane a delivery that was never claimed is.
    pub due: bool,
    /// Something is open at all: waits or is claimed.
    pub open: bool,
    /// What is left until its next probe, or that of a webhook that is parked in it, is due.
    pub probe_in: Option<Duration>,
    /// What it shares its rate with.
    pub limit: LimitStatus,
}

/// Whether a lane is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is open.
    Open,
    /// It is open, and a probe may find out whether a webhook of it that is parked is taken again.
    OpenProbeDue,
    /// Held, and nothing but an operator or a new secret opens it now.
    Held,
    /// Held for its credential, and a probe may find out whether that lives again.
    ProbeDue,
}

/// A limit as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    /// Which.
    pub id: LimitId,
    /// What it allows.
    pub terms: Terms,
    /// Somebody's lease is valid.
    pub leased: bool,
    /// What is left of a pause.
    pub paused_for: Option<Duration>,
    /// The epoch beside which no claim runs any more (`OLD_CLAIMS`).
    pub clean: Option<i64>,
    /// What is left until the last claims' slots are over (`next_send_at`).
    pub next_send_in: Duration,
}

/// What a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Requests under way at once in this process; at least 1.
    pub concurrency: u32,
    /// How fast, and by whom.
    pub pacing: Pacing,
}

/// How fast, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// Any number of workers, as fast as they can.
    Unlimited,
    /// One worker at a time, its leader.
    Limited {
        /// `None`: only the hour has a budget, which the store keeps.
        pace: Option<Pace>,
    },
}

/// The pace of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time after which one more request may leave, the margin for jitter and tolerance
    /// within; longer than zero.
    pub interval: Duration,
    /// Requests that may leave at once after a pause; at least 1.
    pub burst: u32,
}
