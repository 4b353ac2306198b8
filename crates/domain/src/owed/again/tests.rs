use jiff::SignedDuration;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_mins(30);

fn at(minute: i64) -> Timestamp {
    // A Monday.
    Timestamp::from_second(1_795_996_800 + minute * 60).unwrap()
}

fn judged(dispatched: Dispatched, times: u32, now: i64) -> Again {
    again(dispatched, times, PATIENCE, &QuietDays::none(), at(now))
}

#[test]
fn a_dispatch_that_led_to_nothing_is_made_twice_more_after_growing_gaps() {
    for (times, minute, expected) in [
        (0, 30, Again::Wait),
        (0, 31, Again::Now),
        (1, 31, Again::Wait),
        (1, 60, Again::Wait),
        (1, 61, Again::Now),
        (2, 30, Again::Wait),
        (2, 31, Again::GaveUp),
        (9, 31, Again::GaveUp),
    ] {
        let ended = Dispatched::Ended(at(0));
        assert_eq!(judged(ended, times, minute), expected, "{times} after {minute} min");
    }
}

#[test]
fn what_is_under_way_or_unwanted_is_left_alone() {
    assert_eq!(judged(Dispatched::Open, 0, 100_000), Again::Wait);
    assert_eq!(judged(Dispatched::Unwanted, 0, 100_000), Again::Never);
}

#[test]
fn quiet_days_are_no_gap() {
    let quiet = QuietDays::new(vec![Weekday::Saturday, Weekday::Sunday], TimeZone::UTC);
    let friday = at(0) - SignedDuration::from_hours(48) - SignedDuration::from_mins(10);
    let ended = Dispatched::Ended(friday);
    assert_eq!(again(ended, 0, PATIENCE, &quiet, at(19)), Again::Wait);
    assert_eq!(again(ended, 0, PATIENCE, &quiet, at(21)), Again::Now);
}

#[test]
fn a_limit_is_given_no_more_than_it_sends_in_time() {
    let limits = |rate: &str| LaneLimits {
        rate: rate.parse().unwrap(),
        burst: 1,
        concurrency: 1,
        per_hour: None,
    };
    let objective = Duration::from_mins(5);
    for (rate, waiting, most, expected) in [
        ("unlimited", 1_000_000, 10, 10),
        ("60/min", 0, 10, 10),
        ("60/min", 300, 10, 0),
        ("60/min", 0, 3, 3),
    ] {
        let mut budget = AgainBudget::new(most).limit("l", &limits(rate), waiting, objective);
        let taken = (0..20).filter(|_| budget.take(&["l"])).count();
        assert_eq!(taken, expected, "{waiting} wait for {rate}");
    }
}

#[test]
fn nothing_is_given_to_a_limit_that_is_not_told_of() {
    let mut budget = AgainBudget::new(10);
    assert!(!budget.take(&["held"]));
    assert!(!budget.take(&[]), "nothing would be sent");
}

proptest! {
    /// Lost again and again, a debt is dispatched no more than twice again, each gap is longer
    /// than the one before, and it is given up.
    #[test]
    fn a_debt_is_given_up_in_the_end(patience in 1_u64..100_000, step in 1_i64..5_000) {
        let patience = Duration::from_secs(patience);
        let (mut times, mut ended, mut gaps) = (0, at(0), Vec::new());
        let mut now = at(0);
        let outcome = loop {
            now += SignedDuration::from_secs(step);
            match again(Dispatched::Ended(ended), times, patience, &QuietDays::none(), now) {
                Again::Wait => {}
                Again::Now => {
                    gaps.push(now.duration_since(ended));
                    (times, ended) = (times + 1, now);
                }
                other => break other,
            }
        };
        prop_assert_eq!(outcome, Again::GaveUp);
        prop_assert_eq!(times, AGAIN_MOST);
        let patience = SignedDuration::try_from(patience).unwrap();
        for (gap, least) in gaps.iter().zip([patience, patience * 2]) {
            prop_assert!(*gap > least && *gap <= least + SignedDuration::from_secs(step));
        }
    }

    /// Never above the round's cap, nor above what any limit was given.
    #[test]
    fn no_more_is_taken_than_there_is(
        most in 0_u64..20,
        waiting in prop::collection::vec(0_u64..40, 3),
        wishes in prop::collection::vec(prop::collection::vec(0_usize..4, 0..4), 0..60),
    ) {
        let limits = LaneLimits {
            rate: "60/min".parse().unwrap(),
            burst: 1,
            concurrency: 1,
            per_hour: None,
        };
        let names = ["a", "b", "c", "unknown"];
        let objective = Duration::from_secs(30);
        let mut budget = AgainBudget::new(most);
        for (name, waiting) in names.iter().zip(&waiting) {
            budget = budget.limit(name, &limits, *waiting, objective);
        }
        let mut taken = [0_u64; 4];
        let mut events = 0;
        for wish in &wishes {
            let wanted: Vec<&str> = wish.iter().map(|place| names[*place]).collect();
            let before = budget.clone();
            if budget.take(&wanted) {
                events += 1;
                for place in wish {
                    taken[*place] += 1;
                }
            } else {
                prop_assert_eq!(&before, &budget);
            }
        }
        prop_assert!(events <= most);
        prop_assert_eq!(taken[3], 0);
        for (taken, waiting) in taken.iter().zip(&waiting) {
            prop_assert!(*taken == 0 || limits.drain_seconds(taken + waiting) <= 30);
        }
    }
}
