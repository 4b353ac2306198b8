//! RabbitMQ is away: events are taken all the same, up to a bound.

use std::time::Duration;

use http::StatusCode;
use postrider_ingest::DispatchQueue;
use postrider_queue::{Publisher, QueueConfig};
use postrider_store::{ClaimTerms, LaneShare, WorkerId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::harness::{Harness, Setting, event, hook};

/// A publisher whose broker is never there: nothing listens on the discard port.
fn unreachable(cancel: &CancellationToken) -> DispatchQueue {
    let config = QueueConfig::new("amqp://guest:guest@127.0.0.1:9/%2f".into(), "test");
    DispatchQueue::RabbitMq(Publisher::start(config, &TaskTracker::new(), cancel.clone()))
}

async fn start(max_unpublished: u32, cancel: &CancellationToken) -> Harness {
    let sweep_after = Duration::from_hours(1);
    let setting =
        Setting { queue: unreachable(cancel), sweep_after, max_unpublished, ..Setting::default() };
    let harness = Harness::with("", setting).await;
    let mut unlimited = hook();
    unlimited["request"]["url"] = "https://example.org/x".into();
    harness.webhook(&unlimited).await;
    harness
}

#[tokio::test]
async fn what_the_queue_refuses_is_due_in_the_store_at_once() {
    let cancel = CancellationToken::new();
    let harness = start(1_000_000, &cancel).await;
    let answer = harness.event(&event()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    harness.end().await;
    let lane = harness.store.lanes().await.unwrap()[0].id;
    let terms = ClaimTerms {
        worker: WorkerId(Uuid::now_v7()),
        timeout: Duration::from_secs(20),
        margin: Duration::ZERO,
    };
    let claimed =
        harness.store.claim_due(&[LaneShare { lane, limit: 10 }], false, terms).await.unwrap();
    assert_eq!(claimed.len(), 1, "left to the sweep");
    cancel.cancel();
}

#[tokio::test]
async fn at_the_bound_events_are_refused() {
    let cancel = CancellationToken::new();
    let harness = start(0, &cancel).await;
    assert_eq!(harness.event(&event()).await.status, StatusCode::ACCEPTED);
    // The count is taken every 5 s.
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..300 {
        ticks.tick().await;
        let answer = harness.event(&event()).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.header("retry-after"), "5");
            assert!(answer.text.contains("RabbitMQ"), "{answer:?}");
            return cancel.cancel();
        }
    }
    panic!("never refused");
}
