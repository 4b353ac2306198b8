use serde_json::json;

use super::*;

fn minimal() -> Value {
    json!({"event_name":"contract_published","consumer":{"name":"C"},"provider":{"name":"P"}})
}

fn read(value: &Value) -> Result<Sent, Problem> {
    read_event(value, "", &Hints::default())
}

/// Pointers of the faults of the minimal event with `pointer` replaced.
fn faults(pointer: &str, value: Value) -> (u16, Vec<String>) {
    let mut event = minimal();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[key] = value;
    let problem = read(&event).unwrap_err();
    (problem.status.as_u16(), problem.errors.into_iter().map(|error| error.pointer).collect())
}

#[test]
fn missing_values_are_empty() {
    let sent = read(&minimal()).unwrap();
    assert_eq!(sent.id, None);
    assert_eq!(sent.event.broker, "default");
    assert_eq!(sent.event.consumer, Pacticipant { name: "C".into(), ..Pacticipant::default() });
    assert_eq!(sent.event.pact_url, "");
    assert_eq!(sent.event.verification_success, None);
}

#[test]
fn everything_is_taken_over() {
    let sent = read(&json!({
        "id": "k1", "event_name": "provider_verification_failed",
        "occurred_at": "2026-11-21T09:00:00Z", "broker": "b", "unknown": [1],
        "consumer": {"name": "C\n\u{1}", "version_number": "1", "branch": "main", "tags": ["a", "b"],
                     "labels": ["l"], "version_descriptions": ["ignored"]},
        "provider": {"name": "P", "version_number": "9f2", "branch": null, "tags": null,
                     "version_descriptions": ["latest from main branch"]},
        "pact_url": "u", "verification_result_url": "v", "verification_success": false,
        "build_url": "w", "currently_deployed_provider_version_number": "8"
    }))
    .unwrap();
    let event = sent.event;
    assert_eq!(sent.id.as_deref(), Some("k1"));
    assert_eq!(event.event_name, EventName::ProviderVerificationFailed);
    assert_eq!(event.occurred_at, Some("2026-11-21T09:00:00Z".parse().unwrap()));
    assert_eq!((event.broker.as_str(), event.consumer.name.as_str()), ("b", "C\n\u{1}"));
    assert_eq!(event.consumer.tags, ["a", "b"]);
    assert_eq!(event.consumer.labels, ["l"]);
    assert!(event.consumer.version_descriptions.is_empty());
    assert_eq!(event.provider.version_descriptions, ["latest from main branch"]);
    assert_eq!(event.verification_success, Some(false));
    assert_eq!(event.currently_deployed_provider_version_number, "8");
}

#[test]
fn faults_name_their_place() {
    let long = "n".repeat(256);
    let table = [
        ("/event_name", json!(7), 400),
        ("/event_name", json!(""), 400),
        ("/event_name", json!("contract_publish"), 422),
        ("/event_name", json!("Contract_Published"), 422),
        ("/occurred_at", json!("yesterday"), 400),
        ("/occurred_at", json!(1_700_000_000), 400),
        ("/broker", json!(["b"]), 400),
        ("/broker", json!(long), 400),
        ("/consumer", json!("C"), 400),
        ("/consumer", json!(null), 400),
        ("/consumer/name", json!(""), 400),
        ("/consumer/name", json!(null), 400),
        ("/consumer/name", json!(5), 400),
        ("/provider/name", json!(long), 400),
        ("/consumer/tags", json!("a, b"), 400),
        ("/provider/labels", json!({"a": 1}), 400),
        ("/provider/version_descriptions", json!(true), 400),
        ("/provider/branch", json!(1), 400),
        ("/verification_success", json!("true"), 400),
        ("/pact_url", json!({}), 400),
        ("/id", json!(1), 400),
        ("/id", json!(""), 400),
        ("/id", json!("a\nb"), 400),
        ("/id", json!(long), 400),
    ];
    for (pointer, value, status) in table {
        assert_eq!(faults(pointer, value.clone()), (status, vec![pointer.into()]), "{value}");
    }
    assert_eq!(faults("/consumer/tags", json!(["a", 1])), (400, vec!["/consumer/tags/1".into()]));
}

#[test]
fn all_faults_at_once() {
    let problem = read_event(&json!({"consumer": {"name": 1}}), "/3", &Hints::default());
    let problem = problem.unwrap_err();
    let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/3/event_name", "/3/consumer/name", "/3/provider"]);
    assert!(problem.detail.contains("/3/provider is required"), "{}", problem.detail);
}

#[test]
fn hints_fill_in_and_must_agree() {
    let hints = Hints {
        event_name: Some(EventName::ContractPublished),
        occurred_at: Some("2026-11-21T09:00:00Z".parse().unwrap()),
    };
    let mut event = minimal();
    event.as_object_mut().unwrap().remove("event_name");
    let sent = read_event(&event, "/data", &hints).unwrap();
    assert_eq!(sent.event.event_name, EventName::ContractPublished);
    assert_eq!(sent.event.occurred_at, hints.occurred_at);
    event["event_name"] = "contract_content_changed".into();
    let problem = read_event(&event, "/data", &hints).unwrap_err();
    assert_eq!(problem.errors[0].pointer, "/data/event_name");
}
