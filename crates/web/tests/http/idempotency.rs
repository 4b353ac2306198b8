//! One key, one event, however often and however concurrently it is sent.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Harness, event, hook};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn an_event_becomes_deliveries_and_wakes_lanes() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    let answer = harness.event(&event()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["duplicate"], false);
    assert_eq!(body["deliveries"][0]["webhook_uuid"], uuid.as_str());
    assert_eq!(body["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(body.as_object().unwrap().len(), 3);
    let id = body["deliveries"][0]["id"].as_str().unwrap();
    let shown = harness.get(&format!("/api/v1/deliveries/{id}")).await.json();
    assert_eq!(shown["event_id"], body["event_id"]);
    assert_eq!(shown["lane"], "api.github.com/githubToken");
    harness.end().await;
    assert_eq!(harness.woken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_accepted() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let mut unwanted = event();
    unwanted["event_name"] = "provider_verification_failed".into();
    let answer = harness.event(&unwanted).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["deliveries"], json!([]));
}

#[tokio::test]
async fn a_webhook_is_seen_by_the_next_event() {
    let harness = Harness::start().await;
    assert_eq!(harness.event(&event()).await.json()["deliveries"], json!([]));
    let uuid = harness.webhook(&hook()).await;
    assert_eq!(harness.event(&event()).await.json()["deliveries"][0]["webhook_uuid"], *uuid);
    assert_eq!(
        harness.call("DELETE", &format!("/webhooks/{uuid}"), &[], "").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(harness.event(&event()).await.json()["deliveries"], json!([]));
}

#[tokio::test]
async fn repeats_answer_the_same_ids() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let headers = [JSON, ("idempotency-key", "k1")];
    let first = harness.call("POST", "/events", &headers, event().to_string()).await.json();
    let second = harness.call("POST", "/events", &headers, event().to_string()).await.json();
    assert_eq!(first["duplicate"], false);
    assert_eq!(second["duplicate"], true);
    assert_eq!(first["event_id"], second["event_id"]);
    assert_eq!(first["deliveries"], second["deliveries"]);
    let mut other = event();
    other["consumer"]["name"] = "D".into();
    let refused = harness.call("POST", "/events", &headers, other.to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.json()["detail"].as_str().unwrap().contains("key"), "{refused:?}");
    assert_eq!(harness.delivery_count().await, 1);
}

#[tokio::test]
async fn a_batch_answers_in_order() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let mut bad = event();
    bad["consumer"] = Value::Null;
    let mut unknown = event();
    unknown["event_name"] = "x".into();
    let batch = json!([event(), bad, event(), unknown]);
    let headers = [JSON, ("idempotency-key", "b")];
    let answer = harness.call("POST", "/events", &headers, batch.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let items = answer.json();
    let statuses: Vec<_> = items.as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, [202, 400, 202, 422]);
    assert_eq!(items[1]["errors"][0]["pointer"], "/1/consumer");
    assert_ne!(items[0]["event_id"], items[2]["event_id"]);
    assert_eq!(harness.delivery_count().await, 2);
    let again = harness.call("POST", "/events", &headers, batch.to_string()).await.json();
    assert_eq!(again[2]["event_id"], items[2]["event_id"]);
    assert_eq!((&again[0]["duplicate"], &again[2]["duplicate"]), (&json!(true), &json!(true)));
    assert_eq!(harness.delivery_count().await, 2);
}

#[tokio::test]
async fn more_than_one_commit_in_one_call() {
    let harness = Harness::start().await;
    let lines: Vec<String> = (0..1_203)
        .map(|i| {
            let mut one = event();
            one["id"] = format!("id-{}", i % 1_200).into();
            one.to_string()
        })
        .collect();
    let headers = [("content-type", "application/x-ndjson")];
    let answer = harness.call("POST", "/events", &headers, lines.join("\n")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let items = answer.json();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 1_203);
    assert!(items.iter().all(|item| item["status"] == 202));
    let duplicates = items.iter().filter(|item| item["duplicate"] == true).count();
    assert_eq!(duplicates, 3);
    assert_eq!(items[1_200]["event_id"], items[0]["event_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_at_the_same_moment() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    for round in 0..25 {
        let mut keyed = event();
        keyed["id"] = format!("k-{round}").into();
        let answers = join_all((0..8).map(|_| harness.event(&keyed))).await;
        let bodies: Vec<_> = answers.iter().map(crate::harness::Answer::json).collect();
        assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED), "{bodies:?}");
        let new = bodies.iter().filter(|body| body["duplicate"] == false).count();
        assert_eq!(new, 1, "{bodies:?}");
        assert!(bodies.iter().all(|body| body["event_id"] == bodies[0]["event_id"]));
        assert!(bodies.iter().all(|body| body["deliveries"] == bodies[0]["deliveries"]));
        assert_eq!(harness.delivery_count().await, round + 1);
    }
}

#[tokio::test]
async fn after_the_end_was_called_events_are_refused() {
    let harness = Harness::start().await;
    harness.cancel.cancel();
    let answer = harness.event(&event()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
    harness.end().await;
}
