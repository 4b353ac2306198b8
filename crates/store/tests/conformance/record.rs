//! T6-T11, L4, L7.

use std::time::Duration;

use postrider_domain::{DeliveryStatus, Outcome};
use postrider_store::{KeptRequest, Refusal, Transition};
use postrider_testkit::acts::*;
use postrider_testkit::cases::record::{claims, one};

use crate::acts::view;
use crate::harness::World;

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

pub(crate) async fn streaks_count_failures_since_the_last_success(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 8).await;
    let streak = async || {
        let facts = store.streaks().await.unwrap();
        facts.into_iter().find(|fact| fact.webhook == one.webhook.uuid)
    };
    assert!(streak().await.is_none(), "never attempted");
    let first = [failed(&claims[0]), retry(&claims[1], HOUR, false)];
    record(store, &first).await;
    record(store, &first).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.last_success_at), (2, None), "repeats count once");
    assert_eq!(fact.deliveries, 2);
    assert_eq!((fact.description.as_str(), fact.lane.as_str()), ("webhook one", "a"));
    let since = fact.since.unwrap();
    record(store, &[over_limit(&claims[2], Some(Duration::from_micros(1))), failed(&claims[3])])
        .await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.since), (3, Some(since)), "a limit is no failure");
    assert_eq!((fact.last_outcome, fact.last_status_code), (Some(Outcome::Invalid), Some(200)));
    record(store, &[failed(&claims[4]), delivered(&claims[5]), failed(&claims[6])]).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.deliveries), (1, 1), "since the success within the batch");
    assert!(fact.last_success_at.is_some() && fact.since.unwrap() >= since);
    record(store, &[delivered(&claims[7])]).await;
    let fact = streak().await.unwrap();
    assert_eq!((fact.failures, fact.deliveries, fact.since), (0, 0, None));
}

/// What a batch says beside what was recorded before still counts.
pub(crate) async fn a_batch_that_was_half_recorded_counts_its_other_half(world: World) {
    let store = world.store();
    let one = one(store).await;
    let claims = claims(store, &one, 3).await;
    record(store, &[failed(&claims[0]), rejected(&claims[1], Refusal::Elsewhere)]).await;
    let whole = [
        failed(&claims[0]),
        rejected(&claims[1], Refusal::Elsewhere),
        rejected(&claims[2], Refusal::Elsewhere),
    ];
    assert!(record(store, &whole).await.held.is_empty(), "one webhook");
    let facts = store.streaks().await.unwrap();
    let streak = facts.into_iter().find(|fact| fact.webhook == one.webhook.uuid).unwrap();
    assert_eq!(streak.failures, 3, "one failure and two rejections");
}

/// Late ones in a batch of successes are told, and theirs is no success of the webhook.
pub(crate) async fn late_successes_are_told(world: World) {
    let store = world.store();
    let one = one(store).await;
    accept(store, &one, 1).await;
    let old = due_for(store, one.lane_id, ms(30)).await.remove(0);
    wait_until(store, "the claim expires", async || {
        (store.expire_claims(10).await.unwrap().given_back.len() == 1).then_some(())
    })
    .await;
    let fresh = claims(store, &one, 3).await;
    let batch = [delivered(&fresh[0]), delivered(&old), delivered(&fresh[1])];
    assert_eq!(record(store, &batch).await.late, [(old.id, old.claim_no)]);
    assert_eq!(record(store, &[delivered(&old)]).await.late, [(old.id, old.claim_no)]);
    assert_eq!(status(store, fresh[0].id).await, DeliveryStatus::Delivered);
    assert_eq!(status(store, fresh[1].id).await, DeliveryStatus::Delivered);
    let shown = view(store, old.id).await;
    assert_eq!(shown.row.status, DeliveryStatus::Retrying);
    assert_eq!(shown.attempts[0].outcome, Outcome::Accepted, "in the place of `lost`");
    assert_eq!(shown.attempts[0].request, KeptRequest::Rendition(rendition(&old)));
}

pub(crate) async fn requests_are_kept_as_text_or_as_what_renders_them(world: World) {
    let store = world.store();
    let claims = claims(store, &one(store).await, 3).await;
    let mut unsent = failed(&claims[2]);
    if let Some(attempt) = &mut unsent.attempt {
        attempt.request = KeptRequest::Nothing;
    }
    record(store, &[delivered(&claims[0])]).await;
    record(store, &[delivered_with_text(&claims[1]), unsent]).await;
    let kept = async |n: usize| view(store, claims[n].id).await.attempts.remove(0);
    let plain = kept(0).await;
    assert_eq!(plain.request, KeptRequest::Rendition(rendition(&claims[0])));
    assert_eq!(plain.response, r#"{"status":200,"headers":{},"body":null}"#);
    let with_text = kept(1).await;
    assert_eq!(with_text.request, KeptRequest::Text("{}".to_owned()));
    assert_eq!(with_text.response, "{}");
    assert_eq!(kept(2).await.request, KeptRequest::Nothing);
    let view = view(store, claims[0].id).await;
    assert_eq!(view.webhook_id, claims[0].webhook_id);
    assert_eq!(view.event, claims[0].event);
}

/// J1 for an attempt that ended without a word: it waits, longer each time, and five are poison.
pub(crate) async fn an_attempt_without_a_word_is_a_lost_claim(world: World) {
    let store = world.store();
    let one = one(store).await;
    let id = accept(store, &one, 1).await[0];
    let mut claim = by_message(store, &[id]).await.remove(0);
    for losses in 1..=5_u32 {
        assert_eq!((claim.lost_claims, claim.attempt), (losses - 1, 1));
        let transition = Transition::Lost { may_have_arrived: losses == 2 };
        let lost = recorded(&claim, transition, Outcome::Lost);
        assert!(record(store, &[lost]).await.late.is_empty());
        let row = view(store, id).await.row;
        assert_eq!(row.attempts, losses);
        if losses == 5 {
            assert_eq!(row.status, DeliveryStatus::Failed);
            assert_eq!(row.last_outcome, Some(Outcome::Poison));
            break;
        }
        assert_eq!(row.last_outcome, Some(Outcome::Lost));
        let wait = row.next_attempt_at.unwrap().duration_since(row.updated_at).as_secs();
        assert_eq!(wait, i64::from(losses) * 10);
        world.raw("update deliveries set next_at = created_at").await;
        let suspect = losses >= 3;
        let shares = [share(one.lane_id, 1)];
        claim = store.claim_due(&shares, suspect, terms(MINUTE)).await.unwrap().remove(0);
        assert_eq!(claim.maybe_sent, losses >= 2, "marked from the second one on");
    }
}
