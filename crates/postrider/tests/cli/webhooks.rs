//! Webhooks.

use axum::http::Method;
use serde_json::{Value, json};

use super::server::{Call, LIST, Server, delivery, expect, lane, page, stderr, stdout};

const UUID: &str = "0123456789abcdef";

fn webhook() -> Value {
    json!({
        "uuid": UUID, "description": "d", "enabled": true,
        "request": { "method": "POST", "url": "https://h/x" },
        "events": [{ "name": "contract_published" }],
        "createdAt": "2026-01-01T00:00:00+00:00", "_links": {},
    })
}

const CHECK: &str = "POST /api/v1/webhooks/check";

/// What a call was, in a word.
fn named(call: &Call) -> String {
    format!("{} {}", call.method, call.target)
}

/// Those that change something.
fn writes(server: &Server) -> Vec<String> {
    let calls = server.calls();
    let all = calls.iter().filter(|call| call.method != Method::GET).map(named);
    all.filter(|call| call != CHECK).collect()
}

fn broker(more: &[(&str, &[(u16, Value)])]) -> Server {
    let links = json!({ "_links": { "pb:webhooks": [{ "href": format!("http://elsewhere/webhooks/{UUID}") }] } });
    let fine = [(200, json!({ "errors": [], "warnings": [] }))];
    let (collection, document) = ([(200, links)], [(200, webhook())]);
    let get = format!("GET /webhooks/{UUID}");
    let mut script: Vec<(&str, &[(u16, Value)])> =
        vec![("GET /webhooks", &collection), (&get, &document), (CHECK, &fine)];
    script.extend_from_slice(more);
    Server::start(&script)
}

const FILE: &str = "
- description: d
  request: {method: POST, url: 'https://h/y'}
  events: [{name: contract_published}]
- description: new
  request: {method: POST, url: 'https://h/z'}
";

#[test]
fn applying_webhooks_plans_first_and_acts_when_told_to() {
    let put = format!("PUT /webhooks/{UUID}");
    let server = broker(&[(&put, &[(200, json!({}))]), ("POST /webhooks", &[(201, json!({}))])]);
    let output = server.run_with(&["webhooks", "apply", "-f", "-"], FILE);
    expect(&output, 0);
    let text = stdout(&output);
    assert!(text.contains("replace    d (0123456789abcdef)"), "{text}");
    assert!(text.contains("request.url: \"https://h/x\" -> \"https://h/y\""), "{text}");
    assert!(text.contains("create     new") && text.contains("add --yes"), "{text}");
    assert!(writes(&server).is_empty());
    expect(&server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], FILE), 0);
    assert_eq!(writes(&server), [put, "POST /webhooks".to_owned()]);
}

#[test]
fn what_the_server_warns_of_is_told_before_anything_is_changed() {
    let warning = "/event is no key of a webhook and means nothing: did you mean events?";
    let fine = [(200, json!({ "errors": [], "warnings": [warning] }))];
    let links = [(200, json!({ "_links": { "pb:webhooks": [] } }))];
    let server = Server::start(&[("GET /webhooks", &links), (CHECK, &fine)]);
    let document = "description: new\nevent: []\nrequest: {method: POST, url: 'https://h'}\n";
    let output = server.run_with(&["webhooks", "apply", "-f", "-"], document);
    expect(&output, 0);
    assert!(stderr(&output).contains(&format!("warning: new: {warning}")), "{}", stderr(&output));
    let output = server.run_with(&["webhooks", "apply", "-f", "-", "-o", "json"], document);
    let plan: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(plan["webhooks"][0]["warnings"], json!([warning]));
}

#[test]
fn a_webhook_that_is_held_says_so_beside_its_document() {
    let since = "2026-11-29T09:00:00Z";
    let hold = json!({
        "webhook_uuid": UUID, "cause": "credential", "since": since, "backlog": 3,
        "next_probe_at": null,
    });
    let lane = lane(json!({ "held_webhooks": [hold] }));
    let server = broker(&[("GET /api/v1/lanes", &[(200, json!({ "lanes": [lane] }))])]);
    let output = server.run(&["webhooks", "show", UUID]);
    expect(&output, 0);
    let said = stderr(&output);
    assert!(said.contains("held since 2026-11-29T09:00:00Z: credential; 3 wait"), "{said}");
    assert!(said.contains("postrider webhooks release 0123456789abcdef"), "{said}");
}

#[test]
fn what_is_there_already_is_left_alone() {
    let server = broker(&[]);
    let output =
        server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], &webhook().to_string());
    expect(&output, 0);
    assert!(
        stdout(&output).contains("0 to create, 0 to replace, 1 unchanged"),
        "{}",
        stdout(&output)
    );
    assert!(server.calls().iter().all(|call| call.method == Method::GET));
}

#[test]
fn a_refused_webhook_is_exit_1_with_the_fields() {
    let error = json!({ "pointer": "request.url", "detail": "scheme must be https" });
    let refusal = [(200, json!({ "errors": [error], "warnings": [] }))];
    let links = [(200, json!({ "_links": { "pb:webhooks": [] } }))];
    let server = Server::start(&[("GET /webhooks", &links), (CHECK, &refusal)]);
    let document = "description: new\nrequest: {method: POST, url: 'http://h'}\n";
    let output = server.run_with(&["webhooks", "apply", "-f", "-", "--yes"], document);
    expect(&output, 1);
    assert!(stderr(&output).contains("request.url scheme must be https"), "{}", stderr(&output));
    assert!(writes(&server).is_empty(), "nothing is changed: {:?}", writes(&server));
}

#[test]
fn webhooks_are_listed_with_their_last_delivery() {
    let last = delivery(
        json!({ "status": "failed", "last_outcome": "not_found", "last_status_code": 404 }),
    );
    let page = page(&[last], None);
    let server = broker(&[(LIST, &[(200, page)])]);
    let output = server.run(&["webhooks", "list"]);
    expect(&output, 0);
    assert!(stdout(&output).contains("not_found 404"), "{}", stdout(&output));
    let shown = server.run(&["webhooks", "show", UUID]);
    expect(&shown, 0);
    assert!(stdout(&shown).contains("url: https://h/x"), "{}", stdout(&shown));
    assert!(!stdout(&shown).contains("_links"));
    expect(&server.run(&["webhooks", "delete", "fedcba9876543210"]), 1);
}
