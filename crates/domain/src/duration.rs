//! Durations as settings write them: `15s`, `24h`, `30d`, `250ms`; a bare number is seconds.

use std::time::Duration;

/// Units from the longest to the shortest; the first name of each is the one printed.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no duration: use forms such as 250ms, 15s, 5m, 24h, 30d, or a bare number of seconds"
)]
pub struct InvalidDuration(pub String);

/// Reads a duration. Whole numbers only, zero included, at most 2^64 - 1 milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    parse(text.trim()).ok_or_else(|| InvalidDuration(text.to_owned()))
}

fn parse(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

/// Prints a duration in the longest unit that leaves it whole; what is below a millisecond is
/// cut off.
pub fn print_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .into_iter()
        .find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)))
        .map_or_else(String::new, |(name, unit)| format!("{}{name}", millis / u128::from(unit)))
}

#[cfg(test)]
mod tests;
