//! The headers of an answer that matter here.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// No answer makes anything wait longer than this, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Longer request ids than this are cut: they come from outside and are kept.
const LONGEST_REQUEST_ID: usize = 128;

/// `X-GitHub-Request-Id`, which GitHub's support asks for; at most 128 characters.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = text(headers, "x-github-request-id")?;
    Some(id.chars().take(LONGEST_REQUEST_ID).collect())
}

/// `X-RateLimit-Remaining`: requests left in the primary limit's window.
pub fn rate_remaining(headers: &HeaderMap) -> Option<u64> {
    text(headers, "x-ratelimit-remaining")?.parse().ok()
}

/// When the token that was used expires; absent for tokens that don't. GitHub writes
/// `2026-12-01 14:34:04 UTC`, or an offset such as `+0200` instead of `UTC` (go-github).
pub fn token_expiry(headers: &HeaderMap) -> Option<Timestamp> {
    let written = text(headers, "github-authentication-token-expiration")?;
    let with_offset = written.replace("UTC", "+0000");
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", with_offset).ok()
}

/// `Retry-After` as a wait: whole seconds, or a date. Zero when that is over; at most 24 hours.
/// `now` is our clock's time, for answers without a usable Date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    said(headers, now).map(|wait| wait.min(LONGEST_WAIT))
}

fn said(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let written = text(headers, RETRY_AFTER.as_str())?;
    if !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(written.parse().unwrap_or(u64::MAX)));
    }
    Some(wait_until(parse_date(written)?, headers, now))
}

/// Whether the wait that is asked for is longer than any that is kept.
pub(crate) fn says_too_long(headers: &HeaderMap, counts_reset: bool, now: Timestamp) -> bool {
    let reset = || if counts_reset { until_reset(headers, now) } else { None };
    said(headers, now).or_else(reset).is_some_and(|wait| wait > LONGEST_WAIT)
}

/// The wait until the primary limit's window ends, and one second more, as GitHub counts in
/// whole seconds; only when nothing is left in it.
pub(crate) fn wait_for_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    until_reset(headers, now).map(|wait| wait.min(LONGEST_WAIT))
}

fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if rate_remaining(headers) != Some(0) {
        return None;
    }
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let wait = wait_until(Timestamp::from_second(reset).ok()?, headers, now);
    Some(wait.saturating_add(Duration::from_secs(1)))
}

/// How far an instant of the target's clock is from the answer: by the target's clock (rule
/// `DB_CLOCK`: only durations cross machines) where its Date is within a day of ours, else by ours.
pub(crate) fn wait_until(instant: Timestamp, headers: &HeaderMap, now: Timestamp) -> Duration {
    let date = text(headers, DATE.as_str()).and_then(parse_date);
    let is_near = |date: &Timestamp| date.duration_since(now).unsigned_abs() <= LONGEST_WAIT;
    let answered = date.filter(is_near).unwrap_or(now);
    let wait = instant.duration_since(answered);
    Duration::try_from(wait).unwrap_or(Duration::ZERO)
}

/// Whether an answer carries a request id as only GitHub gives them.
pub(crate) fn has_request_id(headers: &HeaderMap) -> bool {
    text(headers, "x-github-request-id").is_some_and(|id| {
        let is_of_it = |b: u8| matches!(b, b'0'..=b'9' | b'A'..=b'F' | b':');
        (8..=64).contains(&id.len()) && id.bytes().all(is_of_it)
    })
}

/// Whether the body is a page for people, by its media type; by its first bytes where there is
/// none.
pub(crate) fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(media_type) = text(headers, CONTENT_TYPE.as_str()) else {
        let start = body.trim_ascii_start();
        let begins = |word: &[u8]| {
            start.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        return begins(b"<!doctype html") || begins(b"<html");
    };
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|page| media_type.eq_ignore_ascii_case(page))
}

/// Whether a redirect leads to a page to sign in at: by the last segment of its path.
pub(crate) fn leads_to_sign_in(headers: &HeaderMap) -> bool {
    let Some(location) = text(headers, LOCATION.as_str()) else { return false };
    let path = location.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    ["signin", "login", "authorize", "sso"].iter().any(|page| last.eq_ignore_ascii_case(page))
}

fn parse_date(written: &str) -> Option<Timestamp> {
    let usual = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(written).ok();
    // The other two forms that every recipient has to take (RFC 9110, section 5.6.7).
    usual.or_else(|| Timestamp::try_from(httpdate::parse_http_date(written).ok()?).ok())
}

/// A header's value, if it is printable ASCII.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests;
