use jiff::SignedDuration;
use postrider_broker::Verification;
use uuid::Uuid;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn key(consumer: &str) -> PairKey {
    PairKey {
        broker: "default".to_owned(),
        consumer: consumer.to_owned(),
        provider: "Orders".to_owned(),
    }
}

fn event(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

fn told(consumer: &str, second: i64, dispatched: Option<u128>) -> ToldEvents {
    ToldEvents {
        key: key(consumer),
        event: EventName::ContractRequiringVerificationPublished,
        success: None,
        first_at: at(second),
        last_at: at(second + 1),
        dispatched: dispatched.map(event),
    }
}

fn ledger() -> Ledger {
    Ledger::new(Vec::new(), 100)
}

#[test]
fn only_what_changed_is_written() {
    let mut ledger = ledger();
    ledger.tell(&told("a", 1, None));
    ledger.tell(&told("b", 1, None));
    assert_eq!(ledger.take_changed().len(), 2);
    ledger.tell(&told("a", 1, None));
    assert!(ledger.take_changed().is_empty(), "told twice");
    ledger.tell(&told("b", 5, None));
    let changed = ledger.take_changed();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].facts.first_publication, Some(at(1)));
    assert_eq!(changed[0].facts.last_publication, Some(at(6)));
}

#[test]
fn a_test_of_a_webhook_makes_no_pair() {
    let mut ledger = ledger();
    ledger.tell(&ToldEvents { event: EventName::Test, ..told("placeholder-consumer", 1, None) });
    assert!(ledger.into_rows().is_empty());
}

#[test]
fn what_a_broker_lists_counts_as_seen() {
    let mut ledger = ledger();
    ledger.learn(&key("a"), &Learned::Facts(Box::default()));
    assert_eq!(ledger.take_changed().len(), 1);
    ledger.learn(&key("a"), &Learned::Facts(Box::default()));
    assert_eq!(ledger.take_changed().len(), 1);
}

#[test]
fn what_a_broker_says_is_kept_until_it_says_otherwise() {
    let says = |asked: i64| BrokerSays {
        told_at: at(asked),
        trouble: None,
        ..BrokerSays::troubled(None, String::new(), at(asked))
    };
    let of = |ledger: &Ledger| ledger.rows[&key("a")].facts.says.clone();
    let mut ledger = ledger();
    let learned = |asked| {
        Learned::Facts(Box::new(PairFacts { says: Some(says(asked)), ..PairFacts::default() }))
    };
    ledger.learn(&key("a"), &learned(1));
    ledger.learn(&key("a"), &Learned::Trouble("500".to_owned(), at(2)));
    let troubled = of(&ledger).unwrap();
    assert_eq!((troubled.told_at, troubled.trouble.as_deref()), (at(1), Some("500")));
    ledger.learn(&key("a"), &learned(3));
    let kept = of(&ledger).unwrap();
    assert_eq!((kept.first_asked_at, kept.told_at, &kept.trouble), (at(1), at(3), &None));
    ledger.take_changed();
    ledger.forget_unless(|named| *named == key("a"));
    assert!(ledger.take_changed().is_empty());
    ledger.forget_unless(|_| false);
    assert_eq!((ledger.take_changed().len(), of(&ledger)), (1, Some(kept.gone())));
    ledger.forget_unless(|_| false);
    assert!(ledger.take_changed().is_empty());
    // It comes back, and is deleted between two questions.
    ledger.learn(&key("a"), &learned(4));
    assert_eq!(of(&ledger).unwrap().trouble, None);
    ledger.learn(&key("a"), &Learned::Facts(Box::default()));
    assert_eq!(of(&ledger).unwrap().told_at, at(4));
    assert!(of(&ledger).unwrap().trouble.is_some());
}

#[test]
fn the_table_is_bounded() {
    let mut ledger = Ledger::new(Vec::new(), 2);
    for consumer in ["a", "b", "c", "d"] {
        ledger.tell(&told(consumer, 1, None));
        ledger.learn(&key(consumer), &Learned::Facts(Box::default()));
    }
    assert_eq!(ledger.refused(), 4);
    assert_eq!(ledger.take_changed().len(), 2);
    ledger.tell(&told("a", 9, None));
    assert_eq!(ledger.take_changed().len(), 1, "known ones are still told of");
}

#[test]
fn dispatches_are_watched_until_they_are_over() {
    let mut ledger = ledger();
    ledger.tell(&told("a", 1, Some(1)));
    ledger.tell(&told("a", 2, Some(2)));
    let fact = |number, open, delivered: Option<i64>| DispatchFact {
        event: event(number),
        open,
        delivered_at: delivered.map(at),
    };
    ledger.dispatched(&[fact(1, true, None), fact(2, false, Some(7))]);
    assert_eq!(ledger.watched(), [event(1), event(2)]);
    ledger.dispatched(&[fact(1, false, Some(5)), fact(2, false, Some(7))]);
    assert_eq!(ledger.watched(), [event(2)], "the newest may be replayed");
    // Retention took it.
    ledger.dispatched(&[]);
    assert_eq!(ledger.watched(), []);
    let rows = ledger.into_rows();
    assert_eq!(rows[0].facts.last_dispatch, Some(at(7)));
}

#[test]
fn of_a_backlog_both_ends_are_watched() {
    let mut ledger = ledger();
    for number in 1..=100 {
        ledger.tell(&told("a", 1, Some(number)));
    }
    let watched = ledger.watched();
    assert_eq!(watched.len(), WATCHED_MOST);
    assert_eq!((watched.first(), watched.last()), (Some(&event(1)), Some(&event(100))));
}

#[test]
fn a_matrix_tells_of_publications_and_verifications() {
    let row = |published, verified: Option<(i64, bool)>| MatrixRow {
        consumer_version: "1".to_owned(),
        consumer_branch: None,
        provider_version: None,
        provider_branch: None,
        published_at: at(published),
        pact_url: String::new(),
        verification: verified.map(|(second, success)| Verification {
            success,
            verified_at: at(second),
            number: None,
            url: String::new(),
        }),
    };
    let facts = facts_of(&[row(50, None), row(40, Some((45, false))), row(10, Some((20, true)))]);
    assert_eq!(facts.owed_since(), Some(at(50)));
    assert_eq!(facts.last_verification.map(|newest| newest.success), Some(Some(false)));
    let facts = facts_of(&[row(50, Some((45, true))), row(30, None)]);
    assert_eq!(facts.owed_since(), None, "the same content was verified, and 30 lies before it");
    assert_eq!(facts.last_publication, Some(at(50)));
    assert_eq!(facts_of(&[]), PairFacts::default());
}
