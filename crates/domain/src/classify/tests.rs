use std::time::Duration;

use proptest::prelude::*;

use super::{Answer, Classified, GithubAnswer, TokenForbidden, classify};
use crate::{Outcome, TargetKind};

const DEFAULT_SUCCESS: [u16; 7] = [200, 201, 202, 203, 204, 205, 206];
const KINDS: [TargetKind; 3] =
    [TargetKind::RepositoryDispatch, TargetKind::WorkflowDispatch, TargetKind::Other];

fn response(status: u16, retry_after: Option<Duration>) -> Answer {
    Answer::Response { status, github: None, retry_after }
}

fn outcome_of(status: u16) -> Outcome {
    classify(TargetKind::Other, &response(status, None), &DEFAULT_SUCCESS).outcome
}

#[test]
fn other_targets_by_status() {
    let table = [
        (&[200, 201, 202, 203, 204, 205, 206][..], Outcome::Accepted),
        (&[207, 208, 226, 299], Outcome::Invalid),
        (&[300, 301, 302, 303, 304, 307, 308], Outcome::Redirected),
        (&[401], Outcome::Credential),
        (&[403], Outcome::Permission),
        (&[404], Outcome::NotFound),
        (&[429], Outcome::RateLimited),
        (&[408, 425], Outcome::ServerError),
        (&[400, 402, 405, 406, 409, 410, 413, 415, 418, 422, 431, 451], Outcome::Invalid),
        (&[500, 501, 502, 503, 504, 507, 520, 599], Outcome::ServerError),
        (&[0, 100, 101, 600, 999], Outcome::Invalid),
    ];
    for (statuses, expected) in table {
        for status in statuses {
            assert_eq!(outcome_of(*status), expected, "{status}");
        }
    }
}

#[test]
fn the_success_codes_come_first() {
    let with_302 = classify(TargetKind::Other, &response(302, None), &[302]);
    assert_eq!(with_302.outcome, Outcome::Accepted);
    let without_200 = classify(TargetKind::Other, &response(200, None), &[202]);
    assert_eq!(without_200.outcome, Outcome::Invalid);
}

#[test]
fn github_by_meaning_whatever_the_status() {
    let minute = Some(Duration::from_mins(1));
    let table = [
        (GithubAnswer::Accepted, Outcome::Accepted, None),
        (GithubAnswer::TokenRefused, Outcome::Credential, None),
        (GithubAnswer::TokenForbidden(TokenForbidden::LifetimePolicy), Outcome::Credential, None),
        (GithubAnswer::RateLimited { wait: minute }, Outcome::RateLimited, minute),
        (GithubAnswer::RateLimited { wait: None }, Outcome::RateLimited, None),
        (GithubAnswer::PermissionDenied, Outcome::Permission, None),
        (GithubAnswer::NotFound, Outcome::NotFound, None),
        (GithubAnswer::Invalid, Outcome::Invalid, None),
        (GithubAnswer::UnexpectedSuccess, Outcome::Invalid, None),
        (GithubAnswer::Redirected, Outcome::Redirected, None),
        (GithubAnswer::ServerError, Outcome::ServerError, None),
    ];
    for (github, outcome, pause) in table {
        let answer = Answer::Response { status: 403, github: Some(github), retry_after: None };
        let expected = Classified { outcome, uncertain: false, pause };
        assert_eq!(classify(TargetKind::RepositoryDispatch, &answer, &[403]), expected);
    }
}

#[test]
fn an_unread_github_answer_is_accepted_only_with_204() {
    for kind in [TargetKind::RepositoryDispatch, TargetKind::WorkflowDispatch] {
        let outcome = |status| classify(kind, &response(status, None), &DEFAULT_SUCCESS).outcome;
        assert_eq!(outcome(204), Outcome::Accepted);
        assert_eq!(outcome(200), Outcome::Invalid);
    }
}

#[test]
fn a_429_says_how_long_and_a_503_does_not() {
    let wait = Some(Duration::from_secs(7));
    let limited = classify(TargetKind::Other, &response(429, wait), &DEFAULT_SUCCESS);
    assert_eq!((limited.outcome, limited.pause), (Outcome::RateLimited, wait));
    let away = classify(TargetKind::Other, &response(503, wait), &DEFAULT_SUCCESS);
    assert_eq!((away.outcome, away.pause), (Outcome::ServerError, None));
}

#[test]
fn without_an_answer() {
    let table = [
        (Answer::Timeout { sent: true }, Outcome::Timeout, true),
        (Answer::Timeout { sent: false }, Outcome::Timeout, false),
        (Answer::ConnectFailed, Outcome::ConnectError, false),
        (Answer::ResetAfterSend, Outcome::ConnectError, true),
        (Answer::SecretMissing, Outcome::SecretMissing, false),
        (Answer::Blocked, Outcome::Blocked, false),
        (Answer::RenderFailed, Outcome::RenderError, false),
    ];
    for (answer, outcome, uncertain) in table {
        for kind in KINDS {
            let expected = Classified { outcome, uncertain, pause: None };
            assert_eq!(classify(kind, &answer, &DEFAULT_SUCCESS), expected, "{answer:?}");
        }
    }
}

#[test]
fn of_all_answers_only_502_and_504_leave_it_open() {
    let uncertain = |kind, status, github| {
        let answer = Answer::Response { status, github, retry_after: None };
        classify(kind, &answer, &DEFAULT_SUCCESS).uncertain
    };
    let github = Some(GithubAnswer::ServerError);
    for status in 100..=999 {
        let expected = status == 502 || status == 504;
        assert_eq!(uncertain(TargetKind::Other, status, None), expected, "{status}");
        assert_eq!(uncertain(TargetKind::RepositoryDispatch, status, github), expected);
    }
    assert!(!classify(TargetKind::Other, &response(502, None), &[502]).uncertain);
}

proptest! {
    #[test]
    fn any_status_has_an_outcome(
        status: u16,
        kind in prop::sample::select(KINDS.to_vec()),
        success in prop::collection::vec(any::<u16>(), 0..8),
        retry_after in prop::option::of(any::<u64>().prop_map(Duration::from_secs)),
    ) {
        let classified = classify(kind, &response(status, retry_after), &success);
        prop_assert_eq!(classified.pause.is_some(), classified.outcome == Outcome::RateLimited && retry_after.is_some());
        if classified.outcome == Outcome::Accepted {
            prop_assert!(status == 204 || success.contains(&status));
        }
    }
}
