//! T3-T5: the right to make one attempt; J1-J4: the janitor.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use uuid::Uuid;

use crate::{Lease, ProbeClaim, Store, StoreError};

/// One worker process, new at each start (OWNER_NEW).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerId(pub Uuid);

/// Who claims and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ClaimTerms {
    /// The claiming worker.
    pub worker: WorkerId,
    /// Time-out of a request plus margin, counted by the holder from before the call (DEADLINE_T0).
    pub length: Duration,
}

/// A claimed delivery: all that its attempt needs, but for webhook and secrets, which the
/// worker caches by the revisions given here (LANE_JOIN).
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which.
    pub id: DeliveryId,
    /// Fence for recording (FENCE).
    pub claim_no: ClaimNo,
    /// Place of this attempt in the schedule, from 1.
    pub attempt: u32,
    /// An earlier claim may have been sent: the attempt is a possible duplicate (STICKY).
    pub maybe_sent: bool,
    /// Claims that were lost so far.
    pub lost_claims: u32,
    /// The event's id.
    pub event_id: EventId,
    /// The event, JSON of `postrider_domain::Event`.
    pub event: String,
    /// W3C `traceparent` of the intake.
    pub traceparent: Option<String>,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Its revision; an older cached one must be reloaded before rendering.
    pub webhook_rev: i64,
    /// The lane.
    pub lane_id: LaneId,
    /// Revision of the lane's secret; an older cached value must be reloaded, and a hold names
    /// the revision that was used (HOLD_REV).
    pub secret_rev: i64,
    /// When the delivery was made.
    pub created_at: Timestamp,
    /// How many credential refusals in a row did not hold the lane so far.
    pub refusals: u32,
    /// A test that somebody waits for: whatever it comes to is final (E3).
    pub execution: bool,
}

/// What a leader's claim came to.
#[derive(Debug)]
pub enum LimitedClaim {
    /// These, oldest first; may be empty.
    Claimed(Vec<Claim>),
    /// A claim under another epoch still runs (`OLD_CLAIMS`): claim nothing, start empty.
    OldClaims,
    /// The hour's budget is used up.
    HourFull,
    /// The lease is not ours any more, or the lane is not open, limited or is paused.
    NotPermitted,
}

/// What the janitor gave back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// J1: waiting again, marked as possibly sent; E5: an execution, failed.
    pub given_back: Vec<DeliveryId>,
    /// J2: lost for the fifth time, failed with outcome poison.
    pub poisoned: Vec<DeliveryId>,
}

impl Store {
    /// T3. Claims road copies: only deliveries that wait, were never claimed (ROAD_FRESH),
    /// whose lane is open, not paused and not limited, whose webhook is enabled and still of
    /// that lane. What is not returned stays as it is, except that a never-claimed delivery of
    /// an unlimited lane that is held or paused becomes due now, so that it need not wait for
    /// the sweep once the lane opens.
    pub async fn claim_road(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        dispatch!(self, claim_road(ids, terms))
    }

    /// T4. Claims up to `limit` due deliveries of one unlimited lane, oldest due first.
    /// Deliveries that lost three claims are left out; with `suspect` exactly one of those is
    /// claimed instead, alone (POISON_ROW).
    pub async fn claim_due(
        &self,
        lane: LaneId,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        dispatch!(self, claim_due(lane, limit, suspect, terms))
    }

    /// T5. Claims up to `limit` deliveries of a limited lane for its leader, oldest first,
    /// after locking the lane's row and checking owner, epoch, lease (LEASE_IN_CLAIM), old
    /// claims (OLD_CLAIMS) and the hour's budget (COUNT_CLAIM, HOUR_CARRY).
    pub async fn claim_limited(
        &self,
        lease: Lease,
        limit: u32,
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<LimitedClaim, StoreError> {
        dispatch!(self, claim_limited(lease, limit, suspect, terms))
    }

    /// The canary: the oldest due delivery of a lane that is held for its credential, for the
    /// holder of its probe alone, where no read can prove the credential. Refused once the lane
    /// is held anew or its secret changed, and for a limited lane without its leader's lease.
    pub async fn claim_canary(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
        lease: Option<Lease>,
        terms: ClaimTerms,
    ) -> Result<Option<Claim>, StoreError> {
        dispatch!(self, claim_canary(lane, probe, lease, terms))
    }

    /// J1, J2, E5. Gives back claims that ran out, at most `limit` (EXPIRE). A record with outcome
    /// `lost` is left among the attempts.
    pub async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        dispatch!(self, expire_claims(limit))
    }

    /// J3. Moves waiting deliveries to their webhook's lane, whatever the old lane's state
    /// (REHOME); how many.
    pub async fn rehome(&self, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, rehome(limit))
    }

    /// J4. Discards waiting deliveries of deleted or disabled webhooks, whatever their lane's
    /// state (DISCARD), executions aside; how many.
    pub async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, discard(limit))
    }
}
