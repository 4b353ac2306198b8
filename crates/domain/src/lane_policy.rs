//! What outcomes say of a lane and of its limit: L4 (hold) with the refusals that lead to it,
//! and L7 (pause). Pure folds over a batch in its order; the stores load, fold and write.
//!
//! | refusal | what is held |
//! |---|---|
//! | of a credential at a host of GitHub's | the lane |
//! | of a credential elsewhere | the webhook; the lane too when another one is parked for it and the credential did not show itself alive in between |
//! | a page to sign in at | the webhook |
//! | a secret has no value, or one that can't be sent | the webhook; the lane when it is the lane's own and no webhook of it is left |
//!
//! A lane without a credential is not held by an answer. A lane that is held ends the parks that
//! it was held because of: what waits, waits for the lane.
//!
//! A lane is what shares a credential, a limit what shares a rate: a lane has one limit, a limit
//! may have several lanes.
//!
//! An outcome is folded in once, however often its batch is repeated: only outcomes for which no
//! attempt of that claim other than `lost` is kept yet (`RECORD_ONCE`).

use std::time::Duration;

use crate::{HoldCause, LaneEvidence, Outcome, ParkPolicy, Refusal, Transition, WebhookId};

/// The first pause of a target that does not say how long.
pub const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The first pause of a target that says no time at all, or a time that is over.
pub const FIRST_SHORT_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of these kinds.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// Why a lane is held from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Never manual.
    pub cause: HoldCause,
    /// How long until the lane is probed first.
    pub probe_after: Duration,
    /// The webhook whose answer held it.
    pub webhook: WebhookId,
}

/// A lane: as its row says, and what a batch makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LanePolicy {
    /// Held before the batch, or by it.
    pub held: bool,
    /// An enabled webhook uses it; else there is nothing to hold.
    pub in_use: bool,
    /// It is named after a credential.
    pub has_credential: bool,
    /// Revision of the secret in force.
    pub secret_rev: i64,
    /// The webhook that was parked because of the credential first since that showed itself
    /// alive, as long as it is parked.
    pub parked_webhook: Option<WebhookId>,
    /// Enabled webhooks that are not parked because of a secret.
    pub unaffected: u32,
    /// The batch holds the lane.
    pub hold: Option<Hold>,
}

impl LanePolicy {
    /// Takes one outcome of the lane and its webhook in. `HOLD_REV`: a refusal speaks of the
    /// secret that the request was sent with.
    pub fn add(&mut self, evidence: &LaneEvidence, webhook: &mut ParkPolicy) {
        let refused = webhook.add(evidence);
        match evidence.transition {
            Transition::CredentialRejected { refusal, secret_rev, probe_after, .. } => {
                if self.held || !self.in_use {
                    return;
                }
                let is_of_secret = secret_rev == self.secret_rev;
                let is_proof = match (refusal, refused) {
                    // One answer is proof, whatever became of the webhook since.
                    (Refusal::AtGithub, _) if self.has_credential => is_of_secret,
                    (_, Some(refusal)) => self.refused(refusal, is_of_secret, evidence, webhook),
                    (_, None) => false,
                };
                if is_proof {
                    self.is_held(Hold {
                        cause: refusal.cause(),
                        probe_after,
                        webhook: evidence.webhook,
                    });
                }
            }
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::Limited { .. }
            | Transition::Released { .. }
            | Transition::Lost { .. } => {
                if !self.held && evidence.outcome.is_some_and(Outcome::shows_a_live_credential) {
                    self.parked_webhook = None;
                }
            }
        }
    }

    fn is_held(&mut self, hold: Hold) {
        self.held = true;
        self.parked_webhook = Some(hold.webhook);
        self.hold = Some(hold);
    }

    /// Parks the webhook; whether that is proof against the credential.
    fn refused(
        &mut self,
        refusal: Refusal,
        is_of_secret: bool,
        evidence: &LaneEvidence,
        webhook: &mut ParkPolicy,
    ) -> bool {
        let is_new = webhook.parks(refusal.cause());
        match refusal {
            Refusal::AtGithub | Refusal::Elsewhere => {
                self.is_refused_by_another(evidence.webhook) && is_of_secret
            }
            Refusal::Hint => false,
            Refusal::SecretMissing { is_of_lane } | Refusal::SecretUnusable { is_of_lane } => {
                self.unaffected = self.unaffected.saturating_sub(u32::from(is_new));
                is_of_lane && self.unaffected == 0
            }
        }
    }

    /// Whether a webhook is parked because of the credential already; else this one is the first.
    fn is_refused_by_another(&mut self, webhook: WebhookId) -> bool {
        self.has_credential && *self.parked_webhook.get_or_insert(webhook) != webhook
    }
}

/// A limit: as its row says, and what a batch makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitPolicy {
    /// Pauses in a row whose length the target did not say, or said as none.
    pub pause_step: u32,
    /// The longest pause that the batch asks for, from the database's now (`PAUSE_MAX`).
    pub pause: Option<Duration>,
    /// The unspoken pause was lengthened since the batch's last answer of another kind.
    stepped: bool,
}

impl LimitPolicy {
    /// A limit as its row says.
    pub fn new(pause_step: u32) -> Self {
        Self { pause_step, ..Self::default() }
    }

    /// Takes one outcome of the limit's lanes in.
    pub fn add(&mut self, evidence: &LaneEvidence) {
        match evidence.transition {
            Transition::Limited { pause } => self.limited(pause),
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::CredentialRejected { .. }
            | Transition::Released { .. }
            | Transition::Lost { .. } => {
                if evidence.outcome.is_some_and(Outcome::is_free_of_limits) {
                    self.pause_step = 0;
                    self.stepped = false;
                }
            }
        }
    }

    /// Answers that came back together, with no other between them, are one refusal and not
    /// several in a row: the unspoken pause doubles once.
    fn limited(&mut self, said: Option<Duration>) {
        let pause = match said {
            Some(said) if !said.is_zero() => said,
            Some(_) => self.stepped(FIRST_SHORT_PAUSE),
            None => self.stepped(FIRST_PAUSE),
        };
        self.pause = self.pause.max(Some(pause));
    }

    /// How long a target is left alone that has not said so this many times in a row.
    fn stepped(&mut self, first: Duration) -> Duration {
        if !self.stepped {
            self.stepped = true;
            self.pause_step = self.pause_step.saturating_add(1);
        }
        let doublings = self.pause_step.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests;
