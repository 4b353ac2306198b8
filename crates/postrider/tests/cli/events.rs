//! Events.

use serde_json::{Value, json};

use super::server::{ID, Server, expect, stderr, stdout};

#[test]
fn published_events_are_counted_and_refusals_named() {
    let answers = json!([
        { "status": 202, "event_id": ID, "deliveries": [], "duplicate": false },
        { "status": 202, "event_id": ID, "deliveries": [], "duplicate": true },
        { "status": 400, "title": "Bad Request", "detail": "d", "errors": [{ "pointer": "/2/consumer/name", "detail": "is missing" }] },
    ]);
    let unwanted = json!({
        "webhook_uuid": "0123456789abcdef", "description": "hook",
        "reason": "provider.name is \"a\", not \"b\"",
    });
    let event = json!({
        "id": ID, "source": "api", "received_at": "2026-11-30T09:00:00Z", "event": {},
        "deliveries": [], "unwanted_by": [unwanted], "webhooks": 3, "merged": null,
    });
    let path = format!("GET /api/v1/events/{ID}");
    let server = Server::start(&[("POST /events", &[(202, answers)]), (&path, &[(200, event)])]);
    let output =
        server.run_with(&["events", "publish"], "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
    expect(&output, 1);
    let told = stdout(&output);
    assert!(told.starts_with("accepted 1, duplicate 1, refused 1\n"), "{told}");
    let why = "no webhook wants 1 of the events:\n  hook (0123456789abcdef): provider.name is \"a\", \
               not \"b\"\n  and 2 more webhooks\n";
    assert!(told.contains(why), "{told}");
    assert_eq!(stderr(&output), "event 3 refused (400): /consumer/name is missing\n");
    assert_eq!(server.calls()[0].body, json!([{ "id": "a" }, { "id": "b" }, { "id": "c" }]));
}

#[test]
fn what_the_intake_could_not_store_is_sent_again_under_the_same_key() {
    let taken = json!({ "status": 202, "event_id": ID, "deliveries": [], "duplicate": false });
    let away = json!({ "status": 503, "title": "t", "detail": "the store is away", "errors": [] });
    let answers: (&str, &[(u16, Value)]) = (
        "POST /events",
        &[
            (503, json!({ "detail": "the store is away" })),
            (202, json!([taken, away])),
            (202, json!([taken])),
        ],
    );
    let server = Server::start(&[answers]);
    let output = server.run_with(&["events", "publish", "--json"], "[{\"n\":1},{\"n\":2}]");
    expect(&output, 0);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["accepted"], 2);
    let sent = server.calls().into_iter().filter(|call| call.method == "POST");
    let bodies: Vec<Value> = sent.map(|call| call.body).collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[2], json!([bodies[0][1]]));
    assert!(bodies[0][0]["id"].is_string());
}

#[test]
fn cloud_events_go_out_as_such_and_broken_input_not_at_all() {
    let server = Server::start(&[(
        "POST /events",
        &[(202, json!([{ "status": 202, "event_id": ID, "deliveries": [], "duplicate": false }]))],
    )]);
    let event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "x" }).to_string();
    expect(&server.run_with(&["events", "publish"], &event), 0);
    let content_type = server.calls()[0].content_type.clone();
    assert_eq!(content_type.as_deref(), Some("application/cloudevents-batch+json"));
    for broken in ["", "[]", "{\"id\":\"a\"}\n{", "nonsense"] {
        expect(&server.run_with(&["events", "publish"], broken), 2);
    }
    expect(&server.run(&["events", "publish", "-f", "/nowhere"]), 2);
    let sent = server.calls().into_iter().filter(|call| call.method == "POST");
    assert_eq!(sent.count(), 1);
}
