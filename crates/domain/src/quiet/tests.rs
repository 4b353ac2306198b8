use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn weekend(zone_name: &str) -> QuietDays {
    QuietDays::new(parse_days("sat,sun").unwrap(), zone(zone_name))
}

fn check(quiet: &QuietDays, since: &str, now: &str, hours: i64) {
    let age = quiet.age(since.parse().unwrap(), now.parse().unwrap());
    assert_eq!(age, SignedDuration::from_hours(hours), "{since} to {now}");
}

#[test]
fn monday_morning_is_sixteen_hours_after_friday_evening() {
    check(&weekend("UTC"), "2026-11-20T17:00:00Z", "2026-11-23T09:00:00Z", 16);
    check(&QuietDays::none(), "2026-11-20T17:00:00Z", "2026-11-23T09:00:00Z", 64);
}

#[test]
fn only_without_days_is_it_empty() {
    assert!(QuietDays::none().is_empty());
    assert!(!weekend("UTC").is_empty());
    for text in ["", "none", " None "] {
        assert_eq!(parse_days(text), Ok(Vec::new()), "{text:?}");
    }
    assert!(parse_days("none sat").is_err());
}

#[test]
fn the_weekend_is_the_zones() {
    // 22:00 UTC on Friday is Saturday in Auckland.
    check(&weekend("Pacific/Auckland"), "2026-11-20T17:00:00Z", "2026-11-20T22:00:00Z", 0);
    check(&weekend("America/Los_Angeles"), "2026-11-20T17:00:00Z", "2026-11-21T22:00:00Z", 15);
}

#[test]
fn quiet_days_are_as_long_as_the_clock_changes_make_them() {
    // Berlin, Friday 17:00 to Monday 09:00 local, over both changes of 2026.
    check(&weekend("Europe/Berlin"), "2026-03-27T17:00:00+01:00", "2026-03-30T09:00:00+02:00", 16);
    check(&weekend("Europe/Berlin"), "2026-10-23T17:00:00+02:00", "2026-10-26T09:00:00+01:00", 16);
}

#[test]
fn a_date_that_a_zone_skipped_has_no_length() {
    // Samoa left out Friday 2011-12-30.
    let fridays = QuietDays::new(parse_days("fri").unwrap(), zone("Pacific/Apia"));
    check(&fridays, "2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00", 24);
}

#[test]
fn within_a_quiet_day_nothing_ages() {
    check(&weekend("UTC"), "2026-11-21T01:00:00Z", "2026-11-22T23:00:00Z", 0);
}

#[test]
fn the_future_is_negative() {
    check(&weekend("UTC"), "2026-11-23T09:00:00Z", "2026-11-20T17:00:00Z", -64);
}

#[test]
fn days_read_as_people_write_them() {
    let weekend = [Weekday::Saturday, Weekday::Sunday];
    for text in ["sat,sun", "Sat Sun", "saturday, SUNDAY"] {
        assert_eq!(parse_days(text).unwrap(), weekend, "{text}");
    }
    assert_eq!(parse_days("").unwrap(), []);
    assert_eq!(
        parse_days("saturdy").unwrap_err().to_string(),
        "\"saturdy\" is no day of the week (mon tue wed thu fri sat sun); did you mean saturday?"
    );
    assert_eq!(parse_days("mon tue wed thu fri sat sun").unwrap_err(), InvalidDay::All);
    assert!(parse_days("s").is_err());
}

#[test]
fn centuries_end() {
    let age = weekend("Europe/Berlin").age(Timestamp::MIN, Timestamp::MAX);
    let passed = Timestamp::MAX.duration_since(Timestamp::MIN);
    let share = age.as_secs_f64() / passed.as_secs_f64();
    assert!((share - 5.0 / 7.0).abs() < 1e-6, "{share}");
}

proptest! {
    #[test]
    fn age_is_at_most_the_time_that_passed_and_never_shrinks(
        since in 0_i64..4_000_000_000,
        first in 0_i64..40_000_000,
        more in 0_i64..1_000_000,
        days in proptest::sample::subsequence(&DAYS[..], 0..7),
        zone_name in prop_oneof![
            Just("UTC"), Just("Europe/Berlin"), Just("America/Havana"), Just("Asia/Beirut"),
            Just("Australia/Lord_Howe"), Just("Pacific/Apia"), Just("Africa/Casablanca"),
        ],
    ) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let quiet = QuietDays::new(days.into_iter().map(|(_, day)| day).collect(), zone(zone_name));
        let earlier = quiet.age(at(since), at(since + first));
        let later = quiet.age(at(since), at(since + first + more));
        prop_assert!(!earlier.is_negative() && earlier <= SignedDuration::from_secs(first));
        prop_assert!(later >= earlier);
        prop_assert!(later - earlier <= SignedDuration::from_secs(more));
        // Age adds up over any split.
        prop_assert_eq!(later, earlier + quiet.age(at(since + first), at(since + first + more)));
    }
}
