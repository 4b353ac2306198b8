//! What outcomes say of a webhook: W1 (park). Elsewhere than at GitHub a refusal may be about one
//! webhook alone, so that one waits and the others of its lane go on.

use std::time::Duration;

use crate::next_row::is_refused_alone;
use crate::{HoldCause, LaneEvidence, Outcome, Refusal, Transition};

/// The longest time between two probes of what no read can prove, unless settings ask for more.
pub const LONGEST_PROBE_WAIT: Duration = Duration::from_mins(15);

/// How long until the next probe, after so many in vain: each time twice as long.
pub fn probe_wait(interval: Duration, in_vain: u32) -> Duration {
    let doubled = interval.saturating_mul(1 << in_vain.min(16));
    doubled.min(LONGEST_PROBE_WAIT.max(interval))
}

/// A webhook: as its row says, and what a batch makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParkPolicy {
    /// Enabled and of the lane that the batch speaks of; else there is nothing to park.
    pub is_in_use: bool,
    /// Why it is parked, by the batch or before it.
    pub parked: Option<HoldCause>,
    /// Revision of its secrets and its request.
    pub secrets_rev: i64,
    /// Something was accepted since it was parked last; as its row says.
    pub had_succeeded: bool,
    /// The batch holds an acceptance.
    pub succeeds: bool,
    /// Why the batch parks it.
    pub park: Option<HoldCause>,
    /// No probe before that, from the database's now.
    pub probe_after: Option<Duration>,
}

impl ParkPolicy {
    /// Takes one outcome of the webhook in, before its lane does: what it refuses, if it refuses
    /// anything that is still in force.
    pub(crate) fn add(&mut self, evidence: &LaneEvidence) -> Option<Refusal> {
        let Transition::CredentialRejected { refusal, secrets_rev, probe_after, .. } =
            evidence.transition
        else {
            self.succeeds |= evidence.outcome == Some(Outcome::Accepted);
            return None;
        };
        if self.is_outdated(secrets_rev) || self.is_about_delivery(refusal, evidence.rejections) {
            return None;
        }
        // What waits for a secret is not probed: a new value ends the wait.
        if !refusal.cause().is_secret() {
            self.probe_after = self.probe_after.max(Some(probe_after));
        }
        Some(refusal)
    }

    /// W1. Whether it was not parked before.
    pub(crate) fn parks(&mut self, cause: HoldCause) -> bool {
        let is_new = self.parked.is_none();
        if is_new {
            self.parked = Some(cause);
            self.park = Some(cause);
        }
        is_new
    }

    /// Whether a refusal speaks of what is not in force any more.
    pub(crate) fn is_outdated(&self, secrets_rev: i64) -> bool {
        !self.is_in_use || self.secrets_rev != secrets_rev
    }

    /// Whether a refusal is about the delivery alone, after so many of it.
    pub(crate) fn is_about_delivery(&self, refusal: Refusal, rejections: u32) -> bool {
        match refusal {
            Refusal::Elsewhere | Refusal::Hint => is_refused_alone(rejections, self.had_succeeded),
            Refusal::AtGithub | Refusal::SecretMissing { .. } | Refusal::SecretUnusable { .. } => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
