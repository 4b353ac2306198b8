//! The journal, its counts and waiting for them.

use std::collections::HashSet;
use std::time::Duration;

use postrider_github_double::{Double, Entry, Kind, NotReached, Options, Play, TokenSeen};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::harness::{CAP, TOKEN, client, dispatch, dispatch_as, double, payload, status};

#[tokio::test]
async fn an_entry_tells_all_but_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let options = Options { journal_file: Some(file.clone()), ..Options::default() };
    let double = Double::start(options).await.unwrap();
    let leaky = json!({"event_type": "t", "client_payload": {"delivery_id": "d", "leak": TOKEN}});
    let url = format!("{}/repos/o/r/dispatches?secret={TOKEN}", double.base_url());
    let request = client().post(url).bearer_auth(TOKEN).json(&leaky);
    let request = request.header("traceparent", "00-1-2-01");
    assert_eq!(status(request).await, 204);
    let entry = double.journal().pop().unwrap();
    assert_eq!((entry.seq, entry.kind), (1, Kind::Dispatch));
    assert_eq!((entry.method.as_str(), entry.path.as_str()), ("POST", "/repos/o/r/dispatches"));
    assert_eq!(entry.repo.as_deref(), Some("o/r"));
    assert_eq!(entry.token, TokenSeen::Accepted(0));
    assert_eq!(entry.user_agent.as_deref(), Some("postrider-test"));
    assert_eq!(entry.event_type.as_deref(), Some("t"));
    assert_eq!(entry.delivery_id.as_deref(), Some("d"));
    assert!(entry.headers.contains(&("traceparent".to_owned(), "00-1-2-01".to_owned())));
    assert_eq!((entry.status, entry.accepted), (Some(204), true));
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(lines.trim_end()).unwrap(), entry);
    assert!(!lines.contains(TOKEN), "{lines}");
    assert!(!format!("{double:?} {:?}", Options::default()).contains(TOKEN));
}

#[tokio::test]
async fn concurrent_requests_are_all_counted_once() {
    let double =
        Double::start(Options { journal_capacity: 100, ..Options::default() }).await.unwrap();
    let client = client();
    let tasks = TaskTracker::new();
    for worker in 0..10 {
        let url = format!("{}/repos/o/r{worker}/dispatches", double.base_url());
        let client = client.clone();
        tasks.spawn(async move {
            for n in 0..50 {
                let id = format!("{worker}-{}", n % 40);
                let request = client.post(&url).bearer_auth(TOKEN).json(&payload(&id));
                assert_eq!(status(request).await, 204);
            }
        });
    }
    double.wait_for(500, CAP).await.unwrap();
    let counts = double.counts();
    assert_eq!((counts.requests, counts.accepted), (500, 500));
    assert_eq!((counts.distinct, counts.duplicates, counts.forgotten), (400, 100, 400));
    let numbers: Vec<u64> = double.journal().iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, (401..=500).collect::<Vec<_>>());
    let peak = double.in_flight_peak();
    assert!((1..=10).contains(&peak), "{peak}");
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn waiting_is_bounded_and_tells_how_far_it_came() {
    let double = double().await;
    assert_eq!(status(dispatch(&client(), &double, "o/r")).await, 204);
    double.wait_for(1, CAP).await.unwrap();
    let cap = Duration::from_millis(50);
    let missed = NotReached { wanted: 2, accepted: 1, cap };
    assert_eq!(double.wait_for(2, cap).await, Err(missed));
}

#[tokio::test]
async fn a_benchmark_counts_and_keeps_nothing() {
    let double = Double::start(Options::bench()).await.unwrap();
    for id in ["a", "b", "a"] {
        let request = dispatch_as(&client(), &double, "o/r", TOKEN, &payload(id));
        assert_eq!(status(request).await, 204);
    }
    let counts = double.counts();
    assert_eq!((counts.accepted, counts.distinct, counts.duplicates), (3, 2, 1));
    assert!(double.journal().is_empty());
}

#[tokio::test]
async fn hooks_take_anything_and_follow_scripts() {
    let double = double().await;
    let client = client();
    let hook = |name: &str| client.post(format!("{}/hook/{name}", double.base_url()));
    assert_eq!(status(hook("chat").body("text").header("x-postrider-delivery-id", "h")).await, 200);
    double.script("chat", vec![Play::status(500)]).unwrap();
    assert_eq!(status(hook("other")).await, 200);
    assert_eq!(status(hook("chat")).await, 500);
    assert_eq!(status(hook("chat")).await, 200);
    let first = double.journal().remove(0);
    assert_eq!((first.kind, first.hook.as_deref()), (Kind::Hook, Some("chat")));
    assert_eq!((first.delivery_id.as_deref(), first.body.as_deref()), (Some("h"), Some("text")));
    assert_eq!((double.counts().hooks, double.counts().accepted), (4, 3));
}

#[tokio::test]
async fn a_reset_starts_afresh() {
    let double = double().await;
    double.script("o/r", vec![Play::Check, Play::status(500)]).unwrap();
    assert_eq!(status(dispatch(&client(), &double, "o/r")).await, 204);
    double.reset();
    assert_eq!(double.counts().requests, 0);
    assert!(double.journal().is_empty());
    assert_eq!(status(dispatch(&client(), &double, "o/r")).await, 204);
    assert_eq!(double.counts().duplicates, 0);
    let numbers: HashSet<u64> = double.journal().iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, HashSet::from([2]), "numbers go on");
}
