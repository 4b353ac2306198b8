//! T6-T11, L4, L7.

use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, DeliveryStatus, HoldCause, LaneState, Outcome};
use postrider_store::{Claim, HoldProof, Recorded, Store, StoredWebhook};
use uuid::Uuid;

use crate::acts::*;
use crate::harness::{World, wait_until};

async fn one(store: &Store) -> StoredWebhook {
    put(store, "one", &unlimited("a")).await
}

async fn claims(store: &Store, webhook: &StoredWebhook, n: usize) -> Vec<Claim> {
    let accepted = accept(store, webhook, n).await;
    let claims = road(store, &accepted).await;
    assert_eq!(claims.len(), n);
    claims
}

pub(crate) async fn a_delivery_is_delivered(world: World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    assert!(record(store, &[delivered(&claim)]).await.late.is_empty());
    let view = view(store, claim.id).await;
    assert_eq!(view.row.status, DeliveryStatus::Delivered);
    assert_eq!(view.row.last_outcome, Some(Outcome::Accepted));
    assert_eq!((view.row.attempts, view.row.last_status_code), (1, Some(200)));
    assert_eq!(view.row.next_attempt_at, None);
    assert_eq!(view.attempts.len(), 1);
    assert_eq!(view.attempts[0].duration, ms(12));
    assert!(!lane(store, claim.lane_id).await.open);
}

pub(crate) async fn a_retry_waits(world: World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    record(store, &[retry(&claim, HOUR, false)]).await;
    let row = view(store, claim.id).await.row;
    assert_eq!(row.status, DeliveryStatus::Retrying);
    let next = row.next_attempt_at.expect("it is known when");
    let wait = next.duration_since(row.updated_at).as_secs();
    assert!((3590..=3610).contains(&wait), "{wait} s");
    assert!(due(store, claim.lane_id).await.is_empty());
}

pub(crate) async fn a_failure_is_final(world: World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    record(store, &[failed(&claim)]).await;
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Failed);
    assert!(due(store, claim.lane_id).await.is_empty());
    assert_eq!(record(store, &[delivered(&claim)]).await.late, [(claim.id, claim.claim_no)]);
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Failed);
}

pub(crate) async fn a_release_gives_the_attempt_back(world: World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    record(store, &[released(&claim)]).await;
    let view = view(store, claim.id).await;
    assert_eq!(view.row.status, DeliveryStatus::Queued);
    assert!(view.attempts.is_empty());
    let again = due(store, claim.lane_id).await.remove(0);
    assert_eq!((again.attempt, again.maybe_sent), (1, false));
}

/// FENCE, CLAIM_NO: both claims are the first attempt.
pub(crate) async fn a_late_outcome_changes_nothing_but_the_attempts(world: World) {
    let store = world.store();
    let one = one(store).await;
    accept(store, &one, 1).await;
    let old = due_for(store, one.lane_id, ms(30)).await.remove(0);
    wait_until("the claim expires", async || {
        (store.expire_claims(10).await.unwrap().given_back.len() == 1).then_some(())
    })
    .await;
    let new = due(store, one.lane_id).await.remove(0);
    assert_eq!((old.attempt, new.attempt), (1, 1));
    let report = record(store, &[failed(&old)]).await;
    assert_eq!(report.late, [(old.id, old.claim_no)]);
    assert_eq!(status(store, old.id).await, DeliveryStatus::Retrying);
    assert!(record(store, &[delivered(&new)]).await.late.is_empty());
    let view = view(store, old.id).await;
    assert_eq!(view.row.status, DeliveryStatus::Delivered);
    let outcomes: Vec<_> = view.attempts.iter().map(|each| each.outcome).collect();
    assert_eq!(outcomes, [Outcome::Invalid, Outcome::Accepted], "the late one replaces `lost`");
    assert!(view.attempts[1].possible_duplicate);
}

pub(crate) async fn recording_twice_is_harmless(world: World) {
    let store = world.store();
    let claims = claims(store, &one(store).await, 2).await;
    let batch = [delivered(&claims[0]), retry(&claims[1], HOUR, false), delivered(&claims[0])];
    assert!(record(store, &batch).await.late.is_empty());
    assert_eq!(record(store, &batch).await.late.len(), 2);
    for claim in &claims {
        let view = view(store, claim.id).await;
        assert_eq!((view.attempts.len(), view.row.attempts), (1, 1));
    }
    assert_eq!(status(store, claims[1].id).await, DeliveryStatus::Retrying);
}

/// STICKY: an uncertain outcome marks all later attempts.
pub(crate) async fn marks_stick(world: World) {
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
    record(store, &[over_limit(&claim, Some(Duration::ZERO))]).await;
    assert!(due(store, one.lane_id).await[0].maybe_sent);
}

pub(crate) async fn a_refused_credential_holds_the_lane(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 2).await;
    let first = lane(store, one.lane_id).await;
    let report = record(store, &[refused(&claims[0], HoldProof::One)]).await;
    assert_eq!(report.held, [one.lane_id]);
    let held = lane(store, one.lane_id).await;
    assert_eq!(held.state, LaneState::Held(HoldCause::Credential));
    assert_eq!(held.hold_gen, first.hold_gen + 1);
    // The second answer finds the lane held: nothing new.
    assert!(record(store, &[refused(&claims[1], HoldProof::One)]).await.held.is_empty());
    assert_eq!(lane(store, one.lane_id).await.hold_gen, held.hold_gen);
    for claim in &claims {
        let view = view(store, claim.id).await;
        assert_eq!(view.row.status, DeliveryStatus::Held);
        assert_eq!(view.row.last_outcome, Some(Outcome::Credential));
    }
    store.release_by_hand("a").await.unwrap().unwrap();
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), ids(&claims), "due at once, and no attempt is used up");
    assert!(again.iter().all(|claim| claim.attempt == 1 && claim.refusals == 0));
}

/// HOLD_REV: two were sent with the old secret; the first refusal holds, a new secret opens,
/// the second refusal comes late.
pub(crate) async fn an_old_secrets_refusal_holds_nothing(world: World) {
    let store = world.store();
    let lane_of = unlimited("a");
    let one = put_write(store, &write(webhook("one"), &lane_of, &["token"])).await;
    let claims = claims(store, &one, 2).await;
    record(store, &[refused(&claims[0], HoldProof::One)]).await;
    let (_, opened) = store.set_secret("token", &"new".into()).await.unwrap();
    assert_eq!(opened, ["a"]);
    for proof in [HoldProof::One, HoldProof::Several] {
        let late = Recorded { claim_no: ClaimNo(99), ..refused(&claims[1], proof) };
        assert!(record(store, &[late]).await.held.is_empty());
    }
    assert!(record(store, &[refused(&claims[1], HoldProof::One)]).await.held.is_empty());
    assert_eq!(lane(store, one.lane_id).await.state, LaneState::Open);
    let again = due(store, one.lane_id).await;
    assert_eq!(ids(&again), ids(&claims), "just due again");
    assert!(again.iter().all(|claim| claim.secret_rev == claims[0].secret_rev + 1));
    assert!(again.iter().all(|claim| claim.refusals == 0));
    let report = record(store, &[refused(&again[0], HoldProof::One)]).await;
    assert_eq!(report.held, [one.lane_id], "the new secret's refusal holds");
}

pub(crate) async fn three_refusals_in_a_row_hold(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 3).await;
    for claim in &claims[..2] {
        assert!(record(store, &[refused(claim, HoldProof::Several)]).await.held.is_empty());
        let row = view(store, claim.id).await.row;
        assert_eq!(row.status, DeliveryStatus::Retrying);
        assert!(row.next_attempt_at.is_some(), "it waits, as the lane is open");
    }
    let report = record(store, &[refused(&claims[2], HoldProof::Several)]).await;
    assert_eq!(report.held, [one.lane_id]);
    assert_eq!(status(store, claims[0].id).await, DeliveryStatus::Held);
}

pub(crate) async fn refusals_of_two_webhooks_hold(world: World) {
    let store = world.store();
    let one = one(store).await;
    let two = put(store, "two", &unlimited("a")).await;
    let first = claims(store, &one, 1).await.remove(0);
    let second = claims(store, &two, 1).await.remove(0);
    let both = [refused(&first, HoldProof::Several), refused(&second, HoldProof::Several)];
    assert_eq!(record(store, &both).await.held, [one.lane_id]);
    store.release_by_hand("a").await.unwrap().unwrap();
    let again = due(store, one.lane_id).await;
    assert_eq!(again.len(), 2, "held by this batch: neither waits");
}

pub(crate) async fn an_answer_between_refusals_clears_them(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 9).await;
    let no = |n: usize| refused(&claims[n], HoldProof::Several);
    for batch in [vec![no(0)], vec![no(1)], vec![delivered(&claims[2])], vec![no(3), no(4)]] {
        assert!(record(store, &batch).await.held.is_empty());
    }
    assert!(record(store, &[failed(&claims[5]), no(6)]).await.held.is_empty(), "in one batch");
    let silent = recorded(
        &claims[7],
        postrider_store::Transition::Retry { after: HOUR, uncertain: true },
        Outcome::Timeout,
    );
    record(store, &[silent]).await;
    record(store, &[no(8)]).await;
    let last = accept(store, &one, 1).await;
    let last = road(store, &last).await.remove(0);
    let report = record(store, &[refused(&last, HoldProof::Several)]).await;
    assert_eq!(report.held, [one.lane_id], "a time-out is no answer and clears nothing");
}

pub(crate) async fn five_refusals_that_held_nothing_fail_the_delivery(world: World) {
    let store = world.store();
    let one = one(store).await;
    let id = accept(store, &one, 1).await[0];
    for round in 0..5 {
        let claim = match round {
            0 => road(store, &[id]).await.remove(0),
            _ => due(store, one.lane_id).await.remove(0),
        };
        assert_eq!((claim.refusals, claim.attempt), (round, 1));
        let mut answer = refused(&claim, HoldProof::Several);
        if let postrider_store::Transition::HeldBack { retry_after, .. } = &mut answer.transition {
            *retry_after = Duration::ZERO;
        }
        assert!(record(store, &[answer]).await.held.is_empty());
        // Another delivery's success shows that the credential is alive.
        let other = claims(store, &one, 1).await.remove(0);
        record(store, &[delivered(&other)]).await;
    }
    let row = view(store, id).await.row;
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Failed, 5));
    assert_eq!(row.last_outcome, Some(Outcome::Credential));
}

async fn pause_of(store: &Store, webhook: &StoredWebhook) -> u64 {
    let left = lane(store, webhook.lane_id).await.paused_for.unwrap_or_default();
    u64::try_from(left.as_millis()).unwrap()
}

/// PAUSE_MAX.
pub(crate) async fn the_longer_pause_wins(world: World) {
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

pub(crate) async fn pauses_double_until_something_is_accepted(world: World) {
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
    let fresh = road(store, &accept(store, &two, 3).await).await;
    record(store, &[over_limit(&fresh[0], None), delivered(&fresh[1])]).await;
    record(store, &[over_limit(&fresh[2], None)]).await;
    let left = pause_of(store, &two).await;
    assert!((51_000..=60_000).contains(&left), "{left} ms");
}

pub(crate) async fn answers_that_came_back_together_double_the_pause_once(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 3).await;
    let together: Vec<_> = claims.iter().map(|claim| over_limit(claim, None)).collect();
    record(store, &together).await;
    let left = pause_of(store, &one).await;
    assert!((51_000..=60_000).contains(&left), "{left} ms");
}

pub(crate) async fn any_text_can_be_recorded(world: World) {
    let store = world.store();
    let claims = claims(store, &one(store).await, 2).await;
    let mut odd = delivered(&claims[0]);
    if let Some(attempt) = &mut odd.attempt {
        "a\0b\u{1f4ee}".clone_into(&mut attempt.response);
        attempt.github_request_id = Some("\0".to_owned());
        attempt.status_code = None;
    }
    assert!(record(store, &[odd, delivered(&claims[1])]).await.late.is_empty());
    let view = view(store, claims[0].id).await;
    assert_eq!(view.row.status, DeliveryStatus::Delivered);
    assert!(view.attempts[0].response.starts_with('a'));
    assert!(view.attempts[0].response.ends_with("b\u{1f4ee}"));
    assert_eq!(status(store, claims[1].id).await, DeliveryStatus::Delivered);
}

pub(crate) async fn strangers_in_a_batch_hurt_nobody(world: World) {
    let store = world.store();
    let claim = claims(store, &one(store).await, 1).await.remove(0);
    let stranger = Recorded { id: DeliveryId(Uuid::now_v7()), ..delivered(&claim) };
    let report = record(store, &[stranger.clone(), delivered(&claim)]).await;
    assert_eq!(report.late, [(stranger.id, stranger.claim_no)]);
    assert_eq!(status(store, claim.id).await, DeliveryStatus::Delivered);
    assert_eq!(record(store, &[]).await, postrider_store::RecordReport::default());
}

pub(crate) async fn streaks_count_failures_since_the_last_success(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 8).await;
    let streak = async || {
        let facts = store.monitor_facts().await.unwrap();
        facts.streaks.into_iter().find(|fact| fact.webhook == one.webhook.uuid)
    };
    assert!(streak().await.is_none(), "never attempted");
    let first = [failed(&claims[0]), retry(&claims[1], HOUR, false)];
    record(store, &first).await;
    record(store, &first).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.last_success_at), (2, None), "repeats count once");
    assert_eq!((fact.description.as_str(), fact.lane.as_str()), ("webhook one", "a"));
    let since = fact.since.unwrap();
    record(store, &[over_limit(&claims[2], Some(Duration::ZERO)), failed(&claims[3])]).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.since), (3, Some(since)), "a limit is no failure");
    assert_eq!((fact.last_outcome, fact.last_status_code), (Some(Outcome::Invalid), Some(200)));
    record(store, &[failed(&claims[4]), delivered(&claims[5]), failed(&claims[6])]).await;
    let fact = streak().await.unwrap();
    assert_eq!(fact.failures, 1, "since the success within the batch");
    assert!(fact.last_success_at.is_some() && fact.since.unwrap() >= since);
    record(store, &[delivered(&claims[7])]).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.since), (0, None));
}
