//! L1-L10: leases, holds, pauses, probes.
//!
//! A limit is what shares a rate, an hour's budget, a concurrency and pauses (L1-L3, L7, L10); a
//! lane is what shares a fate, its hold and its backlog (L4-L6, L8, L9). Each lane has one limit.
//!
//! Whoever locks several of them does so in one order: limits, lanes, webhooks, counted minutes,
//! deliveries, each by row number (`HOLD_BEFORE_ROW`).

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{LaneId, LaneLimits, LanePlace, LaneState, LimitId, WebhookId};
use uuid::Uuid;

use crate::store::dispatch;
use crate::{Store, StoreError, WorkerId};

/// Lanes in one page of a poll.
pub(crate) const POLL_PAGE: usize = 1_000;

/// A lane as settings want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    /// `<host[:port]>/<credential>`.
    pub name: String,
    /// Name of its limit: the lane's own, or the one that settings join lanes under.
    pub limit: String,
    /// What the limit allows, from settings.
    pub limits: LaneLimits,
}

impl From<LanePlace> for LaneSpec {
    fn from(place: LanePlace) -> Self {
        Self { name: place.lane, limit: place.limit, limits: place.limits }
    }
}

/// Leadership of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The limit.
    pub limit: LimitId,
    /// Who leads.
    pub worker: WorkerId,
    /// Which acquisition; grows with each.
    pub epoch: i64,
}

/// Which lanes a poll asks for.
#[derive(Debug, Clone, Copy)]
pub enum Poll<'a> {
    /// These, at most 1,000.
    Those(&'a [LaneId]),
    /// All, in pages of 1,000 by row number: those after this one, or the first.
    Page(Option<LaneId>),
}

/// What a poll found.
#[derive(Debug, Clone)]
pub struct LanePage {
    /// By row number.
    pub lanes: Vec<LaneStatus>,
    /// Where the next page goes on; `None` when this was the last one, or those asked for.
    pub next: Option<LaneId>,
}

/// A lane as a worker has to know it (POLL).
#[derive(Debug, Clone)]
pub struct LaneStatus {
    /// Row number.
    pub id: LaneId,
    /// Name.
    pub name: String,
    /// Open or held.
    pub state: LaneState,
    /// Counts holds; a probe opens only the hold that it was made for (RELEASE_GEN).
    pub hold_gen: i64,
    /// Revision of the secret.
    pub secret_rev: i64,
    /// Something waits and is due.
    pub due: bool,
    /// Something is open at all (waiting or sending).
    pub open: bool,
    /// Held, and its probe is due; or open, and that of one of its parked webhooks is.
    pub probe_due: bool,
    /// What is left until the next of these probes, if none is due.
    pub probe_in: Option<Duration>,
    /// Its limit.
    pub limit: LimitStatus,
}

/// A limit as a worker has to know it.
#[derive(Debug, Clone)]
pub struct LimitStatus {
    /// Row number.
    pub id: LimitId,
    /// What it allows.
    pub limits: LaneLimits,
    /// What remains of a pause.
    pub paused_for: Option<Duration>,
    /// Somebody's lease is valid.
    pub leased: bool,
    /// The epoch beside which no claim of any of its lanes runs any more (OLD_CLAIMS); `None`
    /// while one does.
    pub clean: Option<i64>,
    /// How long until the request after all that were claimed so far is in its turn; `None`:
    /// it is now.
    pub next_send_in: Option<Duration>,
}

/// A lane for people.
#[derive(Debug, Clone)]
pub struct LaneInfo {
    /// Row number.
    pub id: LaneId,
    /// Name.
    pub name: String,
    /// Name of its limit.
    pub limit: String,
    /// What the limit allows.
    pub limits: LaneLimits,
    /// Open or held.
    pub state: LaneState,
    /// Since when it is held.
    pub held_since: Option<Timestamp>,
    /// What was said when it was held by hand; nothing otherwise.
    pub hold: ManualHold,
    /// Until when its limit is paused.
    pub paused_until: Option<Timestamp>,
    /// When something was last sent under its limit.
    pub last_send_at: Option<Timestamp>,
    /// Deliveries that wait.
    pub backlog: u64,
    /// Whether no more than those wait; else the count came to its bound.
    pub backlog_is_exact: bool,
    /// Deliveries that are claimed now.
    pub sending: u64,
    /// When the oldest that waits was made.
    pub oldest_at: Option<Timestamp>,
    /// When the oldest that waits or is claimed was made.
    pub open_since: Option<Timestamp>,
}

/// What somebody says who holds a lane by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManualHold {
    /// Why.
    pub reason: Option<String>,
    /// When it opens by itself; `None`: when somebody releases it.
    pub until: Option<Timestamp>,
}

impl fmt::Display for ManualHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "until {until:.0}")?,
            None => f.write_str("until it is released")?,
        }
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

/// What is open in a lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backlog {
    pub(crate) waiting: u64,
    pub(crate) sending: u64,
    pub(crate) oldest_at: Option<Timestamp>,
    pub(crate) open_since: Option<Timestamp>,
    pub(crate) is_exact: bool,
}

/// The right to make one probe of a held lane, or of a webhook that is parked in an open one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeClaim {
    /// The webhook that is parked; `None`: the lane is held.
    pub webhook: Option<WebhookId>,
    /// The hold that it is for.
    pub hold_gen: i64,
    /// The revision that it must use: of the lane's secret, or of the webhook's secrets.
    pub secret_rev: i64,
}

/// What of a lane or a webhook was probed last (`PROBE_TURN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Probed {
    /// The newest, with which the round began.
    pub(crate) newest: Option<Uuid>,
    /// The one before, if it was another one.
    pub(crate) last: Option<Uuid>,
}

impl Probed {
    /// After this one: a round begins with the newest.
    pub(crate) fn then(self, id: Uuid) -> Self {
        match self.newest {
            None => Self { newest: Some(id), last: None },
            Some(_) => Self { last: Some(id), ..self },
        }
    }
}

impl Store {
    /// Lanes as a worker has to know them. A lane without a limit, which only processes of the
    /// version before make, is left out until [`Store::adopt_lanes`] gives it one.
    pub async fn poll(&self, which: Poll<'_>) -> Result<LanePage, StoreError> {
        dispatch!(self, poll(which))
    }

    /// L1. Takes the limit if it is one, one of its lanes has something open or is held, and
    /// nobody's lease is valid; raises the epoch even when it was ours (OWNER_NEW).
    pub async fn acquire(
        &self,
        limit: LimitId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        dispatch!(self, acquire(limit, worker, length))
    }

    /// L2. Renews by owner and epoch in one statement; those not returned are lost: forget
    /// them and release their unsent claims.
    pub async fn renew(
        &self,
        leases: &[Lease],
        length: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        dispatch!(self, renew(leases, length))
    }

    /// L3. Gives leases up, by owner and epoch.
    pub async fn give_up(&self, leases: &[Lease]) -> Result<(), StoreError> {
        dispatch!(self, give_up(leases))
    }

    /// L6, W2. A probe came back good: opens the lane, or the webhook, if it is still that hold,
    /// with that secret, and not manual; whether it did.
    pub async fn release_probed(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
    ) -> Result<bool, StoreError> {
        dispatch!(self, release_probed(lane, probe))
    }

    /// L7, for a probe that met a limit: pauses the lane's limit (PAUSE_MAX).
    pub async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        dispatch!(self, pause(lane, pause))
    }

    /// L9, W3. Takes the right to probe a held lane, or a webhook that is parked in an open one,
    /// once an interval, which doubles to a quarter of an hour as deliveries are probed in vain:
    /// where the limit is one only the leader, else any worker (PROBE_CLAIM, PROBE_ANY).
    pub async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        dispatch!(self, claim_probe(lane, lease, interval))
    }

    /// Gives each lane that has no limit the one of its own name; how many had none. Only
    /// processes of the version before make such lanes.
    pub async fn adopt_lanes(&self) -> Result<u64, StoreError> {
        dispatch!(self, adopt_lanes())
    }
}
