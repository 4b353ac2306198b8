//! What a delivery's row does next: after an outcome (T6-T11), after a lost claim (J1, J2), after
//! its webhook is gone (J4). What follows an outcome the stores write as it is decided here; what
//! the janitor does to many rows at once (J1, J2, J4) is said again in SQL (`hot/*/janitor.rs`),
//! and the tests of `crates/sim/tests/stores` hold it to this.
//!
//! | what happened                        | status    | due        | attempt    |
//! |--------------------------------------|-----------|------------|------------|
//! | delivered (T6), failed (T8)          | final     | never      | used       |
//! | retry (T7)                           | waiting   | later      | used       |
//! | rejected, lane held or secret newer  | waiting   | in turn    | given back |
//! | rejected, webhook parked (T9)        | waiting   | aside      | given back |
//! | the same a third time, the webhook having succeeded in between | failed | never | given back |
//! | limited (T10), released (T11)        | waiting   | in turn    | given back |
//! | released for a while (T11)           | waiting   | later      | given back |
//! | claim ran out (J1)                   | waiting   | in turn    | given back |
//! | attempt ended without a word (J1)    | waiting   | later      | given back |
//! | either for the fifth time (J2)       | failed    | never      | given back |
//! | webhook deleted or disabled (J4)     | discarded | never      | untouched  |
//!
//! A test is made once (E3, E5): whatever is recorded of it is final, and if nothing was sent it
//! is the first to go.

use std::time::Duration;

use crate::{Outcome, StoredStatus, Transition, WebhookState};

/// Refusals of a delivery, each after a success of its webhook, that fail it: it is not the
/// credential's fault.
pub const MAX_REJECTIONS: u32 = 3;

/// Lost claims that make a delivery poison (`POISON_ROW`).
pub const MAX_LOST_CLAIMS: u32 = 5;

/// How long a delivery waits after its attempt ended without a word, for each time that
/// happened: whatever took the attempt down may take the next one down as well.
pub const LOST_WAIT: Duration = Duration::from_secs(10);

/// What the rules read of a claimed delivery's row. Nobody but the claim's holder changes these,
/// so they are as the claim found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowFacts {
    /// Refusals so far, each after a success of its webhook.
    pub rejections: u32,
    /// Claims that were lost so far.
    pub lost_claims: u32,
    /// Somebody waits for it: whatever it comes to is final.
    pub is_test: bool,
}

/// When a row is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is final.
    Never,
    /// At once, in the place that its age gives it.
    InTurn,
    /// At once, before all others.
    First,
    /// Then, from the database's now.
    After(Duration),
    /// When its webhook is no longer parked; until then out of the way of others.
    Aside,
}

/// What a rejected credential did, which decides what its delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The lane is held, by this answer or before it.
    LaneHeld,
    /// The webhook is parked, by this answer or before it.
    Parked {
        /// It had succeeded since it was parked before.
        had_succeeded: bool,
    },
    /// This delivery alone is refused, time and again, while its webhook succeeds.
    NotTheCredential,
    /// A newer secret is there to try (`HOLD_REV`), or nothing that could be held.
    Outdated,
}

/// What an attempt that was recorded came to, as lists show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastOutcome {
    /// The class.
    pub outcome: Outcome,
    /// HTTP status, if there was an answer.
    pub status_code: Option<u16>,
}

/// A row after the change. What is not named here stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextRow {
    /// The state.
    pub status: StoredStatus,
    /// When it is looked at again.
    pub due: Due,
    /// The place in the schedule is given back.
    pub gives_back: bool,
    /// The request may have arrived: sets the mark, which nothing clears (STICKY).
    pub marks: bool,
    /// Refusals so far, each after a success of its webhook.
    pub rejections: u32,
    /// Claims that were lost.
    pub lost_claims: u32,
    /// What is shown from now on; `None`: what was shown before, for nothing was attempted.
    pub last: Option<LastOutcome>,
}

impl NextRow {
    /// Set aside because it took workers down (J2).
    pub fn is_poisoned(&self) -> bool {
        self.last.is_some_and(|last| last.outcome == Outcome::Poison)
    }

    fn waiting(row: RowFacts, due: Due) -> Self {
        let (status, last) = (StoredStatus::Waiting, None);
        let RowFacts { rejections, lost_claims, is_test: _ } = row;
        Self { status, due, gives_back: false, marks: false, rejections, lost_claims, last }
    }

    fn ended(row: RowFacts, status: StoredStatus) -> Self {
        Self { status, ..Self::waiting(row, Due::Never) }
    }

    fn given_back(row: RowFacts, due: Due) -> Self {
        Self { gives_back: true, ..Self::waiting(row, due) }
    }
}

/// T6-T11: the row of a claim that ended. `recorded` is what its attempt came to; `None` when
/// none was made. `rejection` counts with a rejected credential only.
pub fn after_outcome(
    row: RowFacts,
    transition: Transition,
    rejection: Rejection,
    recorded: Option<LastOutcome>,
) -> NextRow {
    let next = match transition {
        Transition::Delivered => NextRow::ended(row, StoredStatus::Delivered),
        Transition::Failed { uncertain } => {
            NextRow { marks: uncertain, ..NextRow::ended(row, StoredStatus::Failed) }
        }
        Transition::Retry { after, uncertain } => {
            NextRow { marks: uncertain, ..NextRow::waiting(row, Due::After(after)) }
        }
        Transition::CredentialRejected { .. } => match rejection {
            Rejection::LaneHeld | Rejection::Outdated => NextRow::given_back(row, Due::InTurn),
            Rejection::Parked { had_succeeded } => NextRow {
                rejections: counted(row, had_succeeded),
                ..NextRow::given_back(row, Due::Aside)
            },
            Rejection::NotTheCredential => return refused_alone(row, recorded),
        },
        Transition::Limited { .. } => NextRow::given_back(row, Due::InTurn),
        Transition::Released { after } if after.is_zero() => NextRow::given_back(row, Due::InTurn),
        Transition::Released { after } => NextRow::given_back(row, Due::After(after)),
        Transition::Lost { may_have_arrived } => {
            let losses = row.lost_claims.saturating_add(1);
            return lost(row, Due::After(LOST_WAIT.saturating_mul(losses)), may_have_arrived);
        }
    };
    of_test(row, NextRow { last: recorded, ..next })
}

/// J1, J2, E5: the row of a claim that ran out. Whoever held it may have sent the request.
pub fn after_lost_claim(row: RowFacts) -> NextRow {
    lost(row, Due::InTurn, true)
}

/// J4: the row of a delivery whose webhook is in this state; `None` leaves it as it is.
pub fn after_discard(row: RowFacts, webhook: WebhookState) -> Option<NextRow> {
    let outcome = match webhook {
        WebhookState::Enabled => return None,
        WebhookState::Disabled => Outcome::WebhookDisabled,
        WebhookState::Deleted => Outcome::WebhookDeleted,
    };
    let last = Some(LastOutcome { outcome, status_code: None });
    Some(NextRow { last, ..NextRow::ended(row, StoredStatus::Discarded) })
}

/// The refusals of a delivery with one more, which counts only after a success of the webhook.
fn counted(row: RowFacts, had_succeeded: bool) -> u32 {
    if row.rejections == 0 || had_succeeded {
        row.rejections.saturating_add(1)
    } else {
        row.rejections
    }
}

/// Whether one refusal more says something of this delivery and not of the credential.
pub(crate) fn is_refused_alone(rejections: u32, had_succeeded: bool) -> bool {
    had_succeeded && rejections.saturating_add(1) >= MAX_REJECTIONS
}

/// The target takes the credential, and what it refuses is this delivery.
fn refused_alone(row: RowFacts, recorded: Option<LastOutcome>) -> NextRow {
    let status_code = recorded.and_then(|last| last.status_code);
    NextRow {
        gives_back: true,
        rejections: row.rejections.saturating_add(1),
        last: Some(LastOutcome { outcome: Outcome::Permission, status_code }),
        ..NextRow::ended(row, StoredStatus::Failed)
    }
}

fn lost(row: RowFacts, due: Due, marks: bool) -> NextRow {
    let lost_claims = row.lost_claims.saturating_add(1);
    let is_poison = lost_claims >= MAX_LOST_CLAIMS && !row.is_test;
    let outcome = if is_poison { Outcome::Poison } else { Outcome::Lost };
    let last = Some(LastOutcome { outcome, status_code: None });
    let next = if is_poison {
        NextRow { gives_back: true, ..NextRow::ended(row, StoredStatus::Failed) }
    } else {
        NextRow::given_back(row, due)
    };
    of_test(row, NextRow { marks, lost_claims, last, ..next })
}

/// Whatever is recorded of a test ends it; one that was not sent is the first to go.
fn of_test(row: RowFacts, next: NextRow) -> NextRow {
    if !row.is_test || next.status.is_final() {
        return next;
    }
    match next.last {
        Some(_) => NextRow { status: StoredStatus::Failed, due: Due::Never, ..next },
        None => NextRow { due: Due::First, ..next },
    }
}

#[cfg(test)]
mod tests;
