//! What a broker's webhook sends becomes the right event, once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use futures_util::stream;
use http::StatusCode;
use postrider_telemetry::Metrics;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::harness::{Answer, Harness, hook};
use crate::recorded::{self, Recorded};

const PATH: &str = "/hooks/broker";
const QUERY: &str = "eventName=contract_published&consumerName=C&providerName=P\
                     &consumerVersionNumber=1&pactUrl=https%3A%2F%2Fb%2Fpacts%2F1";
const BROKEN: &str = r#"{"consumerVersionTags":"te"st"}"#;

async fn relay(harness: &Harness, query: &str, body: &str) -> Answer {
    harness.call("POST", &format!("{PATH}?{query}"), &[], body.to_owned()).await
}

/// A webhook that wants everything.
async fn all_events(harness: &Harness) {
    let mut hook = hook();
    let names = [
        "contract_published",
        "contract_content_changed",
        "contract_requiring_verification_published",
        "provider_verification_published",
        "provider_verification_succeeded",
        "provider_verification_failed",
    ];
    hook["events"] = names.map(|name| json!({ "name": name })).to_vec().into();
    harness.webhook(&hook).await;
}

/// The event that an answer's only delivery is for.
async fn event_of(harness: &Harness, answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["duplicate"], false, "{body}");
    assert_eq!(body["deliveries"].as_array().unwrap().len(), 1, "{body}");
    let id = body["deliveries"][0]["id"].as_str().unwrap();
    let shown = harness.get(&format!("/api/v1/deliveries/{id}")).await.json();
    assert_eq!(shown["event_id"], body["event_id"]);
    shown["event"].clone()
}

fn names(values: &[&str]) -> Value {
    values.iter().copied().filter(|value| !value.is_empty()).collect::<Vec<_>>().into()
}

/// The event that a recorded request tells.
fn expected(recorded: &Recorded) -> Value {
    let value = |name: &str| Value::from(recorded.value(name));
    let success = match recorded.value("githubVerificationStatus") {
        "success" => json!(true),
        status => {
            assert_eq!(status, "pending");
            Value::Null
        }
    };
    let tags: Vec<&str> = recorded.value("consumerVersionTags").split(", ").collect();
    let mut event = json!({
        "event_name": value("eventName"),
        "broker": "default",
        "consumer": {
            "name": "Con Sumer", "version_number": value("consumerVersionNumber"),
            "branch": value("consumerVersionBranch"), "tags": names(&tags), "labels": ["c lab"],
        },
        "provider": {
            "name": "Pro/vider", "version_number": value("providerVersionNumber"),
            "branch": value("providerVersionBranch"),
            "tags": names(&[recorded.value("providerVersionTags")]),
            "labels": ["p\"lab", "p2"],
        },
        "pact_url": value("pactUrl"),
        "verification_result_url": value("verificationResultUrl"),
        "verification_success": success,
        "build_url": value("buildUrl"),
        "currently_deployed_provider_version_number": "",
    });
    let descriptions = recorded.value("providerVersionDescriptions");
    if !descriptions.is_empty() {
        event["provider"]["version_descriptions"] = json!([descriptions]);
    }
    event
}

#[tokio::test]
async fn recorded_deliveries_become_the_right_events() {
    let harness = Harness::start().await;
    all_events(&harness).await;
    let recorded = recorded::all();
    assert_eq!(recorded.len(), 8);
    for request in &recorded {
        let answer = relay(&harness, &request.query(), "").await;
        assert_eq!(event_of(&harness, &answer).await, expected(request));
        let with_body = relay(&harness, &request.query(), &request.body).await;
        assert_eq!(event_of(&harness, &with_body).await, expected(request));
    }
    let tags = recorded[0].value("consumerVersionTags");
    assert_eq!(tags, "dev, te\"st", "what breaks the body is among the values");
    let text = harness.metrics.render().unwrap();
    assert!(text.contains(r#"relay_broken_bodies_total{accepted="true"} 8"#), "{text}");
}

#[tokio::test]
async fn recorded_bodies_alone_are_refused_where_they_break() {
    let harness = Harness::start().await;
    all_events(&harness).await;
    for request in recorded::all() {
        let refused = relay(&harness, "", &request.body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        let detail = refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        let column = place(&detail);
        // The parser stops at the text behind the quote that closed the value too early.
        let before = request.body.get(..column - 1).unwrap();
        assert!(before.ends_with("te\"") || before.ends_with(":\"p\""), "{detail}: {before}");
        assert!(detail.contains("query string"), "{detail}");
        assert!(detail.contains("eventName, consumerName, providerName"), "{detail}");
    }
    assert_eq!(harness.delivery_count().await, 0);
    assert_counted(&harness.metrics, "false", 8);
    // Unbroken, the same body says everything.
    let mended = recorded::all()[0].body.replace("te\"st", "te\\\"st").replace("p\"l", "p\\\"l");
    let answer = relay(&harness, "", &mended).await;
    assert_eq!(event_of(&harness, &answer).await, expected(&recorded::all()[0]));
}

/// The column that a message names.
fn place(detail: &str) -> usize {
    let (_, rest) = detail.split_once("line 1 column ").unwrap_or_else(|| panic!("{detail}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn assert_counted(metrics: &Metrics, accepted: &str, count: u32) {
    let text = metrics.render().unwrap();
    let line = format!("postrider_relay_broken_bodies_total{{accepted=\"{accepted}\"}} {count}");
    assert!(text.lines().any(|found| found == line), "no {line} in {text}");
}

#[tokio::test]
async fn an_equal_call_after_an_answer_is_a_new_event() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let body = relay(&harness, QUERY, "").await.json();
        assert_eq!(body["duplicate"], false);
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        ids.push(body["event_id"].clone());
    }
    ids.dedup();
    assert_eq!((ids.len(), harness.delivery_count().await), (3, 3));
}

#[tokio::test]
async fn a_repeat_of_an_unanswered_call_is_recognised() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    // This replica has no time to answer, but commits what it took.
    let hurried = harness.replica(Duration::ZERO);
    let unanswered = relay(&hurried, QUERY, "").await;
    assert_eq!(unanswered.status, StatusCode::SERVICE_UNAVAILABLE, "{unanswered:?}");
    assert_eq!(unanswered.header("retry-after"), "5");
    hurried.end().await;
    assert_eq!(harness.delivery_count().await, 1);

    let other = harness.call("POST", &format!("{PATH}/other?{QUERY}"), &[], "").await.json();
    assert_eq!(other["duplicate"], false, "another broker's event is no repeat: {other}");
    let changed = QUERY.replace("VersionNumber=1", "VersionNumber=2");
    assert_eq!(relay(&harness, &changed, "").await.json()["duplicate"], false);

    let repeat = relay(&harness, &format!("{QUERY}&consumerVersionTags=new"), BROKEN).await;
    assert_eq!(repeat.status, StatusCode::OK);
    assert_eq!(repeat.json()["duplicate"], true);
    assert_eq!(repeat.json()["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(harness.delivery_count().await, 3);
    // The repeat was answered, so the next one is somebody who publishes again.
    let again = relay(&harness, QUERY, "").await.json();
    assert_eq!(again["duplicate"], false);
    assert_ne!(again["event_id"], repeat.json()["event_id"]);
}

/// None of the calls can be committed, let alone answered, before all of them have arrived: their
/// bodies wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_calls_at_the_same_moment_are_one_event() {
    const CALLS: usize = 8;
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    for round in 0..25 {
        let path = format!("{PATH}?{QUERY}&providerVersionNumber={round}");
        let all_are_there = Arc::new(Barrier::new(CALLS));
        let call = |_| {
            let all_are_there = Arc::clone(&all_are_there);
            let body = stream::once(async move {
                all_are_there.wait().await;
                Ok::<_, Infallible>("")
            });
            harness.call("POST", &path, &[], Body::from_stream(body))
        };
        let answers = join_all((0..CALLS).map(call)).await;
        let bodies: Vec<_> = answers.iter().map(Answer::json).collect();
        let new = bodies.iter().filter(|body| body["duplicate"] == false).count();
        assert_eq!(new, 1, "{bodies:?}");
        assert!(bodies.iter().all(|body| body["event_id"] == bodies[0]["event_id"]), "{bodies:?}");
        assert_eq!(harness.delivery_count().await, round + 1);
    }
}

#[tokio::test]
async fn calls_that_tell_nothing_of_themselves_are_events_each() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let bare = "eventName=contract_published&consumerName=C&providerName=P";
    let hurried = harness.replica(Duration::ZERO);
    assert_eq!(relay(&hurried, bare, "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    hurried.end().await;
    assert_eq!(relay(&harness, bare, "").await.json()["duplicate"], false);
    assert_eq!(harness.delivery_count().await, 2);
}

#[tokio::test]
async fn brokers_have_names() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    for (path, broker) in [
        ("/hooks/broker".to_owned(), "default"),
        ("/hooks/broker/eu%20west".to_owned(), "eu west"),
        (format!("/hooks/broker/{}", "n".repeat(255)), &"n".repeat(255)),
    ] {
        let answer = harness.call("POST", &format!("{path}?{QUERY}"), &[], "").await;
        assert_eq!(event_of(&harness, &answer).await["broker"], broker);
    }
    for bad in [&"n".repeat(256), "a%0Ab", "a%00", "%FF"] {
        let path = format!("/hooks/broker/{bad}?{QUERY}");
        let refused = harness.call("POST", &path, &[], "").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        assert!(refused.text.contains("the broker's name in the path"), "{refused:?}");
    }
    assert_eq!(harness.get(&format!("{PATH}?{QUERY}")).await.status, 405);
}

#[tokio::test]
async fn a_test_run_is_answered_and_delivers_nothing() {
    let harness = Harness::start().await;
    all_events(&harness).await;
    for (query, body) in [
        ("eventName=test", ""),
        ("eventName=test&consumerName=&providerName=", "null"),
        ("eventName=test", BROKEN),
        ("", r#"{"eventName":"test"}"#),
    ] {
        let answer = relay(&harness, query, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let nothing = json!({"event_id": null, "deliveries": [], "duplicate": false});
        assert_eq!(answer.json(), nothing);
    }
    assert_eq!(harness.delivery_count().await, 0);
    harness.store.close().await;
    let away = relay(&harness, "eventName=test", "").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "a test run tells the truth");
}

#[tokio::test]
async fn without_a_store_and_after_the_end_it_is_503() {
    let harness = Harness::start().await;
    harness.store.close().await;
    let away = relay(&harness, QUERY, "").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{away:?}");
    assert_eq!(away.header("retry-after"), "5");
    harness.cancel.cancel();
    let ending = relay(&harness, QUERY, "").await;
    assert_eq!(ending.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ending.header("retry-after"), "5");
}

#[tokio::test]
async fn the_role_ingest_is_needed() {
    let harness = Harness::with_tokens("ingest:in read:re operate:op").await;
    for path in [PATH.to_owned(), format!("{PATH}/eu")] {
        for (token, status) in [("in", 200), ("re", 403), ("op", 200), ("none", 401)] {
            let header = [("authorization", &*format!("Bearer {token}"))];
            let target = format!("{path}?eventName=test");
            let answer = harness.call("POST", &target, &header, "").await;
            assert_eq!(answer.status, status, "{path} {token}");
        }
    }
    // "any:in", which is what a broker with a user name and a password sends.
    let basic = [("authorization", "Basic YW55Omlu")];
    let answer = harness.call("POST", &format!("{PATH}?eventName=test"), &basic, "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_calls_are_the_callers_fault() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let large = " ".repeat(1024 * 1024 + 1);
    for (query, body, status, named) in [
        ("", "", 400, "/providerName"),
        ("eventName=contract_published&consumerName=C", "{", 400, "it lacks providerName"),
        (QUERY, r#"{"buildUrl":7}"#, 400, "/buildUrl"),
        ("eventName=x&consumerName=C&providerName=P", "", 422, "/eventName"),
        (&format!("{QUERY}&buildUrl=%00"), "", 400, "U+0000"),
        (&format!("{QUERY}&buildUrl=%C3"), "", 400, "UTF-8"),
        (QUERY, &large, 413, "1024 KiB"),
    ] {
        let refused = relay(&harness, query, body).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert!(refused.text.contains(named), "{refused:?}");
    }
    assert_eq!(harness.delivery_count().await, 0);
}

#[tokio::test]
async fn any_content_type_is_taken() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let body = json!({
        "eventName": "contract_published", "consumerName": "C", "providerName": "P",
        "consumerVersionTags": "a, b",
    });
    for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain", "odd"] {
        let headers = [("content-type", kind)];
        let answer = harness.call("POST", PATH, &headers, body.to_string()).await;
        assert_eq!(event_of(&harness, &answer).await["consumer"]["tags"], json!(["a", "b"]));
    }
    let untyped = relay(&harness, "", &body.to_string()).await;
    assert_eq!(untyped.status, StatusCode::OK);
}
