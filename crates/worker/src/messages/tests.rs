//! Tests of the bookkeeping, by example and against a model that keeps everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn id(number: u8) -> DeliveryId {
    DeliveryId(Uuid::from_u128(u128::from(number)))
}

fn ids(numbers: &[u8]) -> Vec<DeliveryId> {
    numbers.iter().copied().map(id).collect()
}

fn tag(generation: u64, delivery: u64) -> Tag {
    Tag { generation, delivery }
}

fn connected() -> Messages {
    let mut messages = Messages::default();
    assert!(!messages.connected(1));
    messages
}

#[test]
fn a_message_waits_for_all_of_its_ids() {
    let mut messages = connected();
    assert_eq!(messages.take(tag(1, 1), ids(&[1, 2, 3])), ReceiveOutcome::Work(ids(&[1, 2, 3])));
    assert_eq!(messages.answered(&ids(&[3, 1])), []);
    assert_eq!(messages.answered(&ids(&[3, 9])), [], "answered already, and unknown");
    assert_eq!(messages.answered(&ids(&[2])), [tag(1, 1)]);
    assert!(messages.open.is_empty());
}

#[test]
fn an_id_in_two_messages_is_worked_once_and_answers_both() {
    let mut messages = connected();
    assert_eq!(messages.take(tag(1, 2), ids(&[1])), ReceiveOutcome::Work(ids(&[1])));
    assert_eq!(messages.take(tag(1, 1), ids(&[1, 1])), ReceiveOutcome::Work(vec![]));
    assert_eq!(messages.take(tag(1, 3), ids(&[2, 1, 2])), ReceiveOutcome::Work(ids(&[2])));
    assert_eq!(messages.answered(&ids(&[1])), [tag(1, 1), tag(1, 2)], "in order");
    // It comes again after its answer: it is asked for again.
    assert_eq!(messages.take(tag(1, 4), ids(&[1])), ReceiveOutcome::Work(ids(&[1])));
    assert_eq!(messages.answered(&ids(&[2, 1])), [tag(1, 3), tag(1, 4)]);
    assert!(messages.open.is_empty() && messages.holders.is_empty());
}

#[test]
fn a_message_without_ids_is_settled_at_once() {
    let mut messages = connected();
    assert_eq!(messages.take(tag(1, 1), []), ReceiveOutcome::Settled);
    assert!(messages.open.is_empty());
}

#[test]
fn what_came_by_a_lost_connection_is_forgotten() {
    let mut messages = connected();
    messages.take(tag(1, 1), ids(&[1, 2]));
    assert!(messages.connected(2));
    assert!(!messages.connected(2) && !messages.connected(1));
    assert!(messages.is_current(2) && !messages.is_current(1));
    assert_eq!(messages.take(tag(1, 2), ids(&[3])), ReceiveOutcome::Stale);
    // A claim of before answers the same id for its new message.
    assert_eq!(messages.take(tag(2, 1), ids(&[1])), ReceiveOutcome::Work(ids(&[1])));
    assert_eq!(messages.answered(&ids(&[1, 2])), [tag(2, 1)]);
}

#[test]
fn what_is_given_back_is_not_worked_until_it_comes_again() {
    let mut messages = connected();
    messages.take(tag(1, 1), ids(&[4]));
    messages.give_back();
    assert!(messages.open.is_empty() && !messages.is_current(1));
    assert_eq!(messages.answered(&ids(&[4])), []);
    assert_eq!(messages.take(tag(1, 2), ids(&[5])), ReceiveOutcome::Stale, "it was on its way");
    assert!(!messages.connected(2));
    assert_eq!(messages.take(tag(2, 1), ids(&[4])), ReceiveOutcome::Work(ids(&[4])));
}

#[derive(Debug, Clone)]
enum Act {
    Take(Vec<u8>),
    Answer(Vec<u8>),
    Reconnect,
    GiveBack,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(0_u8..12, 0..6).prop_map(Act::Take),
        6 => prop::collection::vec(0_u8..12, 0..6).prop_map(Act::Answer),
        1 => Just(Act::Reconnect),
        1 => Just(Act::GiveBack),
    ]
}

proptest! {
    #[test]
    fn messages_are_acknowledged_once_and_never_early(
        acts in prop::collection::vec(act(), 0..60)
    ) {
        let mut messages = connected();
        let (mut generation, mut next) = (1, 1);
        // What each message still waits for.
        let mut model: BTreeMap<Tag, BTreeSet<DeliveryId>> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Take(numbers) => {
                    let (tag, named) = (tag(generation, next), ids(&numbers));
                    next += 1;
                    let held: BTreeSet<DeliveryId> = model.values().flatten().copied().collect();
                    let distinct: BTreeSet<DeliveryId> = named.iter().copied().collect();
                    match messages.take(tag, named) {
                        ReceiveOutcome::Work(new) => {
                            let new: BTreeSet<DeliveryId> = new.into_iter().collect();
                            prop_assert!(new.iter().eq(distinct.difference(&held)));
                            model.insert(tag, distinct);
                        }
                        ReceiveOutcome::Settled => prop_assert!(distinct.is_empty()),
                        ReceiveOutcome::Stale => prop_assert!(false, "it is of this connection"),
                    }
                }
                Act::Answer(numbers) => {
                    let answered = ids(&numbers);
                    for waits in model.values_mut() {
                        waits.retain(|id| !answered.contains(id));
                    }
                    let settled = messages.answered(&answered);
                    let expected: Vec<Tag> =
                        model.extract_if(.., |_, waits| waits.is_empty()).map(|(tag, _)| tag).collect();
                    prop_assert_eq!(settled, expected);
                }
                Act::Reconnect => {
                    (generation, next) = (generation + 1, 1);
                    prop_assert_eq!(messages.connected(generation), !model.is_empty());
                    model.clear();
                }
                Act::GiveBack => {
                    messages.give_back();
                    (generation, next) = (generation + 1, 1);
                    prop_assert!(!messages.connected(generation));
                    model.clear();
                }
            }
            prop_assert_eq!(messages.open.is_empty(), model.is_empty());
        }
        // Whatever is left is acknowledged by the answers to all.
        let all = ids(&(0..12).collect::<Vec<u8>>());
        prop_assert_eq!(messages.answered(&all), model.into_keys().collect::<Vec<_>>());
        prop_assert!(messages.open.is_empty() && messages.holders.is_empty());
    }
}
