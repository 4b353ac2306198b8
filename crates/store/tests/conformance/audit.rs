//! Who changed what.

use postrider_domain::{AuditAction, AuditKind};
use postrider_store::{
    AuditEntry, AuditFilter, Author, BulkKind, DeliveryFilter, ManualHold, SecretWrite, Store,
    Total,
};
use postrider_testkit::acts::*;

use crate::harness::World;

fn author(who: &str) -> Author {
    Author { who: who.to_owned(), route: "PUT /x".to_owned() }
}

async fn audit(store: &Store, filter: &AuditFilter) -> Vec<AuditEntry> {
    store.audit(filter, None, 100).await.unwrap().entries
}

/// Kind, object and action of what was changed, oldest first.
async fn told(store: &Store) -> Vec<(AuditKind, String, AuditAction)> {
    let entries = audit(store, &AuditFilter::default()).await;
    entries.into_iter().rev().map(|entry| (entry.kind, entry.object, entry.action)).collect()
}

pub(crate) async fn each_change_is_written_down_with_its_author(world: World) {
    let store = &world.store().by(author("ci"));
    let stored = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    let uuid = stored.webhook.uuid.clone();
    put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    let (secret, _) = store.set_secret("token", &"v-one".into()).await.unwrap();
    store.set_secret("token", &"v-two".into()).await.unwrap();
    let described = SecretWrite {
        uuid: Some(secret.uuid),
        name: "other".to_owned(),
        description: Some("words".to_owned()),
        team_uuid: None,
        value: None,
    };
    store.put_secret(&described).await.unwrap();
    store.hold_by_hand("a", &ManualHold::default()).await.unwrap().unwrap();
    store.release_by_hand("a").await.unwrap().unwrap();
    store.sync_lanes(&[limited("a")]).await.unwrap();
    let filter = DeliveryFilter { lane: Some("a".to_owned()), ..DeliveryFilter::default() };
    let plan = store.bulk(BulkKind::Discard, &filter).await.unwrap();
    assert!(store.delete_secret("other").await.unwrap());
    assert!(store.delete_webhook(&uuid).await.unwrap());
    let (webhook, secret, lane) = (AuditKind::Webhook, AuditKind::Secret, AuditKind::Lane);
    let text = |text: &str| text.to_owned();
    assert_eq!(
        told(store).await,
        [
            (webhook, uuid.to_string(), AuditAction::Created),
            (webhook, uuid.to_string(), AuditAction::Changed),
            (secret, text("token"), AuditAction::Created),
            (secret, text("token"), AuditAction::Changed),
            (secret, text("other"), AuditAction::Changed),
            (lane, text("a"), AuditAction::Held),
            (lane, text("a"), AuditAction::Released),
            (AuditKind::Limit, text("a"), AuditAction::Changed),
            (AuditKind::Delivery, plan.id.unwrap().to_string(), AuditAction::Discarded),
            (secret, text("other"), AuditAction::Deleted),
            (webhook, uuid.to_string(), AuditAction::Deleted),
        ]
    );
    let entries = audit(store, &AuditFilter::default()).await;
    assert!(entries.iter().all(|entry| entry.who == "ci" && entry.route == "PUT /x"));
    let discarded = entries.iter().find(|entry| entry.action == AuditAction::Discarded).unwrap();
    assert!(discarded.detail.starts_with("lane=a until="), "{discarded:?}");
    let dump = world.dump().await;
    assert!(dump.contains("a new value, revision 2"), "the dump shows it");
    assert!(!dump.contains("v-one") && !dump.contains("v-two"), "no value stands there");
}

pub(crate) async fn what_changed_nothing_is_not_written_down(world: World) {
    let store = &world.store().by(author("ci"));
    put(world.store(), "one", &unlimited("a")).await;
    world.store().set_secret("token", &"v".into()).await.unwrap();
    world.store().hold_by_hand("a", &ManualHold::default()).await.unwrap().unwrap();
    assert!(audit(store, &AuditFilter::default()).await.is_empty(), "nobody's changes are not");
    world.store().release_by_hand("a").await.unwrap().unwrap();
    assert!(store.hold_by_hand("unknown", &ManualHold::default()).await.unwrap().is_none());
    store.release_by_hand("a").await.unwrap().unwrap();
    assert!(!store.delete_secret("unknown").await.unwrap());
    let uuid = webhook("unknown").uuid;
    assert!(!store.delete_webhook(&uuid).await.unwrap());
    assert!(store.release_webhook(&uuid).await.unwrap().is_none());
    assert_eq!(store.release_webhook(&webhook("one").uuid).await.unwrap(), Some(false));
    store.sync_lanes(&[unlimited("a")]).await.unwrap();
    let all = DeliveryFilter::default();
    store.plan_bulk(BulkKind::Discard, &all).await.unwrap();
    assert!(audit(store, &AuditFilter::default()).await.is_empty());
    // An act of one id is begun once; going on with what is finished is nothing.
    let id = uuid::Uuid::now_v7();
    for _ in 0..2 {
        store.bulk_as(id, BulkKind::Discard, &all).await.unwrap().unwrap();
    }
    store.resume_bulk(id).await.unwrap().unwrap();
    assert_eq!(told(store).await, [(AuditKind::Delivery, id.to_string(), AuditAction::Discarded)]);
}

pub(crate) async fn the_audit_log_is_filtered_and_comes_in_pages(world: World) {
    let (one, two) = (world.store().by(author("one")), world.store().by(author("two")));
    for name in ["a", "b", "c"] {
        one.set_secret(name, &"v".into()).await.unwrap();
    }
    let middle = audit(&one, &AuditFilter::default()).await[0].at;
    two.set_secret("a", &"w".into()).await.unwrap();
    put(&two, "one", &unlimited("lane")).await;
    let all = AuditFilter::default();
    let count = async |filter: AuditFilter| audit(&one, &filter).await.len();
    assert_eq!(count(all.clone()).await, 5);
    assert_eq!(count(AuditFilter { who: Some("two".to_owned()), ..all.clone() }).await, 2);
    assert_eq!(count(AuditFilter { kind: Some(AuditKind::Secret), ..all.clone() }).await, 4);
    assert_eq!(count(AuditFilter { object: Some("a".to_owned()), ..all.clone() }).await, 2);
    assert_eq!(count(AuditFilter { since: Some(middle), ..all.clone() }).await, 3);
    assert_eq!(count(AuditFilter { until: Some(middle), ..all.clone() }).await, 2);
    let named = AuditFilter { object: Some("a".to_owned()), ..all.clone() };
    assert_eq!(one.count_audit(&named).await.unwrap(), Total { count: 2, is_exact: true });
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = one.audit(&all, after, 2).await.unwrap();
        seen.extend(page.entries.into_iter().map(|entry| entry.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let whole: Vec<_> = audit(&one, &all).await.into_iter().map(|entry| entry.id).collect();
    assert_eq!(seen, whole);
    assert_eq!(one.prune_audit(HOUR, 100).await.unwrap(), 0);
    assert_eq!(one.prune_audit(std::time::Duration::ZERO, 4).await.unwrap(), 4);
    assert_eq!(count(all).await, 1, "the newest is left");
}
