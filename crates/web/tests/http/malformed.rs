//! Calls of `POST /events` that are wrong: the right status, a body that names the place, and
//! nothing stored.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Harness, event, hook};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const CLOUD: &str = "application/cloudevents+json";
const CLOUDS: &str = "application/cloudevents-batch+json";

/// A wrong call: content type, further headers, body, status, what the answer names.
struct Wrong(&'static str, &'static [(&'static str, &'static str)], Vec<u8>, u16, &'static str);

fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut event = event();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[key] = value;
    event.to_string().into_bytes()
}

fn without(key: &str) -> Vec<u8> {
    let mut event = event();
    event.as_object_mut().unwrap().remove(key);
    event.to_string().into_bytes()
}

fn cloud(key: &str, value: Value) -> Vec<u8> {
    let mut cloud = json!({
        "specversion": "1.0", "id": "i", "source": "/s", "type": "x.contract_published",
        "data": {"consumer": {"name": "C"}, "provider": {"name": "P"}},
    });
    cloud[key] = value;
    cloud.to_string().into_bytes()
}

fn nested(levels: usize) -> Vec<u8> {
    let mut event = event().to_string();
    event.pop();
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    format!(r#"{event},"x":{deep}}}"#).into_bytes()
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// A body with one wrong member, its status, and the place.
type Row = (Vec<u8>, u16, &'static str);

fn names_and_sides() -> Vec<Row> {
    let long = "n".repeat(256);
    vec![
        (with("/event_name", json!(7)), 400, "/event_name"),
        (with("/event_name", json!("")), 400, "/event_name"),
        (with("/event_name", json!(null)), 400, "/event_name"),
        (without("event_name"), 400, "/event_name"),
        (with("/event_name", json!("contract_publishd")), 422, "/event_name"),
        (with("/event_name", json!("test")), 422, "/event_name"),
        (with("/consumer", json!("C")), 400, "/consumer"),
        (with("/consumer", json!([])), 400, "/consumer"),
        (without("consumer"), 400, "/consumer"),
        (without("provider"), 400, "/provider"),
        (with("/consumer", json!({})), 400, "/consumer/name"),
        (with("/consumer/name", json!("")), 400, "/consumer/name"),
        (with("/consumer/name", json!(true)), 400, "/consumer/name"),
        (with("/provider/name", json!(long)), 400, "/provider/name"),
        (with("/provider/name", json!("P\u{0}")), 400, "/provider/name"),
        (with("/unknown", json!(["\u{0}"])), 400, "/unknown/0"),
    ]
}

fn values() -> Vec<Row> {
    let long = "n".repeat(256);
    vec![
        (with("/consumer/version_number", json!(1)), 400, "/consumer/version_number"),
        (with("/consumer/branch", json!(["main"])), 400, "/consumer/branch"),
        (with("/consumer/tags", json!("a, b")), 400, "/consumer/tags"),
        (with("/consumer/tags", json!(["a", null])), 400, "/consumer/tags/1"),
        (with("/provider/labels", json!({})), 400, "/provider/labels"),
        (with("/provider/version_descriptions", json!(1)), 400, "/provider/version_descriptions"),
        (with("/occurred_at", json!("21.11.2026")), 400, "/occurred_at"),
        (with("/occurred_at", json!(1_763_000_000)), 400, "/occurred_at"),
        (with("/broker", json!(long)), 400, "/broker"),
        (with("/verification_success", json!("yes")), 400, "/verification_success"),
        (with("/pact_url", json!(1)), 400, "/pact_url"),
        (with("/build_url", json!([])), 400, "/build_url"),
        (with("/id", json!(12)), 400, "/id"),
        (with("/id", json!("")), 400, "/id"),
        (with("/id", json!(long)), 400, "/id"),
        (with("/id", json!("a\tb")), 400, "/id"),
    ]
}

/// The wrong values of single members.
fn members() -> Vec<Wrong> {
    let wrong = |(body, status, place)| Wrong(JSON, &[], body, status, place);
    names_and_sides().into_iter().chain(values()).map(wrong).collect()
}

/// Bodies that are wrong as a whole.
fn wholes() -> Vec<Wrong> {
    let big_event = with("/x", json!("x".repeat(1024 * 1024)));
    let many = format!("[{}1]", "1,".repeat(10_000));
    vec![
        Wrong(JSON, &[], bytes(""), 400, "JSON"),
        Wrong(JSON, &[], bytes("{"), 400, "JSON"),
        Wrong(JSON, &[], bytes("{} {}"), 400, "JSON"),
        Wrong(JSON, &[], bytes("null"), 400, "object"),
        Wrong(JSON, &[], bytes("\"x\""), 400, "object"),
        Wrong(JSON, &[], bytes("[]"), 400, "no event"),
        Wrong(JSON, &[], bytes("[{]"), 400, "JSON"),
        Wrong(JSON, &[], bytes("[1,2"), 400, "JSON"),
        Wrong(JSON, &[], vec![b'"', 0xff, b'"'], 400, "UTF-8"),
        Wrong(JSON, &[], bytes(r#"{"event_name":"\ud800"}"#), 400, "JSON"),
        Wrong(JSON, &[], bytes("{\"event_name\":\"\u{1}\"}"), 400, "JSON"),
        Wrong(JSON, &[], bytes("{\"x\":1e999}"), 400, "JSON"),
        Wrong(JSON, &[], nested(50), 400, "levels deep"),
        Wrong(JSON, &[], nested(100_000), 400, "levels deep"),
        Wrong(JSON, &[], big_event, 413, "1024 KiB"),
        Wrong(JSON, &[], vec![b' '; 8 * 1024 * 1024 + 1], 413, "8192 KiB"),
        Wrong(JSON, &[], bytes(&many), 413, "10000"),
    ]
}

/// Content types, lines and headers.
fn headers() -> Vec<Wrong> {
    vec![
        Wrong("text/plain", &[], event().to_string().into_bytes(), 415, "Content-Type"),
        Wrong("", &[], event().to_string().into_bytes(), 415, "Content-Type"),
        Wrong("application/json; charset=latin1", &[], bytes("{}"), 415, "charset"),
        Wrong("application/hal+json", &[], bytes("{}"), 415, "application/json"),
        Wrong(LINES, &[], bytes("\n \r\n"), 400, "no event"),
        Wrong(LINES, &[], bytes("{}\n{"), 400, "/0/event_name"),
        Wrong(JSON, &[], bytes("[1,null,\"x\",[]]"), 400, "/3"),
        Wrong(JSON, &[("idempotency-key", "")], event().to_string().into_bytes(), 400, "Idem"),
        Wrong(JSON, &[("idempotency-key", LONG)], event().to_string().into_bytes(), 400, "Idem"),
        Wrong(
            JSON,
            &[("idempotency-key", "a"), ("idempotency-key", "b")],
            event().to_string().into_bytes(),
            400,
            "twice",
        ),
    ]
}

const LONG: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
    kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
    kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

fn clouds() -> Vec<Wrong> {
    let one = String::from_utf8(cloud("x", json!(1))).unwrap();
    vec![
        Wrong(CLOUD, &[], cloud("specversion", json!("0.3")), 400, "/specversion"),
        Wrong(CLOUD, &[], cloud("id", json!("")), 400, "/id"),
        Wrong(CLOUD, &[], cloud("source", json!(1)), 400, "/source"),
        Wrong(CLOUD, &[], cloud("type", json!("x.y")), 422, "/type"),
        Wrong(CLOUD, &[], cloud("time", json!("now")), 400, "/time"),
        Wrong(CLOUD, &[], cloud("data", json!("x")), 400, "/data"),
        Wrong(CLOUD, &[], cloud("data", json!({})), 400, "/data/consumer"),
        Wrong(CLOUD, &[], bytes(&format!("[{one}]")), 400, "CloudEvent"),
        Wrong(CLOUDS, &[], bytes(&one), 400, "array"),
        Wrong(CLOUDS, &[], bytes("[{}]"), 400, "/0/specversion"),
        Wrong(JSON, &[("ce-specversion", "1.0")], event().to_string().into_bytes(), 400, "ce-id"),
        Wrong(
            JSON,
            &[
                ("ce-specversion", "1.0"),
                ("ce-id", "i"),
                ("ce-source", "/s"),
                ("ce-type", "contract_content_changed"),
            ],
            event().to_string().into_bytes(),
            400,
            "/event_name",
        ),
    ]
}

#[tokio::test]
async fn every_wrong_call_is_refused_with_its_place() {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    let table: Vec<_> =
        members().into_iter().chain(wholes()).chain(headers()).chain(clouds()).collect();
    assert!(table.len() >= 40);
    for (row, Wrong(content_type, headers, body, status, place)) in table.into_iter().enumerate() {
        let mut request = Request::post("/events").header("host", "pr.test");
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = harness.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "row {row}, {place}: {}", answer.text);
        assert!(answer.text.contains(place), "row {row}, {place}: {}", answer.text);
        let body = answer.json();
        let problem = if body.is_array() { &body[0] } else { &body };
        assert!(problem["title"].is_string() && problem["errors"].is_array(), "row {row}: {body}");
        if !body.is_array() {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(problem["status"], status);
        }
    }
    assert_eq!(harness.delivery_count().await, 0);
}

#[tokio::test]
async fn roles_are_enforced() {
    let harness = Harness::with_tokens("ingest:in read:re operate:op").await;
    let calls = [
        ("POST", "/events", [202, 403, 202]),
        ("GET", "/webhooks", [401, 200, 200]),
        ("POST", "/webhooks", [401, 401, 201]),
        ("GET", "/api/v1/stats", [403, 200, 200]),
        ("DELETE", "/api/v1/secrets/x", [403, 403, 404]),
        ("GET", "/nowhere", [401, 404, 404]),
        ("GET", "/api/v1/nowhere", [403, 404, 404]),
    ];
    for (method, path, expected) in calls {
        let body = if path == "/events" { event() } else { hook() }.to_string();
        for (token, status) in ["in", "re", "op"].into_iter().zip(expected) {
            let authorization = format!("Bearer {token}");
            let headers = [("content-type", JSON), ("authorization", authorization.as_str())];
            let answer = harness.call(method, path, &headers, body.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} as {token}: {answer:?}");
        }
        let answer = harness.call(method, path, &[("content-type", JSON)], body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let challenges = answer.headers.get_all("www-authenticate").iter().count();
        let is_own = path == "/events" || path.starts_with("/api/");
        let expected = if is_own { (2, "application/problem+json") } else { (1, "text/plain") };
        assert_eq!((challenges, answer.header("content-type")), expected, "{path}: {answer:?}");
    }
}
