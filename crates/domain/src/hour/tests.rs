use std::time::Duration;

use proptest::prelude::*;

use super::{HourBudget, MinuteCount, hour_budget};

fn count((age, count): (u32, u32)) -> MinuteCount {
    MinuteCount { age, count }
}

fn judge(per_hour: u32, counts: &[(u32, u32)], into_minute: u64) -> HourBudget {
    let counts: Vec<_> = counts.iter().copied().map(count).collect();
    hour_budget(per_hour, &counts, Duration::from_secs(into_minute))
}

fn full(seconds: u64) -> HourBudget {
    HourBudget::Full { frees_in: Duration::from_secs(seconds) }
}

#[test]
fn what_is_left() {
    assert_eq!(judge(3, &[], 0), HourBudget::Free(3));
    assert_eq!(judge(3, &[(0, 1), (61, 1)], 30), HourBudget::Free(1));
    assert_eq!(judge(3, &[(62, 3)], 0), HourBudget::Free(3), "forgotten");
}

#[test]
fn a_full_hour_says_when_the_first_place_is_free() {
    assert_eq!(judge(3, &[(61, 3)], 0), full(60));
    assert_eq!(judge(3, &[(61, 3)], 59), full(1));
    assert_eq!(judge(3, &[(0, 3)], 0), full(62 * 60));
    assert_eq!(judge(3, &[(0, 2), (30, 1)], 10), full(32 * 60 - 10), "the oldest goes first");
    // The budget was lowered: what is above it has to be forgotten too.
    assert_eq!(judge(1, &[(50, 1), (40, 1), (20, 1)], 0), full(42 * 60));
    assert_eq!(judge(0, &[(50, 1)], 0), full(62 * 60), "no budget at all");
}

proptest! {
    /// Waiting as long as it says frees a place, and a second less does not.
    #[test]
    fn it_is_free_then_and_not_before(
        per_hour in 1_u32..20,
        counts in prop::collection::btree_map(0_u32..62, 1_u32..5, 0..30),
        into_minute in 0_u64..60,
    ) {
        let counts: Vec<_> = counts.into_iter().collect();
        let HourBudget::Full { frees_in } = judge(per_hour, &counts, into_minute) else {
            let used: u32 = counts.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(judge(per_hour, &counts, into_minute), HourBudget::Free(per_hour - used));
            return Ok(());
        };
        let at = |after: u64| {
            let seconds = into_minute + after;
            let passed = u32::try_from(seconds / 60).unwrap();
            let aged: Vec<_> = counts.iter().map(|(age, n)| (age + passed, *n)).collect();
            judge(per_hour, &aged, seconds % 60)
        };
        let seconds = frees_in.as_secs();
        let is_free = |after| matches!(at(after), HourBudget::Free(_));
        prop_assert!(is_free(seconds));
        prop_assert!(!is_free(seconds - 1));
    }

    #[test]
    fn extremes_never_panic(per_hour: u32, counts: Vec<(u32, u32)>, nanos: u64) {
        let counts: Vec<_> = counts.into_iter().map(count).collect();
        hour_budget(per_hour, &counts, Duration::from_nanos(nanos));
    }
}
