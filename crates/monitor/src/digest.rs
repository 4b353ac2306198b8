//! What happened in a day, told to Slack once: what opened no incident is not forgotten.

mod message;
mod read;
mod send;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use postrider_domain::{Outcome, PairKey, QuietDays};
use postrider_store::Incident;

pub(crate) use send::Digester;

/// What a digest tells of.
#[derive(Debug, Clone, Default)]
struct DigestFacts {
    /// Deliveries of the last 24 hours, as they are now.
    delivered: u64,
    failed: u64,
    /// Neither: they wait, or are being tried.
    open: u64,
    /// Those were all.
    is_exact: bool,
    /// Final failures of the last 24 hours that opened no incident, by webhook, most first.
    failures: Vec<WebhookFailures>,
    /// Incidents that are open, the newest of them.
    incidents: Vec<Incident>,
    /// How many are open.
    open_incidents: u64,
    /// How many pairs owe a verification that is not late.
    owing: u64,
    /// Pairs that are late or failed, or that nobody verifies, with the name of their state.
    bad_pairs: Vec<(PairKey, &'static str)>,
    /// Credentials that end soon, or have, the next one first.
    expiring: Vec<(String, Timestamp)>,
}

/// Final failures of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WebhookFailures {
    webhook: String,
    description: String,
    count: u64,
    /// What the newest came to.
    outcome: Option<Outcome>,
}

/// The day whose digest is due: today, once it is as late as it should be. A quiet day has none.
fn due_day(at: Time, quiet: &QuietDays, now: Timestamp) -> Option<Date> {
    let local = quiet.local(now);
    (local.time() >= at && !quiet.is_quiet(now)).then(|| local.date())
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_digest_is_due_once_the_clock_says_so_there() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let quiet = QuietDays::new(vec![Weekday::Saturday, Weekday::Sunday], zone);
        let nine: Time = "09:00".parse().unwrap();
        let day =
            |now: &str| due_day(nine, &quiet, now.parse().unwrap()).map(|day| day.to_string());
        // A Friday; Berlin is an hour ahead.
        assert_eq!(day("2026-11-27T07:59:59Z"), None);
        assert_eq!(day("2026-11-27T08:00:00Z").as_deref(), Some("2026-11-27"));
        assert_eq!(day("2026-11-27T22:59:59Z").as_deref(), Some("2026-11-27"));
        assert_eq!(day("2026-11-27T23:30:00Z"), None, "Saturday there");
        assert_eq!(day("2026-11-29T12:00:00Z"), None, "Sunday");
        assert_eq!(day("2026-11-30T12:00:00Z").as_deref(), Some("2026-11-30"));
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_is_not_missed() {
        let quiet = QuietDays::new(Vec::new(), TimeZone::get("Europe/Berlin").unwrap());
        let half_past_two: Time = "02:30".parse().unwrap();
        let day = |now: &str| due_day(half_past_two, &quiet, now.parse().unwrap());
        assert!(day("2026-03-29T00:59:00Z").is_none());
        assert!(day("2026-03-29T01:00:00Z").is_some(), "three o'clock there");
    }
}
