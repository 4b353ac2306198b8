//! What a batch of outcomes says about one lane: L4 (hold), L7 (pause) and the strikes before a
//! hold, as a pure fold over the batch in its order. Both databases load a lane, fold, write.

use std::time::Duration;

use postrider_domain::{HoldCause, Outcome, WebhookId};

use crate::{HoldProof, Recorded, Transition};

/// The first pause of a target that does not say how long.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause of that kind.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// Refusals in a row that hold a lane without proof from a second webhook.
const STRIKES: u32 = 3;

/// One lane: as its row says, and what the batch makes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LaneFold {
    /// Held before the batch, or by it.
    pub(crate) held: bool,
    /// An enabled webhook uses it; else there is nothing to hold.
    pub(crate) in_use: bool,
    /// Revision of the secret in force.
    pub(crate) secret_rev: i64,
    /// Refusals in a row that did not hold the lane.
    pub(crate) strikes: u32,
    /// The webhook of the last of them.
    pub(crate) strike_webhook: Option<WebhookId>,
    /// Pauses in a row whose length the target did not say.
    pub(crate) pause_step: u32,
    /// The longest pause that the batch asks for, from now.
    pub(crate) pause: Option<Duration>,
    /// The batch holds the lane: why, and when to probe it first.
    pub(crate) hold: Option<(HoldCause, Duration)>,
    /// The batch has lengthened the unspoken pause already.
    stepped: bool,
}

impl LaneFold {
    /// A lane as its row says.
    pub(crate) fn of_row(
        held: bool,
        in_use: bool,
        secret_rev: i64,
        strikes: u32,
        strike_webhook: Option<WebhookId>,
        pause_step: u32,
    ) -> Self {
        Self { held, in_use, secret_rev, strikes, strike_webhook, pause_step, ..Self::default() }
    }

    /// One outcome of the lane. HOLD_REV: a refusal speaks of the secret that it was sent with.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        match recorded.transition {
            Transition::HeldBack { cause, secret_rev, proof, probe_after, .. } => {
                if !self.held && self.in_use && secret_rev == self.secret_rev {
                    self.refused(recorded.webhook_id, proof, (cause, probe_after));
                }
            }
            Transition::Limited { pause } => self.limited(pause),
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::Released => self.calm(recorded),
        }
    }

    fn refused(&mut self, webhook: WebhookId, proof: HoldProof, hold: (HoldCause, Duration)) {
        let proven = match proof {
            HoldProof::One => true,
            HoldProof::Several => {
                self.strikes + 1 >= STRIKES
                    || self.strike_webhook.is_some_and(|earlier| earlier != webhook)
            }
        };
        if proven {
            self.held = true;
            self.hold = Some(hold);
            self.forgive();
        } else {
            self.strikes += 1;
            self.strike_webhook = Some(webhook);
        }
    }

    /// Answers that came back together are one refusal, not several in a row: the unspoken
    /// pause doubles once a batch.
    fn limited(&mut self, said: Option<Duration>) {
        if said.is_none() && !self.stepped {
            self.stepped = true;
            self.pause_step = self.pause_step.saturating_add(1);
        }
        let pause = said.unwrap_or_else(|| {
            let doublings = self.pause_step.saturating_sub(1).min(8);
            FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
        });
        self.pause = self.pause.max(Some(pause));
    }

    fn calm(&mut self, recorded: &Recorded) {
        let Some(attempt) = &recorded.attempt else {
            return;
        };
        if attempt.outcome.shows_a_live_credential() {
            self.forgive();
        }
        if attempt.outcome == Outcome::Accepted {
            self.pause_step = 0;
        }
    }

    fn forgive(&mut self) {
        self.strikes = 0;
        self.strike_webhook = None;
    }
}

#[cfg(test)]
mod tests;
