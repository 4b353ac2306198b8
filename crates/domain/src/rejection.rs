//! What a refusal means to its delivery, by what the batch made of lane and webhook.

use crate::{LaneEvidence, LanePolicy, ParkPolicy, Rejection, Transition};

impl ParkPolicy {
    /// What a refusal means to its delivery, once the whole batch is taken in.
    pub fn rejection(&self, lane: &LanePolicy, evidence: &LaneEvidence) -> Rejection {
        let Transition::CredentialRejected { refusal, secrets_rev, .. } = evidence.transition
        else {
            return Rejection::Outdated;
        };
        if lane.held {
            Rejection::LaneHeld
        } else if self.is_outdated(secrets_rev) {
            Rejection::Outdated
        } else if self.is_about_delivery(refusal, evidence.rejections) {
            Rejection::NotTheCredential
        } else if self.parked.is_some() {
            Rejection::Parked { had_succeeded: self.had_succeeded }
        } else {
            Rejection::Outdated
        }
    }
}
