//! Days that don't count as age: nobody expects a verification over the weekend.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::suggestions;

/// The oldest age that is told apart, which bounds the walk over its quiet days.
const OLDEST: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// The days by the names that people write; the first three letters suffice.
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The text names no day of the week, or it names all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDay {
    /// No such day.
    #[error("{name:?} is no day of the week (mon tue wed thu fri sat sun){hint}")]
    Unknown {
        /// What was written.
        name: String,
        /// `; did you mean saturday?`, or nothing.
        hint: String,
    },
    /// Nothing would ever grow older.
    #[error("all seven days are quiet, so nothing would ever be late: leave at least one out")]
    All,
}

/// Reads days of the week, separated by commas or spaces: `sat,sun`, `Saturday Sunday`. The
/// empty text names none, and so does `none`.
pub fn parse_days(text: &str) -> Result<Vec<Weekday>, InvalidDay> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let days: Vec<Weekday> = words.map(parse_day).collect::<Result<_, _>>()?;
    if DAYS.iter().all(|(_, day)| days.contains(day)) { Err(InvalidDay::All) } else { Ok(days) }
}

fn parse_day(word: &str) -> Result<Weekday, InvalidDay> {
    let lower = word.to_lowercase();
    let is_it = |name: &str| name == lower || name.get(..3) == Some(lower.as_str());
    DAYS.into_iter().find(|(name, _)| is_it(name)).map(|(_, day)| day).ok_or_else(|| {
        let names = DAYS.iter().flat_map(|(name, _)| [name.get(..3).unwrap_or(name), *name]);
        InvalidDay::Unknown { name: word.to_owned(), hint: suggestions::hint(word, names) }
    })
}

/// Days of the week that don't count, midnight to midnight in one time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietDays {
    days: Vec<Weekday>,
    zone: TimeZone,
}

impl QuietDays {
    /// These days in this zone.
    pub fn new(days: Vec<Weekday>, zone: TimeZone) -> Self {
        Self { days, zone }
    }

    /// Every day counts.
    pub fn none() -> Self {
        Self::new(Vec::new(), TimeZone::UTC)
    }

    /// Whether every day counts.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Whether this moment is on a day that does not count.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        !self.days.is_empty() && self.days.contains(&self.zone.to_datetime(now).weekday())
    }

    /// What clocks show there.
    pub fn local(&self, now: Timestamp) -> DateTime {
        self.zone.to_datetime(now)
    }

    /// The time from `since` to `now` without what of it fell on quiet days. A day is as long
    /// as the zone makes it: 23 or 25 hours where clocks change. Negative when `since` is later
    /// than `now`; quiet days are not left out then.
    pub fn age(&self, since: Timestamp, now: Timestamp) -> SignedDuration {
        let passed = now.duration_since(since);
        if self.days.is_empty() || !passed.is_positive() {
            return passed;
        }
        let last = self.zone.to_datetime(now).date();
        let first = self.zone.to_datetime(since).date();
        // Two zone look-ups a quiet day: a decade is a thousand of them.
        let dates = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        let quiet = dates
            .take_while(|date| *date <= last)
            .filter(|date| self.days.contains(&date.weekday()))
            .map(|date| self.overlap(date, since, now))
            .fold(SignedDuration::ZERO, SignedDuration::saturating_add);
        passed.saturating_sub(quiet)
    }

    /// How much of the date lies between the two.
    fn overlap(&self, date: Date, since: Timestamp, now: Timestamp) -> SignedDuration {
        let start = self.midnight(date).unwrap_or(since).max(since);
        let end = date.tomorrow().ok().and_then(|next| self.midnight(next)).unwrap_or(now).min(now);
        end.duration_since(start).max(SignedDuration::ZERO)
    }

    /// The date's first instant; `None` beyond the years that a timestamp can hold.
    fn midnight(&self, date: Date) -> Option<Timestamp> {
        self.zone.to_timestamp(date.at(0, 0, 0, 0)).ok()
    }
}

/// Age without quiet days; what lies in the future has none, and nothing is older than ten
/// years.
pub fn age(quiet: &QuietDays, since: Timestamp, now: Timestamp) -> Duration {
    let oldest = now.checked_sub(OLDEST).unwrap_or(since);
    let age = quiet.age(since.max(oldest), now).max(SignedDuration::ZERO);
    Duration::try_from(age).unwrap_or_default()
}

#[cfg(test)]
mod tests;
