//! What cases do, in few words.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    Body, BodyMode, DeliveryId, DeliveryStatus, Event, EventId, EventName, HoldCause, LaneId,
    LaneLimits, Outcome, Pacticipant, Rate, RequestTemplate, Webhook,
};
use postrider_store::{
    AttemptRow, Claim, ClaimTerms, DeliveryView, HoldProof, IntakeBatch, IntakeEntry, IntakeResult,
    LaneSpec, LaneView, Lease, LimitedClaim, NewDelivery, NewEvent, Put, RecordReport, Recorded,
    Store, StoredWebhook, Transition, WebhookWrite, WorkerId,
};
use uuid::Uuid;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// Long enough to look twice before it is over, on a busy machine too.
pub(crate) const MOMENT: Duration = Duration::from_millis(1500);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn unlimited(name: &str) -> LaneSpec {
    let limits = LaneLimits { rate: Rate::Unlimited, burst: 1, concurrency: 64, per_hour: None };
    LaneSpec { name: name.to_owned(), limits }
}

pub(crate) fn limited(name: &str) -> LaneSpec {
    let rate = Rate::Limited { count: 75, per: MINUTE };
    let limits = LaneLimits { rate, burst: 1, concurrency: 1, per_hour: None };
    LaneSpec { name: name.to_owned(), limits }
}

pub(crate) fn webhook(uuid: &str) -> Webhook {
    Webhook {
        uuid: format!("{uuid:-<16}").parse().unwrap(),
        description: Some(format!("webhook {uuid}")),
        consumer: None,
        provider: None,
        enabled: true,
        events: vec![EventName::ContractPublished],
        request: RequestTemplate {
            method: "POST".to_owned(),
            url: "https://target.example/hook".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: Some(Body::Text("x".to_owned())),
            body_mode: BodyMode::Json,
            username: None,
            password: None,
        },
        team_uuid: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn write(webhook: Webhook, lane: &LaneSpec, secrets: &[&str]) -> WebhookWrite {
    let secret_names: BTreeSet<String> = secrets.iter().map(|&name| name.to_owned()).collect();
    WebhookWrite { webhook, lane: lane.clone(), secret_names }
}

pub(crate) async fn put_write(store: &Store, write: &WebhookWrite) -> StoredWebhook {
    match store.put_webhook(write).await.unwrap() {
        Put::Created(stored) | Put::Replaced(stored) => stored,
    }
}

/// Creates or replaces an enabled webhook.
pub(crate) async fn put(store: &Store, uuid: &str, lane: &LaneSpec) -> StoredWebhook {
    put_write(store, &write(webhook(uuid), lane, &[])).await
}

pub(crate) async fn disable(store: &Store, uuid: &str, lane: &LaneSpec) {
    let disabled = Webhook { enabled: false, ..webhook(uuid) };
    put_write(store, &write(disabled, lane, &[])).await;
}

pub(crate) fn pacticipant(name: &str) -> Pacticipant {
    Pacticipant { name: name.to_owned(), ..Pacticipant::default() }
}

pub(crate) fn event() -> Event {
    Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: pacticipant("C"),
        provider: pacticipant("P"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

pub(crate) fn entry(key: Option<&str>, webhooks: &[&StoredWebhook]) -> IntakeEntry {
    let delivery = |webhook: &&StoredWebhook| NewDelivery {
        id: DeliveryId(Uuid::now_v7()),
        webhook_id: webhook.id,
        lane_id: webhook.lane_id,
    };
    IntakeEntry {
        event: NewEvent {
            id: EventId(Uuid::now_v7()),
            key: key.map(ToOwned::to_owned),
            term: None,
            fingerprint: *Uuid::now_v7().as_bytes(),
            event: event(),
            traceparent: None,
        },
        deliveries: webhooks.iter().map(delivery).collect(),
    }
}

pub(crate) async fn version(store: &Store) -> i64 {
    store.webhook_table(None).await.unwrap().unwrap().version
}

pub(crate) async fn commit(store: &Store, entries: Vec<IntakeEntry>) -> Vec<IntakeResult> {
    let batch = IntakeBatch { webhooks_version: version(store).await, entries };
    store.commit_events(&batch).await.unwrap().expect("the version is current")
}

/// One event for each of `n`, all for this webhook; oldest first.
pub(crate) async fn accept(store: &Store, webhook: &StoredWebhook, n: usize) -> Vec<DeliveryId> {
    let entries: Vec<_> = (0..n).map(|_| entry(None, &[webhook])).collect();
    let ids = entries.iter().map(|entry| entry.deliveries[0].id).collect();
    let results = commit(store, entries).await;
    assert!(results.iter().all(|result| *result == IntakeResult::Accepted));
    ids
}

pub(crate) fn worker() -> WorkerId {
    WorkerId(Uuid::now_v7())
}

/// A claim of some worker.
pub(crate) fn terms(length: Duration) -> ClaimTerms {
    ClaimTerms { worker: worker(), length }
}

pub(crate) async fn road(store: &Store, ids: &[DeliveryId]) -> Vec<Claim> {
    store.claim_road(ids, terms(MINUTE)).await.unwrap()
}

pub(crate) async fn due(store: &Store, lane: LaneId) -> Vec<Claim> {
    store.claim_due(lane, 100, false, terms(MINUTE)).await.unwrap()
}

pub(crate) async fn due_for(store: &Store, lane: LaneId, length: Duration) -> Vec<Claim> {
    store.claim_due(lane, 100, false, terms(length)).await.unwrap()
}

pub(crate) async fn lead(store: &Store, lane: LaneId) -> Lease {
    store.acquire(lane, worker(), HOUR).await.unwrap().expect("the lane is free")
}

pub(crate) async fn claim_as(store: &Store, lease: Lease, length: Duration) -> LimitedClaim {
    store.claim_limited(lease, 100, false, terms(length)).await.unwrap()
}

/// The claims of a leader that may claim.
pub(crate) fn claimed(claim: LimitedClaim) -> Vec<Claim> {
    match claim {
        LimitedClaim::Claimed(claims) => claims,
        other @ (LimitedClaim::OldClaims | LimitedClaim::HourFull | LimitedClaim::NotPermitted) => {
            panic!("nothing may be claimed: {other:?}")
        }
    }
}

pub(crate) fn ids(claims: &[Claim]) -> Vec<DeliveryId> {
    claims.iter().map(|claim| claim.id).collect()
}

pub(crate) fn attempt(claim: &Claim, outcome: Outcome) -> AttemptRow {
    AttemptRow {
        number: claim.attempt,
        started_at: Timestamp::now(),
        duration: ms(12),
        outcome,
        status_code: Some(200),
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        request: "{}".to_owned(),
        response: "{}".to_owned(),
    }
}

pub(crate) fn recorded(claim: &Claim, transition: Transition, outcome: Outcome) -> Recorded {
    Recorded {
        id: claim.id,
        claim_no: claim.claim_no,
        webhook_id: claim.webhook_id,
        lane_id: claim.lane_id,
        transition,
        attempt: Some(attempt(claim, outcome)),
    }
}

pub(crate) fn released(claim: &Claim) -> Recorded {
    Recorded { attempt: None, ..recorded(claim, Transition::Released, Outcome::Accepted) }
}

pub(crate) fn delivered(claim: &Claim) -> Recorded {
    recorded(claim, Transition::Delivered, Outcome::Accepted)
}

pub(crate) fn retry(claim: &Claim, after: Duration, uncertain: bool) -> Recorded {
    recorded(claim, Transition::Retry { after, uncertain }, Outcome::ServerError)
}

pub(crate) fn failed(claim: &Claim) -> Recorded {
    recorded(claim, Transition::Failed { uncertain: false }, Outcome::Invalid)
}

pub(crate) fn refused(claim: &Claim, proof: HoldProof) -> Recorded {
    let transition = Transition::HeldBack {
        cause: HoldCause::Credential,
        secret_rev: claim.secret_rev,
        proof,
        probe_after: Duration::ZERO,
        retry_after: HOUR,
    };
    recorded(claim, transition, Outcome::Credential)
}

pub(crate) fn over_limit(claim: &Claim, pause: Option<Duration>) -> Recorded {
    recorded(claim, Transition::Limited { pause }, Outcome::RateLimited)
}

pub(crate) async fn record(store: &Store, outcomes: &[Recorded]) -> RecordReport {
    store.record(outcomes).await.unwrap()
}

pub(crate) async fn view(store: &Store, id: DeliveryId) -> DeliveryView {
    store.delivery(id).await.unwrap().expect("the delivery is there")
}

pub(crate) async fn status(store: &Store, id: DeliveryId) -> DeliveryStatus {
    view(store, id).await.row.status
}

pub(crate) async fn lane(store: &Store, id: LaneId) -> LaneView {
    let lanes = store.survey().await.unwrap();
    lanes.into_iter().find(|lane| lane.id == id).expect("the lane is there")
}

/// Claims one fresh delivery of the webhook's unlimited lane and holds the lane with it.
pub(crate) async fn hold_with(store: &Store, webhook: &StoredWebhook) -> DeliveryId {
    let id = accept(store, webhook, 1).await[0];
    let claim = road(store, &[id]).await.remove(0);
    let report = record(store, &[refused(&claim, HoldProof::One)]).await;
    assert_eq!(report.held, [webhook.lane_id]);
    id
}
