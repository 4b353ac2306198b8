//! What cases do, in few words.

#![expect(missing_docs, reason = "the words are those of the steps")]
#![expect(clippy::unwrap_used, reason = "a case panics where it fails")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    Body, BodyMode, DeliveryId, DeliveryStatus, Event, EventId, EventName, EventSource, Extensions,
    LaneId, LaneLimits, LimitId, Outcome, Pacticipant, Rate, RequestTemplate, Webhook,
};
use postrider_store::{
    AttemptRow, Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, EventDocument, IntakeBatch,
    IntakeEntry, IntakeResult, KeptRequest, LaneShare, LaneSpec, LaneStatus, Lease, LimitedClaim,
    NewDelivery, NewEvent, Poll, ProbeClaim, Put, RecordReport, Recorded, Refusal, Rendition,
    StoredWebhook, Transition, WebhookWrite, WorkerId,
};
use uuid::Uuid;

use crate::{HotStore, Seen};

pub const HOUR: Duration = Duration::from_hours(1);
pub const MINUTE: Duration = Duration::from_mins(1);

/// Long enough to look twice before it is over, on a busy machine too.
pub const MOMENT: Duration = Duration::from_millis(1500);

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn unlimited(name: &str) -> LaneSpec {
    let limits = LaneLimits { rate: Rate::Unlimited, burst: 1, concurrency: 64, per_hour: None };
    joined(name, name, limits)
}

/// A lane with a limit of that name.
pub fn joined(name: &str, limit: &str, limits: LaneLimits) -> LaneSpec {
    LaneSpec { name: name.to_owned(), limit: limit.to_owned(), limits }
}

pub fn limited(name: &str) -> LaneSpec {
    let rate = Rate::Limited { count: 75, per: MINUTE };
    let limits = LaneLimits { rate, burst: 1, concurrency: 1, per_hour: None };
    joined(name, name, limits)
}

pub fn webhook(uuid: &str) -> Webhook {
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
        extensions: Extensions::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

pub fn write(webhook: Webhook, lane: &LaneSpec, secrets: &[&str]) -> WebhookWrite {
    let secret_names: BTreeSet<String> = secrets.iter().map(|&name| name.to_owned()).collect();
    WebhookWrite { webhook, lane: lane.clone(), secret_names }
}

pub async fn put_write(store: &impl HotStore, write: &WebhookWrite) -> StoredWebhook {
    match store.put_webhook(write).await.unwrap() {
        Put::Created(stored) | Put::Replaced(stored) => stored,
    }
}

/// Creates or replaces an enabled webhook.
pub async fn put(store: &impl HotStore, uuid: &str, lane: &LaneSpec) -> StoredWebhook {
    put_write(store, &write(webhook(uuid), lane, &[])).await
}

pub async fn disable(store: &impl HotStore, uuid: &str, lane: &LaneSpec) {
    let disabled = Webhook { enabled: false, ..webhook(uuid) };
    put_write(store, &write(disabled, lane, &[])).await;
}

pub fn pacticipant(name: &str) -> Pacticipant {
    Pacticipant { name: name.to_owned(), ..Pacticipant::default() }
}

pub fn event() -> Event {
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

pub fn entry(key: Option<&str>, webhooks: &[&StoredWebhook]) -> IntakeEntry {
    IntakeEntry {
        event: NewEvent {
            id: EventId(Uuid::now_v7()),
            source: EventSource::Api,
            key: key.map(ToOwned::to_owned),
            term: None,
            fingerprint: *Uuid::now_v7().as_bytes(),
            event: EventDocument::new(event()).unwrap(),
            traceparent: None,
        },
        deliveries: webhooks.iter().map(|webhook| NewDelivery::of(webhook)).collect(),
    }
}

/// Changes what an entry's event says.
pub fn edit(entry: &mut IntakeEntry, change: impl FnOnce(&mut Event)) {
    let mut event = entry.event.event.event().clone();
    change(&mut event);
    entry.event.event = EventDocument::new(event).unwrap();
}

pub async fn version(store: &impl HotStore) -> i64 {
    store.webhook_table(None).await.unwrap().unwrap().version
}

pub async fn commit(store: &impl HotStore, entries: Vec<IntakeEntry>) -> Vec<IntakeResult> {
    let batch = IntakeBatch { webhooks_version: version(store).await, entries: entries.into() };
    store.commit_events(&batch).await.unwrap().expect("the version is current")
}

/// One event for each of `n`, all for this webhook; oldest first.
pub async fn accept(store: &impl HotStore, webhook: &StoredWebhook, n: usize) -> Vec<DeliveryId> {
    let entries: Vec<_> = (0..n).map(|_| entry(None, &[webhook])).collect();
    let ids = entries.iter().map(|entry| entry.deliveries[0].id).collect();
    let results = commit(store, entries).await;
    assert!(results.iter().all(|result| *result == IntakeResult::Accepted));
    ids
}

pub fn worker() -> WorkerId {
    WorkerId(Uuid::now_v7())
}

/// A claim of some worker.
pub fn terms(length: Duration) -> ClaimTerms {
    ClaimTerms { worker: worker(), timeout: length, margin: Duration::ZERO }
}

pub async fn by_message(store: &impl HotStore, ids: &[DeliveryId]) -> Vec<Claim> {
    store.claim_fresh(ids, terms(MINUTE)).await.unwrap()
}

pub fn share(lane: LaneId, limit: u32) -> LaneShare {
    LaneShare { lane, limit }
}

/// At most `n` of what the lane has due.
pub async fn some_due(store: &impl HotStore, lane: LaneId, n: u32) -> Vec<Claim> {
    store.claim_due(&[share(lane, n)], false, terms(MINUTE)).await.unwrap()
}

pub async fn due(store: &impl HotStore, lane: LaneId) -> Vec<Claim> {
    due_for(store, lane, MINUTE).await
}

pub async fn due_for(store: &impl HotStore, lane: LaneId, length: Duration) -> Vec<Claim> {
    store.claim_due(&[share(lane, 100)], false, terms(length)).await.unwrap()
}

pub async fn limit_of(store: &impl HotStore, id: LaneId) -> LimitId {
    lane(store, id).await.limit.id
}

/// Takes the limit of this lane, if it is to be had.
pub async fn take_lead(
    store: &impl HotStore,
    lane: LaneId,
    worker: WorkerId,
    length: Duration,
) -> Option<Lease> {
    store.acquire(limit_of(store, lane).await, worker, length).await.unwrap()
}

pub async fn lead(store: &impl HotStore, lane: LaneId) -> Lease {
    take_lead(store, lane, worker(), HOUR).await.expect("the limit is free")
}

/// What a leader asks for without a pace.
pub fn unpaced(lease: Lease, limit: u32, terms: ClaimTerms) -> ClaimLimited {
    ClaimLimited { lease, limit, interval: Duration::ZERO, suspect: false, terms }
}

pub async fn claim_as(store: &impl HotStore, lease: Lease, length: Duration) -> LimitedClaim {
    store.claim_limited(unpaced(lease, 100, terms(length))).await.unwrap()
}

/// At most `n` claims of a leader that may claim.
pub async fn some_as(store: &impl HotStore, lease: Lease, n: u32) -> Vec<Claim> {
    let claim = store.claim_limited(unpaced(lease, n, terms(MINUTE))).await;
    claimed(claim.unwrap())
}

/// The claims of a leader that may claim.
pub fn claimed(claim: LimitedClaim) -> Vec<Claim> {
    match claim {
        LimitedClaim::Claimed(claims) => claims,
        other @ (LimitedClaim::OldClaims
        | LimitedClaim::HourFull { .. }
        | LimitedClaim::NotPermitted) => panic!("nothing may be claimed: {other:?}"),
    }
}

/// The delivery that a probe sends.
pub async fn probe_claim(
    store: &impl HotStore,
    lane: LaneId,
    probe: ProbeClaim,
    lease: Option<Lease>,
) -> Option<Claim> {
    store
        .claim_probe_delivery(ClaimProbeDelivery {
            lane,
            probe,
            lease,
            interval: Duration::ZERO,
            terms: terms(MINUTE),
        })
        .await
        .unwrap()
}

pub fn ids(claims: &[Claim]) -> Vec<DeliveryId> {
    claims.iter().map(|claim| claim.id).collect()
}

pub fn attempt(claim: &Claim, outcome: Outcome) -> AttemptRow {
    AttemptRow {
        number: claim.number,
        started_at: Timestamp::now(),
        duration: ms(12),
        outcome,
        status_code: Some(200),
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request: KeptRequest::Text("{}".to_owned()),
        response: "{}".to_owned(),
    }
}

pub fn recorded(claim: &Claim, transition: Transition, outcome: Outcome) -> Recorded {
    Recorded::of(claim, transition, Some(attempt(claim, outcome)))
}

pub fn released(claim: &Claim) -> Recorded {
    Recorded::of(claim, Transition::Released { after: Duration::ZERO }, None)
}

/// How the request of a claim is rendered again.
pub fn rendition(claim: &Claim) -> Rendition {
    let span_id = 0xfedc_ba98_7654_3210_u64.to_be_bytes();
    Rendition { webhook_rev: claim.webhook_rev, span_id, renderer: 1, body_bytes: 17 }
}

/// Delivered as nearly all are: nothing is kept of it but what it takes to render it again.
pub fn delivered(claim: &Claim) -> Recorded {
    let request = KeptRequest::Rendition(rendition(claim));
    let plain = AttemptRow { request, response: String::new(), ..accepted(claim) };
    Recorded::of(claim, Transition::Delivered, Some(plain))
}

/// Delivered, with the text of its request.
pub fn delivered_with_text(claim: &Claim) -> Recorded {
    Recorded::of(claim, Transition::Delivered, Some(accepted(claim)))
}

fn accepted(claim: &Claim) -> AttemptRow {
    attempt(claim, Outcome::Accepted)
}

pub fn retry(claim: &Claim, after: Duration, uncertain: bool) -> Recorded {
    recorded(claim, Transition::Retry { after, uncertain }, Outcome::ServerError)
}

pub fn failed(claim: &Claim) -> Recorded {
    recorded(claim, Transition::Failed { uncertain: false }, Outcome::Invalid)
}

pub fn rejected(claim: &Claim, refusal: Refusal) -> Recorded {
    let transition = Transition::CredentialRejected {
        refusal,
        secret_rev: claim.secret_rev,
        secrets_rev: claim.secrets_rev,
        probe_after: Duration::ZERO,
    };
    recorded(claim, transition, Outcome::Credential)
}

pub fn over_limit(claim: &Claim, pause: Option<Duration>) -> Recorded {
    recorded(claim, Transition::Limited { pause }, Outcome::RateLimited)
}

pub async fn record(store: &impl HotStore, outcomes: &[Recorded]) -> RecordReport {
    store.record(outcomes).await.unwrap()
}

pub async fn seen(store: &impl HotStore, id: DeliveryId) -> Seen {
    store.seen(id).await.unwrap().expect("the delivery is there")
}

pub async fn status(store: &impl HotStore, id: DeliveryId) -> DeliveryStatus {
    seen(store, id).await.status
}

pub async fn lane(store: &impl HotStore, id: LaneId) -> LaneStatus {
    store.poll(Poll::Those(&[id])).await.unwrap().lanes.pop().expect("the lane is there")
}

/// Claims one fresh delivery of the webhook's unlimited lane and holds the lane with it.
pub async fn hold_with(store: &impl HotStore, webhook: &StoredWebhook) -> DeliveryId {
    let id = accept(store, webhook, 1).await[0];
    let claim = by_message(store, &[id]).await.remove(0);
    let report = record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    assert_eq!(report.held, [webhook.lane_id]);
    id
}

/// Lets the store's time pass until the answer is there; ten seconds are enough for anything here.
pub async fn wait_until<T>(
    store: &impl HotStore,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    const STEP: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while waited < Duration::from_secs(10) {
        if let Some(answer) = ask().await {
            return answer;
        }
        store.advance(STEP).await;
        waited += STEP;
    }
    panic!("not within ten seconds: {what}")
}
