//! T6-T11: what became of a claim, recorded only under its `claim_no` (FENCE). The claim of an
//! execution ends with whatever is recorded but T11 (E3).

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, HoldCause, LaneId, Outcome, WebhookId};

use crate::{Store, StoreError};

/// One outcome to record.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Which delivery.
    pub id: DeliveryId,
    /// The claim it was made under.
    pub claim_no: ClaimNo,
    /// Its webhook, for the streaks.
    pub webhook_id: WebhookId,
    /// Its lane.
    pub lane_id: LaneId,
    /// What the row does next.
    pub transition: Transition,
    /// The attempt, unless nothing was attempted (T11).
    pub attempt: Option<AttemptRow>,
}

/// How a claim ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transition {
    /// T6: delivered.
    Delivered,
    /// T7: waits for its next attempt.
    Retry {
        /// From the database's now.
        after: Duration,
        /// The request may have arrived (UNCERTAIN): later attempts are possible duplicates.
        uncertain: bool,
    },
    /// T8: given up.
    Failed {
        /// The request may have arrived.
        uncertain: bool,
    },
    /// T9 with L4: the attempt is given back; the lane is held if its secret is still at
    /// `secret_rev` (HOLD_REV), the proof suffices and an enabled webhook uses it.
    HeldBack {
        /// Credential or secret missing, never manual.
        cause: HoldCause,
        /// Revision of the lane's secret that the request used.
        secret_rev: i64,
        /// What it takes to hold.
        proof: HoldProof,
        /// How long until the next probe of the lane.
        probe_after: Duration,
        /// When the delivery is looked at again should the lane not be held by this.
        retry_after: Duration,
    },
    /// T10 with L7: the attempt is given back, the lane paused. The pause is the larger of the
    /// one in force and this (PAUSE_MAX).
    Limited {
        /// What the target said; `None`: it did not say, so 60 s doubling to 15 min for each
        /// such answer in a row.
        pause: Option<Duration>,
    },
    /// T11: not sent (too late, shutting down, hold seen); the attempt is given back, due now.
    Released,
}

/// How much proof holds a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldProof {
    /// This one answer (GitHub, and a missing secret).
    One,
    /// Two webhooks or three answers in a row.
    Several,
}

/// An attempt as kept.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// Place in the schedule, from 1.
    pub number: u32,
    /// When it started, by the worker's clock (shown only, never compared).
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: Outcome,
    /// HTTP status, if there was an answer.
    pub status_code: Option<u16>,
    /// GitHub's `X-GitHub-Request-Id`.
    pub github_request_id: Option<String>,
    /// An earlier attempt may have arrived already.
    pub possible_duplicate: bool,
    /// The request as JSON, redacted.
    pub request: String,
    /// The answer as JSON, redacted and cut; or the error.
    pub response: String,
}

/// What recording came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordReport {
    /// Outcomes whose claim had run out: kept among the attempts only.
    pub late: Vec<(DeliveryId, ClaimNo)>,
    /// Lanes that this batch held.
    pub held: Vec<LaneId>,
}

impl Store {
    /// Records a batch of up to 1,000 outcomes in one transaction: lanes first, then
    /// deliveries in id order, attempts always. May be repeated after an error (0 rows is
    /// fine). A batch that fails for one row's sake is retried row by row.
    pub async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        dispatch!(self, record(batch))
    }
}
