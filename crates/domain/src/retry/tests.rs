use std::time::Duration;

use proptest::prelude::*;

use super::{Decision, RetryPolicy, decide};
use crate::Outcome;

const SCHEDULED: [Outcome; 5] = [
    Outcome::ServerError,
    Outcome::Timeout,
    Outcome::ConnectError,
    Outcome::Unreadable,
    Outcome::Lost,
];
const ONCE: [Outcome; 2] = [Outcome::NotFound, Outcome::Permission];

fn waits(policy: &RetryPolicy, outcome: Outcome, jitter: f64) -> Vec<Duration> {
    let wait = |attempt| match decide(policy, attempt, outcome, None, jitter) {
        Decision::RetryAfter(wait) => Some(wait),
        Decision::Deliver | Decision::GiveUp | Decision::Hold | Decision::PauseLane => None,
    };
    (1..).map_while(wait).collect()
}

#[test]
fn the_default_is_the_brokers_schedule() {
    let policy = RetryPolicy::default();
    insta::assert_snapshot!(policy, @"10 60 120 300 600 1200");
    insta::assert_debug_snapshot!(waits(&policy, Outcome::ServerError, 0.0), @r"
    [
        10s,
        60s,
        120s,
        300s,
        600s,
        1200s,
    ]
    ");
    assert_eq!("10 60 120 300 600 1200".parse(), Ok(policy));
}

#[test]
fn each_outcome_follows_its_rule() {
    let policy = RetryPolicy::default();
    for outcome in Outcome::ALL {
        let expected = match outcome {
            Outcome::Accepted => Decision::Deliver,
            Outcome::Credential | Outcome::SecretMissing | Outcome::SecretUnusable => {
                Decision::Hold
            }
            Outcome::RateLimited => Decision::PauseLane,
            Outcome::ServerError
            | Outcome::Timeout
            | Outcome::ConnectError
            | Outcome::Unreadable
            | Outcome::Lost => Decision::RetryAfter(Duration::from_secs(10)),
            Outcome::NotFound | Outcome::Permission => Decision::RetryAfter(Duration::from_mins(1)),
            Outcome::Invalid
            | Outcome::Redirected
            | Outcome::Blocked
            | Outcome::RenderError
            | Outcome::Poison
            | Outcome::WebhookDeleted
            | Outcome::WebhookDisabled
            | Outcome::Withdrawn => Decision::GiveUp,
        };
        assert_eq!(decide(&policy, 1, outcome, None, 0.0), expected, "{outcome}");
    }
}

#[test]
fn a_limit_or_a_dead_credential_never_uses_the_schedule_up() {
    let policy = RetryPolicy { schedule: Vec::new() };
    for attempt in [0, 1, 7, 8, u32::MAX] {
        assert_eq!(decide(&policy, attempt, Outcome::RateLimited, None, 0.5), Decision::PauseLane);
        assert_eq!(decide(&policy, attempt, Outcome::Credential, None, 0.5), Decision::Hold);
        assert_eq!(decide(&policy, attempt, Outcome::SecretMissing, None, 0.5), Decision::Hold);
    }
}

#[test]
fn the_one_retry_takes_the_second_step_or_the_last_there_is() {
    for (schedule, expected) in
        [("10 60 120", Some(60)), ("10 60", Some(60)), ("10", Some(10)), ("", None)]
    {
        let policy: RetryPolicy = schedule.parse().unwrap();
        for outcome in ONCE {
            let expected: Vec<Duration> = expected.map(Duration::from_secs).into_iter().collect();
            assert_eq!(waits(&policy, outcome, 0.0), expected, "{schedule:?}, {outcome}");
        }
    }
}

#[test]
fn jitter_reaches_up_to_a_fifth() {
    let policy: RetryPolicy = "100".parse().unwrap();
    for (jitter, millis) in
        [(0.0, 100_000), (0.5, 110_000), (1.0, 120_000), (f64::NAN, 100_000), (9.0, 120_000)]
    {
        let expected = Decision::RetryAfter(Duration::from_millis(millis));
        assert_eq!(decide(&policy, 1, Outcome::Timeout, None, jitter), expected, "{jitter}");
    }
}

#[test]
fn a_target_that_says_how_long_is_not_asked_earlier() {
    let policy: RetryPolicy = "100 200".parse().unwrap();
    for (outcome, said, expected) in [
        (Outcome::ServerError, 0, 120),
        (Outcome::ServerError, 99, 120),
        (Outcome::ServerError, 3_600, 3_620),
        (Outcome::NotFound, 3_600, 3_640),
        (Outcome::Permission, 150, 240),
    ] {
        let said = Some(Duration::from_secs(said));
        let expected = Decision::RetryAfter(Duration::from_secs(expected));
        assert_eq!(decide(&policy, 1, outcome, said, 1.0), expected, "{outcome} {said:?}");
    }
    let day = Some(Duration::from_hours(24));
    assert_eq!(decide(&policy, 3, Outcome::ServerError, day, 0.0), Decision::GiveUp);
    assert_eq!(decide(&policy, 1, Outcome::Invalid, day, 0.0), Decision::GiveUp);
}

#[test]
fn a_bad_step_is_refused() {
    assert!("10 sixty".parse::<RetryPolicy>().is_err());
}

fn policies() -> impl Strategy<Value = RetryPolicy> {
    let step = (0_u64..10_000_000).prop_map(Duration::from_millis);
    prop::collection::vec(step, 0..12).prop_map(|schedule| RetryPolicy { schedule })
}

proptest! {
    #[test]
    fn a_wait_is_between_its_step_and_a_fifth_more(
        policy in policies(),
        attempt in 0_u32..20,
        outcome in prop::sample::select(Outcome::ALL.to_vec()),
        jitter in 0.0..1.0_f64,
    ) {
        if let Decision::RetryAfter(wait) = decide(&policy, attempt, outcome, None, jitter) {
            let Decision::RetryAfter(least) = decide(&policy, attempt, outcome, None, 0.0) else {
                return Err(TestCaseError::fail("jitter decides whether there is a retry"));
            };
            prop_assert!(policy.schedule.contains(&least));
            prop_assert!(least <= wait && wait <= least + least / 5, "{least:?} {wait:?}");
        }
    }

    #[test]
    fn more_jitter_never_waits_less(
        policy in policies(),
        attempt in 1_u32..14,
        (low, high) in (0.0..1.0_f64, 0.0..1.0_f64).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ) {
        let earlier = decide(&policy, attempt, Outcome::Timeout, None, low);
        let later = decide(&policy, attempt, Outcome::Timeout, None, high);
        if let (Decision::RetryAfter(earlier), Decision::RetryAfter(later)) = (earlier, later) {
            prop_assert!(earlier <= later);
        } else {
            prop_assert_eq!(earlier, later);
        }
    }

    #[test]
    fn a_rising_schedule_has_rising_ceilings(policy in policies()) {
        let mut policy = policy;
        policy.schedule.sort();
        let ceilings = waits(&policy, Outcome::ServerError, 1.0);
        prop_assert!(ceilings.is_sorted(), "{ceilings:?}");
    }

    #[test]
    fn all_waits_together_are_bounded(
        policy in policies(),
        outcome in prop::sample::select([SCHEDULED.as_slice(), ONCE.as_slice()].concat()),
        jitter in 0.0..1.0_f64,
    ) {
        let waits = waits(&policy, outcome, jitter);
        let steps: Duration = policy.schedule.iter().sum();
        prop_assert!(waits.len() <= policy.schedule.len());
        prop_assert!(waits.iter().sum::<Duration>() <= steps + steps / 5);
    }

    #[test]
    fn extreme_steps_never_panic(millis: u64, attempt: u32, jitter: f64) {
        let policy = RetryPolicy { schedule: vec![Duration::MAX, Duration::from_millis(millis)] };
        for outcome in Outcome::ALL {
            let decision = decide(&policy, attempt, outcome, None, jitter);
            prop_assert!(decision == decide(&policy, attempt, outcome, None, jitter));
        }
    }

    #[test]
    fn a_schedule_reads_back(policy in policies()) {
        prop_assert_eq!(policy.to_string().parse(), Ok(policy));
    }
}
