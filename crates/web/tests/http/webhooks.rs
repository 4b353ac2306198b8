//! The webhooks API as the broker's clients use it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, hook};

const JSON: (&str, &str) = ("content-type", "application/json");
const HAL: &str = "application/hal+json;charset=utf-8";
const UUID: &str = "d2181b32-8b03-4daf-8cc0-d9168b2f6fac";

fn path(uuid: &str) -> String {
    format!("/webhooks/{uuid}")
}

/// What the store keeps of a webhook's request, in clear.
async fn stored(harness: &Harness, uuid: &str) -> postrider_domain::RequestTemplate {
    let found = harness.store.webhook(&uuid.parse().unwrap()).await.unwrap();
    found.unwrap().webhook.request
}

#[tokio::test]
async fn create_read_replace_delete() {
    let harness = Harness::start().await;
    let created = harness.json("POST", "/webhooks", &hook()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(created.header("content-type"), HAL);
    assert_eq!(created.header("x-pact-broker-version"), "2.120.0");
    assert_eq!(created.header("vary"), "Accept");
    let body = created.json();
    let uuid = body["uuid"].as_str().unwrap();
    assert_eq!(uuid.len(), 22);
    assert_eq!(created.header("location"), format!("http://pr.test/webhooks/{uuid}"));
    assert_eq!(body["_links"]["self"]["href"], created.header("location"));
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["uuid", "description", "enabled", "request", "events", "createdAt", "_links"];
    assert_eq!(keys, expected);

    assert_eq!(harness.get(&path(uuid)).await.json(), body);
    let mut changed = hook();
    changed["description"] = "d2".into();
    changed["enabled"] = false.into();
    let replaced = harness.json("PUT", &path(uuid), &changed).await;
    assert_eq!(replaced.status, StatusCode::OK);
    assert_eq!(replaced.json()["description"], "d2");
    assert_eq!(replaced.json()["enabled"], false);
    assert!(replaced.json()["updatedAt"].is_string());
    assert_eq!(replaced.json()["createdAt"], body["createdAt"]);

    let deleted = harness.call("DELETE", &path(uuid), &[], "").await;
    assert_eq!((deleted.status, deleted.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(harness.call("DELETE", &path(uuid), &[], "").await.status, StatusCode::NOT_FOUND);
    let gone = harness.get(&path(uuid)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(gone.header("content-type"), "application/json;charset=utf-8");
    let expected = json!({"error": "The requested document was not found on this server."});
    assert_eq!(gone.json(), expected);
}

#[tokio::test]
async fn put_creates_with_the_given_uuid_and_no_location() {
    let harness = Harness::start().await;
    let created = harness.json("PUT", &path(UUID), &hook()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(created.header("location"), "");
    assert_eq!(created.json()["uuid"], UUID);
    let bad = harness.json("PUT", "/webhooks/short", &hook()).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let rule = "can only contain A-Z, a-z, 0-9, _ and -, and must be 16 or more characters";
    assert_eq!(bad.json(), json!({"errors": {"uuid": [rule]}}));
}

#[tokio::test]
async fn scopes_and_collections() {
    let harness = Harness::start().await;
    let mut bare = hook();
    bare.as_object_mut().unwrap().remove("description");
    let of_pair = "/webhooks/provider/Example%20API/consumer/A%2FB";
    for target in [of_pair, "/webhooks/provider/Example%20API", "/webhooks/consumer/A%2FB"] {
        let created = harness.json("POST", target, &bare).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        assert_eq!(created.json()["description"], "POST api.github.com");
        let listed = harness.get(&format!("{target}?x=1")).await;
        let body = listed.json();
        let links = &body["_links"];
        assert_eq!(links["self"]["href"], format!("http://pr.test{target}"));
        assert_eq!(links["pb:create"]["href"], format!("http://pr.test{target}"));
        assert_eq!(links["pb:webhooks"].as_array().unwrap().len(), 1, "{links}");
        assert_eq!(links["pb:webhooks"][0]["href"], created.json()["_links"]["self"]["href"]);
    }
    let mut labelled = bare.clone();
    labelled["consumer"] = json!({"label": "l"});
    harness.json("POST", "/webhooks/provider/Example%20API", &labelled).await;
    let by_provider = harness.get("/webhooks/provider/Example%20API").await.json();
    assert_eq!(by_provider["_links"]["pb:webhooks"].as_array().unwrap().len(), 2);
    let all = harness.get("/webhooks").await.json();
    assert_eq!(all["_links"]["pb:webhooks"].as_array().unwrap().len(), 4);
    let none = harness.get("/webhooks/consumer/nobody").await;
    assert_eq!((none.status, &none.json()["_links"]["pb:webhooks"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn methods_and_types() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    for (target, list) in [
        ("/webhooks", "GET, POST, OPTIONS"),
        (&path(&uuid), "GET, PUT, DELETE, OPTIONS"),
        ("/webhooks/provider/P", "POST, GET, OPTIONS"),
    ] {
        for method in ["PATCH", "HEAD", "TRACE"] {
            let refused = harness.call(method, target, &[JSON], "{}").await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {target}");
            assert_eq!((refused.header("allow"), refused.text.as_str()), (list, ""));
        }
        let options = harness.call("OPTIONS", target, &[], "").await;
        assert_eq!(options.status, StatusCode::OK);
        assert_eq!(options.header("access-control-allow-methods"), list);
        let unknown = harness.call("BREW", target, &[], "").await;
        assert_eq!(unknown.status, StatusCode::NOT_IMPLEMENTED);
    }
    let text = hook().to_string();
    for content_type in ["text/plain", "application/hal+json"] {
        let headers = [("content-type", content_type)];
        let refused = harness.call("POST", "/webhooks", &headers, text.clone()).await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused.text, "");
        let invalid = harness.call("POST", "/webhooks", &headers, "{}").await;
        assert_eq!(invalid.status, StatusCode::BAD_REQUEST);
    }
    let untyped = harness.call("POST", "/webhooks", &[], text.clone()).await;
    assert_eq!(untyped.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let charset = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(harness.call("POST", "/webhooks", &charset, text).await.status, StatusCode::CREATED);
    let tab = harness.get("/webhooks/provider/a%09b").await;
    assert_eq!(tab.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn unreadable_bodies() {
    let harness = Harness::start().await;
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let nul = r#"{"request":{"method":"POST","url":"https://h/\u0000"}}"#;
    let table: [(&[u8], Value); 8] = [
        (b"", json!("JSON::ParserError - unexpected end of input at line 1 column 1")),
        (b"{\"a\":", json!("JSON::ParserError - unexpected end of input at line 1 column 6")),
        (b"{,}", json!("JSON::ParserError")),
        (b"1", json!("RuntimeError - Expected JSON Object in request body but found Integer")),
        (b"null", json!("RuntimeError - Expected JSON Object in request body but found NilClass")),
        (b"[]", json!("RuntimeError - Expected JSON Object in request body but found Array")),
        (
            b"{\"ab\xff",
            json!(
                "at char 5 and cannot be parsed as JSON. Fragment preceding invalid character is: '{\"ab'"
            ),
        ),
        (deep.as_bytes(), json!("JSON::NestingError - nesting of 60 is too deep")),
    ];
    for (body, expected) in table {
        let refused = harness.call("POST", "/webhooks", &[JSON], body.to_vec()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.header("content-type"), HAL);
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected.as_str().unwrap()), "{error}");
    }
    let refused = harness.call("POST", "/webhooks", &[JSON], nul).await;
    let expected = json!({"request.url": ["cannot contain the character U+0000"]});
    assert_eq!(refused.json()["errors"], expected);
    let large = vec![b' '; 1024 * 1024 + 1];
    let refused = harness.call("POST", "/webhooks", &[JSON], large).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(harness.get("/webhooks").await.json()["_links"]["pb:webhooks"], json!([]));
}

#[tokio::test]
async fn what_was_read_can_be_put_back() {
    let harness = Harness::start().await;
    let mut secretive = hook();
    secretive["request"] = json!({
        "method": "POST", "url": "https://user:pass@example.org/x?y=${user.other}",
        "username": "u", "password": "pw", "body": "text", "bodyMode": "raw",
        "headers": {"Authorization": "Bearer s3cret", "X-Token": "t0ken", "Accept": "a/b"},
    });
    secretive["teamUuid"] = "team".into();
    let uuid = harness.webhook(&secretive).await;
    let before = stored(&harness, &uuid).await;
    let shown = harness.get(&path(&uuid)).await;
    for secret in ["s3cret", "t0ken", "\"pw\"", "user:pass"] {
        assert!(!shown.text.contains(secret), "{secret} in {}", shown.text);
    }
    let put = harness.json("PUT", &path(&uuid), &shown.json()).await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    assert!(stored(&harness, &uuid).await == before);
    let comparable = |answer: &Answer| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("updatedAt");
        body
    };
    assert_eq!(comparable(&put), comparable(&shown));
}

#[tokio::test]
async fn stars_follow_their_header() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    let mut changed = hook();
    changed["request"]["headers"] =
        json!({"AUTHORIZATION": "*****", "X-Token": "**********", "accept": "a"});
    let put = harness.json("PUT", &path(&uuid), &changed).await;
    assert_eq!(
        put.json()["request"]["headers"],
        json!({"authorization": "**********", "accept": "a"})
    );
    let kept = stored(&harness, &uuid).await.headers;
    assert_eq!(kept[0], ("authorization".to_owned(), "Bearer ${user.githubToken}".to_owned()));
    assert_eq!(kept.len(), 2);
}

#[tokio::test]
async fn an_invalid_replacement_changes_nothing() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&hook()).await;
    let before = harness.get(&path(&uuid)).await.json();
    let refused = harness.json("PUT", &path(&uuid), &json!({})).await;
    assert_eq!(refused.json(), json!({"errors": {"request": ["is missing"]}}));
    assert_eq!(harness.get(&path(&uuid)).await.json(), before);
}

#[tokio::test]
async fn unknown_variables_are_warned_of() {
    let harness = Harness::start().await;
    let mut odd = hook();
    odd["request"]["body"] = json!({"a": "${pactbroker.consumerNam}"});
    let created = harness.json("POST", "/webhooks", &odd).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let warnings = created.json()["warnings"].clone();
    let warning = warnings[0].as_str().unwrap();
    assert!(warning.contains("${pactbroker.consumerNam}"), "{warning}");
    assert!(warning.contains("did you mean ${pactbroker.consumerName}?"), "{warning}");
    let uuid = created.json()["uuid"].as_str().unwrap().to_owned();
    assert_eq!(harness.get(&path(&uuid)).await.json().get("warnings"), None);
}

/// Documents near a valid one: no mutation may be a server error.
#[tokio::test]
async fn no_mutation_is_a_server_error() {
    let harness = Harness::start().await;
    let mut full = hook();
    full["consumer"] = json!({"name": "C"});
    full["provider"] = json!({"label": "l"});
    full["request"]["username"] = "u".into();
    full["request"]["password"] = "p".into();
    let places = [
        "/description",
        "/consumer",
        "/consumer/name",
        "/provider/label",
        "/enabled",
        "/events",
        "/events/0",
        "/events/0/name",
        "/request",
        "/request/method",
        "/request/url",
        "/request/headers",
        "/request/headers/Authorization",
        "/request/body",
        "/request/username",
        "/request/password",
        "/request/bodyMode",
        "/uuid",
        "/teamUuid",
    ];
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1.5),
        json!(""),
        json!("x"),
        json!("\u{0}"),
        json!("https://[::1"),
        json!("https://a:0/%"),
        json!("${pactbroker.x"),
        json!("\n"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"name": {}}),
        json!({"label": "l", "name": "n"}),
        json!("\u{1f600}".repeat(300)),
        json!(u64::MAX),
    ];
    for place in places {
        let (parent, key) = place.rsplit_once('/').unwrap();
        for value in &values {
            let mut mutated = full.clone();
            match mutated.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
                object => object[key] = value.clone(),
            }
            let answer = harness.json("POST", "/webhooks", &mutated).await;
            assert!(answer.status.as_u16() < 500, "{place} {value}: {answer:?}");
        }
    }
}
