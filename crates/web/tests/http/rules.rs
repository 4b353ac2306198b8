//! What a webhook asks for beyond what a broker knows: the key `postrider`, filters, signatures.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, event, hook};

fn rules() -> Value {
    json!({
        "when": {"consumerBranches": ["main", "release/*"]},
        "success": {"codes": [200], "bodyExcludes": "error"},
        "timeout": "30s", "retrySchedule": "10 60 600",
        "signing": {"secret": "${user.signingKey}", "previous": "${user.oldKey}"},
    })
}

fn with_rules() -> Value {
    let mut hook = hook();
    hook["postrider"] = rules();
    hook
}

async fn shown(harness: &Harness, uuid: &str) -> Value {
    harness.get(&format!("/webhooks/{uuid}")).await.json()
}

async fn put(harness: &Harness, uuid: &str, document: &Value) -> Answer {
    let put = harness.json("PUT", &format!("/webhooks/{uuid}"), document).await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    put
}

#[tokio::test]
async fn rules_are_kept_replaced_and_cleared() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&with_rules()).await;
    assert_eq!(shown(&harness, &uuid).await["postrider"], rules());

    // A broker's client knows nothing of the key.
    let put_without = put(&harness, &uuid, &hook()).await;
    assert_eq!(put_without.json()["postrider"], rules());
    // And one that sends back what it read changes nothing.
    let read = shown(&harness, &uuid).await;
    assert_eq!(put(&harness, &uuid, &read).await.json()["postrider"], rules());

    let mut other = hook();
    other["postrider"] = json!({"timeout": 5});
    put(&harness, &uuid, &other).await;
    assert_eq!(shown(&harness, &uuid).await["postrider"], json!({"timeout": 5}));
    other["postrider"] = Value::Null;
    put(&harness, &uuid, &other).await;
    assert_eq!(shown(&harness, &uuid).await.get("postrider"), None);
}

#[tokio::test]
async fn faults_of_rules_are_told_by_key_and_change_nothing() {
    let harness = Harness::start().await;
    let uuid = harness.webhook(&with_rules()).await;
    let mut wrong = hook();
    wrong["postrider"] = json!({"when": {"consumerBranches": []}, "timeout": "2m", "x": 1});
    let refused = harness.json("PUT", &format!("/webhooks/{uuid}"), &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    let errors = refused.json()["errors"].clone();
    let keys: Vec<&String> = errors.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["postrider.x", "postrider.when.consumerBranches", "postrider.timeout"]);
    assert_eq!(shown(&harness, &uuid).await["postrider"], rules());
}

#[tokio::test]
async fn a_signed_webhook_sets_no_header_of_the_signature() {
    let harness = Harness::start().await;
    let mut twice = with_rules();
    twice["request"]["headers"]["Webhook-Timestamp"] = json!("1");
    let refused = harness.json("POST", "/webhooks", &twice).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    assert!(refused.text.contains("request.headers") && refused.text.contains("signing"));

    let uuid = harness.webhook(&with_rules()).await;
    let mut kept = hook();
    kept["request"]["headers"]["webhook-id"] = json!("1");
    let refused = harness.json("PUT", &format!("/webhooks/{uuid}"), &kept).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "the signature is kept: {refused:?}");
    kept["postrider"] = Value::Null;
    put(&harness, &uuid, &kept).await;
}

#[tokio::test]
async fn events_that_a_rule_keeps_out_are_taken_without_a_delivery() {
    let harness = Harness::start().await;
    harness.webhook(&with_rules()).await;
    let on = |branch: &str| {
        let mut event = event();
        event["consumer"]["branch"] = json!(branch);
        event
    };
    for (branch, deliveries) in [("main", 1), ("release/1", 1), ("feat/x", 0), ("", 0)] {
        let taken = harness.event(&on(branch)).await;
        assert_eq!(taken.status, StatusCode::ACCEPTED, "{taken:?}");
        let made = taken.json()["deliveries"].as_array().unwrap().len();
        assert_eq!(made, deliveries, "{branch:?}");
    }
}

#[tokio::test]
async fn filters_are_checked_and_raw_bodies_warned_of() {
    let harness = Harness::start().await;
    let mut document = hook();
    document["request"]["body"] = json!("<a>${pactbroker.consumerName|html}</a>");
    document["request"]["headers"]["Content-Type"] = json!("application/xml");
    let refused = harness.json("POST", "/webhooks", &document).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    assert!(refused.json()["errors"]["request.body"][0].as_str().unwrap().contains("xml"));

    document["request"]["body"] = json!("<a>${pactbroker.consumerName}</a>");
    let warned = harness.json("POST", "/webhooks", &document).await;
    assert_eq!(warned.status, StatusCode::CREATED, "{warned:?}");
    assert!(warned.json()["warnings"][0].as_str().unwrap().contains("|xml}"), "{warned:?}");

    document["request"]["body"] = json!("<a>${pactbroker.consumerName|xml}</a>");
    let clean = harness.json("POST", "/webhooks", &document).await;
    assert_eq!(clean.json().get("warnings"), None, "{clean:?}");
}

#[tokio::test]
async fn secrets_may_stand_in_a_path_but_not_in_the_host() {
    let harness = Harness::start().await;
    let mut document = hook();
    document["request"]["url"] = json!("https://hooks.example/services/${user.hook|url}");
    let uuid = harness.webhook(&document).await;
    let lane = harness.store.webhook(&uuid.parse().unwrap()).await.unwrap().unwrap().lane;
    assert_eq!(lane, "hooks.example/githubToken");
    document["request"]["headers"] = json!({});
    let uuid = harness.webhook(&document).await;
    let lane = harness.store.webhook(&uuid.parse().unwrap()).await.unwrap().unwrap().lane;
    assert_eq!(lane, "hooks.example/hook");
    document["request"]["url"] = json!("https://${user.hook}.example/");
    let refused = harness.json("POST", "/webhooks", &document).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
}
