use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    LONGEST_WAIT, has_request_id, is_page, leads_to_sign_in, rate_remaining, request_id,
    retry_after, token_expiry, wait_for_reset,
};

const DATE: (&str, &str) = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");
/// 2026-11-21T12:00:00Z.
const DATE_EPOCH: i64 = 1_795_262_400;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

/// Our clock, a little ahead of the target's.
fn now() -> Timestamp {
    "2026-11-21T12:00:30Z".parse().unwrap()
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let table = [
        ("60", Some(Duration::from_mins(1))),
        (" 0 ", Some(Duration::from_secs(0))),
        ("Sat, 21 Nov 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
        ("Sat, 21 Nov 2026 11:00:00 GMT", Some(Duration::from_secs(0))),
        ("Saturday, 21-Nov-26 12:01:30 GMT", Some(Duration::from_secs(90))),
        ("Sat Nov 21 12:01:30 2026", Some(Duration::from_secs(90))),
        ("99999999999999999999999", Some(LONGEST_WAIT)),
        ("Sun, 21 Nov 2027 12:00:00 GMT", Some(LONGEST_WAIT)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ];
    for (value, expected) in table {
        let answer = headers(&[DATE, ("retry-after", value)]);
        assert_eq!(retry_after(&answer, now()), expected, "{value:?}");
    }
}

#[test]
fn the_targets_clock_counts_where_it_is_near_ours() {
    let date = ("retry-after", "Sat, 21 Nov 2026 12:01:30 GMT");
    for (targets_clock, expected) in [
        (None, 60),
        (Some("Sat, 21 Nov 2026 12:00:00 GMT"), 90),
        (Some("Fri, 20 Nov 2026 12:00:31 GMT"), 86_400),
        (Some("Fri, 20 Nov 2026 12:00:00 GMT"), 60),
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), 60),
        (Some("yesterday"), 60),
    ] {
        let clock = targets_clock.map(|value| ("date", value));
        let answer = headers(&[date].into_iter().chain(clock).collect::<Vec<_>>());
        let expected = Some(Duration::from_secs(expected));
        assert_eq!(retry_after(&answer, now()), expected, "{targets_clock:?}");
    }
}

#[test]
fn a_reset_counts_only_when_nothing_remains() {
    let reset = (DATE_EPOCH + 100).to_string();
    let reset = ("x-ratelimit-reset", reset.as_str());
    let wait = |remaining| {
        wait_for_reset(&headers(&[DATE, reset, ("x-ratelimit-remaining", remaining)]), now())
    };
    assert_eq!(wait("0"), Some(Duration::from_secs(101)));
    assert_eq!(wait("14"), None);
    assert_eq!(wait("none"), None);
    let without_date = headers(&[reset, ("x-ratelimit-remaining", "0")]);
    assert_eq!(wait_for_reset(&without_date, now()), Some(Duration::from_secs(71)));
}

#[test]
fn only_github_gives_such_request_ids() {
    for (id, expected) in [
        ("0681:62D5:1E22F03:626F1F6:6920A2C0", true),
        ("ABCDEF01", true),
        ("ABCDEF0", false),
        ("0681:62d5:1E22F03", false),
        ("req_0123456789", false),
        (&"A".repeat(65), false),
    ] {
        assert_eq!(has_request_id(&headers(&[("x-github-request-id", id)])), expected, "{id}");
    }
    assert!(!has_request_id(&HeaderMap::new()));
}

#[test]
fn pages_are_known_by_type_and_without_one_by_their_start() {
    for (media_type, body, expected) in [
        (Some("text/html; charset=utf-8"), "", true),
        (Some("Application/XHTML+XML"), "", true),
        (Some("application/json"), "<html>", false),
        (Some("text/plain"), "<!doctype html>", false),
        (None, " \n<!DOCTYPE html><html>", true),
        (None, "<HTML>", true),
        (None, "<htm", false),
        (None, "{}", false),
    ] {
        let media_type = media_type.map(|value| ("content-type", value));
        let answer = headers(&media_type.into_iter().collect::<Vec<_>>());
        assert_eq!(is_page(&answer, body.as_bytes()), expected, "{media_type:?} {body}");
    }
}

#[test]
fn a_redirect_to_sign_in_is_known_by_its_last_segment() {
    for (location, expected) in [
        ("https://sso.example/auth/Login?next=/x", true),
        ("/oauth/authorize", true),
        ("/signin/", true),
        ("sso#x", true),
        ("https://login.example/", false),
        ("/login/done", false),
        ("/x?login", false),
        ("", false),
    ] {
        assert_eq!(leads_to_sign_in(&headers(&[("location", location)])), expected, "{location}");
    }
}

#[test]
fn the_expiry_has_two_forms() {
    let expiry = |value| {
        token_expiry(&headers(&[("github-authentication-token-expiration", value)]))
            .map(|at| at.to_string())
    };
    assert_eq!(expiry("2026-12-01 14:34:04 UTC").as_deref(), Some("2026-12-01T14:34:04Z"));
    assert_eq!(expiry("2026-12-01 14:34:04 +0200").as_deref(), Some("2026-12-01T12:34:04Z"));
    assert_eq!(expiry("never"), None);
    assert_eq!(token_expiry(&HeaderMap::new()), None);
}

#[test]
fn a_request_id_is_kept_up_to_a_bound() {
    let id = |value: &str| request_id(&headers(&[("x-github-request-id", value)]));
    assert_eq!(id("0681:62D5:1E22F03").as_deref(), Some("0681:62D5:1E22F03"));
    assert_eq!(id(&"a".repeat(5000)).map(|id| id.len()), Some(128));
    assert_eq!(request_id(&HeaderMap::new()), None);
}

proptest! {
    #[test]
    fn no_header_makes_anything_wait_longer_than_a_day_or_panic(
        retry in "[ -~]{0,40}|[0-9]{1,30}",
        reset in "-?[0-9]{1,30}",
        remaining in "0|[ -~]{0,10}",
        date in "[ -~]{0,40}|Sat, 21 Nov 2026 12:00:00 GMT",
    ) {
        let headers = headers(&[
            ("retry-after", &retry),
            ("x-ratelimit-reset", &reset),
            ("x-ratelimit-remaining", &remaining),
            ("date", &date),
            ("github-authentication-token-expiration", &retry),
        ]);
        prop_assert!(retry_after(&headers, now()).is_none_or(|wait| wait <= LONGEST_WAIT));
        prop_assert!(wait_for_reset(&headers, now()).is_none_or(|wait| wait <= LONGEST_WAIT));
        prop_assert_eq!(rate_remaining(&headers), remaining.trim().parse().ok());
        prop_assert!(token_expiry(&headers).is_none());
    }
}
