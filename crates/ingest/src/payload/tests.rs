use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
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

const FULL: &str = r#" {"id":"k1","event_name":"contract_requiring_verification_published",
    "occurred_at":"2026-11-21T09:00:00Z","broker":"default","consumer":{"name":"C \"x\" \u00e9",
    "version_number":"1.0.7","branch":"main","tags":["main","prod"],"labels":[]},
    "provider":{"name":"P","version_number":null,"branch":"main","tags":null,"labels":["l"],
    "version_descriptions":["latest from main branch"]},"pact_url":"https://b/1\n",
    "verification_result_url":"","verification_success":null,"build_url":"",
    "currently_deployed_provider_version_number":""}
"#;

/// As the careful reader takes a text.
fn carefully(text: &str) -> Option<Sent> {
    let value = postrider_http_server::json::parse(text).ok()?;
    read(&value).ok()
}

#[test]
fn what_is_plainly_right_needs_no_care() {
    let minimal = minimal().to_string();
    for text in [minimal.as_str(), FULL] {
        let plain = read_plain(text);
        assert!(plain.is_some(), "{text}");
        assert_eq!(plain, carefully(text));
    }
}

#[test]
fn what_may_be_wrong_is_left_to_the_careful_reader() {
    let minimal = minimal().to_string();
    let changed = |from: &str, to: &str| minimal.replace(from, to);
    // The same event all the same.
    for text in [
        changed("{\"event_name\"", "{\"more\":[1e3],\"event_name\""),
        changed("\"C\"", "\"C\",\"version_descriptions\":7"),
        changed("\"C\"", "\"D\",\"name\":\"C\""),
        changed("{\"event_name\"", "{\"occurred_at\":null,\"event_name\""),
    ] {
        assert!(read_plain(&text).is_none(), "{text}");
        assert_eq!(carefully(&text), carefully(&minimal), "{text}");
    }
    // None at all.
    for text in [
        changed("{\"name\":\"C\"}", "[\"C\"]"),
        format!("[{minimal}]"),
        r#"[null,"contract_published","",["C"],["P"]]"#.to_owned(),
        changed("\"C\"", "\"\""),
        changed("\"C\"", "\"\\u0000\""),
        changed("\"C\"", "\"\\ud800\""),
        changed("\"C\"", &format!("\"{}\"", "n".repeat(256))),
        changed("contract_published", "test"),
        changed("{\"event_name\"", "{\"id\":\"\",\"event_name\""),
        changed("{\"event_name\"", "{\"occurred_at\":\"now\",\"event_name\""),
        changed("{\"event_name\"", "{\"x\":1e999,\"event_name\""),
        format!("{minimal} x"),
    ] {
        assert!(read_plain(&text).is_none() && carefully(&text).is_none(), "{text}");
    }
}

/// The text of a value that a member may have, or should not.
fn value_text() -> impl Strategy<Value = String> {
    let texts = [
        "null",
        "true",
        "7",
        "1e999",
        "\"\"",
        "\"C\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"contract_published\"",
        "\"2026-11-21T09:00:00Z\"",
        "[]",
        "[\"a\",\"b\"]",
        "[null]",
        "{}",
        "[\"C\",\"1\",\"b\",[],[]]",
        "{\"name\":\"C\"}",
        "{\"name\":\"C\",\"tags\":[\"t\"]}",
        "{\"name\":\"P\",\"version_descriptions\":[\"d\"]}",
        "{\"name\":\"C\",\"labels\":null,\"branch\":\"b\"}",
    ];
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

/// Members that make an event, most of the time.
fn right_members() -> impl Strategy<Value = Vec<(String, String)>> {
    let member = |key: &str, values: &[&str]| {
        let key = key.to_owned();
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        prop::sample::select(values).prop_map(move |value| (key.clone(), value))
    };
    (
        member("event_name", &["\"contract_published\"", "\"provider_verification_failed\""]),
        member(
            "consumer",
            &["{\"name\":\"C\"}", "{\"name\":\"C\",\"tags\":[\"a\"],\"branch\":null}"],
        ),
        member(
            "provider",
            &["{\"name\":\"P\"}", "{\"name\":\"P\",\"version_descriptions\":[\"d\"]}"],
        ),
    )
        .prop_map(|(name, consumer, provider)| vec![name, consumer, provider])
}

fn any_member() -> impl Strategy<Value = (String, String)> {
    let keys = [
        "id",
        "event_name",
        "occurred_at",
        "broker",
        "consumer",
        "provider",
        "pact_url",
        "verification_result_url",
        "verification_success",
        "build_url",
        "more",
        "currently_deployed_provider_version_number",
    ];
    (prop::sample::select(keys.to_vec()).prop_map(str::to_owned), value_text())
}

fn event_text() -> impl Strategy<Value = String> {
    let members = (right_members(), prop::collection::vec(any_member(), 0..4), any::<bool>());
    let object = members.prop_map(|(right, more, first)| {
        let all = if first { [more, right].concat() } else { [right, more].concat() };
        let members: Vec<String> =
            all.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![object, Just(FULL.to_owned())]
}

proptest! {
    #[test]
    fn both_readers_agree(text in event_text(), cut in any::<usize>(), with in ".{0,2}") {
        let damaged = {
            let (before, after) = text.split_at(text.floor_char_boundary(cut % (text.len() + 1)));
            format!("{before}{with}{after}")
        };
        for text in [text, damaged] {
            if let Some(sent) = read_plain(&text) {
                prop_assert_eq!(Some(sent), carefully(&text), "{}", text);
            }
        }
    }

    #[test]
    fn an_event_as_the_store_keeps_it_is_plain(text in event_text()) {
        if let Some(sent) = carefully(&text) {
            let kept = serde_json::to_string(&sent.event).unwrap();
            let again = read_plain(&kept);
            prop_assert!(again.is_some(), "{kept}");
            prop_assert_eq!(again.map(|sent| sent.event), Some(sent.event));
        }
    }
}
