//! Who changed what, over both APIs.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Harness, event, hook};

const JSON: (&str, &str) = ("content-type", "application/json");
const CI: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");
const SOMEBODY: (&str, &str) = ("authorization", "Bearer fedcba9876543210");
const READER: (&str, &str) = ("authorization", "Bearer a-reader-s-long-token");
const TOKENS: &str = "operate:ci:0123456789abcdef operate:fedcba9876543210 \
                      read:reader:a-reader-s-long-token";

async fn entries(harness: &Harness, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit?{query}");
    let answer = harness.call("GET", &path, &[READER], "").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn changes_over_both_apis_have_their_author_and_route() {
    let harness = Harness::with_tokens(TOKENS).await;
    let call = async |who, method: &str, path: &str, body: &Value| {
        let answer = harness.call(method, path, &[who, JSON], body.to_string()).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        answer
    };
    let webhook = call(CI, "POST", "/webhooks", &hook()).await.json();
    let uuid = webhook["uuid"].as_str().unwrap();
    let own = format!("/webhooks/{uuid}");
    call(SOMEBODY, "PUT", &own, &hook()).await;
    let secret = json!({"name": "token", "value": "a-value-that-nobody-reads"});
    let secret = call(CI, "POST", "/secrets", &secret).await.json();
    call(CI, "PUT", "/api/v1/secrets/token", &json!({"value": "another-value"})).await;
    call(CI, "POST", "/events", &event()).await;
    let lane = json!({"lane": "api.github.com/githubToken"});
    call(CI, "POST", "/api/v1/lanes/hold", &lane).await;
    call(CI, "POST", "/api/v1/lanes/release", &lane).await;
    call(CI, "POST", &format!("/webhooks/{uuid}/execute"), &json!({})).await;
    let all = json!({"status": "queued", "dry_run": true});
    call(CI, "POST", "/api/v1/deliveries/discard", &all).await;
    let all = json!({"status": "queued"});
    call(CI, "POST", "/api/v1/deliveries/discard", &all).await;
    call(CI, "DELETE", &format!("/secrets/{}", secret["uuid"].as_str().unwrap()), &json!({})).await;
    call(CI, "DELETE", &own, &json!({})).await;
    let told: Vec<_> = entries(&harness, "limit=100")
        .await
        .iter()
        .rev()
        .map(|entry| {
            ["who", "kind", "action", "route"].map(|key| entry[key].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ["ci", "webhook", "created", "POST /webhooks"],
        ["operate#", "webhook", "changed", &format!("PUT {own}")],
        ["ci", "secret", "created", "POST /secrets"],
        ["ci", "secret", "changed", "PUT /api/v1/secrets/token"],
        ["ci", "lane", "held", "POST /api/v1/lanes/hold"],
        ["ci", "lane", "released", "POST /api/v1/lanes/release"],
        ["ci", "webhook", "tested", &format!("POST {own}/execute")],
        ["ci", "delivery", "discarded", "POST /api/v1/deliveries/discard"],
        [
            "ci",
            "secret",
            "deleted",
            &format!("DELETE /secrets/{}", secret["uuid"].as_str().unwrap()),
        ],
        ["ci", "webhook", "deleted", &format!("DELETE {own}")],
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told[0].starts_with(expected[0]), "{told:?}");
        assert_eq!(told[1..], expected[1..]);
    }
    let text = harness.call("GET", "/api/v1/audit", &[READER], "").await.text;
    assert!(!text.contains("a-value-that") && !text.contains("another-value"), "{text}");
    assert_eq!(entries(&harness, "who=ci&kind=secret&object=token").await.len(), 3);
}

#[tokio::test]
async fn what_is_refused_is_not_written_down() {
    let harness = Harness::with_tokens(TOKENS).await;
    let call = async |who, method: &str, path: &str, body: &Value, status: u16| {
        let answer = harness.call(method, path, &[who, JSON], body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {answer:?}");
    };
    call(READER, "PUT", "/api/v1/secrets/token", &json!({"value": "v"}), 403).await;
    call(CI, "PUT", "/api/v1/secrets/token", &json!({"valeu": "v"}), 400).await;
    call(CI, "POST", "/webhooks", &json!({}), 400).await;
    call(CI, "DELETE", "/api/v1/secrets/token", &json!({}), 404).await;
    call(CI, "POST", "/api/v1/lanes/hold", &json!({"lane": "none"}), 404).await;
    assert_eq!(entries(&harness, "").await, [Value::Null; 0]);
}

#[tokio::test]
async fn without_tokens_the_author_is_local_and_parameters_are_judged() {
    let harness = Harness::start().await;
    for name in ["a", "b", "c"] {
        harness.json("PUT", &format!("/api/v1/secrets/{name}"), &json!({"value": "v"})).await;
    }
    let first = harness.get("/api/v1/audit?limit=2").await.json();
    assert_eq!((&first["total"], &first["total_is_exact"]), (&json!(3), &json!(true)));
    assert_eq!(first["entries"][0]["who"], "local");
    let next = first["next"].as_str().unwrap();
    let second = harness.get(&format!("/api/v1/audit?limit=2&cursor={next}")).await.json();
    assert_eq!(
        (second["entries"].as_array().map(Vec::len), &second["next"]),
        (Some(1), &Value::Null)
    );
    for (query, count) in [("since=1h", 3), ("until=1h", 0), ("kind=lane", 0), ("object=b", 1)] {
        let page = harness.get(&format!("/api/v1/audit?{query}")).await.json();
        assert_eq!(page["total"], count, "{query}");
    }
    for bad in ["kind=x", "since=x", "until=x", "cursor=x", "limit=0", "whom=x"] {
        let answer = harness.get(&format!("/api/v1/audit?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
