//! The stream over a real store: what is told of deliveries, lanes and incidents, and of what came
//! while nobody listened.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::contract::assert_valid;
use crate::harness::{Harness, event, hook};

const STREAM: &str = "/api/v1/stream";
/// For a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);

/// An event of the stream.
#[derive(Debug)]
struct Told {
    event: String,
    id: String,
    data: Value,
}

struct Listening {
    body: BodyDataStream,
    text: String,
}

impl Listening {
    async fn to(harness: &Harness, path: &str, headers: &[(&str, &str)]) -> Self {
        Self { body: harness.listen(path, headers).await, text: String::new() }
    }

    /// The next event.
    async fn next(&mut self) -> Told {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                let of = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                if let (Some(event), Some(data)) = (of("event:"), of("data:")) {
                    let data = serde_json::from_str(&data).unwrap();
                    return Told { event, id: of("id:").unwrap_or_default(), data };
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await;
            let chunk = chunk.expect("an event in time").expect("no end").unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name.
    async fn find(&mut self, event: &str) -> Told {
        loop {
            let told = self.next().await;
            if told.event == event {
                return told;
            }
        }
    }
}

/// How many deliveries are told before one of this consumer, itself included.
async fn until(listening: &mut Listening, consumer: &str) -> (usize, Told) {
    let mut count = 0;
    loop {
        let told = listening.find("delivery").await;
        count += 1;
        if told.data["consumer"] == consumer {
            return (count, told);
        }
    }
}

fn event_of(consumer: &str) -> Value {
    let mut event = event();
    event["consumer"]["name"] = consumer.into();
    event
}

#[tokio::test]
async fn deliveries_and_lanes_are_told_as_the_lists_have_them() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    harness.event(&event_of("before")).await;
    let mut all = Listening::to(&harness, STREAM, &[]).await;
    let some = format!("{STREAM}?topics=deliveries&consumer=C2");
    let mut some = Listening::to(&harness, &some, &[]).await;
    let created = harness.event(&event_of("C1")).await.json();
    harness.event(&event_of("C2")).await;
    let (count, first) = until(&mut all, "C1").await;
    assert_eq!(count, 1, "what was there before is not told");
    assert_eq!(first.data["id"], created["deliveries"][0]["id"]);
    assert_valid(true, "/components/schemas/Delivery", &first.data);
    let path = format!("/api/v1/deliveries/{}", first.data["id"].as_str().unwrap());
    let listed = harness.get("/api/v1/deliveries?consumer=C1").await.json();
    assert_eq!(listed["deliveries"][0], first.data, "{path}");
    assert_eq!(until(&mut some, "C2").await.0, 1);
    let lane = first.data["lane"].clone();
    harness.json("POST", "/api/v1/lanes/hold", &json!({"lane": lane})).await;
    let held = all.find("lane").await;
    assert_valid(true, "/components/schemas/Lane", &held.data);
    let held = if held.data["state"] == "held" { held } else { all.find("lane").await };
    assert_eq!((&held.data["name"], &held.data["state"]), (&lane, &json!("held")));
}

#[tokio::test]
async fn a_listener_goes_on_at_another_replica() {
    let harness = Harness::start().await;
    let replica = harness.replica(Duration::from_secs(10));
    harness.webhook(&hook()).await;
    let mut here = Listening::to(&harness, STREAM, &[]).await;
    harness.event(&event_of("C1")).await;
    let (_, last) = until(&mut here, "C1").await;
    drop(here);
    harness.event(&event_of("C2")).await;
    let back = [("last-event-id", last.id.as_str())];
    let mut there = Listening::to(&replica, STREAM, &back).await;
    loop {
        let told = there.next().await;
        assert_ne!(told.event, "reset", "what came since is told");
        if told.data["consumer"] == "C2" {
            break;
        }
    }
    let mut anew = Listening::to(&replica, STREAM, &[("last-event-id", "odd")]).await;
    assert_eq!(anew.next().await.event, "reset");
}

#[tokio::test]
async fn wrong_words_are_refused() {
    let harness = Harness::start().await;
    for query in ["topics=delivery", "status=odd", "limit=7"] {
        let answer = harness.get(&format!("{STREAM}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
    let answer = harness.get(STREAM).await;
    assert_eq!(answer.header("cache-control"), "no-store, no-transform");
    assert!(answer.text.starts_with("retry: 3000\n"), "{answer:?}");
}

#[tokio::test]
async fn a_shutdown_ends_streams_at_once() {
    let harness = Harness::start().await;
    let mut listening = Listening::to(&harness, STREAM, &[]).await;
    harness.cancel.cancel();
    let bye = listening.find("bye").await;
    assert_eq!(bye.data, json!({"reason": "shutdown"}));
    assert!(listening.body.next().await.is_none());
}

#[tokio::test]
async fn hours_are_counted_by_status() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    for _ in 0..3 {
        harness.event(&event()).await;
    }
    let stats = harness.get("/api/v1/stats?by=hour").await.json();
    let hours = stats["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 24);
    let queued: u64 = hours.iter().map(|hour| hour["queued"].as_u64().unwrap()).sum();
    assert_eq!(queued, 3, "{stats}");
    assert!(harness.get("/api/v1/stats").await.json().get("hours").is_none());
    for query in ["by=day", "by=hour&since=9d", "since=2h"] {
        let answer = harness.get(&format!("/api/v1/stats?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
}
