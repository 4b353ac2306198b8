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

/// Requests of one window at the pace of `rate`, with a burst of 1.
fn paced(rate: &str) -> f64 {
    let rate: Rate = rate.parse().unwrap();
    let Rate::Limited { per, .. } = rate else { panic!("{rate} has no window") };
    per.as_secs_f64() / rate.interval().unwrap().as_secs_f64()
}

#[test]
fn the_margin_is_a_time() {
    for (rate, expected) in [
        ("1/h", 0.999_7),
        ("2/h", 1.999_4),
        ("10/min", 9.835),
        ("75/min", 73.76),
        ("180/6s", 171.29),
        ("5/s", 4.739),
        ("1000/s", 947.9),
    ] {
        let paced = paced(rate);
        assert!((paced - expected).abs() < expected * 1e-4, "{rate}: {paced}");
    }
    assert_eq!(limited(1, 60).interval(), Some(Duration::from_millis(61_005)));
    assert_eq!(Rate::Unlimited.interval(), None);
}

#[test]
fn jitter_grows_with_the_window_within_bounds() {
    let jitter = |millis| Rate::Limited { count: 5, per: Duration::from_millis(millis) }.jitter();
    let millis = [1, 1_000, 6_000, 20_000, 60_000].map(|window| jitter(window).as_millis());
    assert_eq!(millis, [50, 50, 300, 1_000, 1_000]);
    assert_eq!(Rate::Unlimited.jitter(), Duration::ZERO);
}

#[test]
fn a_burst_is_paid_for_by_the_pace() {
    let rate = limited(10, 60);
    let window = Duration::from_millis(61_005);
    assert_eq!(rate.interval_with_burst(1), Some(window / 10));
    assert_eq!(rate.interval_with_burst(6), Some(window / 5));
    assert_eq!(rate.interval_with_burst(10), Some(window), "all at once, then a whole window");
    assert_eq!(rate.interval_with_burst(10_000), Some(window));
    assert_eq!([0, 1, 9, 10, 99].map(|burst| rate.usable_burst(burst)), [1, 1, 9, 10, 10]);
    assert_eq!(limited(1, 1).usable_burst(5), 1);
    assert_eq!(Rate::Unlimited.usable_burst(5), 5);
}

/// The rule that a limiter keeps: a send is in its turn from `tat − (b − 1)·T − τ` on.
struct Limiter {
    interval: Duration,
    ahead: Duration,
    tat: Duration,
}

impl Limiter {
    fn new(rate: Rate, burst: u32) -> Self {
        let interval = rate.interval_with_burst(burst).unwrap();
        let ahead = interval * (rate.usable_burst(burst) - 1) + Rate::TOLERANCE;
        Self { interval, ahead, tat: Duration::ZERO }
    }

    /// Sends at `now` or, if it is not allowed yet, as soon as it is.
    fn send(&mut self, now: Duration) -> Duration {
        let at = now.max(self.tat.saturating_sub(self.ahead));
        self.tat = self.tat.max(at) + self.interval;
        at
    }
}

/// The most instants in any half-open window of this length.
fn most_in_a_window(mut instants: Vec<Duration>, window: Duration) -> usize {
    instants.sort_unstable();
    let inside = |start: usize| {
        let end = instants[start] + window;
        instants[start..].partition_point(|at| *at < end)
    };
    (0..instants.len()).map(inside).max().unwrap_or_default()
}

proptest! {
    /// A sender that always has work, wakes up late now and then and makes good what it missed,
    /// over a way on which requests overtake each other.
    #[test]
    fn no_window_holds_more_than_the_count(
        count in 1_u32..1_500,
        millis in 1_u64..86_400_000,
        wished_burst in 0_u32..2_000,
        late in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0, any::<bool>()), 1..200),
    ) {
        let per = Duration::from_millis(millis);
        let rate = Rate::Limited { count, per };
        let mut limiter = Limiter::new(rate, wished_burst);
        let mut now = Duration::ZERO;
        let mut arrivals = Vec::new();
        for (wake_up, way, sleeps) in late.iter().cycle().take(5_000) {
            let at = limiter.send(now);
            arrivals.push(at + rate.jitter().mul_f64(*way));
            now = at + if *sleeps { limiter.interval.mul_f64(*wake_up * 3.0) } else { Duration::ZERO };
        }
        let most = most_in_a_window(arrivals, per);
        prop_assert!(most <= usize::try_from(count).unwrap(), "{most} > {count}");
    }

    /// The worst way: what goes out at once is held up, what follows is not.
    #[test]
    fn a_burst_that_is_held_up_takes_no_more_than_the_count(
        count in 1_u32..1_500,
        millis in 1_u64..86_400_000,
        wished_burst in 0_u32..2_000,
        held_up in 1_usize..1_500,
    ) {
        let per = Duration::from_millis(millis);
        let rate = Rate::Limited { count, per };
        let mut limiter = Limiter::new(rate, wished_burst);
        let most_late = rate.jitter().saturating_sub(Duration::from_nanos(1));
        let arrival = |number: usize| {
            let at = limiter.send(Duration::ZERO);
            at + if number < held_up { most_late } else { Duration::ZERO }
        };
        let most = most_in_a_window((0..4_000).map(arrival).collect(), per);
        prop_assert!(most <= usize::try_from(count).unwrap(), "{most} > {count}");
    }

    #[test]
    fn the_margin_costs_little(count in 1_u32..100_000, millis in 1_000_u64..86_400_000) {
        let per = Duration::from_millis(millis);
        let interval = Rate::Limited { count, per }.interval().unwrap();
        prop_assert!(interval * count >= per);
        prop_assert!(interval.as_secs_f64() <= per.as_secs_f64() / f64::from(count) * 1.06 + 1e-8);
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
