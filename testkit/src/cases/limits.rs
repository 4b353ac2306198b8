//! Limits and lanes are two things: what shares a rate, and what shares a fate.

use std::time::Duration;

use postrider_domain::{LaneId, LaneLimits, Refusal};
use postrider_store::{
    ClaimLimited, ClaimProbeDelivery, LaneSpec, Lease, LimitedClaim, StoredWebhook,
};

use crate::acts::*;
use crate::{HotStore, World};

fn shared(lane: &str) -> LaneSpec {
    joined(lane, "shared", LaneLimits { per_hour: Some(5), ..limited("x").limits })
}

/// Webhooks of two credentials whose lanes share a limit of five an hour.
pub async fn two_credentials(store: &impl HotStore) -> (StoredWebhook, StoredWebhook) {
    let a = put_write(store, &write(webhook("a"), &shared("h/a"), &["a"])).await;
    let b = put_write(store, &write(webhook("b"), &shared("h/b"), &["b"])).await;
    (a, b)
}

pub async fn is_clean(store: &impl HotStore, lane_id: LaneId) -> bool {
    lane(store, lane_id).await.limit.clean.is_some()
}

/// One rate, one budget, one leader for both; oldest first over both.
pub async fn credentials_that_share_a_limit_never_exceed_it_together(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    let mut accepted = Vec::new();
    for webhook in [&a, &b, &a, &b, &a, &b, &a] {
        accepted.extend(accept(store, webhook, 1).await);
    }
    assert_eq!(limit_of(store, a.lane_id).await, limit_of(store, b.lane_id).await);
    let lease = lead(store, a.lane_id).await;
    assert_eq!(take_lead(store, b.lane_id, worker(), HOUR).await, None, "one leader");
    let first = some_as(store, lease, 3).await;
    assert_eq!(ids(&first), accepted[..3], "in turn, whichever lane they are of");
    let second = claimed(claim_as(store, lease, MINUTE).await);
    assert_eq!(ids(&second), accepted[3..5], "what is left of five");
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::HourFull { .. }));
    record(store, &[released(&second[1])]).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), accepted[4..5]);
}

pub async fn nothing_is_claimed_while_all_lanes_are_held(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    accept(store, &a, 1).await;
    let of_b = accept(store, &b, 1).await;
    let lease = lead(store, a.lane_id).await;
    for name in ["h/a", "h/b"] {
        assert!(store.hold_by_hand(name).await.unwrap());
    }
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::NotPermitted));
    assert!(store.release_by_hand("h/b").await.unwrap());
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), of_b);
}

/// L7 is the limit's.
pub async fn a_pause_is_for_all_lanes_of_the_limit(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    for webhook in [&a, &b] {
        accept(store, webhook, 2).await;
    }
    let lease = lead(store, a.lane_id).await;
    let claims = claimed(claim_as(store, lease, MINUTE).await);
    let by_lane = |id| claims.iter().find(|claim| claim.lane_id == id).unwrap();
    // Both answers came back together: one pause, not two in a row.
    let both = [over_limit(by_lane(a.lane_id), None), over_limit(by_lane(b.lane_id), None)];
    record(store, &both).await;
    for webhook in [&a, &b] {
        let left = lane(store, webhook.lane_id).await.limit.paused_for.unwrap();
        assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    }
    assert!(matches!(claim_as(store, lease, MINUTE).await, LimitedClaim::NotPermitted));
}

/// The same for a limit that is none: only a pause and a concurrency are shared.
pub async fn unlimited_lanes_share_pauses(world: &impl World) {
    let store = world.store();
    let spec = |lane| joined(lane, "shared", unlimited("x").limits);
    let a = put(store, "a", &spec("h/a")).await;
    let b = put(store, "b", &spec("h/b")).await;
    accept(store, &a, 1).await;
    let fresh = accept(store, &b, 1).await;
    store.pause(a.lane_id, MOMENT).await.unwrap();
    assert!(lane(store, b.lane_id).await.limit.paused_for.is_some());
    assert!(due(store, b.lane_id).await.is_empty() && by_message(store, &fresh).await.is_empty());
    let later = wait_until(store, "the pause ends", async || {
        Some(due(store, b.lane_id).await).filter(|claims| !claims.is_empty())
    });
    assert_eq!(ids(&later.await), fresh);
}

/// OLD_CLAIMS looks at all lanes of the limit, held ones among them.
pub async fn old_claims_of_any_lane_of_the_limit_are_waited_for(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    accept(store, &a, 1).await;
    let of_b = accept(store, &b, 1).await;
    let old = lead(store, a.lane_id).await;
    let claim = some_as(store, old, 1).await.remove(0);
    assert_eq!(claim.lane_id, a.lane_id);
    assert!(is_clean(store, b.lane_id).await, "its own claims are none of an old leader");
    store.give_up(&[old]).await.unwrap();
    assert!(store.hold_by_hand("h/a").await.unwrap());
    let new = lead(store, b.lane_id).await;
    assert!(!is_clean(store, b.lane_id).await);
    assert!(matches!(claim_as(store, new, MINUTE).await, LimitedClaim::OldClaims));
    record(store, &[delivered(&claim)]).await;
    assert_eq!(lane(store, b.lane_id).await.limit.clean, Some(new.epoch));
    assert_eq!(ids(&claimed(claim_as(store, new, MINUTE).await)), of_b);
}

/// A lane that moves ends both leases, and its claims are old ones under the other limit too.
pub async fn a_lane_moves_to_another_limit(world: &impl World) {
    let store = world.store();
    let alone = |name: &str| limited(name);
    let a = put(store, "a", &alone("h/a")).await;
    let b = put(store, "b", &alone("h/b")).await;
    let of_a = accept(store, &a, 2).await;
    let of_b = accept(store, &b, 1).await;
    let (lead_a, lead_b) = (lead(store, a.lane_id).await, lead(store, b.lane_id).await);
    let claim = some_as(store, lead_a, 1).await.remove(0);
    let together = joined("h/a", "h/b", alone("h/b").limits);
    assert_eq!(store.sync_lanes(std::slice::from_ref(&together)).await.unwrap(), 1);
    assert_eq!(store.sync_lanes(&[together]).await.unwrap(), 0);
    assert!(store.renew(&[lead_a, lead_b], HOUR).await.unwrap().is_empty(), "both have ended");
    for old in [lead_a, lead_b] {
        assert!(matches!(claim_as(store, old, MINUTE).await, LimitedClaim::NotPermitted));
    }
    let new = lead(store, b.lane_id).await;
    assert!(new.epoch > lead_a.epoch.max(lead_b.epoch));
    assert!(matches!(claim_as(store, new, MINUTE).await, LimitedClaim::OldClaims));
    record(store, &[delivered(&claim)]).await;
    let claims = claimed(claim_as(store, new, MINUTE).await);
    assert_eq!(ids(&claims), [of_a[1], of_b[0]]);
}

/// The kind is the limit's, whichever lane brought it.
pub async fn a_change_of_kind_is_for_all_lanes_of_the_limit(world: &impl World) {
    let store = &world.another(HOUR).await;
    let spec = |lane, limits| joined(lane, "shared", limits);
    let free = unlimited("x").limits;
    let a = put(store, "a", &spec("h/a", free)).await;
    let b = put(store, "b", &spec("h/b", free)).await;
    let of_b = accept(store, &b, 2).await;
    assert!(!lane(store, b.lane_id).await.due, "it waits for its message");
    // Written with one of the two webhooks.
    put(store, "a", &spec("h/a", limited("x").limits)).await;
    let seen = lane(store, b.lane_id).await;
    assert!(seen.limit.limits.is_limited() && seen.due, "{seen:?}");
    let table = store.webhook_table(None).await.unwrap().unwrap();
    assert!(table.webhooks.iter().all(|webhook| webhook.lane_limited));
    assert!(by_message(store, &of_b).await.is_empty());
    let lease = lead(store, a.lane_id).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), of_b);
    assert_eq!(store.sync_lanes(&[spec("h/a", free)]).await.unwrap(), 1);
    assert!(store.renew(&[lease], HOUR).await.unwrap().is_empty());
    assert!(!lane(store, b.lane_id).await.limit.limits.is_limited());
}

pub async fn next_send_in(store: &impl HotStore, lane_id: LaneId) -> Duration {
    lane(store, lane_id).await.limit.next_send_in.unwrap_or_default()
}

/// Each claim moves on the instant at which the next leader may send; nothing moves it back.
pub async fn claims_take_their_turns_of_the_limit(world: &impl World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    accept(store, &one, 5).await;
    let old = lead(store, one.lane_id).await;
    assert_eq!(lane(store, one.lane_id).await.limit.next_send_in, None);
    let claim = async |lease, n| {
        claimed(
            store
                .claim_limited(ClaimLimited {
                    lease,
                    limit: n,
                    interval: MINUTE,
                    suspect: false,
                    terms: terms(HOUR),
                })
                .await
                .unwrap(),
        )
    };
    let first = claim(old, 3).await;
    let after = next_send_in(store, one.lane_id).await;
    assert!(after > MINUTE * 2 && after <= MINUTE * 3, "{after:?}");
    record(store, &first.iter().map(released).collect::<Vec<_>>()).await;
    assert!(next_send_in(store, one.lane_id).await > MINUTE * 2, "released, not given back");
    store.give_up(&[old]).await.unwrap();
    let new = lead(store, one.lane_id).await;
    assert!(next_send_in(store, one.lane_id).await > MINUTE * 2, "another leader sees it");
    claim(new, 1).await;
    let after = next_send_in(store, one.lane_id).await;
    assert!(after > MINUTE * 3 && after <= MINUTE * 4, "{after:?}");
    // A limit that has slept does not catch up.
    assert!(matches!(
        store.claim_limited(ClaimLimited { lease: new, limit: 0, interval: MINUTE, suspect: false, terms: terms(HOUR) }).await.unwrap(),
        LimitedClaim::Claimed(none) if none.is_empty()
    ));
}

/// HOUR_CARRY: it says when there is room again, by whole minutes of the clock.
pub async fn a_full_hour_tells_when_it_frees(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    accept(store, &a, 4).await;
    accept(store, &b, 4).await;
    let lease = lead(store, a.lane_id).await;
    assert_eq!(claimed(claim_as(store, lease, MINUTE).await).len(), 5);
    match claim_as(store, lease, MINUTE).await {
        LimitedClaim::HourFull { frees_in } => {
            assert!(frees_in > HOUR && frees_in <= HOUR + MINUTE * 2, "{frees_in:?}");
        }
        other @ (LimitedClaim::Claimed(_)
        | LimitedClaim::OldClaims
        | LimitedClaim::NotPermitted) => panic!("{other:?}"),
    }
}

/// T4 over many lanes: of each its share, oldest first; closed ones are passed over.
pub async fn many_lanes_are_claimed_from_at_once(world: &impl World) {
    let store = world.store();
    let mut lanes = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let webhook = put(store, name, &unlimited(name)).await;
        lanes.push((webhook.lane_id, accept(store, &webhook, 4).await));
    }
    let led = put(store, "led", &limited("led")).await;
    accept(store, &led, 1).await;
    assert!(store.hold_by_hand("b").await.unwrap());
    store.pause(lanes[2].0, HOUR).await.unwrap();
    let mut shares: Vec<_> =
        (1..).zip(&lanes).map(|(n, (lane, _))| share(*lane, n.min(3))).collect();
    shares.push(share(led.lane_id, 9));
    let claims = store.claim_due(&shares, false, terms(MINUTE)).await.unwrap();
    let of = |lane| -> Vec<_> {
        claims.iter().filter(|claim| claim.lane_id == lane).map(|claim| claim.id).collect()
    };
    for (number, (lane, accepted)) in lanes.iter().enumerate() {
        let expected = [1, 0, 0, 3, 3][number];
        assert_eq!(of(*lane), accepted[..expected], "lane {number}");
    }
    assert_eq!(claims.len(), 7);
    assert!(store.claim_due(&[], false, terms(MINUTE)).await.unwrap().is_empty());
}

/// PROBE_CLAIM: the lease has to be of the lane's limit.
pub async fn a_lease_of_another_limit_probes_nothing(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &limited("a"), &["token"])).await;
    let other = put(store, "other", &limited("b")).await;
    accept(store, &one, 1).await;
    accept(store, &other, 1).await;
    let (lease, foreign) = (lead(store, one.lane_id).await, lead(store, other.lane_id).await);
    let claim = claimed(claim_as(store, lease, MINUTE).await).remove(0);
    record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    assert_eq!(store.claim_probe(one.lane_id, Some(foreign), MINUTE).await.unwrap(), None);
    let probe = store.claim_probe(one.lane_id, Some(lease), MINUTE).await.unwrap().unwrap();
    assert!(probe_claim(store, one.lane_id, probe, Some(foreign)).await.is_none());
    let posed = Lease { limit: foreign.limit, ..lease };
    assert!(probe_claim(store, one.lane_id, probe, Some(posed)).await.is_none());
    assert!(probe_claim(store, one.lane_id, probe, Some(lease)).await.is_some());
}

/// A probe's delivery is a claim of the limit: it counts and takes its turn.
pub async fn a_probes_delivery_counts_in_the_limit(world: &impl World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    accept(store, &a, 1).await;
    accept(store, &b, 6).await;
    let lease = lead(store, a.lane_id).await;
    let claim = some_as(store, lease, 1).await.remove(0);
    record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    let probe = store.claim_probe(a.lane_id, Some(lease), Duration::ZERO).await.unwrap().unwrap();
    let probed = store
        .claim_probe_delivery(ClaimProbeDelivery {
            lane: a.lane_id,
            probe,
            lease: Some(lease),
            interval: MINUTE,
            terms: terms(MINUTE),
        })
        .await
        .unwrap()
        .unwrap();
    assert!(next_send_in(store, a.lane_id).await > MINUTE / 2);
    assert_eq!(claimed(claim_as(store, lease, MINUTE).await).len(), 3, "five less two");
    record(store, &[released(&probed)]).await;
    assert_eq!(claimed(claim_as(store, lease, MINUTE).await).len(), 1, "it was not sent");
    let full = probe_claim(store, a.lane_id, probe, Some(lease)).await;
    assert!(full.is_none(), "the hour is full");
}
