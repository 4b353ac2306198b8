//! Tests of what is acknowledged together.

use proptest::prelude::*;

use super::*;

fn alone(tag: u64) -> Ack {
    Ack { tag, multiple: false }
}

fn up_to(tag: u64) -> Ack {
    Ack { tag, multiple: true }
}

fn of(count: u64) -> Settled {
    let mut settled = Settled::default();
    settled.handed_out(count);
    settled
}

#[test]
fn a_run_from_the_start_is_one_acknowledgement() {
    let mut settled = of(10);
    assert_eq!(settled.settle([3, 1, 2]), [up_to(3)]);
    assert_eq!(settled.settle([4]), [alone(4)]);
    assert_eq!(settled.settle([6, 5]), [up_to(6)]);
}

#[test]
fn what_is_beyond_a_gap_goes_alone() {
    let mut settled = of(10);
    assert_eq!(settled.settle([2, 5, 3]), [alone(2), alone(3), alone(5)]);
    // 2 and 3 are acknowledged already, so no acknowledgement may name them again.
    assert_eq!(settled.settle([1]), [alone(1)]);
    assert_eq!(settled.settle([4, 6]), [up_to(6)]);
}

#[test]
fn what_is_settled_or_unknown_is_ignored() {
    let mut settled = of(3);
    assert_eq!(settled.settle([1, 1, 3]), [alone(1), alone(3)]);
    assert_eq!(settled.settle([1, 3, 0, 4, u64::MAX]), []);
    assert_eq!(settled.settle([2]), [alone(2)]);
}

/// RabbitMQ's side: a set of unacknowledged tags. An acknowledgement must name one of them.
fn apply(unacked: &mut BTreeSet<u64>, ack: Ack) -> Vec<u64> {
    assert!(unacked.contains(&ack.tag), "{ack:?} is unknown to RabbitMQ");
    let first = if ack.multiple { 0 } else { ack.tag };
    let gone: Vec<u64> = unacked.range(first..=ack.tag).copied().collect();
    unacked.retain(|tag| !gone.contains(tag));
    gone
}

proptest! {
    #[test]
    fn exactly_what_is_settled_is_acknowledged(
        batches in prop::collection::vec(prop::collection::vec(0_u64..40, 0..12), 0..20)
    ) {
        let mut settled = of(32);
        let mut unacked: BTreeSet<u64> = (1..=32).collect();
        let mut asked = BTreeSet::new();
        for batch in batches {
            asked.extend(batch.iter().copied().filter(|tag| (1..=32).contains(tag)));
            for ack in settled.settle(batch) {
                apply(&mut unacked, ack);
            }
            let expected: BTreeSet<u64> = (1..=32).filter(|tag| !asked.contains(tag)).collect();
            prop_assert_eq!(&unacked, &expected);
        }
    }
}
