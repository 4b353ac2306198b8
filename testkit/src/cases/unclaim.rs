//! UNCLAIM: what a claim of unknown fate got goes back, and nothing else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, DeliveryStatus, LaneLimits};
use postrider_store::{
    Beat, Claim, ClaimLimited, ClaimTerms, Kept, LimitedClaim, Unclaim, UnclaimNo, Unsettled,
    WorkerId,
};

use crate::acts::*;
use crate::{HotStore, World};

const NOTHING: Kept<'_> = Kept { live: &[], pending: &[] };

fn of(worker: WorkerId) -> ClaimTerms {
    ClaimTerms { worker, timeout: MINUTE, margin: Duration::ZERO }
}

fn live(claims: &[Claim]) -> Vec<(DeliveryId, ClaimNo)> {
    claims.iter().map(|claim| (claim.id, claim.claim_no)).collect()
}

/// A worker that lives.
async fn alive(store: &impl HotStore) -> WorkerId {
    let worker = worker();
    beat(store, worker, 0).await;
    worker
}

async fn beat(store: &impl HotStore, worker: WorkerId, unclaimed: i64) {
    let unclaimed = UnclaimNo(unclaimed);
    let beat = Beat { worker, claim: HOUR, lease: HOUR, unclaimed, trouble: None };
    store.beat(beat).await.unwrap();
}

/// The next one of any worker.
async fn unclaim(
    store: &impl HotStore,
    worker: WorkerId,
    claim: Unsettled<'_>,
    kept: Kept<'_>,
) -> u64 {
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    numbered(store, worker, number, claim, kept).await.expect("it is the last")
}

async fn numbered(
    store: &impl HotStore,
    worker: WorkerId,
    number: i64,
    claim: Unsettled<'_>,
    kept: Kept<'_>,
) -> Option<u64> {
    store.unclaim(Unclaim { worker, number: UnclaimNo(number), claim, kept }).await.unwrap()
}

pub async fn a_fresh_claim_goes_back_unmarked(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let ids = accept(store, &one, 2).await;
    let me = alive(store).await;
    assert_eq!(store.claim_fresh(&ids, of(me)).await.unwrap().len(), 2);
    assert_eq!(unclaim(store, me, Unsettled::Fresh(&ids), NOTHING).await, 2);
    let row = seen(store, ids[0]).await;
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Queued, 0));
    let again = due(store, one.lane_id).await;
    assert_eq!(crate::acts::ids(&again), ids, "due at once, oldest first");
    let fields = again.iter().map(|c| (c.attempt, c.claim_no, c.maybe_sent, c.lost_claims));
    assert!(fields.eq([(1, ClaimNo(2), false, 0); 2]));
    assert_eq!(unclaim(store, me, Unsettled::Fresh(&ids), NOTHING).await, 0, "they are others'");
}

pub async fn what_is_kept_stays_claimed(world: &impl World) {
    let store = &world.another(HOUR).await;
    let one = put(store, "one", &unlimited("a")).await;
    let ids = accept(store, &one, 4).await;
    let me = alive(store).await;
    let claims = store.claim_fresh(&ids, of(me)).await.unwrap();
    record(store, &[delivered(&claims[3])]).await;
    let live = live(&claims[..1]);
    let kept = Kept { live: &live, pending: &ids[1..2] };
    assert_eq!(unclaim(store, me, Unsettled::Fresh(&ids), kept).await, 1, "the third alone");
    assert_eq!(crate::acts::ids(&due(store, one.lane_id).await), ids[2..3]);
    let report = record(store, &[delivered(&claims[0]), delivered(&claims[1])]).await;
    assert!(report.late.is_empty(), "{report:?}");
    assert_eq!(status(store, ids[3]).await, DeliveryStatus::Delivered);
}

pub async fn an_older_claim_of_the_same_delivery_keeps_nothing(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 1).await;
    let me = alive(store).await;
    let first = store.claim_due(&[share(one.lane_id, 1)], false, of(me)).await.unwrap();
    record(store, &[released(&first[0])]).await;
    assert_eq!(store.claim_due(&[share(one.lane_id, 1)], false, of(me)).await.unwrap().len(), 1);
    let old = live(&first);
    let kept = Kept { live: &old, pending: &[] };
    assert_eq!(unclaim(store, me, Unsettled::Due(&[one.lane_id]), kept).await, 1);
}

pub async fn claims_of_others_and_of_other_lanes_stay(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &unlimited("b")).await;
    accept(store, &one, 2).await;
    accept(store, &two, 1).await;
    let (me, other) = (alive(store).await, worker());
    let theirs = store.claim_due(&[share(one.lane_id, 1)], false, of(other)).await.unwrap();
    let mine = store.claim_due(&[share(one.lane_id, 1)], false, of(me)).await.unwrap();
    let elsewhere = store.claim_due(&[share(two.lane_id, 1)], false, of(me)).await.unwrap();
    assert_eq!((theirs.len(), mine.len(), elsewhere.len()), (1, 1, 1));
    assert_eq!(unclaim(store, me, Unsettled::Due(&[one.lane_id]), NOTHING).await, 1);
    let report = record(store, &[delivered(&theirs[0]), delivered(&elsewhere[0])]).await;
    assert!(report.late.is_empty(), "{report:?}");
    let late = record(store, &[delivered(&mine[0])]).await.late;
    assert_eq!(late, live(&mine), "it was given back");
}

pub async fn a_leaders_claim_goes_back_with_its_count(world: &impl World) {
    let store = world.store();
    let mut spec = limited("a");
    spec.limits.per_hour = Some(2);
    let one = put(store, "one", &spec).await;
    accept(store, &one, 2).await;
    let me = alive(store).await;
    let lease = take_lead(store, one.lane_id, me, HOUR).await.unwrap();
    let claims = claimed(store.claim_limited(unpaced(lease, 2, of(me))).await.unwrap());
    assert_eq!(claims.len(), 2);
    let older = postrider_store::Lease { epoch: lease.epoch - 1, ..lease };
    assert_eq!(unclaim(store, me, Unsettled::Limited(older), NOTHING).await, 0);
    let live = live(&claims[..1]);
    let kept = Kept { live: &live, pending: &[] };
    assert_eq!(unclaim(store, me, Unsettled::Limited(lease), kept).await, 1);
    let again = claimed(store.claim_limited(unpaced(lease, 2, of(me))).await.unwrap());
    assert_eq!(ids(&again), ids(&claims[1..]), "its place in the hour is free again");
    let full = store.claim_limited(unpaced(lease, 2, of(me))).await.unwrap();
    assert!(matches!(full, LimitedClaim::HourFull { .. }), "{full:?}");
}

/// Settings joined the lane to another limit while the claim's answer was lost. Both limits are
/// led by the worker, and both leases have the same number.
pub async fn a_leaders_claim_goes_back_though_its_lane_has_left(world: &impl World) {
    let store = world.store();
    let spec = |lane: &str, limit: &str| {
        let limits = LaneLimits { per_hour: Some(2), ..limited(lane).limits };
        joined(lane, limit, limits)
    };
    let mut all = Vec::new();
    for (lane, limit) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "three")] {
        let webhook = put(store, lane, &spec(lane, limit)).await;
        accept(store, &webhook, 1).await;
        all.push(webhook);
    }
    let me = alive(store).await;
    let mut leases = Vec::new();
    for webhook in [&all[0], &all[2]] {
        let lease = take_lead(store, webhook.lane_id, me, HOUR).await.unwrap();
        let got = store.claim_limited(unpaced(lease, 2, of(me))).await.unwrap();
        leases.push((lease, claimed(got)));
    }
    let [(one, of_one), (two, of_two)] = &leases[..] else { unreachable!("two are led") };
    assert_eq!((one.epoch, of_one.len(), of_two.len()), (two.epoch, 2, 1));
    assert_eq!(store.sync_lanes(&[spec("b", "three")]).await.unwrap(), 1);
    assert_eq!(unclaim(store, me, Unsettled::Limited(*one), NOTHING).await, 2, "its own two");
    let late = record(store, &[delivered(&of_two[0])]).await.late;
    assert!(late.is_empty(), "what the other limit got stays: {late:?}");
    let three = take_lead(store, all[3].lane_id, me, HOUR).await.unwrap();
    let again = claimed(
        store
            .claim_limited(ClaimLimited {
                lease: three,
                limit: 9,
                interval: HOUR,
                suspect: false,
                terms: of(me),
            })
            .await
            .unwrap(),
    );
    assert_eq!(again.len(), 2, "what came with the lane, and what was there");
    assert!(again.iter().all(|claim| !claim.maybe_sent && claim.lost_claims == 0), "{again:?}");
}

/// Asked for first and carried out last, it must not take back what was claimed in between.
pub async fn a_late_one_gives_nothing_back(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let two = put(store, "two", &limited("b")).await;
    let ids = accept(store, &one, 2).await;
    accept(store, &two, 1).await;
    let (me, lanes) = (alive(store).await, [one.lane_id]);
    assert_eq!(store.claim_fresh(&ids, of(me)).await.unwrap().len(), 2);
    assert_eq!(numbered(store, me, 2, Unsettled::Fresh(&ids), NOTHING).await, Some(2));
    let again = store.claim_due(&[share(one.lane_id, 9)], false, of(me)).await.unwrap();
    let lease = take_lead(store, two.lane_id, me, HOUR).await.unwrap();
    let led = store.claim_limited(unpaced(lease, 1, of(me))).await.unwrap();
    let late = [Unsettled::Due(&lanes), Unsettled::Fresh(&ids), Unsettled::Limited(lease)];
    for claim in late {
        assert_eq!(numbered(store, me, 1, claim, NOTHING).await, None, "{claim:?}");
        assert_eq!(numbered(store, me, 2, claim, NOTHING).await, None, "it was before");
    }
    let all: Vec<_> = again.iter().chain(&claimed(led)).map(delivered).collect();
    assert_eq!(all.len(), 3);
    assert!(record(store, &all).await.late.is_empty(), "all of it is claimed still");
}

/// Its number is kept with the heartbeat: without one nothing could be told late.
pub async fn a_worker_without_a_heartbeat_gives_nothing_back(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let ids = accept(store, &one, 1).await;
    let me = worker();
    assert_eq!(store.claim_fresh(&ids, of(me)).await.unwrap().len(), 1);
    assert_eq!(numbered(store, me, 4, Unsettled::Fresh(&ids), NOTHING).await, None);
    // Taken for dead, it tells with its next beat what was answered before.
    beat(store, me, 3).await;
    assert_eq!(numbered(store, me, 3, Unsettled::Fresh(&ids), NOTHING).await, None);
    assert_eq!(numbered(store, me, 4, Unsettled::Fresh(&ids), NOTHING).await, Some(1));
    beat(store, me, 3).await;
    assert_eq!(numbered(store, me, 4, Unsettled::Fresh(&ids), NOTHING).await, None, "it stays");
}
