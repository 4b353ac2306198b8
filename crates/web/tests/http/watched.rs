//! A call of a broker that meets an event which the watch made: merged, or another publication.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{Event, EventId, EventName, Pacticipant, PairKey};
use postrider_store::{
    EventDocument, EventKey, IntakeBatch, IntakeEntry, IntakeResult, KeyTerm, KnownDebt,
    NewDelivery, NewEvent, WhyKnown, WorkerId,
};
use postrider_testkit::broker::ScriptedBroker;
use uuid::Uuid;

use crate::harness::{Harness, hook};

const RELAY: &str = "8c9b5a52-6ed4-4a3d-9a3c-0d4a6f3b1c11";

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// A broker with one contract that one version owes a result for, published `times` times.
async fn broker(times: i64) -> ScriptedBroker {
    let broker = ScriptedBroker::start().await.unwrap();
    broker.model(|model| {
        model.main_branch("P", Some("main"), ago(90)).build_on("P", "p1", "main", ago(80));
        for time in 0..times {
            model.publish("C", "1", "P", "one", ago(30 - time));
        }
        model.relay_webhook(RELAY, "https://postrider.example/hooks/broker/?eventName=x");
    });
    broker
}

/// What the watch does with a debt: an event under the key of the call, and a note of it. It was
/// made so many minutes ago.
async fn watch_told(harness: &Harness, minutes: u64) -> EventId {
    let store = &harness.store;
    let sha = "one";
    let side = |name: &str, version: &str| Pacticipant {
        name: name.to_owned(),
        version_number: version.to_owned(),
        ..Pacticipant::default()
    };
    let event = Event {
        event_name: EventName::ContractRequiringVerificationPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("C", "1"),
        provider: side("P", "p1"),
        pact_url: format!("https://b/pacts/provider/P/consumer/C/pact-version/{sha}/metadata/Y3"),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    };
    let age = Duration::from_secs(minutes * 60);
    let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap() - minutes * 60_000;
    let id = EventId(uuid_at(millis));
    let EventKey { text, fingerprint } = EventKey::of(&event).unwrap();
    let term = KeyTerm {
        arrived: Instant::now().checked_sub(age).unwrap(),
        longest: Duration::from_mins(45),
    };
    let table = store.webhook_table(None).await.unwrap().unwrap();
    let event = NewEvent {
        id,
        key: text,
        term: Some(term),
        fingerprint,
        event: EventDocument::new(event).unwrap(),
        source: postrider_domain::EventSource::Watch,
        traceparent: None,
    };
    let deliveries = table.webhooks.iter().map(|webhook| NewDelivery::of(webhook)).collect();
    let entries = Arc::new(vec![IntakeEntry { event, deliveries }]);
    let batch = IntakeBatch { webhooks_version: table.version, entries };
    let results = store.commit_events(&batch).await.unwrap().unwrap();
    assert_eq!(results, [IntakeResult::Accepted]);
    note(harness, id).await;
    id
}

async fn note(harness: &Harness, event: EventId) {
    let (store, owner) = (&harness.store, WorkerId(Uuid::now_v7()));
    let lease = store.monitor_lease(owner, None, Duration::from_mins(1)).await.unwrap().unwrap();
    let key = PairKey {
        broker: "default".to_owned(),
        consumer: "C".to_owned(),
        provider: "P".to_owned(),
    };
    let debt = KnownDebt {
        consumer_version: "1".to_owned(),
        provider_version: "p1".to_owned(),
        published_at: None,
        why: WhyKnown::Watch,
        event: Some(event),
        again: 0,
    };
    assert!(store.save_known_debts(lease, &key, &[debt]).await.unwrap());
    store.monitor_give_up(lease).await.unwrap();
}

fn uuid_at(millis: u64) -> Uuid {
    let random = Uuid::now_v7().as_u128() & ((1 << 80) - 1);
    Uuid::from_u128((u128::from(millis) << 80) | random)
}

/// A webhook that asks for verifications.
async fn webhook(harness: &Harness) {
    let mut hook = hook();
    let name = EventName::ContractRequiringVerificationPublished.as_str();
    hook["events"] = serde_json::json!([{ "name": name }]);
    harness.webhook(&hook).await;
}

/// Calls as the broker's webhook does; whether the event was known, and which it is.
async fn call(harness: &Harness, more: &str) -> (bool, String) {
    let sha = "one";
    let pact = format!("http%3A%2F%2Fb%2Fpact-version%2F{sha}%2Fmetadata%2Fzz");
    let query = format!(
        "eventName=contract_requiring_verification_published&consumerName=C&providerName=P\
         &consumerVersionNumber=1&providerVersionNumber=p1&pactUrl={pact}{more}"
    );
    let answer = harness.call("POST", &format!("/hooks/broker?{query}"), &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    (body["duplicate"] == true, body["event_id"].as_str().unwrap().to_owned())
}

/// What is told of calls that were merged with an event; nothing when none was.
async fn merged(harness: &Harness, event: &str) -> String {
    let shown = harness.get(&format!("/api/v1/events/{event}")).await.json();
    let merged = &shown["merged"];
    if merged.is_null() {
        return String::new();
    }
    assert!(merged["last_at"].is_string(), "{merged}");
    format!("{} {}", merged["calls"], merged["because"].as_str().unwrap())
}

#[tokio::test]
async fn the_first_call_is_merged_and_the_next_is_another_publication() {
    let harness = Harness::start().await;
    webhook(&harness).await;
    let told = watch_told(&harness, 0).await.0.to_string();
    // Nobody need be asked.
    assert_eq!(call(&harness, "").await, (true, told.clone()));
    assert_eq!(merged(&harness, &told).await, "1 just_made");
    let (is_known, id) = call(&harness, "").await;
    assert!(!is_known && id != told, "{id}");
    assert_eq!(harness.delivery_count().await, 2);
}

/// Minutes later the broker is asked how often it published.
#[tokio::test]
async fn a_late_call_is_told_apart_by_what_the_broker_triggered() {
    for (publications, more, why) in [
        (1, "", "1 one_publication"),
        (1, "&relay=8c9b5a52-6ed4-4a3d-9a3c-0d4a6f3b1c11", "1 one_publication"),
        (2, "", ""),
        (2, "&relay=8c9b5a52-6ed4-4a3d-9a3c-0d4a6f3b1c11", ""),
        // It is no webhook of the broker's: nobody can tell.
        (2, "&relay=another", "1 relay_unknown"),
    ] {
        let is_merged = !why.is_empty();
        let harness = Harness::start().await;
        webhook(&harness).await;
        let broker = broker(publications).await;
        let asking = harness.asking(broker.url());
        let told = watch_told(&harness, 5).await.0.to_string();
        let (is_known, id) = call(&asking, more).await;
        let told_of = format!("{publications} publications, {more:?}");
        assert_eq!((is_known, id == told), (is_merged, is_merged), "{told_of}");
        assert_eq!(merged(&asking, &told).await, why, "{told_of}");
        let deliveries = if is_merged { 1 } else { 2 };
        assert_eq!(harness.delivery_count().await, deliveries, "{told_of}");
        // The publication's call was met: the next one is another.
        assert!(!call(&asking, more).await.0, "{told_of}");
        asking.end().await;
    }
}

#[tokio::test]
async fn where_nobody_can_tell_a_late_call_is_merged() {
    let harness = Harness::start().await;
    webhook(&harness).await;
    let broker = broker(2).await;
    broker.trouble(Some((500, None, "{}")));
    let told = watch_told(&harness, 5).await.0.to_string();
    let asking = harness.asking(broker.url());
    assert!(call(&asking, "").await.0);
    assert_eq!(merged(&asking, &told).await, "1 broker_unasked");
    asking.end().await;
    // After all that the broker's repeats may take it can't be that call.
    let harness = Harness::start().await;
    webhook(&harness).await;
    watch_told(&harness, 46).await;
    assert!(!call(&harness, "").await.0);
}
