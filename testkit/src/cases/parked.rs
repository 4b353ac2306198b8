//! W1-W5, J5, J6: webhooks that are parked.

use std::time::Duration;

use postrider_domain::{DeliveryId, DeliveryStatus, HoldCause, LaneState, Outcome};
use postrider_store::{Claim, ParkedWebhook, Recorded, Refusal, StoredWebhook};

use crate::acts::*;
use crate::{HotStore, World};

async fn put_two(store: &impl HotStore) -> [StoredWebhook; 2] {
    let lane = unlimited("a");
    let one = put_write(store, &write(webhook("one"), &lane, &["token"])).await;
    let two = put_write(store, &write(webhook("two"), &lane, &["token", "other"])).await;
    [one, two]
}

/// One delivery of the webhook is refused.
async fn refuse(store: &impl HotStore, webhook: &StoredWebhook, refusal: Refusal) -> DeliveryId {
    let id = accept(store, webhook, 1).await[0];
    let claim = by_message(store, &[id]).await.remove(0);
    record(store, &[rejected(&claim, refusal)]).await;
    id
}

async fn parked(store: &impl HotStore) -> Vec<ParkedWebhook> {
    store.parked_webhooks().await.unwrap()
}

async fn probe(store: &impl HotStore, webhook: &StoredWebhook) -> Claim {
    let probe = store.claim_probe(webhook.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    probe_claim(store, webhook.lane_id, probe, None).await.unwrap()
}

pub async fn a_refusal_elsewhere_parks_the_webhook_alone(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let id = refuse(store, &one, Refusal::Elsewhere).await;
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
    let waiting = accept(store, &one, 1).await[0];
    assert!(by_message(store, &[waiting]).await.is_empty());
    for id in [id, waiting] {
        assert_eq!(status(store, id).await, DeliveryStatus::Held);
    }
    let held = parked(store).await;
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0].uuid, held[0].cause), (&one.webhook.uuid, HoldCause::Credential));
    assert_eq!((held[0].lane.as_str(), held[0].backlog), ("a", 1));
    let other = accept(store, &two, 1).await;
    assert_eq!(by_message(store, &other).await.len(), 1, "the lane's other webhook goes on");
}

/// ASIDE: claims look at what may go, however much waits before it.
pub async fn what_waits_for_a_parked_webhook_stands_aside_and_comes_back(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let before = accept(store, &one, 3).await;
    store.make_due(&before).await.unwrap();
    let refused = refuse(store, &one, Refusal::Elsewhere).await;
    let after = accept(store, &two, 1).await;
    store.make_due(&after).await.unwrap();
    assert_eq!(store.sort_parked(2).await.unwrap(), 2);
    assert_eq!(store.sort_parked(10).await.unwrap(), 1);
    assert_eq!(store.sort_parked(10).await.unwrap(), 0);
    assert_eq!(parked(store).await[0].backlog, 4);
    let claims = some_due(store, one.lane_id, 1).await;
    assert_eq!(ids(&claims), after);
    record(store, &[released(&claims[0])]).await;
    assert_eq!(store.release_webhook(&one.webhook.uuid).await.unwrap(), Some(true));
    assert_eq!(store.release_webhook(&one.webhook.uuid).await.unwrap(), Some(false));
    for id in &before {
        assert_eq!(status(store, *id).await, DeliveryStatus::Queued);
    }
    assert_eq!(store.sort_parked(10).await.unwrap(), 4);
    assert_eq!(store.sort_parked(10).await.unwrap(), 0);
    let claims = due(store, one.lane_id).await;
    assert_eq!(ids(&claims), [before, vec![refused], after].concat(), "each in its place");
    assert!(claims.iter().all(|claim| claim.attempt == 1), "no attempt is used up");
}

/// `PROBE_TURN`: the newest, the oldest, the next oldest; none twice before all were probed.
pub async fn a_parked_webhook_is_probed_one_delivery_after_the_other(world: &impl World) {
    let store = world.store();
    let [one, _] = put_two(store).await;
    let first = refuse(store, &one, Refusal::Elsewhere).await;
    let more = accept(store, &one, 2).await;
    store.make_due(&more).await.unwrap();
    store.sort_parked(10).await.unwrap();
    for expected in [more[1], first, more[0], more[1], first] {
        let claim = probe(store, &one).await;
        assert_eq!(claim.id, expected);
        record(store, &[rejected(&claim, Refusal::Elsewhere)]).await;
        assert_eq!(status(store, expected).await, DeliveryStatus::Held);
    }
    assert_eq!(seen(store, more[1]).await.attempts, 2);
}

pub async fn a_held_lane_is_probed_one_delivery_after_the_other(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let first = refuse(store, &one, Refusal::Elsewhere).await;
    let second = refuse(store, &two, Refusal::Elsewhere).await;
    let third = accept(store, &one, 1).await[0];
    store.make_due(&[third]).await.unwrap();
    store.sort_parked(10).await.unwrap();
    for expected in [third, first, second, third] {
        let claim = probe(store, &one).await;
        assert_eq!(claim.id, expected);
        record(store, &[rejected(&claim, Refusal::Elsewhere)]).await;
    }
}

/// RELEASE_GEN.
pub async fn a_good_probe_opens_what_it_was_made_for(world: &impl World) {
    let store = world.store();
    let [one, _] = put_two(store).await;
    refuse(store, &one, Refusal::Elsewhere).await;
    assert!(lane(store, one.lane_id).await.probe_due);
    let claim_probe = async || store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap();
    let old = store.claim_probe(one.lane_id, None, HOUR).await.unwrap().unwrap();
    assert_eq!(old.webhook, Some(one.id));
    let later = lane(store, one.lane_id).await;
    assert!(!later.probe_due && later.probe_in.is_some_and(|left| left > MINUTE), "{later:?}");
    store.release_webhook(&one.webhook.uuid).await.unwrap();
    let open = lane(store, one.lane_id).await;
    assert!(!open.probe_due && open.probe_in.is_none(), "{open:?}");
    assert_eq!(claim_probe().await, None);
    refuse(store, &one, Refusal::Elsewhere).await;
    assert!(!store.release_probed(one.lane_id, old).await.unwrap(), "another park");
    assert!(probe_claim(store, one.lane_id, old, None).await.is_none());
    let new = claim_probe().await.unwrap();
    assert!(probe_claim(store, one.lane_id, new, None).await.is_some());
    assert!(store.release_probed(one.lane_id, new).await.unwrap());
    assert_eq!(parked(store).await, []);
}

pub async fn what_ends_a_park(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let is_parked = async || !parked(store).await.is_empty();
    // A new value of a secret that it uses, and of no other.
    refuse(store, &two, Refusal::Elsewhere).await;
    store.set_secret("nobody").await.unwrap();
    assert!(is_parked().await);
    store.set_secret("other").await.unwrap();
    assert!(!is_parked().await);
    // Another request, and nothing less.
    refuse(store, &one, Refusal::Elsewhere).await;
    let mut document = webhook("one");
    document.description = Some("described anew".to_owned());
    put_write(store, &write(document.clone(), &unlimited("a"), &["token"])).await;
    assert!(is_parked().await);
    document.request.url.push_str("/elsewhere");
    put_write(store, &write(document.clone(), &unlimited("a"), &["token"])).await;
    assert!(!is_parked().await);
    // Other secrets, by their names or by the team whose they are: a value that was missing is
    // there.
    refuse(store, &one, Refusal::SecretMissing { is_of_lane: false }).await;
    put_write(store, &write(document.clone(), &unlimited("a"), &["token", "more"])).await;
    assert!(!is_parked().await);
    refuse(store, &one, Refusal::SecretMissing { is_of_lane: false }).await;
    document.team_uuid = Some("team".to_owned());
    put_write(store, &write(document, &unlimited("a"), &["token", "more"])).await;
    assert!(!is_parked().await);
    // An operator, with the lane.
    refuse(store, &one, Refusal::Hint).await;
    assert!(is_parked().await);
    assert!(store.release_by_hand("a").await.unwrap());
    assert!(!is_parked().await);
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    assert_eq!(store.release_webhook(&unknown).await.unwrap(), None);
}

/// HOLD_REV.
pub async fn an_old_refusal_parks_nothing(world: &impl World) {
    let store = world.store();
    let [_, two] = put_two(store).await;
    let sent = accept(store, &two, 2).await;
    let claims = by_message(store, &sent).await;
    store.set_secret("other").await.unwrap();
    let mut document = webhook("two");
    record(store, &[rejected(&claims[0], Refusal::Elsewhere)]).await;
    assert_eq!(parked(store).await, []);
    let again = due(store, two.lane_id).await.remove(0);
    assert_eq!((again.id, again.rejections), (sent[0], 0), "just due again");
    document.request.url.push_str("/elsewhere");
    put_write(store, &write(document, &unlimited("a"), &["token", "other"])).await;
    record(store, &[rejected(&again, Refusal::Elsewhere)]).await;
    assert_eq!(parked(store).await, [], "it was another request");
}

pub async fn two_parked_webhooks_hold_the_lane_and_are_parked_no_more(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let first = refuse(store, &one, Refusal::Elsewhere).await;
    assert_eq!(parked(store).await.len(), 1);
    let second = refuse(store, &two, Refusal::Elsewhere).await;
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Held(HoldCause::Credential));
    assert_eq!(parked(store).await, []);
    store.sort_parked(10).await.unwrap();
    assert!(store.release_by_hand("a").await.unwrap());
    let claims = due(store, one.lane_id).await;
    assert_eq!(ids(&claims), [first, second]);
    // One that was released by hand is none of two.
    record(store, &[rejected(&claims[0], Refusal::Elsewhere)]).await;
    store.release_webhook(&one.webhook.uuid).await.unwrap();
    record(store, &[rejected(&claims[1], Refusal::Elsewhere)]).await;
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
    assert_eq!(parked(store).await[0].uuid, two.webhook.uuid);
}

pub async fn a_secret_that_all_lack_holds_the_lane(world: &impl World) {
    let store = world.store();
    let [one, two] = put_two(store).await;
    let lacks = Refusal::SecretMissing { is_of_lane: true };
    refuse(store, &one, lacks).await;
    let held = parked(store).await;
    assert_eq!((held[0].cause, held[0].next_probe_at), (HoldCause::SecretMissing, None));
    assert!(!lane(store, one.lane_id).await.probe_due, "only a value can end it");
    refuse(store, &two, Refusal::SecretUnusable { is_of_lane: false }).await;
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open, "another secret");
    store.set_secret("other").await.unwrap();
    refuse(store, &two, lacks).await;
    let cause = HoldCause::SecretMissing;
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Held(cause));
    // Whoever finds that there is a value, as for a webhook that came into the lane, proves it.
    let right = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    let claim = probe_claim(store, one.lane_id, right, None).await.unwrap();
    record(store, &[released(&claim)]).await;
    let opened = store.set_secret("token").await.unwrap();
    assert_eq!(opened, ["a"]);
    assert_eq!(parked(store).await, []);
}

/// Refused three times, each time after a success of its webhook: it is not the credential.
pub async fn a_delivery_that_is_refused_alone_fails(world: &impl World) {
    let store = world.store();
    let [one, _] = put_two(store).await;
    let id = accept(store, &one, 1).await[0];
    let mut claim = by_message(store, &[id]).await.remove(0);
    for refusals in 0..3 {
        assert_eq!((claim.id, claim.rejections, claim.attempt), (id, refusals, 1));
        record(store, &[rejected(&claim, Refusal::Elsewhere)]).await;
        if refusals == 2 {
            break;
        }
        // Opened by hand without a success in between, a refusal does not count.
        for succeeds in [false, true] {
            store.release_webhook(&one.webhook.uuid).await.unwrap();
            store.sort_parked(10).await.unwrap();
            if succeeds {
                let other = accept(store, &one, 1).await;
                let other = by_message(store, &other).await.remove(0);
                record(store, &[delivered(&other)]).await;
            }
            claim = due(store, one.lane_id).await.remove(0);
            if !succeeds {
                record(store, &[rejected(&claim, Refusal::Elsewhere)]).await;
                assert_eq!(status(store, id).await, DeliveryStatus::Held);
            }
        }
    }
    let row = seen(store, id).await;
    assert_eq!((row.status, row.last_outcome), (DeliveryStatus::Failed, Some(Outcome::Permission)));
    assert_eq!(parked(store).await, [], "nothing is parked for it");
}

pub async fn a_parked_webhook_of_a_limited_lane_is_its_leaders_to_probe(world: &impl World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &limited("a"), &["token"])).await;
    accept(store, &one, 1).await;
    let lease = lead(store, one.lane_id).await;
    let claim = claimed(claim_as(store, lease, MINUTE).await).remove(0);
    record(store, &[rejected(&claim, Refusal::Elsewhere)]).await;
    assert!(claimed(claim_as(store, lease, MINUTE).await).is_empty());
    let claim_probe =
        async |lease| store.claim_probe(one.lane_id, lease, Duration::ZERO).await.unwrap();
    assert_eq!(claim_probe(None).await, None);
    let probe = claim_probe(Some(lease)).await.unwrap();
    assert!(probe_claim(store, one.lane_id, probe, None).await.is_none());
    let again = probe_claim(store, one.lane_id, probe, Some(lease)).await.unwrap();
    assert_eq!((again.id, again.number), (claim.id, 2));
}

/// The number counts attempts that were recorded, and only grows.
pub async fn attempts_are_numbered_without_end(world: &impl World) {
    let store = world.store();
    let [one, _] = put_two(store).await;
    let id = accept(store, &one, 1).await[0];
    let mut claim = by_message(store, &[id]).await.remove(0);
    let ends: [fn(&Claim) -> Recorded; 4] = [
        |claim| over_limit(claim, Some(Duration::from_micros(1))),
        |claim| rejected(claim, Refusal::AtGithub),
        |claim| retry(claim, Duration::ZERO, false),
        failed,
    ];
    for (number, end) in (1..).zip(ends) {
        assert_eq!(claim.number, number);
        record(store, &[end(&claim)]).await;
        assert!(store.release_by_hand("a").await.unwrap());
        if number < 4 {
            claim = due(store, one.lane_id).await.remove(0);
        }
    }
    assert_eq!(claim.attempt, 2, "two of them used up a place in the schedule");
    let numbers: Vec<u32> = seen(store, id).await.made.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}
