//! What the watch of a broker remembers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{EventName, Learned, PairFacts, PairKey, RelayState};
use postrider_store::{
    BrokerRelay, BrokerWalk, EventDocument, IntakeBatch, KnownDebt, MonitorLease, PairFilter,
    PairRow, Store, WhyKnown,
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
        published_at: Some(second(5)),
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

pub(crate) async fn another_contract_under_a_version_is_another_debt(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let (first, again, other) =
        (entry(None, &[]).event.id, entry(None, &[]).event.id, entry(None, &[]).event.id);
    let before = KnownDebt { event: Some(first), ..debt("1", "p", WhyKnown::Told) };
    let unknown = KnownDebt { published_at: None, ..debt("2", "p", WhyKnown::FirstContact) };
    let known = [before.clone(), unknown.clone()];
    store.save_known_debts(lease, &key("b"), &known).await.unwrap();
    assert!(before.is_of(second(5)) && before.is_of(second(4)) && !before.is_of(second(6)));
    assert!(unknown.is_of(second(5)) && unknown.is_of(second(6)));
    let told = store.told_debts(None).await.unwrap();
    assert!(told[0].is_of(second(5)) && !told[0].is_of(second(6)));
    assert!(store.dispatched_again(lease, &told[0], 1, again).await.unwrap());
    assert!(store.debts_over(lease, &[&told[0]]).await.unwrap());

    // It was overwritten: nothing that is known of the other stays.
    let overwritten = KnownDebt {
        published_at: Some(second(6)),
        event: Some(other),
        ..debt("1", "p", WhyKnown::Watch)
    };
    // What was noted without a time gets one, and stays what it is.
    let dated = KnownDebt { published_at: Some(second(7)), why: WhyKnown::Told, ..unknown.clone() };
    let known = [overwritten.clone(), dated.clone()];
    store.save_known_debts(lease, &key("b"), &known).await.unwrap();
    let expected = [overwritten, KnownDebt { why: WhyKnown::FirstContact, ..dated }];
    assert_eq!(store.known_debts(&key("b")).await.unwrap(), expected);
    // Who read the row before says nothing of what stands there now.
    store.debts_over(lease, &[&told[0]]).await.unwrap();
    store.dispatched_again(lease, &told[0], 2, again).await.unwrap();
    let told = store.told_debts(None).await.unwrap();
    assert_eq!((told[0].event, told[0].again, told[0].again_event), (other, 0, None));
    assert_eq!(told[0].published_at, Some(second(6)));
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

pub(crate) async fn providers_are_learned_of(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let row = PairRow { key: key("b"), facts: PairFacts::default(), watched: Vec::new() };
    assert!(store.save_pairs(lease, &[row], None).await.unwrap());
    let learned = async || {
        let pairs = store.pairs_of(&[&key("b")]).await.unwrap();
        let listed = store.pairs(&PairFilter::default(), None, 10).await.unwrap();
        assert_eq!(listed[0].facts.learned, pairs[0].facts.learned);
        pairs[0].facts.learned
    };
    assert_eq!(learned().await, None);
    let took = [Duration::from_mins(10); 19];
    assert!(store.add_result_times(lease, ("b", "P"), &took).await.unwrap());
    let known = Learned { threshold: None, seen: 19, is_silent: false, has_failed_run: false };
    assert_eq!(learned().await, Some(known));
    store.add_result_times(lease, ("b", "P"), &took[..1]).await.unwrap();
    let threshold = Some(Duration::from_mins(30));
    let silent =
        |is_silent| Some(Learned { threshold, seen: 20, is_silent, has_failed_run: false });
    assert_eq!(learned().await, silent(false));
    for is_silent in [true, false] {
        let silence = ("b".to_owned(), "P".to_owned(), is_silent);
        assert!(store.save_silences(lease, &[silence]).await.unwrap());
        assert_eq!(learned().await, silent(is_silent));
    }
    let told =
        KnownDebt { event: Some(entry(None, &[]).event.id), ..debt("1", "p", WhyKnown::Told) };
    store.save_known_debts(lease, &key("b"), &[told]).await.unwrap();
    assert_eq!(store.told_debts_of(&key("b")).await.unwrap()[0].learned, silent(false));
    for has_failed_run in [true, false] {
        let failed = (key("b"), has_failed_run);
        assert!(store.save_failed_runs(lease, &[failed]).await.unwrap());
        let known = Some(Learned { threshold, seen: 20, is_silent: false, has_failed_run });
        assert_eq!(learned().await, known);
        assert_eq!(store.told_debts_of(&key("b")).await.unwrap()[0].learned, known);
        // What else becomes known of the pair says nothing of it.
        let row = PairRow { key: key("b"), facts: PairFacts::default(), watched: Vec::new() };
        store.save_pairs(lease, &[row], None).await.unwrap();
        assert_eq!(learned().await, known);
    }
    assert!(store.told_debts_of(&key("other")).await.unwrap().is_empty());
    store.keep_broker_walks(lease, &[]).await.unwrap();
    assert_eq!(learned().await, None, "of a broker that is asked no more");
}

pub(crate) async fn relays_are_there_and_call(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let relay = |state, at| BrokerRelay {
        broker: "b".to_owned(),
        uuid: "u".to_owned(),
        state,
        since: second(at),
    };
    for (state, at, since) in [
        (RelayState::Enabled, 1, 1),
        (RelayState::Removed, 2, 2),
        (RelayState::Removed, 3, 2),
        (RelayState::Enabled, 4, 4),
    ] {
        assert!(store.save_broker_relay(lease, &relay(state, at)).await.unwrap());
        assert_eq!(store.broker_relays().await.unwrap(), [relay(state, since)]);
    }
    assert!(store.keep_broker_relays(lease, &["c".to_owned()]).await.unwrap());
    assert_eq!(store.broker_relays().await.unwrap(), []);

    assert_eq!(store.relay_taken_at("b").await.unwrap(), None);
    store.relay_refused("b", "one", 1).await.unwrap();
    store.relay_refused("b", "one", 4).await.unwrap();
    let calls = store.relay_calls().await.unwrap().remove(0);
    let refused = calls.refused.unwrap();
    assert_eq!((calls.broker.as_str(), calls.taken_at, refused.count), ("b", None, 5));
    assert!(refused.since <= refused.last_at);
    // Another relay of the broker says nothing of this one.
    store.relay_taken("b", "two").await.unwrap();
    store.relay_taken("b", "").await.unwrap();
    let calls = store.relay_calls().await.unwrap().remove(0);
    assert!(calls.refused == Some(refused) && calls.taken_at.is_some(), "{calls:?}");
    store.relay_refused("b", "", 2).await.unwrap();
    let calls = store.relay_calls().await.unwrap().remove(0);
    assert_eq!(calls.refused.map(|refused| refused.count), Some(7), "of both");
    store.relay_taken("b", "").await.unwrap();
    store.relay_taken("b", "one").await.unwrap();
    let calls = store.relay_calls().await.unwrap().remove(0);
    assert!(calls.refused.is_none() && calls.taken_at.is_some(), "{calls:?}");
    assert_eq!(store.relay_taken_at("b").await.unwrap(), calls.taken_at);
    store.relay_refused("b", "one", 1).await.unwrap();
    let calls = store.relay_calls().await.unwrap().remove(0);
    assert_eq!(calls.refused.map(|refused| refused.count), Some(1));
}
