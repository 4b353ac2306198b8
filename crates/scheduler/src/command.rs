//! What the scheduler wants done.

use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId, LimitId};

use super::permit::Offer;
use super::{Batch, ClaimKey, Lease, Permit, Ticket};

/// Something to do, in the order given and without waiting for one another. `P` is what a claim
/// carries.
#[derive(Debug)]
pub enum Command<P> {
    /// L2: beat the heartbeat and renew these leases, maybe none, in one statement. Answered by
    /// `Renewed` or `RenewFailed`.
    Renew {
        /// Leases to renew.
        leases: Vec<Lease>,
    },
    /// L1: take a limit's lease. Answered by `Acquired`.
    Acquire {
        /// Which limit.
        limit: LimitId,
    },
    /// L3: give leases up. Not answered; a lease that is not given up runs out.
    GiveUp {
        /// Which.
        leases: Vec<Lease>,
    },
    /// Look at lanes. Answered by `Polled` or `PollFailed`; at most one is open.
    Poll(Which),

    /// T3, with making due what can't be claimed. At most 128 ids, at most two open. Answered
    /// by `Claimed` or `ClaimFailed`.
    ClaimFresh {
        /// Names it.
        batch: Batch,
        /// Deliveries, each in one open step at most.
        ids: Vec<DeliveryId>,
    },
    /// T1c: intake may claim these of its [`Offered`](super::Event::Offered) deliveries with the
    /// commit that makes them. Answered by `Claimed` or `ClaimFailed`.
    ClaimAtIntake {
        /// Whose deliveries.
        offer: Offer,
        /// Names it.
        batch: Batch,
        /// At least one, each in one open step at most.
        ids: Vec<DeliveryId>,
    },
    /// Intake claims nothing of what it offered.
    Decline {
        /// Which offer.
        offer: Offer,
    },
    /// T4 over at most 32 unlimited lanes, each in one open claim or unclaim at most; at most
    /// two open, one more with `suspect`. Answered by `Claimed` or `ClaimFailed`.
    ClaimDue {
        /// Names it.
        batch: Batch,
        /// How many of which lane.
        lanes: Vec<LaneShare>,
        /// Instead one of those that lost three claims, alone (`POISON_ROW`).
        suspect: bool,
    },
    /// T5. At most one open for a limit. Answered by `Claimed`, `LimitRefused` or
    /// `ClaimFailed`.
    ClaimLimited {
        /// Names it.
        batch: Batch,
        /// Our lease.
        lease: Lease,
        /// At most so many, from 1 to 256.
        count: u32,
        /// By which each claimed one moves the limit's next send; zero without a pace.
        interval: Duration,
        /// Instead one of those that lost three claims, alone (`POISON_ROW`).
        suspect: bool,
    },
    /// UNCLAIM: give back, on a new connection, what a claim whose result is unknown may have got. It is
    /// alone: no claim is open, and none is asked for before it is answered. Answered by
    /// `Unclaimed` or `UnclaimFailed`.
    Unclaim {
        /// Names it.
        batch: Batch,
        /// What the claim may have got.
        scope: Scope,
        /// Claims of this worker that are not to be touched: sent and not yet recorded.
        live: Vec<ClaimKey>,
    },
    /// Leave these to the store: due now. Answered by `MadeDue` or `MakeDueFailed`.
    MakeDue {
        /// Names it.
        batch: Batch,
        /// At most 500.
        ids: Vec<DeliveryId>,
    },
    /// A committed step has answered each of these: their messages are done with them
    /// (`SETTLE_AT_CLAIM`). An id of no message is no mistake.
    Ack {
        /// Which.
        ids: Vec<DeliveryId>,
    },

    /// Make an attempt. Answered by `AttemptEnded` with the permit.
    Start {
        /// What the claim carries.
        claim: P,
        /// The right to do so.
        permit: Permit,
        /// When the request leaves.
        send: SendWhen,
    },
    /// The request of this attempt or probe leaves now, if its permit still says that it may.
    Send(Ticket),
    /// The attempt or probe is not sent: it ends at once as unsent. Nothing happens if it has
    /// ended.
    Withdraw(Ticket),
    /// T11: record that a claim was not used; its delivery is due after `due_in`.
    Release {
        /// What the claim carries.
        claim: P,
        /// From now; mostly zero.
        due_in: Duration,
    },
    /// L9, L6: probe a held lane, if the store gives the right to. Its request waits to be told,
    /// as with [`SendWhen::Told`]. Answered by `Probed` with the permit.
    Probe {
        /// Which lane.
        lane: LaneId,
        /// Our lease, where the lane is limited.
        lease: Option<Lease>,
        /// By which a delivery that the probe sends moves the limit's next send.
        interval: Duration,
        /// The right to do so.
        permit: Permit,
    },

    /// Take no messages: the store is away. What was taken and not acknowledged may go back.
    PauseConsumer,
    /// Take messages again.
    ResumeConsumer,
    /// The stop is over: nothing that was sent is without an end, or its time is up. Last.
    Stopped,
}

/// Which lanes to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These, at most 1,000.
    Those(Vec<LaneId>),
    /// The 1,000 that follow this one by id, or the first.
    Page {
        /// The last one of the page before.
        after: Option<LaneId>,
    },
}

/// How many of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneShare {
    /// Which lane.
    pub lane: LaneId,
    /// At least 1.
    pub limit: u32,
}

/// What a claim whose result is unknown may have got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These deliveries.
    Fresh(Vec<DeliveryId>),
    /// Deliveries of these lanes.
    Due(Vec<LaneId>),
    /// Deliveries of the lanes of this lease's limit, claimed under its epoch.
    Limited(Lease),
}

/// When a started attempt's request leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendWhen {
    /// As soon as it is ready.
    Ready,
    /// When it is ready and told: `Prepared`, then [`Command::Send`].
    Told,
}
