//! How a claim ends: what a worker asks the store to record (T6-T11, J1).

use std::time::Duration;

use crate::HoldCause;

/// How a claim ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// T9 with L4 or W1: the attempt is given back; its lane is held or its webhook parked, if
    /// that is enabled and the secrets are still those that were used (`HOLD_REV`).
    CredentialRejected {
        /// Who refused what.
        refusal: Refusal,
        /// Revision of the lane's secret that the request used.
        secret_rev: i64,
        /// Revision of the webhook's secrets and request that were used.
        secrets_rev: i64,
        /// No probe before that, from the database's now.
        probe_after: Duration,
    },
    /// T10 with L7: the attempt is given back, the lane paused. The pause is the larger of the
    /// one in force and this (`PAUSE_MAX`).
    Limited {
        /// What the target said; `None`: it did not say, so 60 s doubling to 15 min for each
        /// such answer in a row. Zero, which is also what a date in the past comes to: 1 s,
        /// doubling likewise.
        pause: Option<Duration>,
    },
    /// T11: not sent (too late, shutting down, hold seen, nothing to send with); the attempt is
    /// given back.
    Released {
        /// When it is due, from the database's now; zero: at once, in its turn.
        after: Duration,
    },
    /// J1 without waiting for the claim to run out: the attempt ended without a word.
    Lost {
        /// The request had begun, so later attempts are possible duplicates.
        may_have_arrived: bool,
    },
}

/// Who refused what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A host of GitHub's refused the credential: it is dead, the lane is held.
    AtGithub,
    /// Another host refused it: that may be about this webhook only, which is parked.
    Elsewhere,
    /// Another host hinted at it, by a page to sign in at: the webhook is parked, and nothing is
    /// said of the credential.
    Hint,
    /// A secret has no value; nothing was sent.
    SecretMissing {
        /// It is the one that the lane is named after.
        is_of_lane: bool,
    },
    /// A secret's value can't stand where the webhook puts it; nothing was sent.
    SecretUnusable {
        /// It is the one that the lane is named after.
        is_of_lane: bool,
    },
}

impl Refusal {
    /// Why something is held because of it.
    pub fn cause(self) -> HoldCause {
        match self {
            Self::AtGithub | Self::Elsewhere | Self::Hint => HoldCause::Credential,
            Self::SecretMissing { .. } => HoldCause::SecretMissing,
            Self::SecretUnusable { .. } => HoldCause::SecretUnusable,
        }
    }
}
