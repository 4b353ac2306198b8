use std::time::Duration;

use proptest::prelude::*;

use super::Rate;

fn limited(count: u32, seconds: u64) -> Rate {
    Rate::Limited { count, per: Duration::from_secs(seconds) }
}

#[test]
fn every_form_is_read_and_printed() {
    let table = [
        ("75/min", limited(75, 60), "75/min"),
        ("3/s", limited(3, 1), "3/s"),
        ("500/h", limited(500, 3600), "500/h"),
        ("10/d", limited(10, 86_400), "10/d"),
        ("10/24h", limited(10, 86_400), "10/d"),
        ("180/6s", limited(180, 6), "180/6s"),
        ("180/60s", limited(180, 60), "180/min"),
        ("2 / 90", limited(2, 90), "2/90s"),
        ("1/250ms", Rate::Limited { count: 1, per: Duration::from_millis(250) }, "1/250ms"),
        ("unlimited", Rate::Unlimited, "unlimited"),
    ];
    for (text, rate, printed) in table {
        assert_eq!(text.parse(), Ok(rate), "{text}");
        assert_eq!(rate.to_string(), printed);
    }
}

#[test]
fn errors_show_what_is_accepted() {
    for text in ["", "75", "0/min", "-1/min", "75/0s", "75/week", "75/25h", "7.5/s", "/s", "none"] {
        let error = text.parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains("3/s, 75/min, 500/h, 180/6s, or unlimited"), "{error}");
    }
}

#[test]
fn the_pace_is_below_the_nominal_count() {
    // Count of a window of 60 s, and the count that its pace is for.
    for (count, paced) in [
        (2_u32, 1_u32),
        (3, 2),
        (10, 9),
        (20, 19),
        (21, 19),
        (75, 71),
        (100, 95),
        (180, 175),
        (900, 895),
    ] {
        let interval = limited(count, 60).interval().unwrap();
        let exact = Duration::from_mins(1).as_nanos() / u128::from(paced);
        assert!(interval.as_nanos().abs_diff(exact) <= 1, "{count}: {interval:?}");
    }
    assert_eq!(limited(1, 60).interval(), Some(Duration::from_millis(61_200)));
    assert_eq!(Rate::Unlimited.interval(), None);
}

#[test]
fn a_burst_is_paid_for_by_the_pace() {
    let rate = limited(10, 60);
    assert_eq!(rate.interval_with_burst(1), Some(Duration::from_nanos(6_666_666_667)));
    assert_eq!(rate.interval_with_burst(4), Some(Duration::from_secs(10)));
    assert_eq!(rate.interval_with_burst(9), Some(Duration::from_mins(1)));
    assert_eq!(rate.interval_with_burst(10_000), Some(Duration::from_mins(1)));
    assert_eq!([0, 1, 9, 10, 99].map(|burst| rate.usable_burst(burst)), [1, 1, 9, 9, 9]);
    assert_eq!(limited(1, 1).usable_burst(5), 1);
    assert_eq!(Rate::Unlimited.usable_burst(5), 5);
}

/// The instants at which a sender that always has work sends: after an empty start (rule
/// `EMPTY_START`), or after a pause that filled its burst, which is the worst it can do.
fn sends(burst: u32, interval: Duration, until: Duration) -> Vec<Duration> {
    let mut sends = vec![Duration::ZERO; usize::try_from(burst).unwrap()];
    let mut next = interval;
    while next <= until && sends.len() < 20_000 {
        sends.push(next);
        next += interval;
    }
    sends
}

/// The most sends in any window of this length, both ends included.
fn most_in_a_window(sends: &[Duration], window: Duration) -> usize {
    let inside = |start: usize| {
        let end = sends[start] + window;
        sends[start..].partition_point(|at| *at <= end)
    };
    (0..sends.len()).map(inside).max().unwrap_or_default()
}

proptest! {
    #[test]
    fn no_window_holds_more_than_the_count(
        count in 1_u32..1_500,
        millis in 1_u64..86_400_000,
        wished_burst in 0_u32..2_000,
    ) {
        let per = Duration::from_millis(millis);
        let rate = Rate::Limited { count, per };
        let interval = rate.interval_with_burst(wished_burst).unwrap();
        let burst = rate.usable_burst(wished_burst);
        let sends = sends(burst, interval, per * 3);
        let most = most_in_a_window(&sends, per);
        prop_assert!(most <= usize::try_from(count).unwrap(), "{most} > {count}");
    }

    #[test]
    fn the_margin_costs_little(count in 20_u32..100_000, millis in 1_000_u64..86_400_000) {
        let per = Duration::from_millis(millis);
        let interval = Rate::Limited { count, per }.interval().unwrap();
        prop_assert!(interval * count >= per);
        prop_assert!(interval.as_secs_f64() <= per.as_secs_f64() / f64::from(count) * 1.12 + 1e-8);
    }

    #[test]
    fn what_is_printed_reads_back(count in 1_u32.., millis in 1_u64..=86_400_000) {
        let rate = Rate::Limited { count, per: Duration::from_millis(millis) };
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn extremes_never_panic(count: u32, burst: u32) {
        for per in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let rate = Rate::Limited { count, per };
            prop_assert!(rate.interval_with_burst(burst).is_some());
            prop_assert!(rate.usable_burst(burst) >= 1);
        }
    }
}
