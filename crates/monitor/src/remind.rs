//! When an open incident is told again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_store::UnseenIncident;

/// Each wait is so many times as long as the one before, up to a day.
const GROWTH: u32 = 3;
const LONGEST: Duration = Duration::from_hours(24);

/// How long after an incident was last told it is told again, when it was reminded of so often:
/// first 4 h, then 12 h, then every day. A first wait of more than a day stays as it is.
fn wait(first: Duration, reminders: u32) -> Duration {
    let grown = first.saturating_mul(GROWTH.saturating_pow(reminders));
    grown.min(LONGEST.max(first))
}

/// Those of which somebody has to be reminded now. Where time passed unused, because no monitor
/// ran, one reminder is enough.
pub(crate) fn due(
    unseen: Vec<UnseenIncident>,
    first: Duration,
    now: Timestamp,
) -> Vec<UnseenIncident> {
    let is_due = |incident: &UnseenIncident| {
        let wait = SignedDuration::try_from(wait(first, incident.reminders));
        wait.is_ok_and(|wait| now.duration_since(incident.told_at) >= wait)
    };
    unseen.into_iter().filter(is_due).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const FIRST: Duration = Duration::from_hours(4);

    #[test]
    fn waits_grow_up_to_a_day() {
        for (reminders, hours) in [(0, 4), (1, 12), (2, 24), (3, 24), (u32::MAX, 24)] {
            assert_eq!(wait(FIRST, reminders), Duration::from_hours(hours), "{reminders}");
        }
        let long = Duration::from_hours(48);
        assert_eq!((wait(long, 0), wait(long, 5)), (long, long));
    }

    #[test]
    fn an_incident_is_told_again_once_its_wait_is_over() {
        let told_at: Timestamp = "2026-11-30T08:00:00Z".parse().unwrap();
        let unseen = |reminders| UnseenIncident { id: Uuid::nil(), told_at, reminders };
        let is_due = |reminders, minutes| {
            let now = told_at + SignedDuration::from_mins(minutes);
            !due(vec![unseen(reminders)], FIRST, now).is_empty()
        };
        assert!(!is_due(0, 239) && is_due(0, 240));
        assert!(!is_due(1, 719) && is_due(1, 720));
        assert!(!is_due(9, 24 * 60 - 1) && is_due(9, 24 * 60));
        assert!(!is_due(0, -500), "a clock that was set back");
    }

    #[test]
    fn a_year_has_a_reminder_a_day_and_two_more() {
        let opened: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut incident = UnseenIncident { id: Uuid::nil(), told_at: opened, reminders: 0 };
        for quarter in 0..365 * 24 * 4 {
            let now = opened + SignedDuration::from_mins(15 * quarter);
            if !due(vec![incident], FIRST, now).is_empty() {
                incident.told_at = now;
                incident.reminders += 1;
            }
        }
        assert_eq!(incident.reminders, 366);
    }
}
