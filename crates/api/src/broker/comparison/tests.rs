use postrider_domain::STARS;
use serde_json::{Value, json};

use super::{Comparison, Difference, brief, compare, is_starred};

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

/// What a member that is shown as `now` becomes with this in the document: nothing, something that
/// the server alone can tell, a difference.
fn becomes(member: &str, now: &Value, wanted: &Value) -> &'static str {
    let with = |value: &Value| {
        let mut webhook =
            json!({"events": [], "request": {"method": "POST", "url": "https://h/x"}});
        let of_request = ["url", "headers", "username", "password", "body"].contains(&member);
        let place = if of_request { &mut webhook["request"] } else { &mut webhook };
        place[member] = value.clone();
        webhook
    };
    match compare(&with(wanted), &with(now)) {
        Comparison { differences, hidden } if differences.is_empty() && hidden.is_empty() => "none",
        Comparison { differences, .. } if differences.is_empty() => "hidden",
        _ => "seen",
    }
}

#[test]
fn stars_stand_for_what_is_there_only_where_the_server_takes_them_so() {
    let header = |value: &str| json!({"Authorization": value});
    for (member, now, wanted, expected) in [
        ("headers", header(STARS), header(STARS), "none"),
        ("headers", header(STARS), header("***"), "none"),
        ("headers", header(STARS), header(""), "none"),
        ("headers", header(STARS), header("Bearer x"), "hidden"),
        // Of this the server keeps nothing: it is sent as it stands.
        ("headers", header(STARS), header("Bearer **********"), "hidden"),
        ("headers", header("a"), header(""), "none"),
        ("headers", header("a"), header("**********b"), "seen"),
        ("password", json!(STARS), json!(STARS), "none"),
        ("password", json!(STARS), json!(null), "seen"),
        ("password", json!(null), json!(STARS), "seen"),
        ("username", json!(STARS), json!(STARS), "none"),
        ("username", json!(STARS), json!(""), "hidden"),
        ("username", json!("u"), json!("v"), "seen"),
        ("body", json!("a **********"), json!("b **********"), "seen"),
        ("description", json!("**********"), json!("x"), "seen"),
        ("consumer", json!({"name": "a"}), json!({"name": "a", "label": null}), "none"),
        ("teamUuid", json!("t"), json!(null), "seen"),
        ("events", json!([{"name": "contract_published"}]), json!(null), "none"),
    ] {
        assert_eq!(becomes(member, &now, &wanted), expected, "{member} {now} {wanted}");
    }
}

#[test]
fn stars_in_urls_hide_no_other_change() {
    let now = "https://**********@h/x?token=**********&ref=main";
    for (wanted, expected) in [
        (now, "none"),
        ("https://**********@h/x?token=**********&ref=dev", "seen"),
        ("https://**********@h/y?token=**********&ref=main", "seen"),
        ("https://u:p@h/x?token=**********&ref=main", "hidden"),
        ("https://u:p@h/x?token=t&ref=main", "hidden"),
        ("https://h/x?token=**********&ref=main", "seen"),
        ("https://u:p@h/x?token=t&ref=other", "seen"),
    ] {
        assert_eq!(becomes("url", &json!(now), &json!(wanted)), expected, "{wanted}");
    }
}

#[test]
fn a_password_that_is_left_out_stays() {
    let with = json!({"request": {"url": "https://h", "password": STARS}, "events": []});
    let without = json!({"request": {"url": "https://h"}, "events": []});
    assert_eq!(compare(&without, &with), Comparison::default());
}

#[test]
fn long_values_are_shown_from_where_they_differ() {
    assert_eq!(brief("a", "b", 10), ("a".to_owned(), "b".to_owned()));
    let now = format!("{}old{}", "x".repeat(100), "y".repeat(100));
    let wanted = format!("{}new", "x".repeat(100));
    let (now, wanted) = brief(&now, &wanted, 50);
    assert_eq!(now, format!("…{}old{}…", "x".repeat(40), "y".repeat(7)));
    assert_eq!(wanted, format!("…{}new", "x".repeat(40)));
    // Differing at once they are cut at their ends alone.
    let (now, wanted) = brief(&"é".repeat(60), "a", 50);
    assert_eq!((now, wanted), (format!("{}…", "é".repeat(50)), "a".to_owned()));
}
