use proptest::prelude::*;

use super::*;
use crate::Refusal;

const WAIT: Duration = Duration::from_secs(7);
const PARKED: Rejection = Rejection::Parked { had_succeeded: true };
const RELEASED: Transition = Transition::Released { after: Duration::ZERO };
const ROW: RowFacts = RowFacts { rejections: 1, lost_claims: 1, is_test: false };
const TEST: RowFacts = RowFacts { rejections: 0, lost_claims: 0, is_test: true };

fn rejected() -> Transition {
    Transition::CredentialRejected {
        refusal: Refusal::Elsewhere,
        secret_rev: 1,
        secrets_rev: 1,
        probe_after: Duration::ZERO,
    }
}

fn came_to(outcome: Outcome) -> LastOutcome {
    LastOutcome { outcome, status_code: Some(200) }
}

fn after(row: RowFacts, transition: Transition, outcome: Outcome) -> NextRow {
    after_outcome(row, transition, PARKED, Some(came_to(outcome)))
}

/// The state, when it is due, whether the attempt is given back and whether it is marked.
fn shape(next: &NextRow) -> (StoredStatus, Due, bool, bool) {
    (next.status, next.due, next.gives_back, next.marks)
}

#[test]
fn each_end_of_a_claim() {
    use StoredStatus::{Delivered, Failed, Waiting};
    let retry = |uncertain| Transition::Retry { after: WAIT, uncertain };
    for (transition, outcome, expected) in [
        (Transition::Delivered, Outcome::Accepted, (Delivered, Due::Never, false, false)),
        (retry(false), Outcome::ServerError, (Waiting, Due::After(WAIT), false, false)),
        (retry(true), Outcome::Timeout, (Waiting, Due::After(WAIT), false, true)),
        (
            Transition::Failed { uncertain: false },
            Outcome::Invalid,
            (Failed, Due::Never, false, false),
        ),
        (
            Transition::Failed { uncertain: true },
            Outcome::Timeout,
            (Failed, Due::Never, false, true),
        ),
        (rejected(), Outcome::Credential, (Waiting, Due::Aside, true, false)),
        (
            Transition::Limited { pause: None },
            Outcome::RateLimited,
            (Waiting, Due::InTurn, true, false),
        ),
        (RELEASED, Outcome::ServerError, (Waiting, Due::InTurn, true, false)),
        (
            Transition::Released { after: WAIT },
            Outcome::ServerError,
            (Waiting, Due::After(WAIT), true, false),
        ),
    ] {
        let next = after(ROW, transition, outcome);
        assert_eq!(shape(&next), expected, "{transition:?}");
        assert_eq!(next.last, Some(came_to(outcome)));
        assert_eq!(next.lost_claims, ROW.lost_claims);
    }
}

#[test]
fn refusals_count_that_came_after_a_success_of_the_webhook() {
    let parked = |rejections, had_succeeded| {
        let row = RowFacts { rejections, ..ROW };
        let rejection = Rejection::Parked { had_succeeded };
        after_outcome(row, rejected(), rejection, Some(came_to(Outcome::Credential))).rejections
    };
    assert_eq!((parked(0, false), parked(0, true)), (1, 1), "the first counts");
    assert_eq!((parked(1, false), parked(1, true)), (1, 2));
    let retry = Transition::Retry { after: WAIT, uncertain: false };
    assert_eq!(after(ROW, retry, Outcome::ServerError).rejections, 1);
    let limited = Transition::Limited { pause: None };
    assert_eq!(after(ROW, limited, Outcome::RateLimited).rejections, 1);
}

#[test]
fn a_delivery_that_is_refused_alone_fails_for_want_of_permission() {
    assert!(!is_refused_alone(1, true), "the second time");
    assert!(is_refused_alone(2, true), "the third time");
    assert!(!is_refused_alone(9, false), "nothing succeeded in between");
    let twice = RowFacts { rejections: 2, ..ROW };
    let refused = Some(LastOutcome { outcome: Outcome::Credential, status_code: Some(401) });
    let next = after_outcome(twice, rejected(), Rejection::NotTheCredential, refused);
    assert_eq!(shape(&next), (StoredStatus::Failed, Due::Never, true, false));
    assert_eq!(next.rejections, MAX_REJECTIONS);
    let told = LastOutcome { outcome: Outcome::Permission, status_code: Some(401) };
    assert_eq!(next.last, Some(told));
    for rejection in [Rejection::LaneHeld, Rejection::Outdated] {
        let next = after_outcome(twice, rejected(), rejection, refused);
        assert_eq!(shape(&next), (StoredStatus::Waiting, Due::InTurn, true, false));
        assert_eq!(next.rejections, 2, "{rejection:?} is nobody's fault");
    }
}

#[test]
fn what_was_not_attempted_shows_what_was_shown_before() {
    let next = after_outcome(ROW, RELEASED, Rejection::Outdated, None);
    assert_eq!(next.last, None);
    assert_eq!(shape(&next), (StoredStatus::Waiting, Due::InTurn, true, false));
}

#[test]
fn a_lost_claim_is_marked_and_given_back() {
    let next = after_lost_claim(ROW);
    assert_eq!(shape(&next), (StoredStatus::Waiting, Due::InTurn, true, true));
    assert_eq!((next.lost_claims, next.rejections), (2, 1));
    assert_eq!(next.last.map(|last| last.outcome), Some(Outcome::Lost));
}

#[test]
fn an_attempt_without_a_word_waits_longer_each_time() {
    let lost = |lost_claims, may_have_arrived| {
        let row = RowFacts { lost_claims, ..ROW };
        after(row, Transition::Lost { may_have_arrived }, Outcome::Lost)
    };
    for (losses, seconds) in [(0, 10), (1, 20), (2, 30), (3, 40)] {
        let next = lost(losses, true);
        assert_eq!(next.due, Due::After(Duration::from_secs(seconds)));
        assert!(next.marks && next.gives_back);
    }
    assert!(!lost(0, false).marks, "nothing had been sent");
}

#[test]
fn five_losses_are_poison() {
    let fourth = RowFacts { lost_claims: 4, ..ROW };
    let panicked = Transition::Lost { may_have_arrived: true };
    for next in [after_lost_claim(fourth), after(fourth, panicked, Outcome::Lost)] {
        assert_eq!(shape(&next), (StoredStatus::Failed, Due::Never, true, true));
        assert!(next.is_poisoned());
        assert_eq!(next.lost_claims, MAX_LOST_CLAIMS);
    }
    assert!(!after_lost_claim(RowFacts { lost_claims: 3, ..ROW }).is_poisoned());
}

#[test]
fn a_lost_test_is_not_sent_again() {
    let next = after_lost_claim(TEST);
    assert_eq!((next.status, next.due), (StoredStatus::Failed, Due::Never));
    assert_eq!(next.last.map(|last| last.outcome), Some(Outcome::Lost));
}

#[test]
fn deliveries_of_lost_webhooks_are_discarded() {
    assert_eq!(after_discard(ROW, WebhookState::Enabled), None);
    for (state, outcome) in [
        (WebhookState::Disabled, Outcome::WebhookDisabled),
        (WebhookState::Deleted, Outcome::WebhookDeleted),
    ] {
        let next = after_discard(ROW, state).unwrap();
        assert_eq!(shape(&next), (StoredStatus::Discarded, Due::Never, false, false));
        assert_eq!(next.last, Some(LastOutcome { outcome, status_code: None }));
    }
}

fn any_row() -> impl Strategy<Value = RowFacts> {
    (0..10_u32, 0..10_u32, any::<bool>()).prop_map(|(rejections, lost_claims, is_test)| RowFacts {
        rejections,
        lost_claims,
        is_test,
    })
}

fn any_transition() -> impl Strategy<Value = Transition> {
    let wait = || (0..100_000_u64).prop_map(Duration::from_secs);
    prop_oneof![
        Just(Transition::Delivered),
        (wait(), any::<bool>())
            .prop_map(|(after, uncertain)| Transition::Retry { after, uncertain }),
        any::<bool>().prop_map(|uncertain| Transition::Failed { uncertain }),
        Just(rejected()),
        proptest::option::of(wait()).prop_map(|pause| Transition::Limited { pause }),
        (0_u64..100).prop_map(|s| Transition::Released { after: Duration::from_secs(s) }),
        any::<bool>().prop_map(|may_have_arrived| Transition::Lost { may_have_arrived }),
    ]
}

fn any_rejection() -> impl Strategy<Value = Rejection> {
    prop_oneof![
        Just(Rejection::LaneHeld),
        Just(Rejection::Outdated),
        any::<bool>().prop_map(|had_succeeded| Rejection::Parked { had_succeeded }),
        Just(Rejection::NotTheCredential),
    ]
}

fn any_outcome() -> impl Strategy<Value = Option<LastOutcome>> {
    proptest::option::of(
        proptest::sample::select(Outcome::ALL.to_vec())
            .prop_map(|outcome| LastOutcome { outcome, status_code: None }),
    )
}

proptest! {
    /// No row is left claimed, and only final rows are never looked at again.
    #[test]
    fn a_row_waits_or_is_final(
        row in any_row(),
        transition in any_transition(),
        rejection in any_rejection(),
        recorded in any_outcome(),
    ) {
        let next = after_outcome(row, transition, rejection, recorded);
        prop_assert_ne!(next.status, StoredStatus::Sending);
        prop_assert_eq!(next.status.is_final(), next.due == Due::Never);
        if row.is_test && next.last.is_some() {
            prop_assert!(next.status.is_final(), "a test is made once");
        }
        prop_assert_eq!(next.due == Due::First, row.is_test && next.last.is_none() && !next.status.is_final());
    }

    /// Whatever keeps coming back ends, unless something is held that a person can mend.
    #[test]
    fn losses_end(transition in any_transition()) {
        let mut row = RowFacts::default();
        for _ in 0..MAX_LOST_CLAIMS.max(MAX_REJECTIONS) {
            let next = after_outcome(row, transition, PARKED, None);
            if next.status.is_final() {
                return Ok(());
            }
            row = RowFacts { rejections: next.rejections, lost_claims: next.lost_claims, ..row };
        }
        let goes_on = matches!(
            transition,
            Transition::Retry { .. }
                | Transition::Limited { .. }
                | Transition::Released { .. }
                | Transition::CredentialRejected { .. }
        );
        prop_assert!(goes_on, "the schedule, the target or we say when it ends: {transition:?}");
    }

    /// The mark says that a request may have arrived; what was never sent has none.
    #[test]
    fn only_doubt_marks(
        row in any_row(),
        transition in any_transition(),
        rejection in any_rejection(),
        recorded in any_outcome(),
    ) {
        let doubts = match transition {
            Transition::Retry { uncertain, .. } | Transition::Failed { uncertain } => uncertain,
            Transition::Lost { may_have_arrived } => may_have_arrived,
            Transition::Delivered
            | Transition::CredentialRejected { .. }
            | Transition::Limited { .. }
            | Transition::Released { .. } => false,
        };
        prop_assert_eq!(after_outcome(row, transition, rejection, recorded).marks, doubts);
        prop_assert!(after_lost_claim(row).marks);
    }
}
