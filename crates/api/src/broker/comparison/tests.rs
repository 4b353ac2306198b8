use serde_json::{Value, json};

use super::{Comparison, Difference, STARS, compare, is_starred};

fn webhook() -> Value {
    json!({
        "uuid": "0123456789abcdef", "description": "d", "enabled": true,
        "provider": {"name": "P"},
        "request": {
            "method": "POST", "url": "https://h/x",
            "headers": {"accept": "a", "authorization": STARS},
            "body": {"a": 1},
        },
        "events": [{"name": "contract_published"}, {"name": "contract_content_changed"}],
        "createdAt": "2026-01-01T00:00:00+00:00", "_links": {},
    })
}

/// The same in other words.
fn wanted() -> Value {
    json!({
        "description": "d", "provider": {"name": "P"}, "consumer": null,
        "request": {
            "method": "post", "url": "https://h/x",
            "headers": {"Accept": "a", "Authorization": STARS},
            "body": {"a": 1},
        },
        "events": [{"name": "contract_content_changed"}, {"name": "contract_published"}],
    })
}

fn changed(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut document = wanted();
    edit(&mut document);
    let found = compare(&document, &webhook());
    assert_eq!(found.hidden, [""; 0]);
    found.differences.into_iter().map(|difference| difference.field).collect()
}

#[test]
fn the_same_in_other_words_is_the_same() {
    assert_eq!(compare(&wanted(), &webhook()), Comparison::default());
    assert_eq!(compare(&webhook(), &webhook()), Comparison::default());
}

#[test]
fn differences_are_told_by_field() {
    assert_eq!(changed(|w| w["enabled"] = json!(false)), ["enabled"]);
    assert_eq!(changed(|w| w["request"]["url"] = json!("https://h/y")), ["request.url"]);
    assert_eq!(changed(|w| w["request"]["body"]["a"] = json!(2)), ["request.body"]);
    assert_eq!(changed(|w| w["provider"] = json!(null)), ["provider"]);
    assert_eq!(changed(|w| w["postrider"] = json!({"timeout": "5s"})), ["postrider"]);
    assert_eq!(
        changed(|w| w["request"]["headers"] = json!({"x": "1"})),
        ["request.headers.accept", "request.headers.authorization", "request.headers.x"]
    );
}

#[test]
fn a_difference_has_both_values() {
    let mut document = wanted();
    document["description"] = json!("e");
    let difference =
        Difference { field: "description".to_owned(), now: json!("d"), wanted: json!("e") };
    assert_eq!(compare(&document, &webhook()).differences, [difference]);
}

#[test]
fn what_only_the_server_can_compare_is_named() {
    let mut document = wanted();
    document["request"]["headers"]["Authorization"] = json!("Bearer ${user.t}");
    let found = compare(&document, &webhook());
    assert_eq!(found.differences, []);
    assert_eq!(found.hidden, ["request.headers.authorization"]);
    assert!(is_starred(&json!(format!("Bearer {STARS}"))) && !is_starred(&json!(null)));
}
