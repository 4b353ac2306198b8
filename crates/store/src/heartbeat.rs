//! HEARTBEAT: workers that live, and what those leave behind that do not.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::Extensions;

use crate::store::dispatch;
use crate::{Expired, Store, StoreError, UnclaimNo, WorkerId};

/// What a worker says of itself with each beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Who.
    pub worker: WorkerId,
    /// The longest claim that it asks for when no webhook has a time-out of its own: silent for
    /// longer, it counts as dead.
    pub claim: Duration,
    /// The longest lease that it asks for.
    pub lease: Duration,
    /// Its last UNCLAIM that was answered; none with a smaller number is carried out any more
    /// (`UNCLAIM_NO`), also where the janitor had taken the worker for dead.
    pub unclaimed: UnclaimNo,
    /// What its machine lacks to make requests.
    pub trouble: Option<Trouble>,
}

/// As long as any claim may be: the longest time-out that a webhook may have, and more than the
/// margin.
const LONGEST_CLAIM: Duration = Extensions::LONGEST_TIMEOUT.saturating_add(Duration::from_secs(15));

impl Beat {
    /// AHEAD: how far ahead a claim ends that a clock which ran ahead wrote, of a worker whose
    /// claims are usually this long. That of a webhook with a longer time-out is no such claim.
    pub fn too_far(claim: Duration) -> Duration {
        2 * claim.max(LONGEST_CLAIM)
    }
}

/// What a worker's machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// In words for people.
    pub what: &'static str,
    /// How long it has lasted.
    pub lasts: Duration,
}

/// A worker that lives and whose machine lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubledWorker {
    /// Who.
    pub worker: WorkerId,
    /// What is lacking.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// What was given back of one worker's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    /// The worker that has gone silent.
    pub worker: WorkerId,
    /// Its claims that have ended.
    pub expired: Expired,
    /// Nothing is left of it: its row is gone.
    pub complete: bool,
}

impl Store {
    /// The worker lives. Beaten before its first claim and then always, also without leases and
    /// while it stops: a worker that is silent for its longest claim counts as dead.
    pub async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        dispatch!(self, beat(beat))
    }

    /// Workers that live and say that their machine lacks something.
    pub async fn troubled_workers(&self) -> Result<Vec<TroubledWorker>, StoreError> {
        dispatch!(self, troubled_workers())
    }

    /// J1, J2 for the first silent worker with an id after `after`: gives back at most `limit` of
    /// its claims that have ended. A claim that ends further ahead than any claim
    /// may counts as ended (AHEAD, [`Beat::too_far`]). Claims whose sweep comes later are found too, for which
    /// all that is open has to be looked through: once a dead worker, not each round. `None`: no
    /// more silent workers.
    pub async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError> {
        dispatch!(self, give_back(after, limit))
    }

    /// AHEAD: ends leases that end further ahead than twice the longest that their worker asks
    /// for; names of their limits. A clock that once ran ahead wrote them.
    pub async fn end_leases_ahead(&self) -> Result<Vec<String>, StoreError> {
        dispatch!(self, end_leases_ahead())
    }

    /// Ends what the process before this one left in a store that only one process may use at a
    /// time: claims are given back, marked (J1, J2), leases are free. For the holder of the data
    /// dir's lock, before its worker starts. A store that others share is left alone.
    pub async fn void_predecessor(&self) -> Result<Expired, StoreError> {
        dispatch!(self, void_predecessor())
    }
}
