use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, HoldCause, LaneId, Outcome, WebhookId};
use uuid::Uuid;

use super::LaneFold;
use crate::{AttemptRow, HoldProof, Recorded, Transition};

const PROBE: Duration = Duration::from_mins(1);

fn recorded(webhook: i64, transition: Transition, outcome: Outcome) -> Recorded {
    Recorded {
        id: DeliveryId(Uuid::nil()),
        claim_no: ClaimNo(1),
        webhook_id: WebhookId(webhook),
        lane_id: LaneId(1),
        transition,
        attempt: Some(AttemptRow {
            number: 1,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            outcome,
            status_code: None,
            github_request_id: None,
            possible_duplicate: false,
            request: String::new(),
            response: String::new(),
        }),
    }
}

fn refusal(webhook: i64, proof: HoldProof, secret_rev: i64) -> Recorded {
    let transition = Transition::HeldBack {
        cause: HoldCause::Credential,
        secret_rev,
        proof,
        probe_after: PROBE,
        retry_after: Duration::ZERO,
    };
    recorded(webhook, transition, Outcome::Credential)
}

fn limit(pause: Option<Duration>) -> Recorded {
    recorded(1, Transition::Limited { pause }, Outcome::RateLimited)
}

fn accepted() -> Recorded {
    recorded(1, Transition::Delivered, Outcome::Accepted)
}

fn failed(outcome: Outcome) -> Recorded {
    recorded(1, Transition::Failed { uncertain: false }, outcome)
}

/// A lane whose secret is at revision 1, after these outcomes.
fn after(outcomes: &[Recorded]) -> LaneFold {
    let mut lane = LaneFold::of_row(false, true, 1, 0, None, 0);
    for outcome in outcomes {
        lane.take(outcome);
    }
    lane
}

#[test]
fn one_proof_holds() {
    let lane = after(&[refusal(1, HoldProof::One, 1)]);
    assert!(lane.held);
    assert_eq!(lane.hold, Some((HoldCause::Credential, PROBE)));
}

#[test]
fn a_lane_that_nobody_uses_is_not_held() {
    let mut lane = LaneFold::of_row(false, false, 1, 0, None, 0);
    lane.take(&refusal(1, HoldProof::One, 1));
    assert!(!lane.held);
}

#[test]
fn a_refusal_of_an_older_secret_says_nothing() {
    assert_eq!(after(&[refusal(1, HoldProof::One, 0)]), after(&[]));
}

#[test]
fn without_proof_it_takes_three_in_a_row_or_two_webhooks() {
    let strike = refusal(1, HoldProof::Several, 1);
    assert!(!after(&[strike.clone(), strike.clone()]).held);
    assert!(after(&[strike.clone(), strike.clone(), strike.clone()]).held);
    assert!(after(&[strike.clone(), refusal(2, HoldProof::Several, 1)]).held);
    let forgiven = [strike.clone(), strike.clone(), failed(Outcome::NotFound), strike.clone()];
    assert!(!after(&forgiven).held, "a live credential forgives");
    let unmoved = [strike.clone(), strike.clone(), failed(Outcome::Timeout), strike];
    assert!(after(&unmoved).held, "a time-out says nothing of the credential");
}

#[test]
fn an_unspoken_pause_doubles_once_a_batch_up_to_a_quarter_of_an_hour() {
    let mut step = 0;
    let minutes = [1, 2, 4, 8, 15, 15];
    for expected in minutes {
        let mut lane = LaneFold::of_row(false, true, 1, 0, None, step);
        lane.take(&limit(None));
        lane.take(&limit(None));
        assert_eq!(lane.pause, Some(Duration::from_mins(expected)));
        step = lane.pause_step;
    }
    assert_eq!(step, 6);
    let mut endless = LaneFold::of_row(false, true, 1, 0, None, u32::MAX);
    endless.take(&limit(None));
    assert_eq!(endless.pause, Some(Duration::from_mins(15)));
}

#[test]
fn the_longest_pause_wins_and_an_acceptance_starts_over() {
    let lane = after(&[limit(Some(Duration::from_secs(90))), limit(None)]);
    assert_eq!(lane.pause, Some(Duration::from_secs(90)));
    assert_eq!(lane.pause_step, 1);
    assert_eq!(after(&[limit(None), accepted()]).pause_step, 0);
    assert_eq!(after(&[limit(None), failed(Outcome::Invalid)]).pause_step, 1);
}
