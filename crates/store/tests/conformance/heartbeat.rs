//! HEARTBEAT, AHEAD: what dead workers leave is given back as soon as it has ended.

use postrider_domain::DeliveryStatus;
use postrider_store::{Beat, Trouble};
use postrider_testkit::acts::*;
use postrider_testkit::cases::heartbeat::{beat, claimed_by, give_back_all, of};

use crate::acts::view;
use crate::harness::World;

pub(crate) async fn a_worker_that_beats_keeps_what_it_has(world: World) {
    let store = world.another(HOUR).await;
    let alive = worker();
    beat(&store, alive, MINUTE).await;
    let (_, ids) = claimed_by(&store, alive, ms(20), 1).await;
    wait_until(&store, "its claim has ended", async || {
        (view(&store, ids[0]).await.row.updated_at + ms(50) < jiff::Timestamp::now()).then_some(())
    })
    .await;
    assert_eq!(store.give_back(None, 100).await.unwrap(), None);
    assert_eq!(status(&store, ids[0]).await, DeliveryStatus::Queued);
}

pub(crate) async fn a_beat_of_a_clock_that_ran_ahead_is_no_life(world: World) {
    let store = world.another(HOUR).await;
    let dead = worker();
    beat(&store, dead, ms(500)).await;
    let (_, ids) = claimed_by(&store, dead, HOUR, 1).await;
    world.raw(&format!("update workers set beat_at = {}", world.ahead(HOUR))).await;
    assert_eq!(give_back_all(&store, dead, 100).await, ids);
}

pub(crate) async fn a_lease_that_ends_too_far_ahead_has_ended(world: World) {
    let store = world.store();
    let (dead, alive) = (worker(), worker());
    let one = put(store, "one", &limited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    accept(store, &one, 1).await;
    accept(store, &two, 1).await;
    beat(store, dead, MINUTE).await;
    take_lead(store, one.lane_id, dead, HOUR).await.unwrap();
    take_lead(store, two.lane_id, dead, ms(1900)).await.unwrap();
    assert_eq!(store.end_leases_ahead().await.unwrap(), ["a"]);
    assert!(take_lead(store, one.lane_id, alive, MINUTE).await.is_some());
    assert!(take_lead(store, two.lane_id, alive, MINUTE).await.is_none());
}

pub(crate) async fn the_one_process_of_a_store_ends_what_was_before_it(world: World) {
    let store = world.another(HOUR).await;
    let dead = worker();
    beat(&store, dead, MINUTE).await;
    let (lane, ids) = claimed_by(&store, dead, MINUTE, 2).await;
    let two = put(&store, "two", &limited("b")).await;
    accept(&store, &two, 1).await;
    take_lead(&store, two.lane_id, dead, MINUTE).await.unwrap();
    let mut voided = store.void_predecessor().await.unwrap().given_back;
    voided.sort_unstable();
    let free = take_lead(&store, two.lane_id, worker(), MINUTE).await.is_some();
    if world.is_shared() {
        assert_eq!((voided.len(), free), (0, false), "others may be at work");
        return;
    }
    assert_eq!((voided, free), (ids.clone(), true));
    let again = due(&store, lane).await;
    assert!(again.iter().all(|claim| claim.maybe_sent && claim.lost_claims == 1));
    assert_eq!(store.give_back(None, 100).await.unwrap(), None);
}

pub(crate) async fn a_worker_says_what_its_machine_lacks_until_it_lacks_nothing(world: World) {
    let store = world.store();
    let (well, troubled) = (worker(), worker());
    beat(store, well, MINUTE).await;
    let trouble = Some(Trouble { what: "no file descriptors are left", lasts: MINUTE });
    store.beat(Beat { trouble, ..of(troubled, HOUR) }).await.unwrap();
    let found = store.troubled_workers().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].worker, &*found[0].what), (troubled, "no file descriptors are left"));
    let lasts = jiff::Timestamp::now().duration_since(found[0].since).as_secs();
    assert!((55..=120).contains(&lasts), "{lasts} s");
    beat(store, troubled, HOUR).await;
    assert_eq!(store.troubled_workers().await.unwrap(), []);
    // One that has gone silent says nothing any more.
    store.beat(Beat { trouble, ..of(troubled, ms(20)) }).await.unwrap();
    wait_until(store, "it is silent", async || {
        store.troubled_workers().await.unwrap().is_empty().then_some(())
    })
    .await;
}
