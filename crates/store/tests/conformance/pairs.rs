//! Facts of pairs: told by events, kept by the monitor.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{BrokerSays, Event, EventId, EventName, PairFacts, PairKey, Verified};
use postrider_store::{
    BrokerRead, BrokerTrouble, IntakeEntry, MonitorLease, PairFilter, PairRow, Store, ToldEvents,
    ToldPage, Total,
};
use postrider_testkit::acts::*;
use uuid::Uuid;

use crate::harness::World;

fn key(broker: &str, consumer: &str, provider: &str) -> PairKey {
    PairKey { broker: broker.into(), consumer: consumer.into(), provider: provider.into() }
}

fn row(key: PairKey) -> PairRow {
    PairRow { key, facts: PairFacts::default(), watched: Vec::new() }
}

fn second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

async fn lease(store: &Store) -> MonitorLease {
    store.monitor_lease(worker(), None, HOUR).await.unwrap().unwrap()
}

async fn all(store: &Store) -> Vec<PairRow> {
    store.pairs(&PairFilter::default(), None, 100).await.unwrap()
}

pub(crate) async fn pairs_come_back_as_written(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let full = PairRow {
        key: key("default", "a/b \"c\" \u{1F980}", "100% 'P'"),
        facts: PairFacts {
            first_publication: Some(second(1)),
            last_publication: Some(second(2)),
            owing: vec![second(2), Timestamp::from_microsecond(2_000_001).unwrap()],
            last_verification: Some(Verified { at: second(1), success: Some(false) }),
            last_dispatch: Some(second(3)),
            told_publication: Some(second(2)),
            says: Some(BrokerSays::troubled(None, "500: \"ü\"".to_owned(), second(4))),
            learned: None,
        },
        watched: vec![EventId(Uuid::now_v7())],
    };
    let empty = row(key("default", "b", "P"));
    assert!(store.save_pairs(lease, &[full.clone(), empty.clone()], None).await.unwrap());
    assert_eq!(all(store).await, [full.clone(), empty.clone()]);
    // Written again as a whole.
    let mut changed = empty.clone();
    changed.facts.last_verification = Some(Verified { at: second(9), success: None });
    store.save_pairs(lease, std::slice::from_ref(&changed), None).await.unwrap();
    assert_eq!(all(store).await, [full.clone(), changed]);
    store.save_pairs(lease, &[row(full.key.clone())], None).await.unwrap();
    assert_eq!(all(store).await[0], row(full.key));
    store.monitor_give_up(lease).await.unwrap();
    assert!(!store.save_pairs(lease, &[empty], None).await.unwrap(), "without the lease");
}

pub(crate) async fn pairs_are_found_by_name_and_in_pages(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let keys = [("a", "C", "P"), ("a", "c", "P"), ("a", "c", "Q"), ("b", "C", "P")]
        .map(|(broker, consumer, provider)| key(broker, consumer, provider));
    let rows: Vec<PairRow> = keys.iter().cloned().map(row).collect();
    store.save_pairs(lease, &rows, None).await.unwrap();
    let found = async |filter: PairFilter, after: Option<&PairKey>, limit| {
        let rows = store.pairs(&filter, after, limit).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(found(PairFilter::default(), None, 3).await, keys[..3]);
    let all = store.count_named_pairs(&PairFilter::default()).await.unwrap();
    assert_eq!(all, Total::of(4));
    assert_eq!(found(PairFilter::default(), Some(&keys[2]), 3).await, keys[3..]);
    let text = |text: &str| Some(text.to_owned());
    let of_broker = PairFilter { broker: text("b"), ..PairFilter::default() };
    assert_eq!(found(of_broker, None, 9).await, keys[3..]);
    let of_consumer = PairFilter { consumer: text("c"), ..PairFilter::default() };
    assert_eq!(store.count_named_pairs(&of_consumer).await.unwrap(), Total::of(2));
    assert_eq!(found(of_consumer, None, 9).await, keys[1..3]);
    let of_provider =
        PairFilter { consumer: text("c"), provider: text("Q"), ..PairFilter::default() };
    assert_eq!(found(of_provider, None, 9).await, keys[2..3]);
}

fn told_by(name: EventName, change: impl FnOnce(&mut Event)) -> IntakeEntry {
    let mut entry = entry(None, &[]);
    edit(&mut entry, |event| {
        event.event_name = name;
        change(event);
    });
    entry
}

async fn told(store: &Store) -> Vec<ToldEvents> {
    let page = store.told_events(EventId(Uuid::nil()), 100).await.unwrap();
    let mut told = page.told;
    told.sort_by_key(|each| (each.key.clone(), each.event, each.first_at));
    told
}

pub(crate) async fn events_tell_of_their_pair(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let dated: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let plain = entry(None, &[&one]);
    let plain_id = plain.event.id;
    let failed = told_by(EventName::ProviderVerificationPublished, |event| {
        event.verification_success = Some(false);
        event.occurred_at = Some(dated);
    });
    let of_other_broker = told_by(EventName::ProviderVerificationSucceeded, |event| {
        "other".clone_into(&mut event.broker);
        event.occurred_at = Some(Timestamp::now() + SignedDuration::from_hours(9));
    });
    // What looks like a member of the event is a part of a name.
    let tricky = told_by(EventName::ContractContentChanged, |event| {
        event.consumer = pacticipant(r#"x","occurred_at":"2020-01-01T00:00:00Z"#);
    });
    let before = Timestamp::now() - SignedDuration::from_mins(1);
    for entry in [plain, failed, of_other_broker, tricky] {
        commit(store, vec![entry]).await;
    }
    let told = told(store).await;
    let [published, verified, tricky, other] = &told[..] else { panic!("{told:?}") };
    assert_eq!((published.event, published.success), (EventName::ContractPublished, None));
    assert_eq!(published.dispatched, Some(plain_id));
    assert_eq!(published.key, key("default", "C", "P"));
    assert_eq!(verified.success, Some(false));
    assert_eq!((verified.first_at, verified.last_at, verified.dispatched), (dated, dated, None));
    assert!(tricky.first_at > before, "{tricky:?}");
    assert_eq!(other.key.broker, "other");
    let soon = Timestamp::now() + SignedDuration::from_mins(1);
    assert!(other.first_at > before && other.first_at < soon, "never in the future: {other:?}");
}

pub(crate) async fn many_events_tell_little(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 50).await;
    let page = store.told_events(EventId(Uuid::nil()), 100).await.unwrap();
    let ToldPage { told, last, count } = page;
    assert_eq!(count, 50);
    assert!(told.len() <= 5, "{} groups", told.len());
    let part = store.told_events(EventId(Uuid::nil()), 20).await.unwrap();
    assert_eq!(part.count, 20);
    assert!(part.last < last);
    let rest = store.told_events(part.last.unwrap(), 100).await.unwrap();
    assert_eq!((rest.count, rest.last), (30, last));
    let none = store.told_events(last.unwrap(), 100).await.unwrap();
    assert_eq!((none.count, none.last, none.told.len()), (0, None, 0));
}

pub(crate) async fn what_is_folded_in_is_remembered(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let now = Timestamp::now();
    let until = async |back, now| store.events_until(back, now).await.unwrap().0;
    assert_eq!(until(Duration::ZERO, now).await, Uuid::nil(), "the beginning");
    let (early, late) = (Uuid::now_v7(), Uuid::from_u128(u128::MAX >> 1));
    store.save_pairs(lease, &[], Some(EventId(early))).await.unwrap();
    let read = until(ms(1_000), now + SignedDuration::from_secs(9)).await;
    assert_eq!((early.as_u128() >> 80) - (read.as_u128() >> 80), 1_000);
    store.save_pairs(lease, &[], Some(EventId(Uuid::nil()))).await.unwrap();
    assert_eq!(until(ms(1_000), now + SignedDuration::from_secs(9)).await, read, "only onwards");
    // A host whose clock runs ahead makes nobody's events unseen.
    store.save_pairs(lease, &[], Some(EventId(late))).await.unwrap();
    assert!(until(ms(1_000), now).await < early);
}

pub(crate) async fn dispatches_are_told_by_their_deliveries(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    let both = entry(None, &[&one, &two]);
    let alone = entry(None, &[&one]);
    let (both_id, alone_id) = (both.event.id, alone.event.id);
    commit(store, vec![both.clone(), alone]).await;
    let claims = by_message(store, &[both.deliveries[0].id]).await;
    record(store, &[delivered(&claims[0])]).await;
    let unknown = EventId(Uuid::now_v7());
    let mut facts = store.dispatches(&[both_id, alone_id, unknown]).await.unwrap();
    facts.sort_by_key(|fact| fact.event);
    assert_eq!(facts.len(), 2, "{facts:?}");
    let of = |id| facts.iter().find(|fact| fact.event == id).unwrap();
    assert!(of(both_id).open && of(both_id).delivered_at.is_some(), "{facts:?}");
    assert!(of(alone_id).open && of(alone_id).delivered_at.is_none(), "{facts:?}");
    let claims = by_message(store, &[both.deliveries[1].id]).await;
    record(store, &[failed(&claims[0])]).await;
    assert!(!store.dispatches(&[both_id]).await.unwrap()[0].open);
    let fates = store.event_fates(&[both_id, alone_id, unknown]).await.unwrap();
    assert_eq!(fates.len(), 2, "{fates:?}");
    let (both, alone) = (&fates[&both_id], &fates[&alone_id]);
    assert!(!both.is_open && both.delivered_at.is_some() && both.ended_at >= both.delivered_at);
    let failing: Vec<_> = both.failed.iter().map(|(webhook, _)| webhook).collect();
    assert_eq!(failing, [&two.webhook.uuid]);
    assert!(alone.is_open && alone.ended_at.is_none() && alone.failed.is_empty(), "{alone:?}");
}

pub(crate) async fn brokers_answer_or_not(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    let answers =
        BrokerRead { broker: "a".to_owned(), answered_at: Some(second(5)), failing: None };
    let away = BrokerRead {
        broker: "b".to_owned(),
        answered_at: None,
        failing: Some((second(7), BrokerTrouble::Credential, "refused \"it\"".to_owned())),
    };
    for read in [&answers, &away] {
        assert!(store.save_broker_read(lease, read).await.unwrap());
    }
    assert_eq!(store.broker_reads().await.unwrap(), [answers.clone(), away.clone()]);
    let back = BrokerRead { answered_at: Some(second(9)), failing: None, ..away };
    store.save_broker_read(lease, &back).await.unwrap();
    assert_eq!(store.broker_reads().await.unwrap(), [answers.clone(), back]);
    assert!(store.keep_broker_reads(lease, &["a".to_owned()]).await.unwrap());
    assert_eq!(store.broker_reads().await.unwrap(), std::slice::from_ref(&answers));
    store.monitor_give_up(lease).await.unwrap();
    assert!(!store.save_broker_read(lease, &answers).await.unwrap(), "without the lease");
    assert!(!store.keep_broker_reads(lease, &[]).await.unwrap(), "without the lease");
}

pub(crate) async fn pairs_outlive_their_events_for_a_while(world: World) {
    let store = world.store();
    let lease = lease(store).await;
    store.save_pairs(lease, &[row(key("default", "C", "P"))], None).await.unwrap();
    assert_eq!(store.prune_pairs(HOUR).await.unwrap(), 0);
    store.prune(Duration::ZERO, Duration::ZERO, 100).await.unwrap();
    assert_eq!(all(store).await.len(), 1);
    assert_eq!(store.prune_pairs(Duration::ZERO).await.unwrap(), 1);
    assert!(all(store).await.is_empty());
}
