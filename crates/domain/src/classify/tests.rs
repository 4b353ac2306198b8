use std::time::Duration;

use proptest::prelude::*;

use super::{Answer, Classified, GithubAnswer, TokenForbidden, by_own_rule, classify};
use crate::{FailedRule, Outcome, SuccessRule, TargetKind};

const DEFAULT_SUCCESS: [u16; 7] = [200, 201, 202, 203, 204, 205, 206];
const KINDS: [TargetKind; 3] =
    [TargetKind::RepositoryDispatch, TargetKind::WorkflowDispatch, TargetKind::Other];

fn response(status: u16, wait: Option<Duration>) -> Answer {
    Answer::Response { status, github: None, wait, asks_to_sign_in: false }
}

fn github_response(status: u16, github: Option<GithubAnswer>) -> Answer {
    Answer::Response { status, github, wait: None, asks_to_sign_in: false }
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
    let table = [
        (GithubAnswer::Accepted, Outcome::Accepted),
        (GithubAnswer::TokenRefused, Outcome::Credential),
        (GithubAnswer::TokenForbidden(TokenForbidden::LifetimePolicy), Outcome::Credential),
        (GithubAnswer::TokenForbidden(TokenForbidden::AddressNotAllowed), Outcome::Credential),
        (GithubAnswer::RateLimited { wait: None }, Outcome::RateLimited),
        (GithubAnswer::PermissionDenied, Outcome::Permission),
        (GithubAnswer::NotFound, Outcome::NotFound),
        (GithubAnswer::Invalid, Outcome::Invalid),
        (GithubAnswer::UnexpectedSuccess, Outcome::Invalid),
        (GithubAnswer::Page, Outcome::ServerError),
        (GithubAnswer::Redirected, Outcome::Redirected),
        (GithubAnswer::ServerError, Outcome::ServerError),
    ];
    for (github, outcome) in table {
        let answer = github_response(403, Some(github));
        let expected = Classified { outcome, uncertain: false, wait: None, is_weak: false };
        assert_eq!(classify(TargetKind::RepositoryDispatch, &answer, &[403]), expected);
    }
}

#[test]
fn what_is_no_dispatch_at_github_is_judged_by_the_success_codes() {
    let outcome = |status, success: &[u16]| {
        let answer = github_response(status, Some(GithubAnswer::Success));
        classify(TargetKind::Other, &answer, success).outcome
    };
    assert_eq!(outcome(201, &DEFAULT_SUCCESS), Outcome::Accepted);
    assert_eq!(outcome(201, &[200]), Outcome::Invalid);
}

#[test]
fn a_page_to_sign_in_at_is_weak_evidence_of_a_dead_credential() {
    for status in [200, 203, 302] {
        let wait = Some(Duration::from_secs(5));
        let answer = Answer::Response { status, github: None, wait, asks_to_sign_in: true };
        let classified = classify(TargetKind::Other, &answer, &DEFAULT_SUCCESS);
        assert_eq!((classified.outcome, classified.is_weak), (Outcome::Credential, true));
        assert_eq!(classified.wait, wait, "no probe before it");
    }
    let plain = classify(TargetKind::Other, &response(401, None), &DEFAULT_SUCCESS);
    assert_eq!((plain.outcome, plain.is_weak), (Outcome::Credential, false));
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
fn a_wait_counts_where_something_follows() {
    let wait = Some(Duration::from_secs(7));
    for (status, outcome, expected) in [
        (429, Outcome::RateLimited, wait),
        (503, Outcome::ServerError, wait),
        (404, Outcome::NotFound, wait),
        (403, Outcome::Permission, wait),
        (200, Outcome::Accepted, None),
        (302, Outcome::Redirected, None),
        (401, Outcome::Credential, wait),
        (422, Outcome::Invalid, None),
    ] {
        let classified = classify(TargetKind::Other, &response(status, wait), &DEFAULT_SUCCESS);
        assert_eq!((classified.outcome, classified.wait), (outcome, expected), "{status}");
    }
}

#[test]
fn without_an_answer() {
    let table = [
        (Answer::Timeout { sent: true }, Outcome::Timeout, true),
        (Answer::Timeout { sent: false }, Outcome::Timeout, false),
        (Answer::ConnectFailed, Outcome::ConnectError, false),
        (Answer::ResetAfterSend, Outcome::ConnectError, true),
        (Answer::Unreadable { status: None }, Outcome::Unreadable, true),
        (Answer::SecretMissing, Outcome::SecretMissing, false),
        (Answer::Blocked, Outcome::Blocked, false),
        (Answer::RenderFailed, Outcome::RenderError, false),
    ];
    for (answer, outcome, uncertain) in table {
        for kind in KINDS {
            let expected = Classified { outcome, uncertain, wait: None, is_weak: false };
            assert_eq!(classify(kind, &answer, &DEFAULT_SUCCESS), expected, "{answer:?}");
        }
    }
}

#[test]
fn an_unreadable_answer_counts_by_its_status() {
    for (status, dispatch, other) in [
        (204, Outcome::Accepted, Outcome::Accepted),
        (201, Outcome::Invalid, Outcome::Accepted),
        (307, Outcome::Redirected, Outcome::Redirected),
        (401, Outcome::Credential, Outcome::Credential),
        (404, Outcome::NotFound, Outcome::NotFound),
        (429, Outcome::RateLimited, Outcome::RateLimited),
        (500, Outcome::ServerError, Outcome::ServerError),
    ] {
        let answer = Answer::Unreadable { status: Some(status) };
        let outcome = |kind| classify(kind, &answer, &DEFAULT_SUCCESS).outcome;
        assert_eq!(outcome(TargetKind::RepositoryDispatch), dispatch, "{status}");
        assert_eq!(outcome(TargetKind::Other), other, "{status}");
    }
    let cut_off = Answer::Unreadable { status: Some(502) };
    assert!(classify(TargetKind::Other, &cut_off, &DEFAULT_SUCCESS).uncertain);
}

#[test]
fn of_all_answers_only_502_and_504_leave_it_open() {
    let uncertain = |kind, status, github| {
        classify(kind, &github_response(status, github), &DEFAULT_SUCCESS).uncertain
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
        prop_assert!(classified.wait.is_none() || classified.wait == retry_after);
        if classified.outcome == Outcome::Accepted {
            prop_assert!(status == 204 || success.contains(&status));
        }
    }
}

#[test]
fn a_rule_of_its_own_comes_after_limits_and_credentials() {
    let rule = |document: serde_json::Value| {
        let document = serde_json::json!({ "success": document });
        crate::Extensions::read(&document).unwrap().success.unwrap()
    };
    let codes = rule(serde_json::json!({"codes": [201, 302], "bodyExcludes": "error"}));
    let text = rule(serde_json::json!({"bodyContains": "ok"}));
    let classes = |kind: TargetKind, status: u16, rule: &SuccessRule, body: &str| {
        let classified = classify(kind, &response(status, None), &[200, 201, 202, 303]);
        let (by_rule, failed) = by_own_rule(classified, rule, status, None, body.as_bytes());
        (by_rule.outcome, by_rule.uncertain, failed)
    };
    for (status, rule, body, expected) in [
        (201, &codes, "", (Outcome::Accepted, false, None)),
        (302, &codes, "", (Outcome::Accepted, false, None)),
        (200, &codes, "", (Outcome::Invalid, false, None)),
        (301, &codes, "", (Outcome::Redirected, false, None)),
        // The settings take it for a success, the webhook's own rule does not.
        (303, &codes, "", (Outcome::Redirected, false, None)),
        (401, &codes, "", (Outcome::Credential, false, None)),
        (403, &codes, "", (Outcome::Permission, false, None)),
        (429, &codes, "", (Outcome::RateLimited, false, None)),
        (503, &codes, "error", (Outcome::ServerError, false, None)),
        (201, &codes, "an error", (Outcome::ServerError, true, Some(FailedRule::BodyExcludes))),
        (200, &text, "ok", (Outcome::Accepted, false, None)),
        (200, &text, "", (Outcome::ServerError, true, Some(FailedRule::BodyContains))),
        (404, &text, "", (Outcome::NotFound, false, None)),
    ] {
        assert_eq!(classes(TargetKind::Other, status, rule, body), expected, "{status} {body}");
    }
    let github = classes(TargetKind::RepositoryDispatch, 201, &codes, "");
    assert_eq!(github, (Outcome::Accepted, false, None), "in place of what GitHub demands");
    let plain = classes(TargetKind::RepositoryDispatch, 200, &text, "ok");
    assert_eq!(plain.0, Outcome::Invalid, "codes are still GitHub's");
}
