//! T6-T11: what became of a claim, recorded only under its `claim_no` (FENCE). The claim of an
//! execution ends with whatever is recorded but T11 (E3).
//!
//! What a row and a lane do next is decided in `postrider_domain`; both databases load what the
//! decision reads, decide and write.

use std::collections::{BTreeMap, HashSet};

use postrider_domain::{
    ClaimNo, DeliveryId, LaneEvidence, LaneId, LastOutcome, NextRow, Outcome, Rejection, RowFacts,
    StreakNews, Transition, WebhookId, after_outcome,
};

use crate::store::dispatch;
use crate::{AttemptRow, Claim, KeptRequest, Store, StoreError};

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
    /// What the claim found in its row.
    pub row: RowFacts,
    /// No attempt of the delivery has used a place of the schedule before.
    pub is_first: bool,
    /// What the row does next.
    pub transition: Transition,
    /// The attempt, unless nothing was attempted (T11).
    pub attempt: Option<AttemptRow>,
}

impl Recorded {
    /// How this claim ended.
    pub fn of(claim: &Claim, transition: Transition, attempt: Option<AttemptRow>) -> Self {
        Self {
            id: claim.id,
            claim_no: claim.claim_no,
            webhook_id: claim.webhook_id,
            lane_id: claim.lane_id,
            row: RowFacts {
                rejections: claim.rejections,
                lost_claims: claim.lost_claims,
                is_test: claim.execution,
            },
            is_first: claim.attempt == 1,
            transition,
            attempt,
        }
    }

    /// What its lane and limit look at.
    pub(crate) fn evidence(&self) -> LaneEvidence {
        let outcome = self.attempt.as_ref().map(|attempt| attempt.outcome);
        LaneEvidence {
            webhook: self.webhook_id,
            transition: self.transition,
            outcome,
            rejections: self.row.rejections,
        }
    }

    /// What the row does next, by what a rejection means to it.
    pub(crate) fn next(&self, rejection: Rejection) -> NextRow {
        let last = self.attempt.as_ref().map(AttemptRow::last);
        after_outcome(self.row, self.transition, rejection, last)
    }

    /// Says something that its lane, and its webhook, may have to be locked for.
    pub(crate) fn touches_lane(&self) -> bool {
        match self.transition {
            Transition::CredentialRejected { .. } | Transition::Limited { .. } => true,
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::Released { .. }
            | Transition::Lost { .. } => false,
        }
    }

    /// T11.
    pub(crate) fn is_release(&self) -> bool {
        matches!(self.transition, Transition::Released { .. })
    }

    /// Delivered, no test, and nothing kept of the request but how to render it again: what
    /// nearly all outcomes are.
    pub(crate) fn is_plain(&self) -> bool {
        let is_rendition = |attempt: &AttemptRow| match attempt.request {
            KeptRequest::Rendition(_) => attempt.outcome == Outcome::Accepted,
            KeptRequest::Nothing | KeptRequest::Text(_) => false,
        };
        matches!(self.transition, Transition::Delivered)
            && !self.row.is_test
            && self.attempt.as_ref().is_some_and(is_rendition)
    }
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

/// A claim is recorded once a statement.
pub(crate) fn first_of_each_claim(batch: &[Recorded]) -> Vec<&Recorded> {
    let mut seen = HashSet::with_capacity(batch.len());
    batch.iter().filter(|each| seen.insert((each.id, each.claim_no))).collect()
}

/// What outcomes say of their webhooks' streaks; tests are none. Webhooks of which nothing is
/// said are left out.
pub(crate) fn streaks<'a>(
    outcomes: impl Iterator<Item = &'a Recorded>,
) -> BTreeMap<WebhookId, (StreakNews, LastOutcome)> {
    let mut streaks: BTreeMap<WebhookId, StreakNews> = BTreeMap::new();
    for each in outcomes.filter(|each| !each.row.is_test) {
        if let Some(attempt) = &each.attempt {
            streaks.entry(each.webhook_id).or_default().add(attempt.last(), each.is_first);
        }
    }
    let told = |(webhook, news): (WebhookId, StreakNews)| Some((webhook, (news, news.last?)));
    streaks.into_iter().filter_map(told).collect()
}
