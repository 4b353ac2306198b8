//! One call of a process to the store, and the store's answer.

use std::rc::Rc;
use std::time::Duration;

use postrider_domain::{DeliveryId, LaneId, LimitId};
use postrider_scheduler::{Batch, ClaimKey, LaneShare, Lease, Millis, Scope, Ticket, Which};
use postrider_store::{Claim, LanePage, LimitedClaim, ProbeClaim, Recorded, UnclaimNo, WorkerId};

use crate::intake::Intake;

/// One call of a process to the store, while its answer is awaited.
pub(crate) type CallId = u64;

/// A call to the store.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) worker: WorkerId,
    pub(crate) asked_at: Millis,
    pub(crate) what: What,
}

/// What is asked of the store.
#[derive(Debug)]
pub(crate) enum What {
    /// With the heartbeat, which tells the last UNCLAIM that was answered.
    Renew(Vec<Lease>, UnclaimNo),
    Acquire(LimitId),
    GiveUp(Vec<Lease>),
    Poll(Which),
    ClaimFresh(Batch, Vec<DeliveryId>),
    /// By the commit that makes them.
    ClaimAtIntake {
        batch: Batch,
        ids: Vec<DeliveryId>,
        intake: Rc<Intake>,
    },
    ClaimDue(Batch, Vec<LaneShare>, bool),
    ClaimLimited {
        batch: Batch,
        lease: Lease,
        count: u32,
        interval: Duration,
        suspect: bool,
    },
    Unclaim {
        batch: Batch,
        number: UnclaimNo,
        scope: Scope,
        live: Vec<ClaimKey>,
    },
    MakeDue(Batch, Vec<DeliveryId>),
    Record(Rc<Vec<Recorded>>),
    ClaimProbe {
        ticket: Ticket,
        lane: LaneId,
        lease: Option<Lease>,
    },
    Canary {
        ticket: Ticket,
        lane: LaneId,
        right: ProbeClaim,
        lease: Option<Lease>,
        interval: Duration,
    },
    Opens {
        ticket: Ticket,
        lane: LaneId,
        right: ProbeClaim,
    },
}

impl What {
    /// Whether it may claim something.
    pub(crate) fn claims(&self) -> bool {
        match self {
            Self::ClaimFresh(..)
            | Self::ClaimAtIntake { .. }
            | Self::ClaimDue(..)
            | Self::ClaimLimited { .. }
            | Self::Canary { .. } => true,
            Self::Renew(..)
            | Self::Acquire(_)
            | Self::GiveUp(_)
            | Self::Poll(_)
            | Self::Unclaim { .. }
            | Self::MakeDue(..)
            | Self::Record(_)
            | Self::ClaimProbe { .. }
            | Self::Opens { .. } => false,
        }
    }

    /// Whether it is the commit of an ingest beside this worker.
    pub(crate) fn commits_events(&self) -> bool {
        matches!(self, Self::ClaimAtIntake { .. })
    }
}

/// What the store says.
#[derive(Debug)]
pub(crate) enum Answer {
    Renewed(Vec<postrider_store::Lease>),
    Acquired(Option<postrider_store::Lease>),
    GivenUp,
    Polled(LanePage),
    Claimed(Vec<Claim>),
    Limited(LimitedClaim),
    Unclaimed(Option<u64>),
    MadeDue,
    Recorded,
    MayProbe(Option<ProbeClaim>),
    Canary(Option<Box<Claim>>),
    Opened,
}

impl Answer {
    /// What was claimed, but for probes.
    pub(crate) fn claims(&self) -> &[Claim] {
        match self {
            Self::Claimed(claims) | Self::Limited(LimitedClaim::Claimed(claims)) => claims,
            _ => &[],
        }
    }
}
