//! J1-J4.

use postrider_domain::{DeliveryStatus, Outcome};
use postrider_store::{BulkKind, DeliveryFilter};
use postrider_testkit::acts::*;
use postrider_testkit::cases::janitor::{lose, waiting};

use crate::acts::view;
use crate::harness::World;

/// Nobody knows what became of it.
pub(crate) async fn a_lost_claim_is_no_failure(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 2).await;
    lose(store, one.lane_id, false).await;
    assert!(store.streaks().await.unwrap().iter().all(|fact| fact.failures == 0));
}

pub(crate) async fn five_losses_are_poison(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = accept(store, &one, 1).await[0];
    for loss in 1..=5 {
        let (_, poisoned) = lose(store, one.lane_id, loss > 3).await;
        assert_eq!(poisoned, if loss == 5 { vec![id] } else { vec![] }, "loss {loss}");
    }
    let row = view(store, id).await.row;
    assert_eq!((row.status, row.last_outcome), (DeliveryStatus::Failed, Some(Outcome::Poison)));
    let poisoned = store.poisoned().await.unwrap();
    assert_eq!(poisoned, [(id.0, one.webhook.uuid.clone())]);
    let filter = DeliveryFilter { ids: Some(vec![id]), ..DeliveryFilter::default() };
    store.bulk(BulkKind::Replay { forget_marks: false }, &filter).await.unwrap();
    let again = due(store, one.lane_id).await.remove(0);
    assert_eq!((again.lost_claims, again.maybe_sent), (0, true));
    assert!(store.poisoned().await.unwrap().is_empty());
}

pub(crate) async fn deliveries_of_deleted_webhooks_are_discarded(world: World) {
    let store = world.store();
    let (one, held, fresh) = waiting(store, "one").await;
    let other = put(store, "other", &unlimited("one")).await;
    let bystander = accept(store, &other, 1).await[0];
    assert_eq!(store.discard(100).await.unwrap(), 0);
    assert!(store.delete_webhook(&one.webhook.uuid).await.unwrap());
    assert_eq!(store.discard(1).await.unwrap(), 1);
    assert_eq!(store.discard(100).await.unwrap(), 1);
    for id in [held, fresh] {
        let row = view(store, id).await.row;
        assert_eq!(row.status, DeliveryStatus::Discarded);
        assert_eq!(row.last_outcome, Some(Outcome::WebhookDeleted));
        assert_eq!(row.webhook_uuid, one.webhook.uuid);
    }
    assert_eq!(status(store, bystander).await, DeliveryStatus::Held);
}
