//! The headers of an answer that matter here.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
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

/// `Retry-After` as a wait: whole seconds, or a date, which counts from the answer's own Date
/// header (rule `DB_CLOCK`: only durations cross machines). At most 24 hours.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    wait_asked_for(headers, None)
}

/// As [`retry_after`], with a clock for an answer that has no Date header.
pub(crate) fn wait_asked_for(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let written = text(headers, RETRY_AFTER.as_str())?;
    if !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = written.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    wait_until(parse_date(written)?, headers, now)
}

/// The wait until the primary limit's window ends, and one second more, as GitHub counts in
/// whole seconds; only when nothing is left in it.
pub(crate) fn wait_for_reset(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    if rate_remaining(headers) != Some(0) {
        return None;
    }
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let wait = wait_until(Timestamp::from_second(reset).ok()?, headers, now)?;
    Some((wait + Duration::from_secs(1)).min(LONGEST_WAIT))
}

/// How far an instant of the target's clock is from the answer, by the target's clock.
fn wait_until(instant: Timestamp, headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let answered = text(headers, DATE.as_str()).and_then(parse_date).or(now)?;
    let wait = instant.duration_since(answered);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(LONGEST_WAIT))
}

fn parse_date(written: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(written).ok()
}

/// A header's value, if it is printable ASCII.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests;
