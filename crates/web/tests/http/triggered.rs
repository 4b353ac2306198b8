//! What became of deliveries, as the broker shows what it triggered: logs and status.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use postrider_domain::Outcome;
use postrider_store::{
    AttemptRow, Claim, ClaimTerms, KeptRequest, LaneShare, Poll, Recorded, Refusal, Rendition,
    Store, Transition, WorkerId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Harness};

const STATUS: &str = "/pacts/provider/Other/consumer/Con%20Sumer/webhooks/status";
const HAL: [(&str, &str); 1] = [("accept", "application/hal+json")];

/// A webhook to a target without limits.
pub(crate) fn target() -> Value {
    json!({
        "events": [{"name": "contract_published"}],
        "provider": {"name": "Other"},
        "request": {"method": "POST", "url": "https://127.0.0.1:9480/x", "body": {"n": "f1"}},
    })
}

/// The event that it wants.
pub(crate) fn publication() -> Value {
    json!({
        "event_name": "contract_published",
        "consumer": {"name": "Con Sumer", "version_number": "f1"},
        "provider": {"name": "Other"},
    })
}

/// All that is due, in the order of the webhooks.
pub(crate) async fn claims(store: &Store) -> Vec<Claim> {
    let terms = ClaimTerms {
        worker: WorkerId(Uuid::now_v7()),
        timeout: Duration::from_mins(1),
        margin: Duration::ZERO,
    };
    let mut claims = Vec::new();
    for lane in store.poll(Poll::Page(None)).await.unwrap().lanes {
        let share = LaneShare { lane: lane.id, limit: 100 };
        claims.extend(store.claim_due(&[share], false, terms).await.unwrap());
    }
    claims.sort_by_key(|claim| claim.webhook_id);
    claims
}

/// An attempt that was answered, as the worker keeps it.
pub(crate) fn answered(path: &str, status: u16, body: &str) -> (Option<u16>, String, String) {
    let request = json!({
        "method": "POST",
        "url": format!("http://127.0.0.1:9480{path}"),
        "headers": {
            "accept": "*/*",
            "user-agent": "Pact Broker v2.120.0",
            "content-type": "application/json",
            "x-sig-token": "**********",
            "host": "127.0.0.1:9480",
            "content-length": "10",
        },
        "body": {"n": "f1"},
    });
    let mut response = json!({"status": status, "headers": {}, "body": null});
    if !body.is_empty() {
        response["headers"] =
            json!({"content-type": "application/json", "content-length": body.len().to_string()});
        response["body"] = serde_json::from_str(body).unwrap();
    }
    (Some(status), request.to_string(), response.to_string())
}

/// Records an outcome for a claim.
pub(crate) async fn record(
    store: &Store,
    claim: &Claim,
    transition: Transition,
    outcome: Outcome,
    (status_code, request, response): (Option<u16>, String, String),
) {
    let request =
        if request.is_empty() { KeptRequest::Nothing } else { KeptRequest::Text(request) };
    keep(store, claim, transition, outcome, (status_code, request, response)).await;
}

/// The same, whatever is kept of the request.
async fn keep(
    store: &Store,
    claim: &Claim,
    transition: Transition,
    outcome: Outcome,
    (status_code, request, response): (Option<u16>, KeptRequest, String),
) {
    let attempt = AttemptRow {
        number: claim.attempt,
        started_at: Timestamp::now(),
        duration: Duration::from_millis(12),
        outcome,
        status_code,
        github_request_id: None,
        possible_duplicate: false,
        retry_after_capped: false,
        request,
        response,
    };
    let recorded = Recorded::of(claim, transition, Some(attempt));
    let report = store.record(&[recorded]).await.unwrap();
    assert!(report.late.is_empty(), "{report:?}");
}

/// The log of one delivery that failed under this status at its first attempt.
pub(crate) async fn one_log(harness: &Harness, status: u16) -> String {
    let id = one(harness).await;
    let claim = claims(&harness.store).await.remove(0);
    let failed = Transition::Failed { uncertain: false };
    record(&harness.store, &claim, failed, Outcome::Invalid, answered("/x", status, "")).await;
    logs(harness, &id, &[]).await.text
}

/// A webhook and an event for it; the delivery's id.
async fn one(harness: &Harness) -> String {
    harness.webhook(&target()).await;
    let accepted = harness.event(&publication()).await.json();
    accepted["deliveries"][0]["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn logs(harness: &Harness, id: &str, headers: &[(&str, &str)]) -> Answer {
    harness.call("GET", &format!("/triggered-webhooks/{id}/logs"), headers, "").await
}

#[tokio::test]
async fn not_yet() {
    let harness = Harness::start().await;
    let id = one(&harness).await;
    let text = logs(&harness, &id, &[]).await;
    assert_eq!(text.status, StatusCode::OK);
    assert_eq!(text.header("content-type"), "text/plain;charset=utf-8");
    assert_eq!(text.text, "Webhook has not executed yet. Please retry in a few seconds.");
    let document = logs(&harness, &id, &HAL).await.json();
    assert_eq!(document["executions"], json!([]));
    assert_eq!(document["_embedded"]["triggeredWebhook"]["uuid"], id);
    let status = harness.get(STATUS).await.json();
    assert_eq!(status["summary"], json!({"successful": 0, "failed": 0, "notRun": 1}));
    let item = &status["_embedded"]["triggeredWebhooks"][0];
    let counts = (&item["status"], &item["attemptsMade"], &item["attemptsRemaining"]);
    assert_eq!(counts, (&json!("not_run"), &json!(0), &json!(7)));
    assert_eq!(status["_links"]["pb:error-logs"], json!([]));
}

#[tokio::test]
async fn attempt_by_attempt() {
    let harness = Harness::start().await;
    let id = one(&harness).await;
    let claim = claims(&harness.store).await.remove(0);
    let again = Transition::Retry { after: Duration::ZERO, uncertain: false };
    let broken = (None, String::new(), json!({"error": "no route to host"}).to_string());
    record(&harness.store, &claim, again, Outcome::ConnectError, broken).await;
    let status = harness.get(STATUS).await.json();
    assert_eq!(status["summary"], json!({"successful": 0, "failed": 0, "retrying": 1}));
    let item = &status["_embedded"]["triggeredWebhooks"][0];
    let counts = (&item["status"], &item["attemptsMade"], &item["attemptsRemaining"]);
    assert_eq!(counts, (&json!("retrying"), &json!(1), &json!(6)));
    assert_eq!(status["_links"]["pb:error-logs"].as_array().unwrap().len(), 1);

    let claim = claims(&harness.store).await.remove(0);
    let taken = answered("/x", 204, "");
    record(&harness.store, &claim, Transition::Delivered, Outcome::Accepted, taken).await;
    let text = logs(&harness, &id, &[]).await.text;
    let (first, second) = text.split_once("\n\n").expect("a blank line between attempts");
    assert!(first.contains("ERROR: Error executing webhook "), "{first}");
    assert!(first.contains(" connect_error - no route to host\n"), "{first}");
    assert!(first.ends_with("INFO: Retrying webhook in 0 seconds"), "{first}");
    assert!(second.ends_with("INFO: Successfully executed webhook\n"), "{second}");
    let document = logs(&harness, &id, &HAL).await.json();
    let executions: Vec<_> =
        document["executions"].as_array().unwrap().iter().map(|one| &one["success"]).collect();
    assert_eq!(executions, [&json!(false), &json!(true)]);
}

/// What was plainly accepted keeps no text: it is rendered again, from the webhook as it was then
/// and without the credential that was written into it, and says so.
#[tokio::test]
async fn an_accepted_request_is_rendered_again() {
    let harness = Harness::start().await;
    let mut hook = target();
    hook["request"]["headers"] = json!({"authorization": "Bearer inl1ne-token"});
    hook["request"]["body"] = json!({"c": "${pactbroker.consumerName}", "copy": "inl1ne-token"});
    let uuid = harness.webhook(&hook).await;
    let accepted = harness.event(&publication()).await.json();
    let id = accepted["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let claim = claims(&harness.store).await.remove(0);
    let rendition = Rendition {
        webhook_rev: claim.webhook_rev,
        span_id: [0xab; 8],
        renderer: postrider_render::RENDERER,
        body_bytes: 39,
    };
    let kept = (Some(204), KeptRequest::Rendition(rendition), String::new());
    keep(&harness.store, &claim, Transition::Delivered, Outcome::Accepted, kept).await;
    let detail = async || harness.get(&format!("/api/v1/deliveries/{id}")).await.json();
    let first = detail().await["attempts"][0].clone();
    assert_eq!(first["request_origin"], "rendered");
    assert_eq!((&first["request_bytes"], &first["request_note"]), (&json!(39), &Value::Null));
    let request = &first["request"];
    assert_eq!((&request["method"], &request["url"]), (&json!("POST"), &hook["request"]["url"]));
    assert_eq!(request["headers"]["authorization"], "**********");
    assert_eq!(request["body"], json!({"c": "Con Sumer", "copy": "********"}));
    let trace = request["headers"]["traceparent"].as_str().unwrap();
    let stored = claim.traceparent.as_deref().unwrap();
    assert_eq!(trace.get(..36), stored.get(..36), "the event's trace");
    assert!(trace.ends_with("abababababababab-01"), "{trace}");
    assert_eq!(first["response"], json!({"status": 204, "headers": {}, "body": null}));

    let changed = json!({"events": hook["events"], "provider": hook["provider"],
        "request": {"method": "POST", "url": "https://127.0.0.1:9480/other"}});
    let put = harness.json("PUT", &format!("/webhooks/{uuid}"), &changed).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    let mut again = detail().await["attempts"][0].clone();
    assert_eq!(again["request"]["url"], hook["request"]["url"], "the webhook as it was");
    again["request"] = first["request"].clone();
    assert_eq!(again, first);
    let text = logs(&harness, &id, &[]).await.text;
    for line in [
        " DEBUG: The request was not kept: it is rendered again\n",
        " INFO: HTTP/1.1 POST https://127.0.0.1:9480/x\n",
        " INFO: {\"c\":\"Con Sumer\",\"copy\":\"********\"}\n",
        " INFO: HTTP/1.1 204 No Content\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("inl1ne"), "{text}");
}

#[tokio::test]
async fn a_held_lane_is_named() {
    let harness = Harness::start().await;
    let id = one(&harness).await;
    let claim = claims(&harness.store).await.remove(0);
    let held = Transition::CredentialRejected {
        refusal: Refusal::AtGithub,
        secret_rev: claim.secret_rev,
        secrets_rev: claim.secrets_rev,
        probe_after: Duration::from_mins(1),
    };
    record(&harness.store, &claim, held, Outcome::Credential, answered("/x", 401, "")).await;
    let text = logs(&harness, &id, &[]).await.text;
    let end = "INFO: Retrying webhook when lane 127.0.0.1:9480/none is open\n";
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn logs_outlive_their_webhook() {
    let harness = Harness::start().await;
    let id = one(&harness).await;
    let document = logs(&harness, &id, &HAL).await.json();
    let link = document["_links"]["pb:webhook"]["href"].as_str().unwrap().to_owned();
    let path = link.strip_prefix("http://pr.test").unwrap();
    assert_eq!(harness.call("DELETE", path, &[], "").await.status, StatusCode::NO_CONTENT);
    let document = logs(&harness, &id, &HAL).await.json();
    assert_eq!(document["_links"].get("pb:webhook"), None);
    let status = harness.get(STATUS).await.json();
    assert_eq!(status["_embedded"]["triggeredWebhooks"], json!([]));
    let links: Vec<_> = status["_links"].as_object().unwrap().keys().cloned().collect();
    let expected = ["self", "pb:error-logs", "pb:pact-webhooks", "pb:consumer", "pb:provider"];
    assert_eq!(links, expected);
}

#[tokio::test]
async fn the_newest_of_each_event_counts() {
    let harness = Harness::start().await;
    let mut hook = target();
    hook["events"] = json!([{"name": "contract_published"}, {"name": "contract_content_changed"}]);
    harness.webhook(&hook).await;
    let mut global = target();
    global.as_object_mut().unwrap().remove("provider");
    global["description"] = "global".into();
    harness.webhook(&global).await;
    let mut changed = publication();
    changed["event_name"] = "contract_content_changed".into();
    changed["consumer"]["version_number"] = "f2".into();
    let mut foreign = publication();
    foreign["consumer"]["name"] = "Another".into();
    for event in [publication(), publication(), foreign, changed] {
        assert_eq!(harness.event(&event).await.status, StatusCode::ACCEPTED);
    }
    let status = harness.get(STATUS).await.json();
    let shown: Vec<_> = status["_embedded"]["triggeredWebhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["name"].as_str().unwrap(), item["eventName"].as_str().unwrap()))
        .collect();
    let expected = [
        ("POST 127.0.0.1", "contract_published"),
        ("global", "contract_published"),
        ("POST 127.0.0.1", "contract_content_changed"),
    ];
    assert_eq!(shown, expected);
    let version = &status["_links"]["pb:pact-version"];
    assert_eq!(version["name"], "Pact between Con Sumer (f2) and Other");
    let href = "http://pr.test/pacts/provider/Other/consumer/Con%20Sumer/version/f2";
    assert_eq!(version["href"], href);
}
