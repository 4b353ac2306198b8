use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn times(seconds: impl IntoIterator<Item = u64>) -> ResultTimes {
    let mut times = ResultTimes::default();
    for second in seconds {
        times.add(Duration::from_secs(second));
    }
    times
}

#[test]
fn a_threshold_is_learned_from_twenty_times_on() {
    assert_eq!(times((0..19).map(|_| 600)).threshold(), None);
    assert_eq!(times((0..20).map(|_| 600)).threshold(), Some(Duration::from_mins(30)));
    // One slow run of twenty is none that the others are measured by; two are.
    let slow = |count: usize| times((0..20).map(|n| if n < count { 1_800 } else { 600 }));
    assert_eq!(slow(1).threshold(), Some(Duration::from_mins(30)));
    assert_eq!(slow(2).threshold(), Some(Duration::from_mins(90)));
    assert_eq!(times((0..50).map(|_| 1)).threshold(), Some(SHORTEST));
    assert_eq!(times((0..50).map(|_| 40_000)).threshold(), Some(LONGEST));
}

#[test]
fn the_newest_two_hundred_count() {
    let moved = times((0..1_000).map(|n| if n < 800 { 600 } else { 1_200 }));
    assert_eq!((moved.len(), moved.threshold()), (200, Some(Duration::from_hours(1))));
}

const AN_HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_learned_threshold_needs_a_second_sign() {
    let of = |is_silent, has_failed_run| {
        Some(Learned { threshold: Some(AN_HOUR), seen: 20, is_silent, has_failed_run })
    };
    let learned = |is_silent| of(is_silent, false);
    let unknown =
        Some(Learned { threshold: None, seen: 19, is_silent: true, has_failed_run: true });
    let (young, old) = (Some(Duration::from_hours(1)), Some(Duration::from_mins(61)));
    for (learned, age, expected) in [
        (learned(false), None, (AN_HOUR, ThresholdFrom::Learned)),
        (learned(false), young, (AN_HOUR, ThresholdFrom::Learned)),
        (learned(false), old, (LONGEST, ThresholdFrom::NoSecondSign)),
        (learned(true), old, (AN_HOUR, ThresholdFrom::Learned)),
        (of(false, true), young, (AN_HOUR, ThresholdFrom::Learned)),
        (of(false, true), old, (AN_HOUR, ThresholdFrom::Learned)),
        (unknown, old, (LONGEST, ThresholdFrom::Default)),
        (None, old, (LONGEST, ThresholdFrom::Default)),
    ] {
        assert_eq!(threshold(learned, age), expected, "{learned:?} {age:?}");
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

/// A pair whose debts began then, and whose last result came then.
/// Since when a pair owes, and when its newest result came.
fn pair(owing: &[i64], result: Option<i64>) -> (Vec<Timestamp>, Option<Timestamp>) {
    (owing.iter().map(|since| at(*since)).collect(), result.map(at))
}

fn is_silent(pairs: &[(Vec<Timestamp>, Option<Timestamp>)]) -> bool {
    let mut silence = Silence::default();
    for (owing, result) in pairs {
        let quiet = QuietDays::none();
        silence.see(*result, owing.iter().copied(), AN_HOUR, (&quiet, at(200)));
    }
    silence.is_confirmed()
}

#[test]
fn two_late_debts_without_a_result_since_are_a_sign() {
    for (pairs, expected) in [
        (vec![pair(&[100], None)], false),
        (vec![pair(&[100], None), pair(&[110], None)], true),
        // Not late yet.
        (vec![pair(&[100], None), pair(&[150], None)], false),
        (vec![pair(&[100], Some(50)), pair(&[110], Some(90))], true),
        // It gave a result meanwhile: it works.
        (vec![pair(&[100], None), pair(&[110], None), pair(&[], Some(105))], false),
        // One that waits for ever is no sign for the others; two newer ones are.
        (vec![pair(&[1], None), pair(&[110], None), pair(&[], Some(105))], false),
        (vec![pair(&[1], None), pair(&[110, 120], None), pair(&[], Some(105))], true),
    ] {
        assert_eq!(is_silent(&pairs), expected, "{pairs:?}");
    }
}

proptest! {
    /// Within its bounds, and never below what most results take.
    #[test]
    fn a_threshold_lies_between_its_bounds(seconds in prop::collection::vec(0_u64..200_000, 0..400)) {
        let times = times(seconds.clone());
        let Some(threshold) = times.threshold() else {
            prop_assert!(seconds.len() < LEAST);
            return Ok(());
        };
        prop_assert!((SHORTEST..=LONGEST).contains(&threshold));
        let newest = &seconds[seconds.len().saturating_sub(KEPT)..];
        let within = newest.iter().filter(|second| Duration::from_secs(**second) <= threshold);
        prop_assert!(threshold == LONGEST || within.count() * 100 >= newest.len() * 95);
    }

    /// The order in which pairs are seen tells nothing, and a provider that gave a result since all
    /// its debts began is not silent.
    #[test]
    fn silence_does_not_depend_on_the_order(
        pairs in prop::collection::vec((prop::collection::vec(0_i64..200, 0..3), prop::option::of(0_i64..200)), 0..6),
    ) {
        let seen: Vec<_> = pairs.iter().map(|(owing, result)| pair(owing, *result)).collect();
        let backwards: Vec<_> = seen.iter().rev().cloned().collect();
        prop_assert_eq!(is_silent(&seen), is_silent(&backwards));
        let newest = pairs.iter().flat_map(|(owing, _)| owing).max();
        let result = pairs.iter().filter_map(|(_, result)| *result).max();
        if result.is_some_and(|result| newest.is_none_or(|newest| *newest <= result)) {
            prop_assert!(!is_silent(&seen));
        }
        let late = pairs.iter().flat_map(|(owing, _)| owing).filter(|since| **since < 140).count();
        prop_assert!(late >= 2 || !is_silent(&seen));
    }
}

#[test]
fn every_origin_says_why() {
    for from in ThresholdFrom::ALL {
        assert!(!from.reason().is_empty() && !from.as_str().is_empty());
    }
    assert!(SignedDuration::try_from(LONGEST).is_ok());
}
