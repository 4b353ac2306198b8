//! Times on the command line: RFC 3339, or a duration back from now.

use jiff::{SignedDuration, Timestamp};
use postrider_domain::parse_duration;

/// `2026-11-21T09:00:00Z` as it is, `2h` as two hours before `now`.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let wrong = || format!("{text:?} is no time: write 2h, 3d or 2026-11-21T09:00:00Z");
    let back = parse_duration(text).map_err(|_| wrong())?;
    let back = SignedDuration::try_from(back).map_err(|_| wrong())?;
    now.checked_sub(back).map_err(|_| wrong())
}

/// A time to come: so long from `now`, or RFC 3339.
pub(crate) fn moment_ahead(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time to come: write 2h, 3d or 2026-11-21T09:00:00Z");
    let instant = if let Ok(instant) = text.parse::<Timestamp>() {
        instant
    } else {
        let ahead = parse_duration(text).map_err(|_| wrong())?;
        let ahead = SignedDuration::try_from(ahead).map_err(|_| wrong())?;
        now.checked_add(ahead).map_err(|_| wrong())?
    };
    if instant > now { Ok(instant) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (given, expected) in [
            ("2h", "2026-11-22T10:00:00Z"),
            ("3d", "2026-11-19T12:00:00Z"),
            ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z"),
            ("2026-11-21T09:00:00+02:00", "2026-11-21T07:00:00Z"),
        ] {
            assert_eq!(moment(given, now).unwrap().to_string(), expected);
        }
        for wrong in ["", "yesterday", "-2h", "2026-11-21", "99999999999d"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_to_come() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (given, expected) in
            [("2h", "2026-11-22T14:00:00Z"), ("2026-11-23T09:00:00+02:00", "2026-11-23T07:00:00Z")]
        {
            assert_eq!(moment_ahead(given, now).unwrap().to_string(), expected);
        }
        for wrong in ["", "0s", "tomorrow", "2026-11-22T12:00:00Z", "99999999999d"] {
            assert!(moment_ahead(wrong, now).is_err(), "{wrong}");
        }
    }
}
