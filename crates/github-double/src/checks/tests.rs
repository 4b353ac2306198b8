//! Each check, at its edges.

use serde_json::{Map, Value, json};

use super::{Content, Refusal, repository_dispatch, workflow_dispatch};

fn content(json: &Value) -> Content<'_> {
    Content {
        media_type: Some("application/json; charset=utf-8"),
        length: json.to_string().len(),
        json: Some(json),
    }
}

fn keys(count: usize) -> Value {
    Value::Object((0..count).map(|n| (format!("k{n}"), json!(n))).collect::<Map<_, _>>())
}

#[track_caller]
fn check(json: &Value, expected: Result<(), Refusal>) {
    assert_eq!(repository_dispatch(content(json)), expected, "{json}");
}

#[test]
fn event_type() {
    check(&json!({"event_type": "a"}), Ok(()));
    check(&json!({"event_type": "ä".repeat(100)}), Ok(()));
    check(&json!({"event_type": "ä".repeat(101)}), Err(Refusal::TooLong(101)));
    check(&json!({}), Err(Refusal::NotSupplied("event_type")));
    check(&json!({"event_type": ""}), Err(Refusal::NotSupplied("event_type")));
    let wrong = Refusal::WrongType("event_type", "a string");
    check(&json!({"event_type": 1}), Err(wrong));
}

#[test]
fn client_payload() {
    let payload = |payload: Value| json!({"event_type": "a", "client_payload": payload});
    check(&payload(keys(10)), Ok(()));
    let refusal = Refusal::TooManyKeys { allowed: 10, supplied: 11 };
    check(&payload(keys(11)), Err(refusal));
    check(&payload(json!({"nested": keys(50)})), Ok(()));
    let wrong = Refusal::WrongType("client_payload", "an object");
    check(&payload(json!("text")), Err(wrong));
}

#[test]
fn size_to_the_byte() {
    let frame = json!({"event_type": "a", "client_payload": {"k": ""}}).to_string().len();
    let sized = |length: usize| {
        let filler = "x".repeat(length - frame);
        json!({"event_type": "a", "client_payload": {"k": filler}})
    };
    check(&sized(65_535), Ok(()));
    check(&sized(65_536), Err(Refusal::TooLarge));
}

#[test]
fn form() {
    check(&json!([1]), Err(Refusal::NotAnObject));
    let good = json!({"event_type": "a"});
    let typed = |media_type| Content { media_type, ..content(&good) };
    assert_eq!(repository_dispatch(typed(Some("text/plain"))), Err(Refusal::BadJson));
    assert_eq!(repository_dispatch(typed(None)), Err(Refusal::BadJson));
    assert_eq!(repository_dispatch(typed(Some("application/vnd.github+json"))), Ok(()));
    let broken = Content { json: None, ..content(&good) };
    assert_eq!(repository_dispatch(broken), Err(Refusal::BadJson));
}

#[test]
fn workflow() {
    assert_eq!(workflow_dispatch(content(&json!({"ref": "main"}))), Ok(()));
    let missing = Err(Refusal::NotSupplied("ref"));
    assert_eq!(workflow_dispatch(content(&json!({}))), missing);
    let inputs = |count| json!({"ref": "main", "inputs": keys(count)});
    assert_eq!(workflow_dispatch(content(&inputs(25))), Ok(()));
    let refusal = Refusal::TooManyKeys { allowed: 25, supplied: 26 };
    assert_eq!(workflow_dispatch(content(&inputs(26))), Err(refusal));
}
