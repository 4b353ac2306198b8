//! Events and deliveries through the store's own steps.

use std::time::Duration;

use anyhow::{Context, Result};
use postrider_domain::{DeliveryId, Event, EventId, EventName, EventSource, Outcome, Pacticipant};
use postrider_store::{
    AttemptRow, ClaimTerms, EventDocument, IntakeBatch, IntakeEntry, KeptRequest, NewDelivery,
    NewEvent, Recorded, Store, StoredWebhook, Transition, WorkerId,
};
use uuid::Uuid;

/// Deliveries of one batch.
const BATCH: u32 = 500;

/// So many deliveries of a webhook, all delivered.
pub(super) async fn deliver(store: &Store, webhook: &StoredWebhook, count: u32) -> Result<()> {
    let version = store.webhook_table(None).await?.context("a table")?.version;
    let worker = WorkerId(Uuid::now_v7());
    let terms =
        ClaimTerms { worker, timeout: Duration::from_secs(15), margin: Duration::from_secs(5) };
    for first in (0..count).step_by(BATCH as usize) {
        let entries: Vec<IntakeEntry> = (first..count.min(first + BATCH))
            .map(|number| entry(webhook, number))
            .collect::<Result<_>>()?;
        let ids: Vec<DeliveryId> = entries.iter().map(|entry| entry.deliveries[0].id).collect();
        let batch = IntakeBatch { webhooks_version: version, entries: entries.into() };
        store.commit_events(&batch).await?.context("the version changed")?;
        let claims = store.claim_fresh(&ids, terms).await?;
        let outcomes: Vec<Recorded> = claims
            .iter()
            .map(|claim| {
                let attempt = AttemptRow {
                    number: claim.attempt,
                    started_at: claim.created_at,
                    duration: Duration::from_millis(20),
                    outcome: Outcome::Accepted,
                    status_code: Some(204),
                    github_request_id: None,
                    possible_duplicate: false,
                    retry_after_capped: false,
                    request: KeptRequest::Text("{}".to_owned()),
                    response: "{}".to_owned(),
                };
                Recorded::of(claim, Transition::Delivered, Some(attempt))
            })
            .collect();
        store.record(&outcomes).await?;
    }
    Ok(())
}

fn entry(webhook: &StoredWebhook, number: u32) -> Result<IntakeEntry> {
    let named = |name: String| Pacticipant { name, ..Pacticipant::default() };
    let event = Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: named(format!("consumer-{}", number % 1_000)),
        provider: named(format!("provider-{}", number % 100)),
        pact_url: "https://broker.example/pacts/1".to_owned(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    };
    let new = NewEvent {
        id: EventId(Uuid::now_v7()),
        source: EventSource::Api,
        key: Some(Uuid::now_v7().to_string()),
        term: None,
        fingerprint: [0; 16],
        event: EventDocument::new(event)?,
        traceparent: None,
    };
    let (webhook_id, lane_id) = (webhook.id, webhook.lane_id);
    let delivery = NewDelivery { id: DeliveryId(Uuid::now_v7()), webhook_id, lane_id };
    Ok(IntakeEntry { event: new, deliveries: vec![delivery] })
}
