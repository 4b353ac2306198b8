//! L1-L10: leases, holds, pauses, probes.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{LaneId, LaneLimits, LaneState};

use crate::{Store, StoreError, WorkerId};

/// A lane as settings want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    /// `<host[:port]>/<credential>`, or the name given in settings.
    pub name: String,
    /// Limits from settings.
    pub limits: LaneLimits,
}

/// Leadership of a limited lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The lane.
    pub lane_id: LaneId,
    /// Who leads.
    pub worker: WorkerId,
    /// Which acquisition; grows with each.
    pub epoch: i64,
}

/// A lane in a worker's once-a-second survey (POLL).
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one lane")]
#[derive(Debug, Clone)]
pub struct LaneView {
    /// Row number.
    pub id: LaneId,
    /// Name.
    pub name: String,
    /// Limits in force.
    pub limits: LaneLimits,
    /// Open or held.
    pub state: LaneState,
    /// Counts holds; a probe opens only the hold that it was made for (RELEASE_GEN).
    pub hold_gen: i64,
    /// Revision of the secret.
    pub secret_rev: i64,
    /// What remains of a pause.
    pub paused_for: Option<Duration>,
    /// Something waits and is due.
    pub due: bool,
    /// Something is open at all (waiting or sending).
    pub open: bool,
    /// Somebody's lease is valid.
    pub leased: bool,
    /// Held, and its probe is due.
    pub probe_due: bool,
}

/// A lane for people.
#[derive(Debug, Clone)]
pub struct LaneInfo {
    /// Row number.
    pub id: LaneId,
    /// Name.
    pub name: String,
    /// Limits in force.
    pub limits: LaneLimits,
    /// Open or held.
    pub state: LaneState,
    /// Since when it is held.
    pub held_since: Option<Timestamp>,
    /// Until when it is paused.
    pub paused_until: Option<Timestamp>,
    /// When something was last sent.
    pub last_send_at: Option<Timestamp>,
    /// Deliveries that wait.
    pub backlog: u64,
    /// When the oldest of them was made.
    pub oldest_at: Option<Timestamp>,
}

/// The right to make one probe of a held lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeClaim {
    /// The hold that it is for.
    pub hold_gen: i64,
    /// The secret that it must use.
    pub secret_rev: i64,
}

impl Store {
    /// All lanes as a worker has to know them, in one statement.
    pub async fn survey(&self) -> Result<Vec<LaneView>, StoreError> {
        dispatch!(self, survey())
    }

    /// All lanes for people, busiest first.
    pub async fn lanes(&self) -> Result<Vec<LaneInfo>, StoreError> {
        dispatch!(self, lanes())
    }

    /// L1. Takes the lane if it is limited, has something open or is held, and nobody's lease
    /// is valid; raises the epoch even when it was ours (OWNER_NEW).
    pub async fn acquire(
        &self,
        lane: LaneId,
        worker: WorkerId,
        length: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        dispatch!(self, acquire(lane, worker, length))
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

    /// L6. A probe came back good: opens the lane if it is still that hold, with that secret,
    /// and not manual; whether it did.
    pub async fn release_probed(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
    ) -> Result<bool, StoreError> {
        dispatch!(self, release_probed(lane, probe))
    }

    /// L7, for a probe that met a limit.
    pub async fn pause(&self, lane: LaneId, pause: Duration) -> Result<(), StoreError> {
        dispatch!(self, pause(lane, pause))
    }

    /// L8. Holds a lane by hand; `None` when there is no such lane.
    pub async fn hold_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        dispatch!(self, hold_by_hand(name))
    }

    /// L8. Opens a lane by hand, whatever held it; `None` when there is no such lane.
    pub async fn release_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        dispatch!(self, release_by_hand(name))
    }

    /// L9. Takes the right to probe a held lane once an interval: for a limited lane only its
    /// leader, for an unlimited one any worker (PROBE_CLAIM, PROBE_ANY).
    pub async fn claim_probe(
        &self,
        lane: LaneId,
        lease: Option<Lease>,
        interval: Duration,
    ) -> Result<Option<ProbeClaim>, StoreError> {
        dispatch!(self, claim_probe(lane, lease, interval))
    }

    /// L10. Brings limits of existing lanes to what settings say; where the kind changes the
    /// epoch is raised and the owner cleared. How many changed.
    pub async fn sync_lanes(&self, specs: &[LaneSpec]) -> Result<u64, StoreError> {
        dispatch!(self, sync_lanes(specs))
    }

    /// A webhook whose request can prove a lane's credential: any enabled webhook of the lane.
    pub async fn lane_webhook(
        &self,
        lane: LaneId,
    ) -> Result<Option<crate::StoredWebhook>, StoreError> {
        dispatch!(self, lane_webhook(lane))
    }
}
