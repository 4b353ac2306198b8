//! Tests of what is acknowledged together.

use proptest::prelude::*;

use super::*;

fn of(count: u64) -> Settled {
    let mut settled = Settled::default();
    settled.handed_out(count);
    settled
}

#[test]
fn a_run_from_the_start_is_one_acknowledgement() {
    let mut settled = of(10);
    assert_eq!(settled.settle([3, 1, 2]), Some(3));
    assert_eq!(settled.settle([4]), Some(4));
    assert_eq!(settled.settle([6, 5]), Some(6));
}

#[test]
fn what_is_beyond_a_gap_waits() {
    let mut settled = of(10);
    assert_eq!(settled.settle([2, 5, 3]), None);
    assert_eq!(settled.settle([1]), Some(3));
    assert_eq!(settled.settle([4, 6]), Some(6));
}

#[test]
fn what_is_settled_or_unknown_is_ignored() {
    let mut settled = of(3);
    assert_eq!(settled.settle([1, 1, 3]), Some(1));
    assert_eq!(settled.settle([1, 3, 0, 4, u64::MAX]), None);
    assert_eq!(settled.settle([2]), Some(3));
}

#[test]
fn what_was_rejected_is_never_named() {
    let mut settled = of(6);
    settled.rejected(1);
    settled.rejected(3);
    assert_eq!(settled.settle([]), None, "1 alone is settled, and RabbitMQ knows it no more");
    assert_eq!(settled.settle([2]), Some(2), "3 is settled too, but 2 is the last one known");
    settled.rejected(4);
    settled.rejected(4);
    assert_eq!(settled.settle([4]), None);
    assert_eq!(settled.settle([6, 5]), Some(6));
    assert!(settled.rejected.is_empty() && settled.beyond.is_empty());
}

/// RabbitMQ's side: a set of unacknowledged tags. An acknowledgement must name one of them.
fn apply(unacked: &mut BTreeSet<u64>, tag: u64) {
    assert!(unacked.contains(&tag), "{tag} is unknown to RabbitMQ");
    unacked.retain(|other| *other > tag);
}

#[derive(Debug, Clone)]
enum Act {
    Settle(Vec<u64>),
    Reject(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop::collection::vec(0_u64..40, 0..12).prop_map(Act::Settle),
        1 => (1_u64..33).prop_map(Act::Reject),
    ]
}

proptest! {
    #[test]
    fn the_settled_prefix_is_acknowledged_and_nothing_else(
        acts in prop::collection::vec(act(), 0..40)
    ) {
        let mut settled = of(32);
        let mut unacked: BTreeSet<u64> = (1..=32).collect();
        let mut done = BTreeSet::new();
        for act in acts {
            let acknowledged = match act {
                Act::Settle(tags) => {
                    done.extend(tags.iter().copied());
                    settled.settle(tags)
                }
                // A message is rejected when it comes, so never after it was settled.
                Act::Reject(tag) if done.insert(tag) => {
                    unacked.remove(&tag);
                    settled.rejected(tag);
                    settled.settle([])
                }
                Act::Reject(_) => None,
            };
            if let Some(tag) = acknowledged {
                apply(&mut unacked, tag);
            }
            let first_open = (1..=32).find(|tag| !done.contains(tag)).unwrap_or(33);
            prop_assert!(unacked.iter().all(|tag| *tag >= first_open), "{unacked:?} {first_open}");
            prop_assert!((1..=32).all(|tag| done.contains(&tag) || unacked.contains(&tag)));
        }
    }
}

#[test]
fn acknowledgements_wait_for_each_other_and_not_for_long() {
    let mut unwritten = Unwritten::new(128);
    let now = Instant::now() + ACK_EVERY;
    assert!(!unwritten.is_due(now), "nothing is settled");
    unwritten.extend([1]);
    assert!(unwritten.is_due(now), "the first waits for nothing");
    assert_eq!(unwritten.take(now), [1]);
    unwritten.extend([2, 3]);
    assert!(unwritten.waits() && !unwritten.is_due(now));
    assert_eq!(unwritten.due_at(), now + ACK_EVERY);
    assert!(unwritten.is_due(now + ACK_EVERY));
    unwritten.extend(4..34);
    assert!(unwritten.is_due(now), "a quarter of what is handed out at once");
    assert_eq!(unwritten.take(now).len(), 32);
}

#[test]
fn one_message_at_a_time_waits_for_no_time() {
    let mut unwritten = Unwritten::new(1);
    for tag in 1..4 {
        unwritten.extend([tag]);
        assert!(unwritten.is_due(Instant::now()));
        assert_eq!(unwritten.take(Instant::now()), [tag]);
    }
}
