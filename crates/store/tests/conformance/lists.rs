//! Lists, shown states, figures.

use postrider_domain::{DeliveryId, DeliveryStatus, EventName, WebhookId};
use postrider_store::{DeliveryFilter, Store};

use crate::acts::*;
use crate::harness::World;

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

type Narrow<'a> = Box<dyn Fn(&mut DeliveryFilter) + 'a>;

pub(crate) async fn filters_filter(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    let plain = entry(None, &[&one, &two]);
    let mut other = entry(None, &[&two]);
    other.event.event.consumer = pacticipant("C2");
    other.event.event.provider = pacticipant("P2");
    other.event.event.event_name = EventName::ProviderVerificationFailed;
    commit(store, vec![plain.clone()]).await;
    commit(store, vec![other.clone()]).await;
    let (a, b) = (plain.deliveries[0].id, plain.deliveries[1].id);
    let c = other.deliveries[0].id;
    let text = |text: &str| Some(text.to_owned());
    let made = view(store, c).await.row.created_at;
    let cases: Vec<(Narrow<'_>, Vec<DeliveryId>)> = vec![
        (Box::new(|_| {}), vec![c, b, a]),
        (Box::new(|f| f.webhook = Some(two.webhook.uuid.clone())), vec![c, b]),
        (Box::new(|f| f.consumer = text("C2")), vec![c]),
        (Box::new(|f| f.consumer = text("c2")), vec![]),
        (Box::new(|f| f.provider = text("P")), vec![b, a]),
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
    let claims = road(store, &accepted[1..]).await;
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
    store.hold_by_hand("a").await.unwrap().unwrap();
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
        entry.event.event.event_name = name;
        entry.event.event.consumer = pacticipant(consumer);
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

pub(crate) async fn figures_add_up(world: World) {
    let store = world.store();
    assert_eq!(store.stats().await.unwrap().oldest_pending, None);
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let accepted = accept(store, &one, 3).await;
    accept(store, &two, 4).await;
    let claims = road(store, &accepted[..2]).await;
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
        store.hold_by_hand(name).await.unwrap().unwrap();
    }
    assert_eq!(store.stats().await.unwrap().oldest_pending, None, "held lanes don't count");
}
