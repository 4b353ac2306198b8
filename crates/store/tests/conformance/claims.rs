//! T3, T4.

use std::time::Duration;

use postrider_domain::DeliveryId;
use postrider_store::BulkKind;

use postrider_testkit::acts::*;

use crate::harness::World;

pub(crate) async fn claim_numbers_only_grow(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = accept(store, &one, 1).await[0];
    let mut numbers = Vec::new();
    let claim = by_message(store, &[id]).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[released(&claim)]).await;
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[over_limit(&claim, Some(Duration::from_micros(1)))]).await;
    let claim = due_for(store, one.lane_id, ms(50)).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    wait_until(store, "the claim expires", async || {
        let expired = store.expire_claims(10).await.unwrap();
        (expired.given_back == [id]).then_some(())
    })
    .await;
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    record(store, &[failed(&claim)]).await;
    store.bulk(BulkKind::Replay { forget_marks: false }, &by_id(id)).await.unwrap();
    let claim = due(store, one.lane_id).await.remove(0);
    numbers.push((claim.claim_no.0, claim.attempt));
    assert_eq!(numbers, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
}

fn by_id(id: DeliveryId) -> postrider_store::DeliveryFilter {
    postrider_store::DeliveryFilter { ids: Some(vec![id]), ..Default::default() }
}
