use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use postrider_domain::{Answer, GithubAnswer, Target, TargetKind, TokenForbidden};
use proptest::prelude::*;

use super::{answer, read};

/// Our clock.
fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn read_403(pairs: &[(&str, &str)], body: &str) -> GithubAnswer {
    read(TargetKind::RepositoryDispatch, 403, &headers(pairs), body.as_bytes(), now())
}

fn limited(seconds: Option<u64>) -> GithubAnswer {
    GithubAnswer::RateLimited { wait: seconds.map(Duration::from_secs) }
}

#[test]
fn a_401_is_a_refused_token_whatever_its_headers_say() {
    let quota_of_anonymous = headers(&[("x-ratelimit-remaining", "0"), ("retry-after", "60")]);
    let body = br#"{"message":"Bad credentials"}"#;
    let reading = read(TargetKind::RepositoryDispatch, 401, &quota_of_anonymous, body, now());
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
    let reading = read(TargetKind::RepositoryDispatch, 429, &headers(&reset_only), b"", now());
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
        (
            "Although you appear to have the correct authorization credentials, the `acme` \
             organization has enabled OAuth App access restrictions, meaning that data access to \
             third-parties is limited.",
            TokenForbidden::KindForbidden,
        ),
        (
            "As an Enterprise Managed User, you cannot access this content",
            TokenForbidden::ManagedUser,
        ),
        ("Resource protected by organization SAML enforcement.", TokenForbidden::SingleSignOn),
        (
            "Maximum number of login attempts exceeded. Please try again later.",
            TokenForbidden::LoginAttempts,
        ),
        (
            "Although you appear to have the correct authorization credentials, the `acme` \
             organization has an IP allow list enabled, and your IP address is not permitted to \
             access this resource.",
            TokenForbidden::AddressNotAllowed,
        ),
        ("Sorry. Your account was suspended.", TokenForbidden::Suspended),
        ("This installation has been suspended", TokenForbidden::Suspended),
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
        (TargetKind::WorkflowDispatch, 200, b"<html>", GithubAnswer::Page),
        (TargetKind::RepositoryDispatch, 200, b"<!doctype html>", GithubAnswer::Page),
        (TargetKind::WorkflowDispatch, 202, run, GithubAnswer::UnexpectedSuccess),
        (TargetKind::RepositoryDispatch, 200, run, GithubAnswer::UnexpectedSuccess),
        (TargetKind::RepositoryDispatch, 204, b"", GithubAnswer::Accepted),
    ];
    for (kind, status, body, expected) in table {
        assert_eq!(read(kind, status, &none, body, now()), expected, "{kind:?} {status}");
    }
}

fn target(url: &str) -> Target {
    let hosts = "api.github.com 127.0.0.1:7".parse().unwrap();
    Target::of(&url.parse().unwrap(), &hosts, true)
}

/// The meaning of an answer to a request to this URL.
fn meaning(url: &str, status: u16, pairs: &[(&str, &str)], body: &str) -> Option<GithubAnswer> {
    match answer(target(url), status, &headers(pairs), body.as_bytes(), now()) {
        Answer::Response { github, .. } => github,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_read_the_github_way() {
    let body = r#"{"message":"API rate limit exceeded"}"#;
    let id = ("x-github-request-id", "0681:62D5:1E22F03");
    for (url, pairs, expected) in [
        ("https://api.github.com/repos/o/r/statuses/abc", &[][..], true),
        ("https://api.github.com/user", &[], true),
        ("https://127.0.0.1:7/x", &[], true),
        ("https://127.0.0.1:8/x", &[], false),
        ("https://ghe.example/api/v3/repos/o/r/dispatches", &[], true),
        ("https://ghe.example/api/v3/repos/o/r/statuses/abc", &[], false),
        ("https://ghe.example/api/v3/repos/o/r/statuses/abc", &[id], true),
        ("https://ghe.example/repos/o/r/statuses/abc", &[id], true),
        ("https://ghe.example/repositories/1", &[id], false),
        ("https://other.example/hook", &[id], false),
    ] {
        let expected = expected.then_some(limited(None));
        assert_eq!(meaning(url, 403, pairs, body), expected, "{url} {pairs:?}");
    }
    let statuses = "https://api.github.com/repos/o/r/statuses/abc";
    assert_eq!(meaning(statuses, 201, &[], "{}"), Some(GithubAnswer::Success));
}

#[test]
fn every_answer_may_say_how_long() {
    let wait = |url: &str, status, pairs: &[(&str, &str)]| match answer(
        target(url),
        status,
        &headers(pairs),
        b"",
        now(),
    ) {
        Answer::Response { wait, .. } => wait.map(|wait| wait.as_secs()),
        other => panic!("{other:?}"),
    };
    let nine = ("retry-after", "9");
    let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795262500")];
    let (github, other) = ("https://api.github.com/repos/o/r/dispatches", "https://h.example/x");
    for status in [200, 403, 404, 429, 503] {
        assert_eq!(wait(github, status, &[nine]), Some(9), "{status}");
        assert_eq!(wait(other, status, &[nine]), Some(9), "{status}");
    }
    for status in [403, 429, 500] {
        assert_eq!(wait(github, status, &spent), Some(101), "{status}");
    }
    assert_eq!(wait(github, 404, &spent), None);
    assert_eq!(wait(other, 429, &spent), None);
    assert_eq!(wait(github, 403, &[spent[1], ("x-ratelimit-remaining", "14")]), None);
}

#[test]
fn a_page_to_sign_in_at_is_seen_where_a_credential_went_along() {
    let html = ("content-type", "text/html");
    let asks = |target: Target, status, pairs: &[(&str, &str)]| match answer(
        target,
        status,
        &headers(pairs),
        b"",
        now(),
    ) {
        Answer::Response { asks_to_sign_in, .. } => asks_to_sign_in,
        other => panic!("{other:?}"),
    };
    let with = target("https://dev.example/hook");
    let without = Target { has_credential: false, ..with };
    let to_login = ("location", "https://sso.example/login?x");
    for (status, pair, expected) in
        [(203, html, true), (200, html, false), (302, to_login, true), (200, to_login, false)]
    {
        assert_eq!(asks(with, status, &[pair]), expected, "{status} {pair:?}");
        assert!(!asks(without, status, &[pair]), "{status} {pair:?}");
    }
    assert!(!asks(with, 203, &[("content-type", "application/json")]));
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
        let reading = read(TargetKind::RepositoryDispatch, status, &headers, &body, now());
        prop_assert_eq!(reading == GithubAnswer::Accepted, status == 204);
        prop_assert_eq!(reading == GithubAnswer::TokenRefused, status == 401);
    }
}
