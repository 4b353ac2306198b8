//! When people work: hours, weekends, holidays, launch days.

use jiff::SignedDuration;
use jiff::civil::{Date, Weekday, date};

use crate::chance::{Chance, rounded};
use crate::time::{HOUR, Millis};

/// Days on which nobody works.
const HOLIDAYS: [(i8, i8); 14] = [
    (1, 1),
    (1, 2),
    (4, 3),
    (4, 6),
    (5, 1),
    (5, 14),
    (5, 25),
    (8, 15),
    (10, 3),
    (11, 1),
    (12, 24),
    (12, 25),
    (12, 28),
    (12, 31),
];
/// Days on which everybody does, one of them a Saturday.
const LAUNCHES: [(i8, i8); 6] = [(1, 29), (3, 12), (5, 30), (7, 9), (9, 17), (11, 12)];

/// What of the peak is left: early and late, at night, on days off; and on launch days more.
const EVENING: f64 = 0.2;
const NIGHT: f64 = 0.05;
const DAY_OFF: f64 = 0.03;
const LAUNCH: f64 = 4.0;

/// How lively each hour of the year is.
#[derive(Debug)]
pub(crate) struct Calendar {
    hours: Vec<f64>,
}

impl Calendar {
    pub(crate) fn new(days: u16) -> Self {
        let first = date(2026, 1, 1);
        let of_day = |day: u16| {
            let date = first.saturating_add(SignedDuration::from_hours(24 * i64::from(day)));
            (0..24).map(move |hour| activity(date, hour))
        };
        Self { hours: (0..days).flat_map(of_day).collect() }
    }

    /// When what happens `rate` times an hour at the peak happens next; `None`: not any more.
    pub(crate) fn next(&self, after: Millis, rate: f64, chance: &mut Chance) -> Option<Millis> {
        let mut left = chance.exponential();
        let mut hour = usize::try_from(after / HOUR).ok()?;
        let mut from = share_of_hour(after % HOUR);
        loop {
            let activity = rate * self.hours.get(hour)?;
            let room = activity * (1.0 - from);
            if left < room {
                let start = Millis::try_from(hour).ok()? * HOUR;
                let within = rounded((from + left / activity) * share_of_hour_inverse());
                return Some((start + within).max(after + 1));
            }
            left -= room;
            hour += 1;
            from = 0.0;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of an hour")]
fn share_of_hour(millis: Millis) -> f64 {
    millis as f64 / share_of_hour_inverse()
}

fn share_of_hour_inverse() -> f64 {
    3_600_000.0
}

fn activity(date: Date, hour: u32) -> f64 {
    let day = (date.month(), date.day());
    let is_off = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    match hour {
        _ if LAUNCHES.contains(&day) => LAUNCH,
        _ if is_off || HOLIDAYS.contains(&day) => DAY_OFF,
        8..=17 => 1.0,
        6 | 7 | 18..=21 => EVENING,
        _ => NIGHT,
    }
}
