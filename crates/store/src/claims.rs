//! T3-T5: the right to make one attempt; J1-J6: the janitor.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};

use crate::store::dispatch;
use crate::{Lease, ProbeClaim, Store, StoreError, WorkerId};

/// Who claims and for how long. A claim lasts as long as a request of its webhook may take, and
/// the margin.
#[derive(Debug, Clone, Copy)]
pub struct ClaimTerms {
    /// The claiming worker.
    pub worker: WorkerId,
    /// How long a request may take where its webhook does not say so itself.
    pub timeout: Duration,
    /// What a claim lasts longer than that, counted by the holder from before the call
    /// (DEADLINE_T0).
    pub margin: Duration,
}

/// What one lane may have claimed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneShare {
    /// The lane.
    pub lane: LaneId,
    /// At most so many of its deliveries.
    pub limit: u32,
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
    /// Which attempt of all that were recorded this will be, from 1; only grows.
    pub number: u32,
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
    /// Revision of the webhook's secrets and request, which a refusal that parks it names
    /// (HOLD_REV).
    pub secrets_rev: i64,
    /// When the delivery was made.
    pub created_at: Timestamp,
    /// How often it was refused so far, each time after a success of its webhook.
    pub rejections: u32,
    /// A test that somebody waits for: whatever it comes to is final (E3).
    pub execution: bool,
    /// How long its request may take: what its webhook said when it was claimed, else the terms.
    pub timeout: Duration,
    /// How long the claim lasts, from before the call that made it.
    pub length: Duration,
}

/// What the leader of a limit asks for.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLimited {
    /// Its lease.
    pub lease: Lease,
    /// How many claims at most.
    pub limit: u32,
    /// The limit's pace ([`postrider_domain::LaneLimits::interval`], zero where there is none): by
    /// so much for each claim the instant moves on at which the next leader may send.
    pub interval: Duration,
    /// Exactly one of the deliveries that lost three claims, in place of all others (POISON_ROW).
    pub suspect: bool,
    /// How claims are made.
    pub terms: ClaimTerms,
}

/// What the holder of a probe asks for.
#[derive(Debug, Clone, Copy)]
pub struct ClaimProbeDelivery {
    /// The lane that is held, or of the webhook that is parked.
    pub lane: LaneId,
    /// The right to probe it.
    pub probe: ProbeClaim,
    /// The lease of its limit, where it has one.
    pub lease: Option<Lease>,
    /// As for [`ClaimLimited::interval`].
    pub interval: Duration,
    /// How claims are made.
    pub terms: ClaimTerms,
}

/// What a leader's claim came to.
#[derive(Debug)]
pub enum LimitedClaim {
    /// These, oldest first; may be empty.
    Claimed(Vec<Claim>),
    /// A claim of one of the limit's lanes still runs under another epoch (`OLD_CLAIMS`).
    OldClaims,
    /// The hour's budget is used up.
    HourFull {
        /// When it has room again.
        frees_in: Duration,
    },
    /// The lease is not ours any more, the limit is none or paused, or none of its lanes is open.
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
    /// T3. Claims what a message named, at most 128, over any number of lanes: only deliveries
    /// that wait, were never claimed (ROAD_FRESH), whose lane is open, not paused and not
    /// limited, whose webhook is enabled and still of that lane. In the same step a never-claimed
    /// delivery of an unlimited lane that is held or paused becomes due now, so that it need not
    /// wait for the sweep once the lane opens. What else is not returned stays as it is: no
    /// message can claim it.
    pub async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        dispatch!(self, claim_fresh(ids, terms))
    }

    /// T4. Claims due deliveries of unlimited lanes, at most 32, each up to its share, oldest due
    /// first. Deliveries that lost three claims are left out; with `suspect` exactly one of those
    /// is claimed instead, alone (POISON_ROW).
    pub async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        dispatch!(self, claim_due(shares, suspect, terms))
    }

    /// T5. Claims deliveries of the open lanes of a limit for its leader, oldest first, after
    /// locking the limit's row and checking owner, epoch, lease (LEASE_IN_CLAIM), old claims
    /// (OLD_CLAIMS) and the hour's budget (COUNT_CLAIM, HOUR_CARRY).
    pub async fn claim_limited(&self, asked: ClaimLimited) -> Result<LimitedClaim, StoreError> {
        dispatch!(self, claim_limited(asked))
    }

    /// The probe delivery: one waiting delivery of a lane that is held for its credential, or of a webhook
    /// that is parked for it, for the holder of its probe alone, where no read can prove the
    /// credential: the newest, then the oldest, then the next oldest in turn (`PROBE_TURN`).
    /// Refused once the hold is another or the secret changed; for a limited lane without its leader's
    /// lease, while old claims run (OLD_CLAIMS), and when the hour is full. There it counts as any
    /// claim.
    pub async fn claim_probe_delivery(
        &self,
        asked: ClaimProbeDelivery,
    ) -> Result<Option<Claim>, StoreError> {
        dispatch!(self, claim_probe_delivery(asked))
    }

    /// J1, J2, E5. Gives back claims that ran out, at most `limit` (EXPIRE). A record with outcome
    /// `lost` is left among the attempts.
    pub async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        dispatch!(self, expire_claims(limit))
    }

    /// J3. Moves waiting deliveries to their webhook's lane, whatever the old lane's state
    /// (REASSIGN); how many.
    pub async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, reassign_lanes(limit))
    }

    /// J5, J6. Moves waiting deliveries of parked webhooks aside, where no claim looks, and those
    /// of webhooks that are parked no more back to their places (ASIDE); how many, at most `limit`
    /// of each kind.
    pub async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, sort_parked(limit))
    }

    /// J4. Discards waiting deliveries of deleted or disabled webhooks, whatever their lane's
    /// state (DISCARD), executions aside; how many.
    pub async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        dispatch!(self, discard(limit))
    }
}
