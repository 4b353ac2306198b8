//! The OpenAPI document: its examples are sent to the real router, and each status that it
//! promises is provoked. Every other test of this suite holds its answers against it, too.

use http::StatusCode;
use postrider_store::{
    IncidentFinding, IncidentKind, IncidentSync, MonitorLease, Severity, WorkerId,
};
use serde_json::{Value, json};

use crate::contract::{self, DOCUMENT, assert_valid, step};
use crate::harness::{Answer, Harness};

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);
const LANE: &str = "github.example.org/githubToken";
const ABSENT: &str = "01890000-0000-7000-8000-000000000000";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Statuses that other tests provoke, where they have the means, or that nothing can on purpose.
const ELSEWHERE: [&str; 3] = ["408", "500", "503"];

/// A call of the document with a path that names things that are there.
#[derive(Debug, Clone)]
struct Call {
    method: String,
    template: &'static str,
    path: String,
    operation: &'static Value,
}

impl Call {
    fn has(&self, status: &str) -> bool {
        self.operation["responses"].get(status).is_some()
    }

    fn takes_body(&self) -> bool {
        self.operation.get("requestBody").is_some()
    }

    /// The document's own example, as JSON.
    fn example(&self) -> String {
        let content = &self.operation["requestBody"]["content"];
        let example = [&content["application/json"], &content["*/*"]]
            .into_iter()
            .find_map(|content| content.get("example"));
        example.map(Value::to_string).unwrap_or_default()
    }

    async fn send(&self, harness: &Harness, headers: &[(&str, &str)], body: String) -> Answer {
        harness.call(&self.method, &self.path, headers, body).await
    }
}

/// All calls of the intake's address; `names` are the parameters of paths by their beginnings.
fn calls(names: &[(&str, &str)]) -> Vec<Call> {
    let mut calls = Vec::new();
    for (template, item) in DOCUMENT["paths"].as_object().unwrap() {
        let found = names.iter().filter(|(beginning, _)| template.starts_with(beginning));
        let name = found.max_by_key(|(beginning, _)| beginning.len()).map_or("x", |(_, name)| name);
        let parts = template.split('/').map(|part| if part.starts_with('{') { name } else { part });
        let mut path = parts.collect::<Vec<_>>().join("/");
        if template == "/api/v1/doctor" {
            path += "?consumer=checkout&provider=billing";
        }
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"] != json!(["admin"]) {
                let (method, path) = (method.to_uppercase(), path.clone());
                calls.push(Call { method, template, path, operation });
            }
        }
    }
    // What deletes comes last.
    calls.sort_by_key(|call| call.method == "DELETE");
    calls
}

fn example(path: &str, method: &str) -> Value {
    let content = &DOCUMENT["paths"][path][method]["requestBody"]["content"];
    content["application/json"]["example"].clone()
}

async fn sync(harness: &Harness, lease: MonitorLease, findings: Vec<IncidentFinding>) {
    let sync = IncidentSync { findings, judged: IncidentKind::ALL.to_vec(), channels: Vec::new() };
    harness.store.sync_incidents(lease, &sync).await.unwrap().unwrap();
}

/// The newest incident, which was just found.
async fn found(harness: &Harness, lease: MonitorLease) -> String {
    let finding = IncidentFinding {
        kind: IncidentKind::LaneHeld,
        subject: LANE.to_owned(),
        cause: "credential",
        severity: Severity::Critical,
        summary: "It is so".to_owned(),
        next: "postrider lanes list".to_owned(),
    };
    sync(harness, lease, vec![finding]).await;
    let list = harness.get("/api/v1/incidents").await.json();
    list["incidents"][0]["id"].as_str().unwrap().to_owned()
}

/// Sends each call's own example to where its things are.
async fn examples(harness: &Harness) {
    let webhook = harness.webhook(&example("/webhooks", "post")).await;
    let event = harness.event(&example("/events", "post")).await.json();
    let delivery = event["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let event_id = event["event_id"].as_str().unwrap().to_owned();
    let secret = harness.json("POST", "/secrets", &example("/secrets", "post")).await.json();
    let mut other = example("/secrets", "post");
    other["name"] = "other".into();
    let owner = WorkerId(uuid::Uuid::now_v7());
    let lease = harness.store.monitor_lease(owner, None, HOUR).await.unwrap().unwrap();
    let incident = found(harness, lease).await;
    let names = [
        ("/webhooks", webhook.as_str()),
        ("/triggered-webhooks", &delivery),
        ("/secrets", secret["uuid"].as_str().unwrap()),
        ("/doc", "webhooks-create"),
        ("/api/v1/deliveries", &delivery),
        ("/api/v1/events", &event_id),
        ("/api/v1/incidents", &incident),
        ("/api/v1/secrets", "fresh"),
        ("/api/v1/webhooks", &webhook),
    ];
    for call in calls(&names) {
        let body = match (call.template, call.method.as_str()) {
            ("/secrets", "POST") => other.to_string(),
            _ => call.example(),
        };
        let answer = call.send(harness, &[JSON], body).await;
        assert!(answer.status.is_success(), "{call:?}: {answer:?}");
        // A second time: what was created is replaced.
        if call.method == "PUT" {
            assert!(call.send(harness, &[JSON], call.example()).await.status.is_success());
        }
    }
    for (path, replaced) in [("/webhooks/{uuid}", ABSENT), ("/api/v1/secrets/{name}", "newer")] {
        let new = path.split('{').next().unwrap_or_default().to_owned() + replaced;
        let answer = harness.json("PUT", &new, &example(path, "put")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    // One that nobody had seen is over: the one before was acknowledged in time.
    sync(harness, lease, Vec::new()).await;
    let incident = found(harness, lease).await;
    sync(harness, lease, Vec::new()).await;
    let late = harness.call("POST", &format!("/api/v1/incidents/{incident}/ack"), &[], "").await;
    assert_eq!(late.status, StatusCode::CONFLICT);
}

/// Asks for what is not there, with what is wrong.
async fn faults(harness: &Harness) {
    let secret = harness.json("POST", "/secrets", &example("/secrets", "post")).await.json();
    let secret = secret["uuid"].as_str().unwrap();
    let there = calls(&[("/secrets", secret), ("/webhooks", "there-to-be-replaced")]);
    for call in there {
        let body = call.example();
        for (status, header, body) in [
            ("400", JSON, "[]"),
            ("406", ("accept", "image/png"), body.as_str()),
            ("413", JSON, " ".repeat(8 * 1024 * 1024 + 1).as_str()),
            ("415", ("content-type", "text/plain"), &body),
        ] {
            if call.has(status) && (call.takes_body() || status == "406") {
                let headers = if status == "406" { vec![JSON, header] } else { vec![header] };
                let answer = call.send(harness, &headers, body.to_owned()).await;
                assert_eq!(answer.status.as_str(), status, "{call:?}: {answer:?}");
            }
        }
        let is_named = call.template.ends_with('}')
            || ["/ack", "}/discard", "}/release", "/pending", "/probe"]
                .iter()
                .any(|end| call.template.ends_with(end));
        let bad = if is_named {
            call.path.replace("/x", "/%FF")
        } else {
            let more = if call.path.contains('?') { '&' } else { '?' };
            format!("{}{more}limti=1", call.path)
        };
        if call.has("400") && !call.takes_body() {
            let answer = harness.call(&call.method, &bad, &[], "").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{call:?}: {answer:?}");
        }
    }
    for call in calls(&[("/", ABSENT), ("/hooks/broker", "eu")]) {
        if call.has("404") {
            call.send(harness, &[JSON], call.example()).await;
        }
        // Pacticipants are not looked for: only a path that is none is not there.
        for segment in ["%zz", "a%09b"] {
            let path = call.path.replace(ABSENT, segment);
            harness.call(&call.method, &path, &[JSON], call.example()).await;
        }
    }
    unknown_events(harness).await;
    // Nothing is to follow.
    let fresh = "/api/v1/secrets/fresh";
    harness.json("PUT", fresh, &json!({"value": "x"})).await;
    let switched = harness.json("POST", &format!("{fresh}/switch"), &json!({"force": true})).await;
    assert_eq!(switched.status, StatusCode::CONFLICT);
    let unusable =
        harness.json("PUT", &format!("{fresh}/pending"), &json!({"value": "a\nb"})).await;
    assert_eq!(unusable.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (method, path) in [("PUT", "/api/v1/secrets/fresh"), ("POST", "/secrets")] {
        let unusable = json!({"name": "odd", "value": "a\nb"});
        let body = if method == "PUT" { json!({"value": "a\nb"}) } else { unusable };
        let answer = harness.json(method, path, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    of_an_app(harness).await;
}

/// Nothing follows an app, and none of its values is tried.
async fn of_an_app(harness: &Harness) {
    let app = postrider_domain::GithubApp::new("12", Some(7), None, false, None).unwrap();
    let private_key = "the private key".into();
    let content = postrider_store::SecretContent::GithubApp { app, private_key };
    harness.store.set_secret_to("fresh", content).await.unwrap();
    for (method, end, body) in [
        ("PUT", "pending", json!({"value": "x"})),
        ("POST", "switch", json!({"force": true})),
        ("POST", "probe", json!({"which": "current"})),
    ] {
        let answer = harness.json(method, &format!("/api/v1/secrets/fresh/{end}"), &body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
        assert!(answer.text.contains("fresh is a GitHub App"), "{answer:?}");
    }
}

/// One token listens more often than it may.
async fn crowd() {
    let harness = Harness::with_tokens("read:re").await;
    let header = ("authorization", "Bearer re");
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(harness.listen("/api/v1/stream", &[header]).await);
    }
    let answer = harness.call("GET", "/api/v1/stream", &[header], "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "30");
}

async fn unknown_events(harness: &Harness) {
    let mut event = example("/events", "post");
    event["event_name"] = "odd".into();
    event["id"] = Value::Null;
    assert_eq!(harness.event(&event).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(harness.event(&json!([event])).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for path in ["/hooks/broker", "/hooks/broker/eu"] {
        let odd = format!("{path}?eventName=odd&consumerName=C&providerName=P");
        let answer = harness.call("POST", &odd, &[], "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let long = format!("{path}?buildUrl={}", "x".repeat(32 * 1024));
        let answer = harness.call("POST", &long, &[], "").await;
        assert_eq!(answer.status, StatusCode::URI_TOO_LONG);
    }
}

/// Comes without a token, and with one of another role.
async fn strangers() {
    let harness = Harness::with_tokens("ingest:in read:re").await;
    for call in calls(&[]) {
        let wrong =
            if call.operation["security"][0]["bearer"] == json!(["ingest"]) { "re" } else { "in" };
        let wrong = format!("Bearer {wrong}");
        for headers in [vec![], vec![("authorization", wrong.as_str())]] {
            let answer = call.send(&harness, &headers, String::new()).await;
            let is_refused = [401, 403].contains(&answer.status.as_u16());
            assert!(is_refused, "{call:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn every_call_answers_as_told() {
    examples(&Harness::start().await).await;
    faults(&Harness::start().await).await;
    strangers().await;
    crowd().await;
    let unseen: Vec<_> = contract::unseen()
        .into_iter()
        .filter(|(call, status)| {
            let operation = DOCUMENT.pointer(call).unwrap();
            operation["tags"] != json!(["admin"]) && !ELSEWHERE.contains(&status.as_str())
        })
        .collect();
    assert!(unseen.is_empty(), "told of, but never answered: {unseen:#?}");
}

#[tokio::test]
async fn without_a_store_the_calls_answer_as_told() {
    let harness = Harness::start().await;
    harness.store.close().await;
    for call in calls(&[("/", ABSENT), ("/doc", "webhooks")]) {
        let answer = call.send(&harness, &[JSON], call.example()).await;
        let needs_no_store = ["/", "/doc/{rel}", "/openapi.json"].contains(&call.template);
        let expected = if needs_no_store { 200 } else { 503 };
        assert_eq!(answer.status.as_u16(), expected, "{call:?}: {answer:?}");
    }
}

#[test]
fn examples_are_valid() {
    let mut checked = 0;
    let mut look = |pointer: &str, value: &Value| {
        for (kind, content) in value["content"].as_object().into_iter().flatten() {
            if let Some(example) = content.get("example") {
                let schema = format!("{pointer}/content{}/schema", step(kind));
                assert_valid(true, &schema, example);
                checked += 1;
            }
        }
    };
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let pointer = format!("/paths{}/{method}", step(path));
            look(&format!("{pointer}/requestBody"), &operation["requestBody"]);
            for (status, response) in operation["responses"].as_object().unwrap() {
                look(&format!("{pointer}/responses/{status}"), response);
            }
        }
    }
    for (name, response) in DOCUMENT["components"]["responses"].as_object().unwrap() {
        let validated = response["content"].as_object().into_iter().flatten();
        for (kind, content) in validated {
            if let Some(example) = content.get("example") {
                let schema = format!("/components/responses/{name}/content{}/schema", step(kind));
                assert_valid(true, &schema, example);
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

#[tokio::test]
async fn the_document_is_served_to_readers() {
    let harness = Harness::with_tokens("ingest:in read:re operate:op").await;
    for (token, status) in [("re", 200), ("op", 200), ("in", 403), ("none", 401)] {
        let header = [("authorization", &*format!("Bearer {token}"))];
        let answer = harness.call("GET", "/openapi.json", &header, "").await;
        assert_eq!(answer.status, status, "{token}");
        assert_eq!(answer.text == contract::TEXT.as_str(), status == 200, "{token}");
    }
}
