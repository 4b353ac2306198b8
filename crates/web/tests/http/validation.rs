//! What a webhook may hold, over HTTP and in the broker's exact words.

use serde_json::{Value, json};

use crate::harness::Harness;

const FILLED: &str = "must be filled";
const STRING: &str = "must be a string";
const HASH: &str = "must be a hash";
const BLANK: &str = "cannot be blank";
const URL: &str = "is not a valid URL eg. http://example.org";
const HOST: &str = "cannot have a template parameter in the host";
const METHOD: &str = "is not a recognised HTTP method";
const POST: &str = "must be POST. See /doc/webhooks#whitelist for more information.";
const SCHEME: &str = "scheme must be https. See /doc/webhooks#whitelist for more information.";
const UUID: &str = "can only contain A-Z, a-z, 0-9, _ and -, and must be 16 or more characters";
const BOTH: &str = "name and label cannot be provided at the same time";
const ONE_OF: &str = "name must be one of: contract_published, contract_content_changed, \
    provider_verification_published, provider_verification_succeeded, \
    provider_verification_failed, contract_requiring_verification_published (at index 0)";

/// A member's place, a wrong value, the key that is told and the message.
struct Case(&'static str, Value, &'static str, &'static str);

fn requests() -> Vec<Case> {
    vec![
        Case("/request", json!(null), "request", FILLED),
        Case("/request", json!({}), "request", FILLED),
        Case("/request", json!(""), "request", FILLED),
        Case("/request", json!([]), "request", FILLED),
        Case("/request", json!("x"), "request", HASH),
        Case("/request", json!(1), "request", HASH),
        Case("/request", json!(true), "request", HASH),
        Case("/request", json!([{"method": "POST"}]), "request", HASH),
        Case("/request/method", json!(null), "request.method", FILLED),
        Case("/request/method", json!(""), "request.method", FILLED),
        Case("/request/method", json!(1), "request.method", STRING),
        Case("/request/method", json!(["POST"]), "request.method", STRING),
        Case("/request/method", json!({}), "request.method", STRING),
        Case("/request/method", json!("FETCH"), "request.method", METHOD),
        Case("/request/method", json!("Post%0d%0a"), "request.method", METHOD),
        Case("/request/method", json!(" POST"), "request.method", METHOD),
        Case("/request/method", json!("GET"), "request.method", POST),
        Case("/request/method", json!("delete"), "request.method", POST),
        Case("/request/method", json!("PROPFIND"), "request.method", POST),
        Case("/request/headers", json!([]), "request.headers", HASH),
        Case("/request/headers", json!("a: b"), "request.headers", HASH),
        Case("/request/username", json!(1), "request.username", STRING),
        Case("/request/password", json!({}), "request.password", STRING),
    ]
}

fn urls() -> Vec<Case> {
    let url = |value: &str, message| Case("/request/url", json!(value), "request.url", message);
    vec![
        Case("/request/url", json!(null), "request.url", FILLED),
        Case("/request/url", json!(7), "request.url", STRING),
        Case("/request/url", json!(["https://h"]), "request.url", STRING),
        url("", FILLED),
        url("blah", URL),
        url("bl ah", URL),
        url("//h/x", URL),
        url("mailto:a@b.c", URL),
        url("https://", URL),
        url("https:///x", URL),
        url("https://h/a b", URL),
        url("https://h/ü", URL),
        url("https://h/a|b", URL),
        url("https://h/[x]", URL),
        url("https://h/%zz", URL),
        url("https://h/{a}", URL),
        url("https://h/${user.to ken}", URL),
        url("https://h:${pactbroker.consumerName}/", URL),
        url("https://[::1", URL),
        url("https://${pactbroker.consumerName}/x", HOST),
        url("https://a.${pactbroker.consumerName}.b/x", HOST),
        url("http://example.org", SCHEME),
        url("ftp://foo", SCHEME),
        url("${pactbroker.buildUrl}://h/", SCHEME),
    ]
}

fn others() -> Vec<Case> {
    vec![
        Case("/events", json!([]), "events", "size cannot be less than 1"),
        Case("/events", json!("contract_published"), "events", "must be an array"),
        Case("/events", json!({}), "events", "must be an array"),
        Case("/events", json!([{}]), "events", "name is missing (at index 0)"),
        Case("/events", json!([{"name": null}]), "events", "name must be filled (at index 0)"),
        Case("/events", json!([{"name": ""}]), "events", "name must be filled (at index 0)"),
        Case("/events", json!([{"name": 1}]), "events", "name must be a string (at index 0)"),
        Case("/events", json!(["contract_published"]), "events", "must be a hash (at index 0)"),
        Case("/events", json!([{"name": "test"}]), "events", ONE_OF),
        Case("/events", json!([{"name": "Contract_published"}]), "events", ONE_OF),
        Case("/enabled", json!(null), "enabled", FILLED),
        Case("/enabled", json!(""), "enabled", FILLED),
        Case("/enabled", json!("foo"), "enabled", "must be boolean"),
        Case("/enabled", json!(1), "enabled", "must be boolean"),
        Case("/consumer", json!("C"), "consumer", HASH),
        Case("/consumer", json!([]), "consumer", HASH),
        Case("/consumer", json!({}), "consumer.name", BLANK),
        Case("/consumer", json!({"name": null}), "consumer.name", BLANK),
        Case("/consumer", json!({"name": " "}), "consumer.name", BLANK),
        Case("/consumer", json!({"name": 1}), "consumer.name", STRING),
        Case("/consumer", json!({"name": "C", "label": "l"}), "consumer.label", BOTH),
        Case("/provider", json!(true), "provider", HASH),
        Case("/provider", json!({"label": ""}), "provider.name", BLANK),
        Case("/provider", json!({"label": []}), "provider.label", STRING),
        Case("/provider", json!({"name": "P", "label": "l"}), "provider.label", BOTH),
        Case("/uuid", json!("HIJKLMNOP"), "uuid", UUID),
        Case("/uuid", json!("abcdefghigHIJKLMNOP#"), "uuid", UUID),
        Case("/uuid", json!("bad!\nabcdefghigHIJKLMNOP"), "uuid", UUID),
        Case("/uuid", json!(1), "uuid", STRING),
        Case("/description", json!(1), "description", STRING),
        Case("/teamUuid", json!({}), "teamUuid", STRING),
    ]
}

fn valid() -> Value {
    json!({
        "consumer": {"name": "C"},
        "events": [{"name": "contract_published"}],
        "request": {"method": "POST", "url": "https://example.org/x"},
    })
}

fn with(pointer: &str, value: &Value) -> Value {
    let mut document = valid();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value.clone();
    document
}

#[tokio::test]
async fn each_fault_in_the_brokers_words() {
    let harness = Harness::start().await;
    let cases: Vec<Case> = [requests(), urls(), others()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    for Case(pointer, value, key, message) in cases {
        let document = with(pointer, &value);
        for (method, path) in
            [("POST", "/webhooks"), ("PUT", "/webhooks/d2181b32-8b03-4daf-8cc0-d9168b2f6fac")]
        {
            let answer = harness.json(method, path, &document).await;
            assert_eq!(answer.status, 400, "{method} {pointer} {value}: {answer:?}");
            let expected = json!({"errors": {key: [message]}});
            assert_eq!(answer.json(), expected, "{method} {pointer} {value}");
        }
    }
    let listed = harness.get("/webhooks").await.json();
    assert_eq!(listed["_links"]["pb:webhooks"], json!([]), "nothing was stored");
}

#[tokio::test]
async fn faults_are_told_together() {
    let harness = Harness::start().await;
    for (document, errors) in [
        (json!({}), json!({"request": ["is missing"]})),
        (
            json!({"request": {"body": 1}, "events": [{"name": "contract_published"}, {}, 1]}),
            json!({
                "request.method": ["is missing"],
                "request.url": ["is missing"],
                "events": ["name is missing (at index 1)", "must be a hash (at index 2)"],
            }),
        ),
        (
            json!({"request": {"method": "GET", "url": "x"}, "enabled": 1, "provider": {}}),
            json!({
                "request.method": [POST], "request.url": [URL],
                "provider.name": [BLANK], "enabled": ["must be boolean"],
            }),
        ),
    ] {
        let answer = harness.json("POST", "/webhooks", &document).await;
        assert_eq!(answer.json()["errors"], errors, "{document}");
    }
}

/// As Ruby's URI takes them (measured), or as the broker's own tests have them.
#[tokio::test]
async fn what_is_valid() {
    let harness = Harness::start().await;
    let cases = [
        ("/request/url", json!("https://h?x=1")),
        ("/request/url", json!("https://u:p@h/")),
        ("/request/url", json!("https://[::1]:8443/")),
        ("/request/url", json!("https://under_score.example/x")),
        ("/request/url", json!("https://h/?a={b}")),
        ("/request/url", json!("https://h/?t=${user.x}")),
        ("/request/url", json!("HTTPS://h/x")),
        ("/request/url", json!("https://foo/commits/${pactbroker.consumerVersionNumber}")),
        ("/request/url", json!("https://${pactbroker.consumerName}@h/x")),
        ("/request/method", json!("post")),
        ("/request/headers", json!({"A": "b", "X-Null": null})),
        ("/request/headers", json!(null)),
        ("/request/body", json!([1, {"a": null}])),
        ("/request/body", json!(false)),
        ("/request/body", json!("")),
        ("/request/password", json!("alone")),
        ("/events", json!(null)),
        ("/events", json!([{"name": "provider_verification_failed", "more": 1}])),
        ("/consumer", json!(null)),
        ("/consumer", json!({"label": "l"})),
        ("/consumer", json!({"name": "no-such-consumer", "more": {}})),
        ("/uuid", json!("28f40dc2-1e46-4b08-ba7c-1184892fac13")),
        ("/uuid", json!(null)),
        ("/description", json!(null)),
        ("/description", json!("")),
        ("/unknown", json!({"a": [1]})),
    ];
    for (pointer, value) in cases {
        let answer = harness.json("POST", "/webhooks", &with(pointer, &value)).await;
        assert_eq!(answer.status, 201, "{pointer} {value}: {answer:?}");
    }
}

#[tokio::test]
async fn an_invalid_body_is_told_before_anything_is_looked_up() {
    let harness = Harness::start().await;
    let bad_path = harness.json("PUT", "/webhooks/short", &json!({})).await;
    let expected = json!({"errors": {"uuid": [UUID], "request": ["is missing"]}});
    assert_eq!((bad_path.status.as_u16(), bad_path.json()), (400, expected));
    for path in ["/webhooks/provider/nobody", "/pacts/provider/x/consumer/y/webhooks"] {
        let answer = harness.json("POST", path, &json!({"request": 1})).await;
        assert_eq!(answer.json(), json!({"errors": {"request": [HASH]}}), "{path}");
    }
}
