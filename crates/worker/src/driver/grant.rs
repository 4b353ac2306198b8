//! T1c: the right of intake in this process to claim deliveries with the commit that makes them.

use postrider_domain::DeliveryId;
use postrider_scheduler::{Batch, CommitResult, Event, Scope};
use postrider_store::{Claim, ClaimsAtIntake, StoreError};
use postrider_telemetry::step::{Step, reached};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::hands::Carrier;
use super::owed::Owed;
use super::steps::claimed;
use super::told;
use crate::clock::BoottimeInstant;
use crate::live::LiveClaims;

/// What the scheduler waits for. Dropped without an answer, nobody knows whether it was used.
struct Grant {
    batch: Batch,
    asked_at: BoottimeInstant,
    live: LiveClaims,
    owed: Owed,
    /// A step of its scheduler, which waits for it.
    _step: TaskTrackerToken,
}

impl Carrier {
    /// The right to claim these, for intake.
    pub(crate) fn claims_at_intake(&self, batch: Batch, ids: Vec<DeliveryId>) -> ClaimsAtIntake {
        let hands = &self.hands;
        hands.live.asks(batch, Scope::Fresh(ids.clone()));
        let unknown = Event::ClaimFailed { batch, commit: CommitResult::Unknown };
        let grant = Grant {
            batch,
            // Before the statement is issued (DEADLINE_T0).
            asked_at: BoottimeInstant::now(),
            live: hands.live.clone(),
            owed: Owed::new(&self.events, unknown),
            _step: self.steps.token(),
        };
        let terms = hands.context.config.terms(hands.worker);
        ClaimsAtIntake::new(ids, terms, move |came| grant.answer(came))
    }
}

impl Grant {
    fn answer(self, came: Result<Vec<Claim>, &StoreError>) {
        let Self { batch, asked_at, live, owed, .. } = self;
        let event = match came {
            Ok(claims) => {
                reached(Step::Claimed, claims.len());
                live.answered(batch, &claims);
                let claims = claims.into_iter().map(|claim| claimed(claim, asked_at, None));
                Event::Claimed { batch, claims: claims.collect() }
            }
            Err(error) => {
                let commit = told::commit(error);
                if commit == CommitResult::Nothing {
                    live.answered(batch, &[]);
                }
                Event::ClaimFailed { batch, commit }
            }
        };
        owed.answer(event);
    }
}
