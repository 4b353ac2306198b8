//! Lists, shown states, figures.

use postrider_domain::{DeliveryId, DeliveryStatus, EventName, WebhookId};
use postrider_store::{DeliveryFilter, DeliveryScope, ManualHold, Store};
use postrider_testkit::acts::*;

use crate::acts::view;
use crate::harness::{Kind, World};

async fn found(store: &Store, filter: DeliveryFilter) -> Vec<DeliveryId> {
    let page = store.deliveries(&filter, None, 100).await.unwrap();
    page.deliveries.iter().map(|row| row.id).collect()
}

fn any() -> DeliveryFilter {
    DeliveryFilter::default()
}

pub(crate) async fn pages_follow_each_other(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let mut accepted = accept(store, &one, 7).await;
    accepted.reverse();
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    let mut after = None;
    loop {
        let page = store.deliveries(&any(), after.as_ref(), 3).await.unwrap();
        sizes.push(page.deliveries.len());
        seen.extend(page.deliveries.iter().map(|row| row.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, sizes), (accepted, vec![3, 3, 1]), "newest first");
    assert_eq!(store.deliveries(&any(), None, 7).await.unwrap().next, None, "a full last page");
    assert!(store.delivery(DeliveryId(uuid::Uuid::now_v7())).await.unwrap().is_none());
}

fn made_at(id: DeliveryId) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(i64::try_from(id.0.as_u128() >> 80).unwrap()).unwrap()
}

type Narrow<'a> = Box<dyn Fn(&mut DeliveryFilter) + 'a>;

pub(crate) async fn filters_filter(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    let plain = entry(None, &[&one, &two]);
    let mut other = entry(None, &[&two]);
    edit(&mut other, |event| {
        event.consumer = pacticipant("C2");
        "7".clone_into(&mut event.consumer.version_number);
        event.provider = pacticipant("P2");
        event.event_name = EventName::ProviderVerificationFailed;
    });
    let (a, b) = (plain.deliveries[0].id, plain.deliveries[1].id);
    // When a delivery was made is told by its id, to the millisecond.
    let is_later = async || (made_at(DeliveryId(uuid::Uuid::now_v7())) > made_at(b)).then_some(());
    wait_until(store, "the next millisecond", is_later).await;
    other.deliveries[0].id = DeliveryId(uuid::Uuid::now_v7());
    commit(store, vec![plain.clone()]).await;
    commit(store, vec![other.clone()]).await;
    let c = other.deliveries[0].id;
    let text = |text: &str| Some(text.to_owned());
    let made = made_at(c);
    let cases: Vec<(Narrow<'_>, Vec<DeliveryId>)> = vec![
        (Box::new(|_| {}), vec![c, b, a]),
        (Box::new(|f| f.webhook = Some(two.webhook.uuid.clone())), vec![c, b]),
        (Box::new(|f| f.broker = text("default")), vec![c, b, a]),
        (Box::new(|f| f.broker = text("other")), vec![]),
        (Box::new(|f| f.consumer = text("C2")), vec![c]),
        (Box::new(|f| f.consumer = text("c2")), vec![]),
        (Box::new(|f| f.provider = text("P")), vec![b, a]),
        (Box::new(|f| f.version = text("7")), vec![c]),
        (Box::new(|f| f.version = text("8")), vec![]),
        (Box::new(|f| (f.version, f.consumer) = (text("7"), text("C"))), vec![]),
        (Box::new(|f| f.event = Some(EventName::ContractPublished)), vec![b, a]),
        (Box::new(|f| f.event_id = Some(plain.event.id)), vec![b, a]),
        (Box::new(|f| f.lane = text("a")), vec![a]),
        (Box::new(|f| f.since = Some(made)), vec![c]),
        (Box::new(|f| f.until = Some(made)), vec![b, a]),
        (Box::new(|f| f.ids = Some(vec![a, c])), vec![c, a]),
        (Box::new(|f| f.ids = Some(vec![])), vec![]),
        (Box::new(|f| (f.lane, f.provider) = (text("b"), text("P"))), vec![b]),
    ];
    for (narrow, expected) in cases {
        let mut filter = any();
        narrow(&mut filter);
        assert_eq!(found(store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub(crate) async fn shown_states_follow_the_lane(world: World) {
    use DeliveryStatus::{Delivered, Discarded, Failed, Held, Queued, Retrying};
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 6).await;
    let claims = by_message(store, &accepted[1..]).await;
    let outcomes = [retry(&claims[0], HOUR, false), delivered(&claims[1]), failed(&claims[2])];
    record(store, &outcomes).await;
    let by = async |status| {
        let mut ids = found(store, DeliveryFilter { status: Some(status), ..any() }).await;
        ids.reverse();
        for id in &ids {
            assert_eq!(view(store, *id).await.row.status, status);
        }
        ids
    };
    assert_eq!(by(Queued).await, [accepted[0], accepted[4], accepted[5]]);
    assert_eq!(by(Retrying).await, [accepted[1]]);
    assert_eq!(by(Delivered).await, [accepted[2]]);
    assert_eq!(by(Failed).await, [accepted[3]]);
    assert!(by(Held).await.is_empty() && by(Discarded).await.is_empty());
    let scope = async |scope| found(store, DeliveryFilter { scope: Some(scope), ..any() }).await;
    assert_eq!(scope(DeliveryScope::Failing).await, [accepted[3], accepted[1]]);
    let open = [accepted[5], accepted[4], accepted[1], accepted[0]];
    assert_eq!(scope(DeliveryScope::Open).await, open);
    store.hold_by_hand("a", &ManualHold::default()).await.unwrap().unwrap();
    // HELD_DERIVED: holding changed no delivery, and what is being sent is not held.
    assert_eq!(by(Held).await, [accepted[0], accepted[1]]);
    assert_eq!(by(Queued).await, [accepted[4], accepted[5]]);
    assert!(by(Retrying).await.is_empty());
    assert_eq!(view(store, accepted[1]).await.row.next_attempt_at, None);
    store.release_by_hand("a").await.unwrap().unwrap();
    assert_eq!(by(Retrying).await, [accepted[1]]);
}

pub(crate) async fn the_newest_delivery_of_each_event(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    let mut made = Vec::new();
    for (name, consumer) in [
        (EventName::ContractPublished, "C"),
        (EventName::ContractContentChanged, "C"),
        (EventName::ContractPublished, "C"),
        (EventName::ContractContentChanged, "another"),
    ] {
        let mut entry = entry(None, &[&one, &two]);
        edit(&mut entry, |event| {
            event.event_name = name;
            event.consumer = pacticipant(consumer);
        });
        commit(store, vec![entry.clone()]).await;
        made.push((entry.deliveries[0].id, entry.deliveries[1].id));
    }
    let newest = async |webhooks: &[WebhookId]| -> Vec<DeliveryId> {
        let rows = store.newest_deliveries(webhooks, "C", "P").await.unwrap();
        rows.iter().map(|row| row.id).collect()
    };
    assert_eq!(newest(&[one.id]).await, [made[1].0, made[2].0], "oldest first");
    assert_eq!(newest(&[two.id, one.id]).await, [made[1].0, made[1].1, made[2].0, made[2].1]);
    assert_eq!(newest(&[]).await, []);
    assert!(store.newest_deliveries(&[one.id], "C", "P2").await.unwrap().is_empty());
}

/// What is rare among very many is found in several calls, each of which ends soon.
pub(crate) async fn lists_look_at_a_bounded_number(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let mut rare = entry(None, &[&one]);
    edit(&mut rare, |event| event.event_name = EventName::ProviderVerificationFailed);
    commit(store, vec![rare.clone()]).await;
    accept(store, &one, 1).await;
    let columns = "event_id, webhook_id, lane_id, status, created_at, updated_at";
    let same = "d.event_id, d.webhook_id, d.lane_id, 'delivered', d.created_at, d.updated_at \
                from deliveries d join events e on e.id = d.event_id";
    let sql = match world.kind() {
        Kind::Postgres => format!(
            "insert into deliveries (id, {columns}) select \
             ('ffffffff-ffff-7fff-8000-' || lpad(to_hex(n), 12, '0'))::uuid, {same}, \
             generate_series(1, 20100) n where e.name = 'contract_published'"
        ),
        Kind::Sqlite => format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20100) \
             INSERT INTO deliveries (id, {columns}) SELECT \
             unhex('ffffffffffff7fff8000' || printf('%012x', n.n)), {same}, n \
             WHERE e.name = 'contract_published'"
        ),
    };
    world.raw(&sql).await;
    let filter = DeliveryFilter { event: Some(rare.event.event.event().event_name), ..any() };
    let first = store.deliveries(&filter, None, 10).await.unwrap();
    assert!(first.deliveries.is_empty(), "it lies behind");
    let next = first.next.expect("the call says where to go on");
    let second = store.deliveries(&filter, Some(&next), 10).await.unwrap();
    assert_eq!(second.deliveries.len(), 1);
    assert_eq!((second.deliveries[0].id, second.next), (rare.deliveries[0].id, None));
    let total = store.count_deliveries(&any()).await.unwrap();
    assert_eq!((total.count, total.is_exact), (10_000, false));
    let by_pair = DeliveryFilter { consumer: Some("nobody".to_owned()), ..any() };
    let nobody = store.deliveries(&by_pair, None, 10).await.unwrap();
    assert!(nobody.deliveries.is_empty() && nobody.next.is_none(), "no pair, no candidate");
}

pub(crate) async fn figures_add_up(world: World) {
    let store = world.store();
    assert_eq!(store.stats().await.unwrap().oldest_pending, None);
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let accepted = accept(store, &one, 3).await;
    accept(store, &two, 4).await;
    let claims = by_message(store, &accepted[..2]).await;
    record(store, &[delivered(&claims[0])]).await;
    let stats = store.stats().await.unwrap();
    let mut backlog = stats.backlog.clone();
    backlog.sort();
    assert_eq!(backlog, [("a".to_owned(), 1), ("b".to_owned(), 4)]);
    assert_eq!(stats.sending, 1);
    assert!(stats.oldest_pending.is_some_and(|age| age < HOUR));
    let lanes = store.lanes().await.unwrap();
    let busiest: Vec<_> = lanes.iter().map(|each| (each.name.as_str(), each.backlog)).collect();
    assert_eq!(busiest, [("b", 4), ("a", 1)]);
    let made = view(store, accepted[2]).await.row.created_at;
    assert_eq!(lanes[1].oldest_at, Some(made));
    for name in ["a", "b"] {
        store.hold_by_hand(name, &ManualHold::default()).await.unwrap().unwrap();
    }
    assert_eq!(store.stats().await.unwrap().oldest_pending, None, "held lanes don't count");
}
