//! No document, and nothing that is none, is a server error at any route.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Harness, hook};

const UUID: &str = "d2181b32-8b03-4daf-8cc0-d9168b2f6fac";

const KEYS: &[&str] = &[
    "request",
    "method",
    "url",
    "headers",
    "body",
    "events",
    "name",
    "label",
    "consumer",
    "provider",
    "enabled",
    "uuid",
    "teamUuid",
    "value",
    "description",
    "password",
    "username",
    "bodyMode",
    "Authorization",
    "event_name",
    "lane",
];

const TEXTS: &[&str] = &[
    "POST",
    "https://h/x",
    "https://${pactbroker.consumerName}/",
    "${user.a}",
    "${pactbroker.",
    "contract_published",
    "**********",
    "\u{0}",
    "raw",
    UUID,
];

const PLACES: &[&str] = &[
    "/description",
    "/events",
    "/events/0",
    "/request",
    "/request/method",
    "/request/url",
    "/request/headers",
    "/request/headers/Authorization",
    "/request/body",
    "/teamUuid",
    "/consumer",
    "/enabled",
    "/uuid",
];

fn routes() -> Vec<(&'static str, String)> {
    let collections = [
        "/webhooks",
        "/webhooks/provider/P",
        "/webhooks/consumer/C",
        "/webhooks/provider/P/consumer/C",
        "/pacts/provider/P/consumer/C/webhooks",
        "/secrets",
    ];
    let mut routes: Vec<_> =
        collections.into_iter().map(|path| ("POST", path.to_owned())).collect();
    routes.push(("PUT", format!("/webhooks/{UUID}")));
    routes.push(("PUT", format!("/secrets/{UUID}")));
    routes.push(("PUT", "/api/v1/secrets/name".to_owned()));
    routes.push(("POST", "/events".to_owned()));
    for path in ["replay", "hold", "release"] {
        let group = if path == "replay" { "deliveries" } else { "lanes" };
        routes.push(("POST", format!("/api/v1/{group}/{path}")));
    }
    routes
}

/// Names that documents have, and others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(KEYS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(TEXTS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..7)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A webhook with all members that documents have.
fn valid() -> Value {
    let mut document = hook();
    document["consumer"] = json!({"name": "C"});
    document["enabled"] = true.into();
    for member in ["uuid", "teamUuid"] {
        document[member] = Value::Null;
    }
    document
}

/// A valid webhook with one member, anywhere in it, replaced by anything.
fn near_valid() -> impl Strategy<Value = Value> {
    (proptest::sample::select(PLACES), document()).prop_map(|(place, value)| {
        let mut document = valid();
        if let Some(member) = document.pointer_mut(place) {
            *member = value;
        }
        document
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => document().prop_map(|document| document.to_string().into_bytes()),
        3 => near_valid().prop_map(|document| document.to_string().into_bytes()),
        // Few of those are valid, and of 256 bodies there may be none.
        1 => Just(valid().to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => document().prop_map(|document| {
            let mut text = document.to_string().into_bytes();
            text.truncate(text.len() / 2);
            text
        }),
    ]
}

#[test]
fn no_body_is_a_server_error() {
    let runtime = Runtime::new().unwrap();
    let harness = runtime.block_on(Harness::start());
    let routes = routes();
    let mut runner = TestRunner::new(Config { cases: 256, ..Config::default() });
    let ran = runner.run(&(body(), any::<bool>()), |(body, is_json)| {
        let kind = if is_json { "application/json" } else { "text/plain" };
        for (method, path) in &routes {
            let headers = [("content-type", kind)];
            let answer = runtime.block_on(harness.call(method, path, &headers, body.clone()));
            prop_assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}");
        }
        Ok(())
    });
    ran.unwrap();
    let known = runtime.block_on(harness.get("/webhooks")).json();
    let made = known["_links"]["pb:webhooks"].as_array().unwrap().len();
    assert!(made > 0, "some of them were valid");
}

/// Paths of anything that a request line can hold.
#[test]
fn no_path_is_a_server_error() {
    let runtime = Runtime::new().unwrap();
    let harness = runtime.block_on(Harness::start());
    let segment = prop_oneof![
        2 => proptest::sample::select(
            ["webhooks", "provider", "consumer", "pacts", "status", "logs", "secrets", "doc",
             "triggered-webhooks", UUID, "P.json", "%2F", "%00", "%ff", "%", "", "..", "é"]
            .as_slice()
        ).prop_map(str::to_owned),
        1 => "[!-~]{0,12}",
    ];
    let paths =
        proptest::collection::vec(segment, 0..8).prop_map(|parts| format!("/{}", parts.join("/")));
    let mut runner = TestRunner::new(Config { cases: 512, ..Config::default() });
    let ran = runner.run(&paths, |path| {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let request =
                http::Request::builder().method(method).uri(&path).body(Vec::new().into());
            // What is no request line never arrives.
            if let Ok(request) = request {
                let answer = runtime.block_on(harness.send(request));
                let status = answer.status.as_u16();
                prop_assert!(status < 500 || status == 501, "{method} {path}: {answer:?}");
            }
        }
        Ok(())
    });
    ran.unwrap();
}
