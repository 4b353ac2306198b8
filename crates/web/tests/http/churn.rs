//! Webhooks that change all the time, and events that come meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use tokio::task::JoinSet;

use crate::harness::{Harness, event, hook};

/// What writes webhooks without a pause must not keep events out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_keep_changing_keep_no_event_out() {
    let harness = Arc::new(Harness::start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..6 {
        let (harness, stop) = (Arc::clone(&harness), Arc::clone(&stop));
        let uuid = harness.webhook(&hook()).await;
        writers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let put = harness.json("PUT", &format!("/webhooks/{uuid}"), &hook()).await;
                assert_eq!(put.status, StatusCode::OK, "{put:?}");
            }
        });
    }
    for number in 0..40 {
        let taken = harness.event(&event()).await;
        assert_eq!(taken.status, StatusCode::ACCEPTED, "{number}: {taken:?}");
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}
