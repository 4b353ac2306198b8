//! PactFlow's secrets, and whose webhooks may use them.

use std::collections::BTreeSet;

use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, hook};

/// The path of a link.
fn path(link: &Value) -> String {
    link.as_str().unwrap().strip_prefix("http://pr.test").unwrap().to_owned()
}

async fn create(harness: &Harness, document: &Value) -> Answer {
    harness.json("POST", "/secrets", document).await
}

/// The value that a webhook of this team gets.
async fn value(harness: &Harness, name: &str, team: Option<&str>) -> Option<String> {
    let names = BTreeSet::from([name.to_owned()]);
    let values = harness.store.secret_values(&names, team).await.unwrap().values;
    values.get(name).map(|value| value.expose_secret().to_owned())
}

#[tokio::test]
async fn create_read_replace_delete() {
    let harness = Harness::start().await;
    let document = json!({"name": "token", "description": "of the robot", "value": "s3cret"});
    let created = create(&harness, &document).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(created.header("content-type"), "application/hal+json;charset=utf-8");
    let shown = created.json();
    let own = path(&shown["_links"]["self"]["href"]);
    assert_eq!(created.header("location"), shown["_links"]["self"]["href"]);
    assert_eq!((&shown["name"], &shown["description"]), (&json!("token"), &json!("of the robot")));
    assert_eq!(shown.get("teamUuid"), None);
    assert_eq!(harness.get(&own).await.json(), shown);
    let listed = harness.get("/secrets").await.json();
    assert_eq!(listed["_embedded"]["secrets"], json!([shown]));
    assert_eq!(value(&harness, "token", None).await.as_deref(), Some("s3cret"));

    let change = json!({"name": "renamed", "value": "n3w", "teamUuid": "t"});
    let replaced = harness.json("PUT", &own, &change).await;
    assert_eq!(replaced.status, StatusCode::OK, "{replaced:?}");
    let body = replaced.json();
    assert_eq!((&body["name"], &body["teamUuid"]), (&json!("renamed"), &json!("t")));
    assert_eq!((body.get("description"), &body["uuid"]), (None, &shown["uuid"]));
    assert_eq!(value(&harness, "token", None).await, None);
    assert_eq!(value(&harness, "renamed", None).await, None);
    assert_eq!(value(&harness, "renamed", Some("t")).await.as_deref(), Some("n3w"));

    for answer in [&created, &replaced, &harness.get("/secrets").await] {
        assert!(!answer.text.contains("s3cret") && !answer.text.contains("n3w"), "{answer:?}");
    }
    assert_eq!(harness.call("DELETE", &own, &[], "").await.status, StatusCode::NO_CONTENT);
    for method in ["GET", "DELETE"] {
        assert_eq!(harness.call(method, &own, &[], "").await.status, StatusCode::NOT_FOUND);
    }
    let gone = harness.json("PUT", &own, &json!({"name": "x"})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

/// Both ways to set a value strip, refuse and warn alike.
#[tokio::test]
async fn values_are_made_usable_or_refused() {
    let harness = Harness::start().await;
    for (given, status) in
        [("good\n\n", 201), ("good \t\r\n", 200), ("a\nb", 422), ("a\u{7f}", 422), (" \n", 400)]
    {
        let put = harness.json("PUT", "/api/v1/secrets/tok", &json!({"value": given})).await;
        assert_eq!(put.status.as_u16(), status, "{given:?}: {put:?}");
        assert_eq!(value(&harness, "tok", None).await.as_deref(), Some("good"));
    }
    let put = harness.json("PUT", "/api/v1/secrets/tok", &json!({"value": "Bearer x1y2"})).await;
    let warning = put.json()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("Bearer ${user.NAME}") && !warning.contains("x1y2"), "{warning}");

    let refused = create(&harness, &json!({"name": "flow", "value": "a\nb"})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert!(refused.json()["errors"]["value"][0].as_str().unwrap().contains("control character"));
    let both = create(&harness, &json!({"name": "", "value": "a\nb"})).await;
    assert_eq!(both.status, StatusCode::BAD_REQUEST, "{both:?}");
    let created = create(&harness, &json!({"name": "flow", "value": "good\n"})).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert_eq!(value(&harness, "flow", None).await.as_deref(), Some("good"));
}

#[tokio::test]
async fn what_is_not_given_is_kept() {
    let harness = Harness::start().await;
    let created = create(&harness, &json!({"name": "token", "value": "s3cret"})).await.json();
    let own = path(&created["_links"]["self"]["href"]);
    for change in [
        json!({"name": "token", "description": "d"}),
        json!({"value": "********", "description": "e"}),
        json!({"name": "other", "value": "*****"}),
    ] {
        let replaced = harness.json("PUT", &own, &change).await;
        assert_eq!(replaced.status, StatusCode::OK, "{replaced:?}");
        let name = replaced.json()["name"].as_str().unwrap().to_owned();
        assert_eq!(value(&harness, &name, None).await.as_deref(), Some("s3cret"), "{change}");
    }
    assert_eq!(value(&harness, "token", None).await, None, "renamed");
}

#[tokio::test]
async fn faults() {
    let harness = Harness::start().await;
    create(&harness, &json!({"name": "taken", "value": "v"})).await;
    let rule = "can only contain A-Z, a-z, 0-9, _ and -, and must be 1 to 64 characters";
    let long = "x".repeat(64 * 1024 + 1);
    let table = [
        (json!({}), json!({"name": ["is missing"], "value": ["is missing"]})),
        (json!({"name": null, "value": null}), {
            json!({"name": ["must be filled"], "value": ["must be filled"]})
        }),
        (json!({"name": "", "value": ""}), {
            json!({"name": ["must be filled"], "value": ["must be filled"]})
        }),
        (json!({"name": 1, "value": []}), {
            json!({"name": ["must be a string"], "value": ["must be a string"]})
        }),
        (json!({"name": "a b", "value": "v"}), json!({"name": [rule]})),
        (json!({"name": "x".repeat(65), "value": "v"}), json!({"name": [rule]})),
        (json!({"name": "a", "value": long}), {
            json!({"value": ["cannot be longer than 65536 bytes"]})
        }),
        (json!({"name": "a", "value": "v", "description": 1}), {
            json!({"description": ["must be a string"]})
        }),
        (json!({"name": "a", "value": "v", "teamUuid": true}), {
            json!({"teamUuid": ["must be a string"]})
        }),
        (json!({"name": "taken", "value": "v"}), json!({"name": ["is taken by another secret"]})),
    ];
    for (document, errors) in table {
        let answer = create(&harness, &document).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert_eq!(answer.json(), json!({ "errors": errors }));
    }
    assert_eq!(value(&harness, "taken", None).await.as_deref(), Some("v"), "untouched");
}

#[tokio::test]
async fn both_apis_show_the_same_secrets() {
    let harness = Harness::start().await;
    harness.json("PUT", "/api/v1/secrets/ours", &json!({"value": "one"})).await;
    let theirs = json!({"name": "theirs", "value": "two", "description": "d", "teamUuid": "t"});
    create(&harness, &theirs).await;
    let ours = harness.get("/api/v1/secrets").await.json();
    let listed: Vec<_> = ours["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| (secret["name"].clone(), secret["team_uuid"].clone()))
        .collect();
    assert_eq!(listed, [(json!("ours"), json!(null)), (json!("theirs"), json!("t"))]);
    let flow = harness.get("/secrets").await.json();
    let uuids = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|secret| secret["uuid"].clone()).collect()
    };
    assert_eq!(uuids(&flow["_embedded"]["secrets"]), uuids(&ours["secrets"]));
    // A new value from the other side keeps description and team.
    harness.json("PUT", "/api/v1/secrets/theirs", &json!({"value": "three"})).await;
    let kept = harness.get("/secrets").await.json()["_embedded"]["secrets"][1].clone();
    assert_eq!((&kept["description"], &kept["teamUuid"]), (&json!("d"), &json!("t")));
    assert_eq!(value(&harness, "theirs", Some("t")).await.as_deref(), Some("three"));
}

#[tokio::test]
async fn a_teams_secrets_are_for_its_webhooks() {
    let harness = Harness::start().await;
    let team = json!({"name": "githubToken", "value": "v", "teamUuid": "a"});
    create(&harness, &team).await;
    create(&harness, &json!({"name": "open", "value": "v"})).await;
    let hook_of = |team: Option<&str>, secret: &str| {
        let mut document = hook();
        document["request"]["headers"]["Authorization"] =
            format!("Bearer ${{user.{secret}}}").into();
        if let Some(team) = team {
            document["teamUuid"] = team.into();
        }
        document
    };
    for (team, secret, expected) in [
        (Some("a"), "githubToken", Ok(())),
        (None, "open", Ok(())),
        (None, "nothing-yet", Ok(())),
        (Some("b"), "nothing-yet", Ok(())),
        (
            None,
            "githubToken",
            Err("is missing: the secret githubToken belongs to the team a, and only webhooks of \
                 that team can use it"),
        ),
        (
            Some("b"),
            "githubToken",
            Err("is another team: the secret githubToken belongs to the team a, and only \
                 webhooks of that team can use it"),
        ),
        (
            Some("a"),
            "open",
            Err("must be left out: the secret open belongs to no team, and only webhooks without \
                 a team can use it"),
        ),
    ] {
        let answer = harness.json("POST", "/webhooks", &hook_of(team, secret)).await;
        match expected {
            Ok(()) => assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}"),
            Err(message) => {
                assert_eq!(answer.json(), json!({"errors": {"teamUuid": [message]}}));
            }
        }
    }
    let uuid = harness.webhook(&hook_of(Some("a"), "githubToken")).await;
    let mut left = harness.get(&format!("/webhooks/{uuid}")).await.json();
    left.as_object_mut().unwrap().remove("teamUuid");
    let refused = harness.json("PUT", &format!("/webhooks/{uuid}"), &left).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "stars hide the secret's name only");
}
