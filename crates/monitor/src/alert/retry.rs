//! When what a receiver did not take is sent again.

use std::time::Duration;

/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Tries of one notification: with waits of 5 s, 15 s, 45 s, … up to an hour about four hours.
const TRIES: u32 = 10;

/// The wait after a failed try, counted from 1; `None` after the last. What the receiver asked
/// for counts when it is longer. `chance` from 0 to 1 adds up to a fifth.
pub(crate) fn wait_after(
    tries: u32,
    first: Duration,
    asked: Option<Duration>,
    chance: f64,
) -> Option<Duration> {
    if tries >= TRIES {
        return None;
    }
    let own = first.saturating_mul(3_u32.saturating_pow(tries.saturating_sub(1)));
    let wait = own.max(asked.unwrap_or_default()).min(LONGEST_WAIT);
    Some(wait + wait.mul_f64(chance.clamp(0.0, 1.0) / 5.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let first = Duration::from_secs(5);
        let wait = |tries, asked: Option<u64>, chance| {
            wait_after(tries, first, asked.map(Duration::from_secs), chance).map(|w| w.as_secs())
        };
        for (tries, expected) in [
            (1, Some(5)),
            (2, Some(15)),
            (5, Some(405)),
            (7, Some(3600)),
            (9, Some(3600)),
            (10, None),
            (u32::MAX, None),
        ] {
            assert_eq!(wait(tries, None, 0.0), expected, "{tries}");
        }
        assert_eq!(wait(1, Some(60), 0.0), Some(60));
        assert_eq!(wait(5, Some(60), 0.0), Some(405));
        assert_eq!(wait(1, Some(1_000_000), 0.0), Some(3600), "asked for too much");
        assert_eq!(wait(1, None, 1.0), Some(6));
        let all: u64 = (1..TRIES).filter_map(|tries| wait(tries, None, 0.0)).sum();
        assert!((3..=5).contains(&(all / 3600)), "over {all} s");
    }
}
