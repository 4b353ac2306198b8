//! Deliveries walked through the protocol, as far as SQLite's rows and clock show it.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryId, DeliveryStatus, HoldCause, LaneState, Outcome, Rate};

use super::{Fixture, LIMITED, batch, recorded, share, terms, worker};
use crate::StoredWebhook;
use crate::{
    Claim, ClaimLimited, ClaimTerms, DeliveryFilter, IntakeResult, LaneStatus, Lease, LimitedClaim,
    Poll, Recorded, Refusal, Transition,
};

const RELEASED: Transition = Transition::Released { after: Duration::ZERO };
const LEASE: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_hours(1);

fn refused(claim: &Claim, refusal: Refusal) -> Recorded {
    let transition = Transition::CredentialRejected {
        refusal,
        secret_rev: claim.secret_rev,
        secrets_rev: claim.secrets_rev,
        probe_after: Duration::ZERO,
    };
    recorded(claim, transition, Outcome::Credential, 401)
}

fn claims(result: LimitedClaim) -> Vec<Claim> {
    match result {
        LimitedClaim::Claimed(claims) => claims,
        LimitedClaim::OldClaims | LimitedClaim::HourFull { .. } | LimitedClaim::NotPermitted => {
            panic!("{result:?}")
        }
    }
}

async fn lanes(store: &Fixture) -> Vec<LaneStatus> {
    store.store.poll(Poll::Page(None)).await.unwrap().lanes
}

async fn led(store: &Fixture, lane: postrider_domain::LaneId) -> (Lease, ClaimTerms) {
    let worker = worker();
    let limit = lanes(store).await.into_iter().find(|known| known.id == lane).unwrap().limit.id;
    let lease = store.store.acquire(limit, worker, LEASE).await.unwrap().unwrap();
    (lease, ClaimTerms { worker, timeout: Duration::from_secs(20), margin: Duration::ZERO })
}

const REPLAY: crate::BulkKind = crate::BulkKind::Replay { forget_marks: false };

#[tokio::test]
async fn accepted_claimed_delivered() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 3).await;
    let claims = store.store.claim_due(&share(webhook.lane_id, 2), false, terms(20)).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!((claims[0].attempt, claims[0].claim_no.0), (1, 1));
    assert!(claims[0].event.contains(r#""name":"Consumer \"quoted\" "#), "{}", claims[0].event);
    serde_json::from_str::<postrider_domain::Event>(&claims[0].event).unwrap();
    let outcomes: Vec<_> = claims
        .iter()
        .map(|claim| recorded(claim, Transition::Delivered, Outcome::Accepted, 204))
        .collect();
    let report = store.store.record(&outcomes).await.unwrap();
    assert!(report.late.is_empty() && report.held.is_empty());
    let repeat = store.store.record(&outcomes).await.unwrap();
    assert_eq!(repeat.late.len(), 2);
    let view = store.store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!(view.row.status, DeliveryStatus::Delivered);
    assert_eq!((view.row.attempts, view.attempts.len()), (1, 1));
    assert_eq!(view.row.last_status_code, Some(204));
    assert_eq!(store.store.count_unclaimed(10).await.unwrap(), 1);
}

#[tokio::test]
async fn a_dead_credential_holds_and_a_new_secret_opens_oldest_first() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "github/githubToken", LIMITED).await;
    let lane = webhook.lane_id;
    let ids = store.accept(&webhook, 3).await;
    let (lease, terms) = led(&store, lane).await;
    let first = claims(store.store.claim_limited(unpaced(lease, 2, terms)).await.unwrap());
    assert_eq!(first.iter().map(|claim| claim.id).collect::<Vec<_>>(), ids[..2]);
    let report = store.store.record(&[refused(&first[0], Refusal::AtGithub)]).await.unwrap();
    assert_eq!(report.held, [lane]);
    let held = store.store.claim_limited(unpaced(lease, 2, terms)).await.unwrap();
    assert!(matches!(held, LimitedClaim::NotPermitted));
    let (_, opened) = store.store.set_secret("githubToken", &"new".into()).await.unwrap();
    assert_eq!(opened, ["github/githubToken"]);
    // HOLD_REV: the other request of the old secret does not hold the new one.
    let report = store.store.record(&[refused(&first[1], Refusal::AtGithub)]).await.unwrap();
    assert!(report.held.is_empty());
    let again = claims(store.store.claim_limited(unpaced(lease, 10, terms)).await.unwrap());
    assert_eq!(again.iter().map(|claim| claim.id).collect::<Vec<_>>(), ids);
    assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(again[0].claim_no.0, 2);
    let sent = recorded(&again[0], Transition::Delivered, Outcome::Accepted, 204);
    assert!(store.store.record(&[sent]).await.unwrap().late.is_empty());
}

#[tokio::test]
async fn a_new_leader_waits_for_old_claims() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "github/githubToken", LIMITED).await;
    store.accept(&webhook, 2).await;
    let (old, old_terms) = led(&store, webhook.lane_id).await;
    let first = claims(store.store.claim_limited(unpaced(old, 1, old_terms)).await.unwrap());
    store.store.give_up(&[old]).await.unwrap();
    let (new, new_terms) = led(&store, webhook.lane_id).await;
    assert!(new.epoch > old.epoch);
    let waits = store.store.claim_limited(unpaced(new, 1, new_terms)).await.unwrap();
    assert!(matches!(waits, LimitedClaim::OldClaims));
    let stale = store.store.claim_limited(unpaced(old, 1, old_terms)).await.unwrap();
    assert!(matches!(stale, LimitedClaim::NotPermitted));
    let sent = recorded(&first[0], Transition::Delivered, Outcome::Accepted, 204);
    store.store.record(&[sent]).await.unwrap();
    assert_eq!(
        claims(store.store.claim_limited(unpaced(new, 9, new_terms)).await.unwrap()).len(),
        1
    );
}

#[tokio::test]
async fn the_hours_budget_counts_claims_and_takes_back_what_was_not_sent() {
    let store = Fixture::new().await;
    let mut write = super::webhook_write("webhook-0000000000", "github/githubToken", LIMITED);
    write.lane.limits.per_hour = Some(2);
    let crate::Put::Created(webhook) = store.store.put_webhook(&write).await.unwrap() else {
        panic!("it is new");
    };
    store.accept(&webhook, 4).await;
    let (lease, terms) = led(&store, webhook.lane_id).await;
    let first = claims(store.store.claim_limited(unpaced(lease, 9, terms)).await.unwrap());
    assert_eq!(first.len(), 2);
    let full = store.store.claim_limited(unpaced(lease, 9, terms)).await.unwrap();
    assert!(matches!(full, LimitedClaim::HourFull { .. }));
    let mut unsent = recorded(&first[0], RELEASED, Outcome::Timeout, 0);
    unsent.attempt = None;
    store.store.record(&[unsent]).await.unwrap();
    let again = claims(store.store.claim_limited(unpaced(lease, 9, terms)).await.unwrap());
    assert_eq!(again.iter().map(|c| (c.id, c.attempt)).collect::<Vec<_>>(), [(first[0].id, 1)]);
}

#[tokio::test]
async fn claims_that_are_lost_five_times_are_poison() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 1).await;
    for lost in 0..5 {
        let suspect = lost >= 3;
        let lane = webhook.lane_id;
        assert!(
            store.store.claim_due(&share(lane, 5), !suspect, terms(0)).await.unwrap().is_empty()
        );
        let claims = store.store.claim_due(&share(lane, 5), suspect, terms(0)).await.unwrap();
        assert_eq!(claims.len(), 1, "after {lost} lost claims");
        assert_eq!((claims[0].attempt, claims[0].maybe_sent), (1, lost > 0));
        let expired = store.store.expire_claims(10).await.unwrap();
        assert_eq!(expired.poisoned.len(), usize::from(lost == 4));
        assert_eq!(expired.given_back.len(), usize::from(lost < 4));
    }
    let view = store.store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!(view.row.status, DeliveryStatus::Failed);
    assert_eq!(view.row.last_outcome, Some(Outcome::Poison));
    assert_eq!(view.attempts.len(), 5);
    assert_eq!(store.store.poisoned().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_late_outcome_is_kept_among_the_attempts_only() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 1).await;
    let late = store.store.claim_fresh(&ids, terms(0)).await.unwrap();
    store.store.expire_claims(10).await.unwrap();
    let newer = store.store.claim_due(&share(webhook.lane_id, 1), false, terms(20)).await.unwrap();
    let outcome = recorded(&late[0], Transition::Delivered, Outcome::Accepted, 204);
    let report = store.store.record(&[outcome]).await.unwrap();
    assert_eq!(report.late, [(ids[0], late[0].claim_no)]);
    let view = store.store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!(view.row.status, DeliveryStatus::Retrying);
    assert_eq!(view.attempts.iter().map(|a| a.outcome).collect::<Vec<_>>(), [Outcome::Accepted]);
    assert_eq!(newer[0].claim_no.0, 2);
}

#[tokio::test]
async fn what_waits_follows_its_webhook_whatever_the_lane() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/a", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 3).await;
    store.store.hold_by_hand("target/a", &crate::ManualHold::default()).await.unwrap().unwrap();
    assert_eq!(store.store.reassign_lanes(10).await.unwrap(), 0);
    let moved = store.webhook("webhook-0000000000", "target/b", Rate::Unlimited).await;
    assert_eq!((moved.id, moved.rev), (webhook.id, 2));
    assert_eq!(store.store.reassign_lanes(2).await.unwrap(), 2);
    assert_eq!(store.store.reassign_lanes(2).await.unwrap(), 1);
    let claims = store.store.claim_due(&share(moved.lane_id, 9), false, terms(20)).await.unwrap();
    assert_eq!(claims.len(), 3);
    assert!(store.store.delete_webhook(&moved.webhook.uuid).await.unwrap());
    assert_eq!(store.store.discard(10).await.unwrap(), 0);
    let mut unsent = recorded(&claims[0], RELEASED, Outcome::Timeout, 0);
    unsent.attempt = None;
    store.store.record(&[unsent]).await.unwrap();
    assert_eq!(store.store.discard(10).await.unwrap(), 1);
    let view = store.store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!(view.row.last_outcome, Some(Outcome::WebhookDeleted));
}

#[tokio::test]
async fn elsewhere_it_takes_two_webhooks() {
    let store = Fixture::new().await;
    let one = store.webhook("webhook-0000000001", "target/token", Rate::Unlimited).await;
    let two = store.webhook("webhook-0000000002", "target/token", Rate::Unlimited).await;
    store.accept(&one, 1).await;
    let claims = store.store.claim_due(&share(one.lane_id, 1), false, terms(20)).await.unwrap();
    let report = store.store.record(&[refused(&claims[0], Refusal::Elsewhere)]).await.unwrap();
    assert!(report.held.is_empty());
    assert_eq!(lanes(&store).await[0].state, LaneState::Open);
    store.accept(&two, 1).await;
    let claims = store.store.claim_due(&share(one.lane_id, 2), false, terms(20)).await.unwrap();
    assert_eq!(claims.len(), 1, "the other one's webhook is parked");
    let report = store.store.record(&[refused(&claims[0], Refusal::Elsewhere)]).await.unwrap();
    assert_eq!(report.held, [one.lane_id]);
    let lanes = lanes(&store).await;
    assert_eq!(lanes[0].state, LaneState::Held(HoldCause::Credential));
    assert!(lanes[0].probe_due);
    let probe = store.store.claim_probe(one.lane_id, None, HOUR).await.unwrap().unwrap();
    assert!(store.store.claim_probe(one.lane_id, None, HOUR).await.unwrap().is_none());
    assert!(store.store.release_probed(one.lane_id, probe).await.unwrap());
    assert_eq!(store.store.sort_parked(10).await.unwrap(), 1, "it stood aside");
    let claims = store.store.claim_due(&share(one.lane_id, 2), false, terms(20)).await.unwrap();
    let both: Vec<_> = claims.iter().map(|c| refused(c, Refusal::Elsewhere)).collect();
    assert_eq!(both.len(), 2);
    assert_eq!(store.store.record(&both).await.unwrap().held, [one.lane_id]);
}

#[tokio::test]
async fn a_limit_pauses_the_lane_and_only_a_longer_one_counts() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    store.accept(&webhook, 2).await;
    let claims = store.store.claim_due(&share(webhook.lane_id, 2), false, terms(20)).await.unwrap();
    let limited =
        |claim, pause| recorded(claim, Transition::Limited { pause }, Outcome::RateLimited, 429);
    store.store.record(&[limited(&claims[0], Some(HOUR))]).await.unwrap();
    store.store.record(&[limited(&claims[1], None)]).await.unwrap();
    let lane = lanes(&store).await.remove(0);
    assert!(lane.limit.paused_for.unwrap() > Duration::from_mins(59), "{lane:?}");
    assert!(lane.due && lane.open);
    assert!(
        store
            .lite
            .claim_due(&share(webhook.lane_id, 2), false, terms(20))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn one_key_is_one_event_in_a_batch_and_across_batches() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let version = store.version().await;
    let mut first = batch(&webhook, version, 2);
    let key = first.entries[0].event.key.clone();
    Arc::make_mut(&mut first.entries)[1].event.key = key;
    let results = store.store.commit_events(&first).await.unwrap().unwrap();
    assert_eq!(results[0], IntakeResult::Accepted);
    let IntakeResult::Duplicate(winner) = &results[1] else { panic!("{results:?}") };
    assert_eq!(winner.event_id, first.entries[0].event.id);
    let ours = (first.entries[0].deliveries[0].id, webhook.webhook.uuid.clone());
    assert_eq!(winner.deliveries, [ours]);
    let again = store.store.commit_events(&first).await.unwrap().unwrap();
    assert!(again.iter().all(|result| matches!(result, IntakeResult::Duplicate(_))));
    assert_eq!(store.store.count_unclaimed(10).await.unwrap(), 1);
    store.webhook("webhook-0000000001", "target/token", Rate::Unlimited).await;
    let stale = store.store.commit_events(&batch(&webhook, version, 1)).await.unwrap();
    assert!(stale.is_none());
}

/// Four accepted deliveries, the first three failed.
async fn three_of_four_failed(store: &Fixture) -> (StoredWebhook, Vec<DeliveryId>) {
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 4).await;
    let claims = store.store.claim_due(&share(webhook.lane_id, 3), false, terms(20)).await.unwrap();
    let failed =
        |claim| recorded(claim, Transition::Failed { uncertain: true }, Outcome::Timeout, 504);
    store.store.record(&claims.iter().map(failed).collect::<Vec<_>>()).await.unwrap();
    (webhook, ids)
}

#[tokio::test]
async fn replay_counts_before_it_acts_and_keeps_the_marks() {
    let store = Fixture::new().await;
    let (webhook, ids) = three_of_four_failed(&store).await;
    let filter = DeliveryFilter { ids: Some(ids[1..].to_vec()), ..DeliveryFilter::default() };
    for act in [false, true] {
        let plan = if act {
            store.store.bulk(REPLAY, &filter).await
        } else {
            store.store.plan_bulk(REPLAY, &filter).await
        };
        let plan = plan.unwrap();
        assert_eq!(plan.by_lane, [("target/token".to_owned(), 2)]);
        assert_eq!((plan.left_alone, plan.without_webhook), (1, 0));
    }
    let again = store.store.claim_due(&share(webhook.lane_id, 9), false, terms(20)).await.unwrap();
    assert_eq!(again.len(), 3);
    let replayed = again.iter().find(|claim| claim.id == ids[1]).unwrap();
    assert_eq!((replayed.attempt, replayed.claim_no.0, replayed.maybe_sent), (1, 2, true));
}

#[tokio::test]
async fn retention_drops_what_is_final_and_nothing_else() {
    let store = Fixture::new().await;
    let (webhook, ids) = three_of_four_failed(&store).await;
    let filter = DeliveryFilter { ids: Some(ids[1..].to_vec()), ..DeliveryFilter::default() };
    store.store.bulk(REPLAY, &filter).await.unwrap();
    let again = store.store.claim_due(&share(webhook.lane_id, 9), false, terms(20)).await.unwrap();
    assert_eq!(again.len(), 3);
    assert_eq!(store.store.prune(Duration::ZERO, Duration::ZERO, 1).await.unwrap(), 1);
    assert!(store.store.delivery(ids[0]).await.unwrap().is_none());
    let all = DeliveryFilter::default();
    let page = store.store.deliveries(&all, None, 2).await.unwrap();
    assert_eq!(page.deliveries.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[3], ids[2]]);
    let rest = store.store.deliveries(&all, page.next.as_ref(), 2).await;
    assert_eq!(rest.unwrap().deliveries.len(), 1);
    let stats = store.store.stats().await.unwrap();
    assert_eq!(stats.sending, 3);
    assert_eq!(stats.backlog, [("target/token".to_owned(), 0)]);
}

// What a leader asks for without a pace.
fn unpaced(lease: Lease, limit: u32, terms: ClaimTerms) -> ClaimLimited {
    ClaimLimited { lease, limit, interval: Duration::ZERO, suspect: false, terms }
}
