//! The operations API.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Harness, event, hook};

const LANE: &str = "api.github.com/githubToken";

async fn with_events(count: usize) -> Harness {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let events: Vec<_> = (0..count).map(|_| event()).collect();
    assert_eq!(harness.event(&Value::from(events)).await.status, StatusCode::ACCEPTED);
    harness
}

#[tokio::test]
async fn deliveries_page_by_page() {
    let harness = with_events(7).await;
    let mut seen = Vec::new();
    let mut next = String::new();
    for _ in 0..4 {
        let page = harness.get(&format!("/api/v1/deliveries?limit=2&cursor={next}")).await.json();
        seen.extend(page["deliveries"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(cursor) => cursor.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    let ids: Vec<_> = seen.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let keys: Vec<_> = seen[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "event_id",
        "event_name",
        "broker",
        "webhook_uuid",
        "consumer",
        "provider",
        "status",
        "lane",
        "attempts",
        "last_outcome",
        "last_status_code",
        "next_attempt_at",
        "created_at",
        "updated_at",
    ];
    assert_eq!(keys, expected);
    assert_eq!(seen[0]["status"], "queued");
    assert_eq!(seen[0]["consumer"], "C");
    let detail = harness.get(&format!("/api/v1/deliveries/{}", ids[0])).await.json();
    assert_eq!(detail["event"]["event_name"], "contract_published");
    assert_eq!(detail["attempts"], json!([]));
}

#[tokio::test]
async fn filters() {
    let harness = with_events(2).await;
    for (query, count) in [
        ("status=queued", 2),
        ("status=delivered", 0),
        ("consumer=C&provider=P&event=contract_published", 2),
        ("consumer=D", 0),
        ("lane=api.github.com/githubToken", 2),
        ("since=1h", 2),
        ("until=1h", 0),
        ("since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z", 2),
        ("webhook=0000000000000000", 0),
    ] {
        let page = harness.get(&format!("/api/v1/deliveries?{query}")).await.json();
        assert_eq!(page["deliveries"].as_array().map(Vec::len), Some(count), "{query}: {page}");
        assert_eq!(page["next"], Value::Null);
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let harness = Harness::start().await;
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("cursor=zzz", "cursor"),
        ("status=done", "status"),
        ("webhook=x", "webhook"),
        ("event=x", "event"),
        ("event_id=x", "event_id"),
        ("incident=x", "incident"),
        ("since=x", "since"),
        ("until=x", "until"),
        ("stauts=queued", "stauts"),
        ("status=queued&status=queued", "status"),
    ] {
        let answer = harness.get(&format!("/api/v1/deliveries?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("the parameter {name} ")), "{query}: {detail}");
    }
    assert_eq!(harness.get("/api/v1/incidents?open=maybe").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn paths_and_methods() {
    let harness = Harness::start().await;
    for (method, path, status, allow) in [
        ("GET", "/api/v1/nothing", 404, ""),
        ("GET", "/api/v1/deliveries/x", 404, ""),
        ("GET", "/api/v1/deliveries/01890000-0000-7000-8000-000000000000", 404, ""),
        ("POST", "/api/v1/stats", 405, "GET,HEAD"),
        ("GET", "/events", 405, "POST"),
        ("DELETE", "/api/v1/secrets/none", 404, ""),
    ] {
        let answer = harness.call(method, path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn lanes_are_held_and_released() {
    let harness = with_events(3).await;
    let held = harness.json("POST", "/api/v1/lanes/hold", &json!({"lane": LANE})).await;
    assert_eq!(held.status, StatusCode::OK, "{held:?}");
    assert_eq!((&held.json()["state"], &held.json()["cause"]), (&json!("held"), &json!("manual")));
    let lanes = harness.get("/api/v1/lanes").await.json();
    let lane = &lanes["lanes"][0];
    let keys: Vec<_> = lane.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "name",
        "limit",
        "state",
        "cause",
        "since",
        "reason",
        "until",
        "held_webhooks",
        "rate",
        "burst",
        "concurrency",
        "per_hour",
        "backlog",
        "backlog_is_exact",
        "oldest_at",
        "paused_until",
        "drain_seconds",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&lane["rate"], &lane["backlog"]), (&json!("75/min"), &json!(3)));
    assert_eq!(lane["drain_seconds"], Value::Null, "nothing drains: {lane}");
    assert!(lane["since"].is_string());
    let held = harness.get("/api/v1/deliveries?status=held").await.json();
    assert_eq!(held["deliveries"].as_array().unwrap().len(), 3);
    let released = harness.json("POST", "/api/v1/lanes/release", &json!({"lane": LANE})).await;
    assert_eq!(released.json()["state"], "open");
    assert!(released.json()["drain_seconds"].as_u64().unwrap() >= 2, "{released:?}");
    let unknown = json!({"lane": "api.github.com/gitHubTokn"});
    let missing = harness.json("POST", "/api/v1/lanes/hold", &unknown).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.text.contains(LANE), "{missing:?}");
    for body in [
        json!({}),
        json!({"lane": 1}),
        json!({"lane": LANE, "x": 1}),
        json!([]),
        json!({"lane": LANE, "until": "2020-01-01T00:00:00Z"}),
        json!({"lane": LANE, "reason": "two\nlines"}),
    ] {
        let answer = harness.json("POST", "/api/v1/lanes/hold", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let harness = with_events(1).await;
    let value = json!({"value": "hunter2"});
    let set = harness.json("PUT", "/api/v1/secrets/githubToken", &value).await;
    assert_eq!(set.status, StatusCode::CREATED, "{set:?}");
    let first = set.json()["rev"].as_i64().unwrap();
    assert_eq!(set.json()["lanes_opened"], json!([]));
    let again = harness.json("PUT", "/api/v1/secrets/githubToken", &value).await;
    assert_eq!(again.status, StatusCode::OK, "{again:?}");
    assert!(again.json()["rev"].as_i64().unwrap() > first);
    let list = harness.get("/api/v1/secrets").await;
    assert_eq!(list.json()["secrets"][0]["name"], "githubToken");
    for answer in [&set, &again, &list] {
        assert!(!answer.text.contains("hunter2"));
    }
    let deleted = harness.call("DELETE", "/api/v1/secrets/githubToken", &[], "").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let none = json!({"secrets": [], "next": null, "total": 0, "total_is_exact": true});
    assert_eq!(harness.get("/api/v1/secrets").await.json(), none);
}

#[tokio::test]
async fn wrong_secrets_are_refused_without_their_value() {
    let harness = Harness::start().await;
    let long = "x".repeat(64 * 1024 + 1);
    for (name, body) in [
        ("a", json!({"value": ""})),
        ("a", json!({"value": long})),
        ("a", json!({"value": ["hunter2"]})),
        ("a", json!({"value": "hunter2\u{0}"})),
        ("a", json!({"valu": "hunter2"})),
        ("a", json!("hunter2")),
        ("a.b", json!({"value": "hunter2"})),
        ("a%20b", json!({"value": "hunter2"})),
    ] {
        let answer = harness.json("PUT", &format!("/api/v1/secrets/{name}"), &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {answer:?}");
        assert!(!answer.text.contains("hunter2"), "{answer:?}");
    }
    let json_type = [("content-type", "application/json")];
    let broken = r#"{"value":"hunter2"#;
    let answer = harness.call("PUT", "/api/v1/secrets/a", &json_type, broken).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.text.contains("hunter2"), "{answer:?}");
    let longest = json!({"value": "\"".repeat(64 * 1024)});
    let answer = harness.json("PUT", "/api/v1/secrets/a", &longest).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.status);
    assert_eq!(harness.get("/api/v1/secrets").await.json()["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn replay_says_what_it_would_do() {
    let harness = with_events(2).await;
    let plan = harness
        .json("POST", "/api/v1/deliveries/replay", &json!({"consumer": "C", "dry_run": true}))
        .await;
    assert_eq!(plan.status, StatusCode::OK, "{plan:?}");
    let expected = json!({"id": null, "dry_run": true, "deliveries": 0, "done": 0,
        "finished": true, "open": 2, "without_webhook": 0, "lanes": []});
    assert_eq!(plan.json(), expected);
    for body in [
        json!({}),
        json!({"dry_run": true}),
        json!({"ids": []}),
        json!({"ids": ["x"]}),
        json!({"ids": "x"}),
        json!({"status": 1}),
        json!({"status": "done"}),
        json!({"consumer": "C", "dry_run": "yes"}),
        json!({"consumr": "C"}),
    ] {
        let answer = harness.json("POST", "/api/v1/deliveries/replay", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn what_waits_is_discarded_by_filter() {
    let harness = with_events(3).await;
    let discard = async |body: Value| {
        let answer = harness.json("POST", "/api/v1/deliveries/discard", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    };
    let plan = discard(json!({"consumer": "C", "dry_run": true})).await;
    assert_eq!((&plan["deliveries"], &plan["id"]), (&json!(3), &Value::Null), "{plan}");
    let done = discard(json!({"consumer": "C"})).await;
    assert_eq!((&done["deliveries"], &done["finished"]), (&json!(3), &json!(true)), "{done}");
    let list = harness.get("/api/v1/deliveries?status=discarded").await.json();
    assert_eq!((&list["total"], &list["total_is_exact"]), (&json!(3), &json!(true)), "{list}");
    let again = discard(json!({"resume": done["id"]})).await;
    assert_eq!((&again["deliveries"], &again["done"]), (&json!(0), &json!(3)), "{again}");
    // An act under the caller's own id can be asked for again, or gone on with.
    let id = json!(uuid::Uuid::now_v7());
    let own = json!({"consumer": "C", "id": id});
    for body in [own.clone(), own, json!({"resume": id})] {
        let done = discard(body).await;
        assert_eq!((&done["id"], &done["done"], &done["finished"]), (&id, &json!(0), &json!(true)));
    }
    for body in [
        json!({"resume": "x"}),
        json!({"resume": done["id"], "consumer": "C"}),
        json!({"id": "x", "consumer": "C"}),
        json!({"id": id, "consumer": "D"}),
        json!({}),
    ] {
        let answer = harness.json("POST", "/api/v1/deliveries/discard", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn one_that_waits_is_discarded_by_its_id() {
    let harness = with_events(2).await;
    let list = harness.get("/api/v1/deliveries").await.json();
    let id = list["deliveries"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/deliveries/{id}/discard");
    for (discarded, left_alone) in [(1, 0), (0, 1)] {
        let answer = harness.call("POST", &path, &[], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let done = answer.json();
        assert_eq!(
            (&done["deliveries"], &done["not_waiting"]),
            (&json!(discarded), &json!(left_alone))
        );
    }
    let list = harness.get("/api/v1/deliveries?status=discarded").await.json();
    assert_eq!((&list["total"], &list["deliveries"][0]["id"]), (&json!(1), &json!(id)), "{list}");
    for unknown in ["x", "01890000-0000-7000-8000-000000000000"] {
        let path = format!("/api/v1/deliveries/{unknown}/discard");
        let answer = harness.call("POST", &path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
}

#[tokio::test]
async fn figures_and_incidents() {
    let harness = with_events(4).await;
    let stats = harness.get("/api/v1/stats").await.json();
    assert_eq!(stats["backlog"], json!([{"lane": LANE, "waiting": 4}]));
    assert_eq!(stats["sending"], 0);
    assert!(stats["oldest_pending_seconds"].is_u64(), "{stats}");
    assert_eq!(
        harness.get("/api/v1/incidents").await.json(),
        json!({"incidents": [], "next": null, "total": 0, "total_is_exact": true})
    );
}
