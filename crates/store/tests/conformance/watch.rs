//! What the watch of a broker remembers.

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{EventName, PairKey};
use postrider_store::{
    BrokerWalk, EventDocument, IntakeBatch, KnownDebt, MonitorLease, Store, WhyKnown,
};
use postrider_testkit::acts::*;

use crate::harness::World;

fn key(broker: &str) -> PairKey {
    PairKey { broker: broker.into(), consumer: "C".into(), provider: "P".into() }
}

fn second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

async fn lease(store: &Store) -> MonitorLease {
    store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap()
}

fn debt(consumer: &str, provider: &str, why: WhyKnown) -> KnownDebt {
    KnownDebt {
        consumer_version: consumer.to_owned(),
        provider_version: provider.to_owned(),
        why,
        event: None,
        again: 0,
    }
}

pub(crate) async fn walks_come_back_as_written(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    assert_eq!(store.broker_walk("b").await.unwrap(), None);
    let pair = ("a \"b\"".to_owned(), "P/é".to_owned());
    let first = BrokerWalk {
        first_contact_at: second(1),
        began_at: second(1),
        changed_last: vec![pair.clone()],
    };
    assert!(store.save_broker_walk(lease, "b", &first).await.unwrap());
    assert_eq!(store.broker_walk("b").await.unwrap().as_ref(), Some(&first));
    let next =
        BrokerWalk { first_contact_at: second(9), began_at: second(9), changed_last: vec![] };
    store.save_broker_walk(lease, "b", &next).await.unwrap();
    let kept = BrokerWalk { first_contact_at: second(1), ..next };
    assert_eq!(store.broker_walk("b").await.unwrap(), Some(kept), "it was met once");
    store.save_broker_walk(lease, "c", &first).await.unwrap();
    store.save_known_debts(lease, &key("b"), &[debt("1", "p", WhyKnown::Told)]).await.unwrap();
    assert!(store.keep_broker_walks(lease, &["c".to_owned()]).await.unwrap());
    assert_eq!(store.broker_walk("b").await.unwrap(), None);
    assert_eq!(store.known_debts(&key("b")).await.unwrap(), []);
    assert!(store.broker_walk("c").await.unwrap().is_some());
    store.monitor_give_up(lease).await.unwrap();
    assert!(!store.save_broker_walk(lease, "c", &first).await.unwrap(), "without the lease");
}

pub(crate) async fn debts_are_known_as_long_as_they_are_seen(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let known = [
        debt("1", "p", WhyKnown::FirstContact),
        debt("2", "p", WhyKnown::Observed),
        KnownDebt { event: Some(entry(None, &[]).event.id), ..debt("2", "q", WhyKnown::Watch) },
    ];
    assert!(store.save_known_debts(lease, &key("b"), &known).await.unwrap());
    assert_eq!(store.known_debts(&key("b")).await.unwrap(), known);
    assert_eq!(store.known_debts(&key("other")).await.unwrap(), []);
    let soon = Timestamp::now() + SignedDuration::from_hours(1);
    assert!(store.forget_debts(lease, "other", soon).await.unwrap());
    assert!(store.forget_debts(lease, "b", second(1)).await.unwrap());
    assert_eq!(store.known_debts(&key("b")).await.unwrap().len(), 3);
    // Seen again: why it is known stays.
    store.save_known_debts(lease, &key("b"), &[debt("1", "p", WhyKnown::Told)]).await.unwrap();
    assert_eq!(store.known_debts(&key("b")).await.unwrap()[0], known[0]);
    store.forget_debts(lease, "b", soon).await.unwrap();
    assert_eq!(store.known_debts(&key("b")).await.unwrap(), []);
}

pub(crate) async fn events_tell_which_versions_they_are_for(world: World) {
    let store = world.store();
    let asks = EventName::ContractRequiringVerificationPublished;
    let mut entries = Vec::new();
    for (name, broker, consumer, provider) in [
        (asks, "b", "1", "p"),
        (asks, "b", "2", ""),
        (asks, "other", "3", "p"),
        (EventName::ContractPublished, "b", "4", "p"),
    ] {
        let mut event = event();
        event.event_name = name;
        broker.clone_into(&mut event.broker);
        consumer.clone_into(&mut event.consumer.version_number);
        provider.clone_into(&mut event.provider.version_number);
        let mut made = entry(None, &[]);
        made.event.event = EventDocument::new(event).unwrap();
        entries.push(made);
    }
    let version = store.webhook_table(None).await.unwrap().unwrap().version;
    let batch = IntakeBatch { webhooks_version: version, entries: entries.into() };
    store.commit_events(&batch).await.unwrap().unwrap();
    let told = store.told_versions(&key("b"), Timestamp::UNIX_EPOCH).await.unwrap();
    let versions: Vec<_> = told
        .iter()
        .map(|told| (told.consumer_version.as_str(), told.provider_version.as_str()))
        .collect();
    assert_eq!(versions, [("2", ""), ("1", "p")]);
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(store.told_versions(&key("b"), later).await.unwrap(), []);
}

pub(crate) async fn debts_that_were_told_of_are_followed(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let (first, second) = (entry(None, &[]).event.id, entry(None, &[]).event.id);
    let told = KnownDebt { event: Some(first), ..debt("1", "p", WhyKnown::Told) };
    let known = [told.clone(), debt("2", "p", WhyKnown::FirstContact)];
    store.save_known_debts(lease, &key("b"), &known).await.unwrap();
    let followed = store.told_debts(Some("b")).await.unwrap();
    let [one] = followed.as_slice() else { panic!("{followed:?}") };
    assert_eq!((one.event, one.again, one.newest()), (first, 0, first));
    assert_eq!(store.told_debts(None).await.unwrap().len(), 1);
    assert!(store.told_debts(Some("other")).await.unwrap().is_empty());

    assert!(store.dispatched_again(lease, one, 1, second).await.unwrap());
    // Noted already.
    store.dispatched_again(lease, one, 1, first).await.unwrap();
    let again = store.told_debts(None).await.unwrap();
    assert_eq!((again[0].again, again[0].event, again[0].newest()), (1, first, second));
    let known = store.known_debts(&key("b")).await.unwrap();
    assert_eq!(known[0], KnownDebt { again: 1, ..told.clone() });

    assert!(store.debts_over(lease, &[&again[0]]).await.unwrap());
    assert!(store.told_debts(None).await.unwrap().is_empty());
    // Owed anew, it is known how often it was dispatched.
    store.save_known_debts(lease, &key("b"), &[told]).await.unwrap();
    assert_eq!(store.told_debts(None).await.unwrap()[0].again, 1);
    store.monitor_give_up(lease).await.unwrap();
    assert!(!store.debts_over(lease, &[&again[0]]).await.unwrap(), "without the lease");
}
