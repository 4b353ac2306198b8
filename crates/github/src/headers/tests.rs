use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{
    LONGEST_WAIT, rate_remaining, request_id, retry_after, token_expiry, wait_asked_for,
    wait_for_reset,
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

#[test]
fn retry_after_is_seconds_or_a_date() {
    let table = [
        ("60", Some(Duration::from_mins(1))),
        (" 0 ", Some(Duration::from_secs(0))),
        ("Sat, 21 Nov 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
        ("Sat, 21 Nov 2026 11:00:00 GMT", Some(Duration::from_secs(0))),
        ("99999999999999999999999", Some(LONGEST_WAIT)),
        ("Sun, 21 Nov 2027 12:00:00 GMT", Some(LONGEST_WAIT)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ];
    for (value, expected) in table {
        assert_eq!(retry_after(&headers(&[DATE, ("retry-after", value)])), expected, "{value:?}");
    }
}

#[test]
fn the_targets_clock_counts_and_not_ours() {
    let date = ("retry-after", "Sat, 21 Nov 2026 12:01:30 GMT");
    assert_eq!(retry_after(&headers(&[date])), None);
    let hint = "2026-11-21T12:01:00Z".parse().ok();
    assert_eq!(wait_asked_for(&headers(&[date]), hint), Some(Duration::from_secs(30)));
    assert_eq!(wait_asked_for(&headers(&[date, DATE]), hint), Some(Duration::from_secs(90)));
}

#[test]
fn a_reset_counts_only_when_nothing_remains() {
    let reset = (DATE_EPOCH + 100).to_string();
    let reset = ("x-ratelimit-reset", reset.as_str());
    let wait = |remaining| {
        wait_for_reset(&headers(&[DATE, reset, ("x-ratelimit-remaining", remaining)]), None)
    };
    assert_eq!(wait("0"), Some(Duration::from_secs(101)));
    assert_eq!(wait("14"), None);
    assert_eq!(wait("none"), None);
    let without_date = headers(&[reset, ("x-ratelimit-remaining", "0")]);
    assert_eq!(wait_for_reset(&without_date, None), None);
    assert_eq!(
        wait_for_reset(&without_date, "2026-11-21T12:00:40Z".parse().ok()),
        Some(Duration::from_secs(61))
    );
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
        prop_assert!(retry_after(&headers).is_none_or(|wait| wait <= LONGEST_WAIT));
        prop_assert!(wait_for_reset(&headers, None).is_none_or(|wait| wait <= LONGEST_WAIT));
        prop_assert_eq!(rate_remaining(&headers), remaining.trim().parse().ok());
        prop_assert!(token_expiry(&headers).is_none());
    }
}
