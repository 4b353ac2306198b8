//! What must hold of webhooks that are parked, and of claims that are given back, watched from
//! outside.

use std::collections::BTreeMap;

use postrider_domain::{ClaimNo, DeliveryId, LaneId, Outcome, StoredStatus, WebhookId};
use postrider_store::{Claim, WorkerId};

use crate::model::{Model, Row};

/// Claims of one lane that a process gives back at once, all that they brought, within a second:
/// those that were under way when it closed.
const GIVEN_BACK_MOST: u32 = 8;
/// Refusals of one delivery, each after a success of its webhook, that fail it.
const REFUSALS: u32 = 3;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Parks {
    /// Steps of the store so far.
    steps: u64,
    /// Since which of them webhooks are parked.
    since: BTreeMap<WebhookId, u64>,
    /// By which of them claims were made.
    claims: BTreeMap<(DeliveryId, ClaimNo), u64>,
    /// How often a target refused the credential.
    refusals: BTreeMap<DeliveryId, u32>,
    /// In which second, and how often.
    given_back: BTreeMap<(uuid::Uuid, LaneId), (u64, u32)>,
}

impl Parks {
    /// A step was carried out, which claimed these.
    pub(crate) fn executed(&mut self, claims: &[Claim], model: &Model) {
        self.steps += 1;
        let steps = self.steps;
        self.since.retain(|webhook, _| model.is_parked(*webhook));
        for webhook in model.parked_ids() {
            self.since.entry(webhook).or_insert(steps);
        }
        self.claims.extend(claims.iter().map(|claim| ((claim.id, claim.claim_no), steps)));
    }

    /// A request leaves that is no probe. What is wrong with that: what was claimed since its
    /// webhook is parked may not be sent.
    pub(crate) fn sends(
        &self,
        (id, claim_no): (DeliveryId, ClaimNo),
        webhook: WebhookId,
    ) -> Option<String> {
        let claimed = self.claims.get(&(id, claim_no))?;
        let is_parked = self.since.get(&webhook).is_some_and(|since| since < claimed);
        is_parked.then(|| format!("{id} is sent, and its webhook {} is parked", webhook.0))
    }

    /// A target refused the credential.
    pub(crate) fn refused(&mut self, id: DeliveryId) {
        *self.refusals.entry(id).or_default() += 1;
    }

    /// A process gives back what a claim brought, all of it and at once. What is wrong if that
    /// goes on.
    pub(crate) fn gives_back(&mut self, who: WorkerId, lane: LaneId, now: u64) -> Option<String> {
        let (second, count) = self.given_back.entry((who.0, lane)).or_default();
        if *second != now / 1_000 {
            (*second, *count) = (now / 1_000, 0);
        }
        *count += 1;
        (*count > GIVEN_BACK_MOST).then(|| {
            format!("{} claims for lane {} and gives back, again and again", who.0, lane.0)
        })
    }

    /// What is wrong with a row at the end: nothing fails for a credential.
    pub(crate) fn fails(&self, id: DeliveryId, row: &Row) -> Option<String> {
        let outcome = row.last.filter(|_| row.status == StoredStatus::Failed)?.outcome;
        let refusals = self.refusals.get(&id).copied().unwrap_or(0);
        match outcome {
            outcome if outcome.waits_for_a_credential() => {
                Some(format!("{id} failed for a credential"))
            }
            Outcome::Permission if refusals < REFUSALS => {
                Some(format!("{id} failed after {refusals} refusals"))
            }
            _ => None,
        }
    }
}
