//! Seeds without a fault, planted faults that are found, and rates.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postrider_domain::{LaneLimits, Rate};
use postrider_sim::rates::{Leader, Watched, watch};
use postrider_sim::{Flaw, Report};

/// Runs seeds on all cores until one is wrong; that one.
fn first_wrong(seeds: std::ops::Range<u64>, flaw: Option<Flaw>) -> Option<Report> {
    let (next, found) = (AtomicU64::new(seeds.start), std::sync::Mutex::new(None));
    let cores = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || found.lock().unwrap().is_some() {
                        break;
                    }
                    let report = postrider_sim::run(seed, flaw);
                    if report.wrong.is_some() {
                        found.lock().unwrap().get_or_insert(report);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// The trace of a seed that failed, its last lines.
fn replayed(report: &Report) -> String {
    let (_, lines) = postrider_sim::trace(report.seed, None);
    let from = lines.len().saturating_sub(60);
    let tail = lines[from..].join("\n");
    let seed = report.seed;
    format!("{tail}\n{report:?}\nall of it: cargo run -p postrider-sim -- --seed {seed} --trace")
}

fn all_hold(seeds: std::ops::Range<u64>) {
    if let Some(report) = first_wrong(seeds, None) {
        panic!("{}", replayed(&report));
    }
}

#[test]
fn a_thousand_fixed_seeds() {
    all_hold(0..1_000);
}

/// Other ones with each state of the sources; the message says which.
#[test]
fn a_thousand_other_seeds() {
    let mut hash = DefaultHasher::new();
    std::fs::read(std::env::current_exe().unwrap()).unwrap().hash(&mut hash);
    let from = hash.finish() >> 16;
    eprintln!("seeds from {from}");
    all_hold(from..from + 1_000);
}

#[test]
fn a_seed_does_the_same_again() {
    for seed in 0..10 {
        let (first, lines) = postrider_sim::trace(seed, None);
        assert_eq!((first.clone(), lines), postrider_sim::trace(seed, None));
        assert_eq!(first, postrider_sim::run(seed, None));
    }
}

fn is_found(flaw: Flaw) {
    let found = first_wrong(0..1_000, Some(flaw));
    let report = found.unwrap_or_else(|| panic!("{flaw:?} is not found"));
    assert!(report.wrong.is_some(), "{report:?}");
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident,)*) => {
        $(
            #[test]
            fn $test() {
                is_found(Flaw::$flaw);
            }
        )*

        #[test]
        fn each_flaw_has_its_test() {
            assert_eq!([$(Flaw::$flaw),*], Flaw::ALL);
        }
    };
}

flaws! {
    acknowledging_what_is_taken_is_found: AckAtTake,
    acknowledging_what_failed_is_found: AckOnError,
    a_permit_that_comes_back_early_is_found: PermitBackEarly,
    a_pause_that_is_hidden_is_found: PauseHidden,
    a_pace_without_margin_is_found: NoMargin,
    sending_without_a_token_is_found: NoTokens,
    claims_that_are_not_given_back_are_found: NoUnclaim,
    a_late_unclaim_that_counts_is_found: LateUnclaim,
    a_lost_wake_up_is_found: LostWakeUp,
    a_woken_held_lane_that_is_claimed_is_found: HeldClaim,
    a_park_that_is_not_seen_is_found: ParkHidden,
    a_release_that_is_forgotten_is_found: ReleaseForgotten,
}

/// Count, window and how long to watch, in seconds.
const RATES: [(u32, u64, u64); 7] = [
    (1, 3_600_000, 6 * 3_600),
    (2, 3_600_000, 6 * 3_600),
    (10, 60_000, 600),
    (5, 1_000, 40),
    (75, 60_000, 300),
    (180, 6_000, 60),
    (1_000, 1_000, 10),
];

fn watched((count, per, length): (u32, u64, u64), concurrency: u32, leader: Leader) -> Watched {
    let rate = Rate::Limited { count, per: Duration::from_millis(per) };
    let limits = LaneLimits { rate, burst: 1, concurrency, per_hour: None };
    let length = Duration::from_secs(length);
    Watched { limits, answers_in: 20, length, leader, seed: u64::from(count) }
}

#[test]
fn rates_are_used_to_95_percent_and_no_window_exceeded() {
    for rate in RATES {
        for concurrency in [1, 2, 8, 64] {
            let seen = watch(&watched(rate, concurrency, Leader::Stays), None);
            assert_eq!(seen.wrong, None, "{rate:?} with {concurrency}");
            let least = (seen.possible * 0.95).floor();
            let sent = f64::from(u32::try_from(seen.sent).unwrap());
            assert!(sent >= least, "{rate:?} with {concurrency}: {seen:?}");
        }
    }
}

/// Whatever step its leader dies at, no window is exceeded, and the next one goes on.
#[test]
fn no_window_is_exceeded_when_the_leader_changes_at_any_step() {
    for rate in RATES.into_iter().filter(|(_, per, _)| *per < 3_600_000) {
        let interval = watched(rate, 1, Leader::Stays).limits.interval().unwrap();
        for concurrency in [1, 8] {
            let deaths = (0..12).map(Leader::Dies);
            let others = [Leader::Freezes(3_000), Leader::Freezes(20_000), Leader::Stops];
            for leader in deaths.chain(others) {
                let seen = watch(&watched(rate, concurrency, leader), None);
                assert_eq!(seen.wrong, None, "{rate:?} with {concurrency}, {leader:?}");
                // A lease, a claim, looking for both, and an interval.
                let most =
                    5_000 + 11_000 + 5_000 + u64::try_from(2 * interval.as_millis()).unwrap();
                assert!(seen.longest_gap < most, "{rate:?}, {leader:?}: {seen:?}");
            }
        }
    }
}

#[test]
fn an_hours_limit_that_changes_its_leader_goes_on() {
    for rate in [(1, 3_600_000, 8 * 3_600), (2, 3_600_000, 6 * 3_600)] {
        for leader in [Leader::Dies(3), Leader::Stops] {
            let seen = watch(&watched(rate, 1, leader), None);
            assert_eq!(seen.wrong, None, "{rate:?}, {leader:?}");
            let sent = f64::from(u32::try_from(seen.sent).unwrap());
            assert!(sent >= seen.possible * 0.8 - 1.0, "{rate:?}, {leader:?}: {seen:?}");
        }
    }
}
