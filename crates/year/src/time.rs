//! Virtual time.

use jiff::Timestamp;

/// Virtual time: milliseconds since the beginning of the year.
pub type Millis = i64;

pub(crate) const SECOND: Millis = 1_000;
pub(crate) const MINUTE: Millis = 60 * SECOND;
pub(crate) const HOUR: Millis = 60 * MINUTE;
pub(crate) const DAY: Millis = 24 * HOUR;

/// 2026-01-01T00:00:00Z, a Thursday.
const BEGINNING: i64 = 1_767_225_600_000;

/// The instant.
pub(crate) fn at(now: Millis) -> Timestamp {
    Timestamp::from_millisecond(BEGINNING + now).unwrap_or(Timestamp::MAX)
}

/// The virtual time of an instant.
pub(crate) fn since_beginning(at: Timestamp) -> Millis {
    at.as_millisecond() - BEGINNING
}
