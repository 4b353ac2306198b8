//! T6-T11, L4, L7.

use std::time::Duration;

use postrider_domain::{
    ClaimNo, DeliveryId, DeliveryStatus, HoldCause, LaneState, Outcome, Refusal, Transition,
};
use postrider_store::{Claim, RecordReport, Recorded, StoredWebhook};
use uuid::Uuid;

use crate::acts::*;
use crate::{HotStore, World};

pub async fn one(store: &impl HotStore) -> StoredWebhook {
    put(store, "one", &unlimited("a")).await
}

pub async fn claims(store: &impl HotStore, webhook: &StoredWebhook, n: usize) -> Vec<Claim> {
    let accepted = accept(store, webhook, n).await;
    let claims = by_message(store, &accepted).await;
    assert_eq!(claims.len(), n);
    claims
}

pub async fn a_failure_is_final(world: &impl World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    record(store, &[failed(&claim)]).await;
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Failed);
    assert!(due(store, claim.lane_id).await.is_empty());
    assert_eq!(record(store, &[delivered(&claim)]).await.late, [(claim.id, claim.claim_no)]);
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Failed);
}

pub async fn a_release_gives_the_attempt_back(world: &impl World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    record(store, &[released(&claim)]).await;
    let seen = seen(store, claim.id).await;
    assert_eq!(seen.status, DeliveryStatus::Queued);
    assert!(seen.made.is_empty());
    let again = due(store, claim.lane_id).await.remove(0);
    assert_eq!((again.attempt, again.maybe_sent), (1, false));
}

/// FENCE, CLAIM_NO: both claims are the first attempt.
pub async fn a_late_outcome_changes_nothing_but_the_attempts(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    accept(store, &one, 1).await;
    let old = due_for(store, one.lane_id, ms(30)).await.remove(0);
    wait_until(store, "the claim expires", async || {
        (store.expire_claims(10).await.unwrap().given_back.len() == 1).then_some(())
    })
    .await;
    let new = due(store, one.lane_id).await.remove(0);
    assert_eq!((old.attempt, new.attempt), (1, 1));
    let report = record(store, &[failed(&old)]).await;
    assert_eq!(report.late, [(old.id, old.claim_no)]);
    assert_eq!(status(store, old.id).await, DeliveryStatus::Retrying);
    assert!(record(store, &[delivered(&new)]).await.late.is_empty());
    let seen = seen(store, old.id).await;
    assert_eq!(seen.status, DeliveryStatus::Delivered);
    let outcomes: Vec<_> = seen.made.iter().map(|(_, outcome, _)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Invalid, Outcome::Accepted], "the late one replaces `lost`");
    assert!(seen.made[1].2, "marked");
}

pub async fn recording_twice_is_harmless(world: &impl World) {
    let store = world.store();
    let claims = claims(store, &one(store).await, 2).await;
    let batch = [delivered(&claims[0]), retry(&claims[1], HOUR, false), delivered(&claims[0])];
    assert!(record(store, &batch).await.late.is_empty());
    assert_eq!(record(store, &batch).await.late.len(), 2);
    for claim in &claims {
        let seen = seen(store, claim.id).await;
        assert_eq!((seen.made.len(), seen.attempts), (1, 1));
    }
    assert_eq!(status(store, claims[1].id).await, DeliveryStatus::Retrying);
}

/// STICKY: an uncertain outcome marks all later attempts.
pub async fn marks_stick(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let claim = claims(store, &one, 1).await.remove(0);
    assert!(!claim.maybe_sent);
    record(store, &[retry(&claim, Duration::ZERO, false)]).await;
    let claim = due(store, one.lane_id).await.remove(0);
    assert!(!claim.maybe_sent, "a plain failure marks nothing");
    record(store, &[retry(&claim, Duration::ZERO, true)]).await;
    for _ in 0..2 {
        let claim = due(store, one.lane_id).await.remove(0);
        assert!(claim.maybe_sent);
        record(store, &[retry(&claim, Duration::ZERO, false)]).await;
    }
    let claim = due(store, one.lane_id).await.remove(0);
    record(store, &[over_limit(&claim, Some(Duration::from_micros(1)))]).await;
    assert!(due(store, one.lane_id).await[0].maybe_sent);
}

pub async fn a_refused_credential_holds_the_lane(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 2).await;
    let first = lane(store, one.lane_id).await;
    let report = record(store, &[rejected(&claims[0], Refusal::AtGithub)]).await;
    assert_eq!(report.held, [one.lane_id]);
    let held = lane(store, one.lane_id).await;
    assert_eq!(held.state, LaneState::Held(HoldCause::Credential));
    assert_eq!(held.hold_gen, first.hold_gen + 1);
    // The second answer finds the lane held: nothing new.
    assert!(record(store, &[rejected(&claims[1], Refusal::AtGithub)]).await.held.is_empty());
    assert_eq!(lane(store, one.lane_id).await.hold_gen, held.hold_gen);
    for claim in &claims {
        let seen = seen(store, claim.id).await;
        assert_eq!(seen.status, DeliveryStatus::Held);
        assert_eq!(seen.last_outcome, Some(Outcome::Credential));
    }
    assert!(store.release_by_hand("a").await.unwrap());
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), ids(&claims), "due at once, and no attempt is used up");
    assert!(again.iter().all(|claim| claim.attempt == 1 && claim.rejections == 0));
}

/// HOLD_REV: two were sent with the old secret; the first refusal holds, a new secret opens,
/// the second refusal comes late.
pub async fn an_old_secrets_refusal_holds_nothing(world: &impl World) {
    let store = world.store();
    let lane_of = unlimited("a");
    let one = put_write(store, &write(webhook("one"), &lane_of, &["token"])).await;
    let claims = claims(store, &one, 2).await;
    record(store, &[rejected(&claims[0], Refusal::AtGithub)]).await;
    let opened = store.set_secret("token").await.unwrap();
    assert_eq!(opened, ["a"]);
    for proof in [Refusal::AtGithub, Refusal::Elsewhere] {
        let late = Recorded { claim_no: ClaimNo(99), ..rejected(&claims[1], proof) };
        assert!(record(store, &[late]).await.held.is_empty());
    }
    assert!(record(store, &[rejected(&claims[1], Refusal::AtGithub)]).await.held.is_empty());
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), ids(&claims), "just due again");
    assert!(again.iter().all(|claim| claim.secret_rev == claims[0].secret_rev + 1));
    assert!(again.iter().all(|claim| claim.rejections == 0));
    let report = record(store, &[rejected(&again[0], Refusal::AtGithub)]).await;
    assert_eq!(report.held, [one.lane_id], "the new secret's refusal holds");
}

pub async fn refusals_of_two_webhooks_hold(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let two = put(store, "two", &unlimited("a")).await;
    let first = claims(store, &one, 1).await.remove(0);
    let second = claims(store, &two, 1).await.remove(0);
    let both = [rejected(&first, Refusal::Elsewhere), rejected(&second, Refusal::Elsewhere)];
    assert_eq!(record(store, &both).await.held, [one.lane_id]);
    assert!(store.release_by_hand("a").await.unwrap());
    let again = due(store, one.lane_id).await;
    assert_eq!(again.len(), 2, "held by this batch: neither waits");
}

pub async fn an_answer_between_refusals_clears_them(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let two = put(store, "two", &unlimited("a")).await;
    let three = put(store, "three", &unlimited("a")).await;
    let no = |claim: &Claim| rejected(claim, Refusal::Elsewhere);
    let others = claims(store, &three, 3).await;
    let first = claims(store, &one, 1).await.remove(0);
    let second = claims(store, &two, 2).await;
    assert!(record(store, &[no(&first)]).await.held.is_empty());
    record(store, &[delivered(&others[0])]).await;
    assert!(record(store, &[no(&second[0])]).await.held.is_empty(), "cleared");
    assert!(record(store, &[failed(&others[1])]).await.held.is_empty(), "in one batch");
    let silent =
        recorded(&others[2], Transition::Retry { after: HOUR, uncertain: true }, Outcome::Timeout);
    record(store, &[no(&second[1])]).await;
    record(store, &[silent]).await;
    let last = claims(store, &three, 1).await.remove(0);
    let report = record(store, &[no(&last)]).await;
    assert_eq!(report.held, [one.lane_id], "a time-out is no answer and clears nothing");
}

pub async fn pause_of(store: &impl HotStore, webhook: &StoredWebhook) -> u64 {
    let left = lane(store, webhook.lane_id).await.limit.paused_for.unwrap_or_default();
    u64::try_from(left.as_millis()).unwrap()
}

/// PAUSE_MAX.
pub async fn the_longer_pause_wins(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 2).await;
    record(store, &[over_limit(&claims[0], Some(HOUR))]).await;
    record(store, &[over_limit(&claims[1], Some(MINUTE))]).await;
    store.pause(one.lane_id, MINUTE).await.unwrap();
    let left = pause_of(store, &one).await;
    assert!((3_500_000..=3_600_000).contains(&left), "{left} ms");
    assert!(due(store, one.lane_id).await.is_empty());
    assert_eq!(status(store, claims[0].id).await, DeliveryStatus::Retrying);
}

pub async fn pauses_double_until_something_is_accepted(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 8).await;
    for (claim, seconds) in claims.iter().zip([60, 120, 240, 480, 900, 900]) {
        record(store, &[over_limit(claim, None)]).await;
        let left = pause_of(store, &one).await;
        let expected = seconds * 1000;
        assert!((expected - 9000..=expected).contains(&left), "{left} ms, not {expected}");
    }
    record(store, &[delivered(&claims[6])]).await;
    // The step starts over; the pause in force is longer and stays.
    record(store, &[over_limit(&claims[7], None)]).await;
    let two = put(store, "two", &unlimited("b")).await;
    let fresh = by_message(store, &accept(store, &two, 3).await).await;
    record(store, &[over_limit(&fresh[0], None), delivered(&fresh[1])]).await;
    record(store, &[over_limit(&fresh[2], None)]).await;
    let left = pause_of(store, &two).await;
    assert!((51_000..=60_000).contains(&left), "{left} ms");
}

pub async fn answers_that_came_back_together_double_the_pause_once(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 3).await;
    let together: Vec<_> = claims.iter().map(|claim| over_limit(claim, None)).collect();
    record(store, &together).await;
    let left = pause_of(store, &one).await;
    assert!((51_000..=60_000).contains(&left), "{left} ms");
}

pub async fn strangers_in_a_batch_hurt_nobody(world: &impl World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    let stranger = Recorded { id: DeliveryId(Uuid::now_v7()), ..delivered(&claim) };
    let report = record(store, &[stranger.clone(), delivered(&claim)]).await;
    assert_eq!(report.late, [(stranger.id, stranger.claim_no)]);
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Delivered);
    assert_eq!(record(store, &[]).await, RecordReport::default());
}

/// `RECORD_ONCE`: the answer to a commit was lost, so the batch comes again, and in between the lane
/// was opened: it is neither paused nor held anew, and nothing is counted twice.
pub async fn a_repeated_batch_is_folded_in_once(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let two = put(store, "two", &unlimited("a")).await;
    let first = claims(store, &one, 3).await;
    let other = claims(store, &two, 1).await.remove(0);
    let batch = [over_limit(&first[0], None), rejected(&first[1], Refusal::Elsewhere)];
    record(store, &batch).await;
    let paused = pause_of(store, &one).await;
    for _ in 0..3 {
        let report = record(store, &batch).await;
        assert_eq!((report.late.len(), report.held.len()), (2, 0));
    }
    assert!(pause_of(store, &one).await <= paused, "not longer than before");
    // One webhook is parked, and once: it takes another one to hold the lane.
    let report = record(store, &[rejected(&first[2], Refusal::Elsewhere)]).await;
    assert!(report.held.is_empty());
    let held = [rejected(&other, Refusal::Elsewhere)];
    assert_eq!(record(store, &held).await.held, [one.lane_id]);
    assert!(store.release_by_hand("a").await.unwrap());
    assert!(record(store, &held).await.held.is_empty(), "opened in between");
    assert!(record(store, &batch).await.held.is_empty());
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
    assert_eq!(store.parked_webhooks().await.unwrap(), []);
}

/// A success under a lane that has something to clear: rejections and pauses start over.
pub async fn plain_successes_clear_what_is_left_of_trouble(world: &impl World) {
    let store = world.store();
    let one = one(store).await;
    let two = put(store, "two", &unlimited("a")).await;
    let other = claims(store, &two, 1).await.remove(0);
    let claims = claims(store, &one, 7).await;
    record(store, &[over_limit(&claims[0], None), rejected(&claims[1], Refusal::Elsewhere)]).await;
    record(store, &[delivered(&claims[2]), delivered(&claims[3])]).await;
    for claim in &claims[2..4] {
        let seen = seen(store, claim.id).await;
        assert_eq!((seen.status, seen.attempts), (DeliveryStatus::Delivered, 1));
    }
    let again = [over_limit(&claims[4], None), rejected(&claims[5], Refusal::Elsewhere)];
    record(store, &again).await;
    assert!(pause_of(store, &one).await <= 60_000, "the first pause of that kind again");
    record(store, &[delivered(&claims[6])]).await;
    let report = record(store, &[rejected(&other, Refusal::Elsewhere)]).await;
    assert!(report.held.is_empty(), "the credential showed itself alive in between");
}
