use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain::{Answer, GithubAnswer, TargetKind, TokenForbidden};
use proptest::prelude::*;

use super::{answer, read};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn read_403(pairs: &[(&str, &str)], body: &str) -> GithubAnswer {
    read(TargetKind::RepositoryDispatch, 403, &headers(pairs), body.as_bytes(), None)
}

fn limited(seconds: Option<u64>) -> GithubAnswer {
    GithubAnswer::RateLimited { wait: seconds.map(Duration::from_secs) }
}

#[test]
fn a_401_is_a_refused_token_whatever_its_headers_say() {
    let quota_of_anonymous = headers(&[("x-ratelimit-remaining", "0"), ("retry-after", "60")]);
    let body = br#"{"message":"Bad credentials"}"#;
    let reading = read(TargetKind::RepositoryDispatch, 401, &quota_of_anonymous, body, None);
    assert_eq!(reading, GithubAnswer::TokenRefused);
}

#[test]
fn a_limit_may_show_in_the_body_alone() {
    for body in [
        r#"{"message":"You have exceeded a Secondary Rate limit."}"#,
        r#"{"message":"API rate limit exceeded for user ID 1."}"#,
        r#"{"message":"You have triggered an abuse detection mechanism."}"#,
        r#"{"message":"x","documentation_url":"https://docs.github.com/rest#about-secondary-rate-limits"}"#,
        r#"{"message":"x","documentation_url":"https://developer.github.com/v3/#abuse-rate-limits"}"#,
        "You have exceeded a secondary rate limit",
    ] {
        assert_eq!(read_403(&[], body), limited(None), "{body}");
    }
}

#[test]
fn retry_after_comes_before_the_reset() {
    let both = [
        ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
        ("retry-after", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795262500"),
    ];
    assert_eq!(read_403(&both, ""), limited(Some(60)));
    let reset_only = [both[0], both[2], both[3]];
    assert_eq!(read_403(&reset_only, ""), limited(Some(101)));
    let reading = read(TargetKind::RepositoryDispatch, 429, &headers(&reset_only), b"", None);
    assert_eq!(reading, limited(Some(101)));
}

#[test]
fn a_limit_is_noticed_before_a_grant_is_missed() {
    let body = r#"{"message":"Resource not accessible by personal access token"}"#;
    assert_eq!(read_403(&[], body), GithubAnswer::PermissionDenied);
    assert_eq!(read_403(&[("retry-after", "5")], body), limited(Some(5)));
}

#[test]
fn a_403_about_the_token_says_why() {
    let table = [
        (
            "The 'o' organization forbids access via a fine-grained personal access tokens if \
             the token's lifetime is greater than 366 days.",
            TokenForbidden::LifetimePolicy,
        ),
        (
            "`o` forbids access via a personal access token (classic).",
            TokenForbidden::KindForbidden,
        ),
        ("Resource protected by organization SAML enforcement.", TokenForbidden::SingleSignOn),
        (
            "Maximum number of login attempts exceeded. Please try again later.",
            TokenForbidden::LoginAttempts,
        ),
    ];
    for (message, why) in table {
        let body = serde_json::json!({ "message": message }).to_string();
        assert_eq!(read_403(&[], &body), GithubAnswer::TokenForbidden(why), "{message}");
    }
    let sso = ("x-github-sso", "required; url=https://github.com/orgs/o/sso?authorization=x");
    assert_eq!(read_403(&[sso], ""), GithubAnswer::TokenForbidden(TokenForbidden::SingleSignOn));
    let partial = ("x-github-sso", "partial-results; organizations=1");
    assert_eq!(read_403(&[partial], ""), GithubAnswer::PermissionDenied);
}

#[test]
fn a_200_starts_a_workflow_only_with_its_run() {
    let none = HeaderMap::new();
    let run = br#"{"workflow_run_id":1}"#;
    let table = [
        (TargetKind::WorkflowDispatch, 200, &run[..], GithubAnswer::Accepted),
        (TargetKind::WorkflowDispatch, 204, b"", GithubAnswer::Accepted),
        (TargetKind::WorkflowDispatch, 200, b"{}", GithubAnswer::UnexpectedSuccess),
        (TargetKind::WorkflowDispatch, 200, b"<html>", GithubAnswer::UnexpectedSuccess),
        (TargetKind::WorkflowDispatch, 202, run, GithubAnswer::UnexpectedSuccess),
        (TargetKind::RepositoryDispatch, 200, run, GithubAnswer::UnexpectedSuccess),
        (TargetKind::RepositoryDispatch, 204, b"", GithubAnswer::Accepted),
    ];
    for (kind, status, body, expected) in table {
        assert_eq!(read(kind, status, &none, body, None), expected, "{kind:?} {status}");
    }
}

#[test]
fn other_targets_are_not_read_the_github_way() {
    let pairs = headers(&[("retry-after", "9")]);
    let body = br#"{"message":"API rate limit exceeded"}"#;
    let retry_after = Some(Duration::from_secs(9));
    assert_eq!(
        answer(TargetKind::Other, 403, &pairs, body),
        Answer::Response { status: 403, github: None, retry_after }
    );
    assert_eq!(
        answer(TargetKind::RepositoryDispatch, 403, &pairs, body),
        Answer::Response { status: 403, github: Some(limited(Some(9))), retry_after }
    );
}

proptest! {
    #[test]
    fn any_answer_is_read(
        status: u16,
        body in prop::collection::vec(any::<u8>(), 0..200),
        value in "[ -~]{0,30}",
        name in prop::sample::select(vec![
            "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-github-sso", "date",
        ]),
    ) {
        let headers = headers(&[(name, &value)]);
        let reading = read(TargetKind::RepositoryDispatch, status, &headers, &body, None);
        prop_assert_eq!(reading == GithubAnswer::Accepted, status == 204);
        prop_assert_eq!(reading == GithubAnswer::TokenRefused, status == 401);
    }
}
