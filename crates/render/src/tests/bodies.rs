//! Bodies: as JSON, as text, raw.

use postrider_domain::{Body, Event};
use serde_json::{Value, json};

use super::{
    body_of, dispatch_body, event, header_of, raw, rendered, rendered_with, request, with_json,
    with_text, with_url,
};
use crate::{MAX_BODY_BYTES, MAX_DISPATCH_BYTES, RenderError};

const NASTY: &str = "a\"b\\c\nd</script>\u{1f600}\u{0}${user.token}\\1";

fn nasty_event() -> Event {
    let mut event = event();
    event.consumer.branch = NASTY.into();
    event
}

fn nasty(request: &postrider_domain::RequestTemplate) -> Vec<u8> {
    rendered_with(request, &nasty_event(), &[]).unwrap().body.unwrap()
}

#[test]
fn json_goes_out_compact_and_in_order() {
    let body = json!({ "z": 1, "a": [true, null, 1.5, "${pactbroker.consumerName}"], "m": {} });
    assert_eq!(body_of(&with_json(body)), r#"{"z":1,"a":[true,null,1.5,"Zoo App"],"m":{}}"#);
}

#[test]
fn values_cannot_break_a_json_body() {
    let template = json!({ "branch": "<${pactbroker.consumerVersionBranch}>", "more": true });
    let sent: Value = serde_json::from_slice(&nasty(&with_json(template))).unwrap();
    assert_eq!(sent, json!({ "branch": format!("<{NASTY}>"), "more": true }));
}

#[test]
fn values_cannot_break_a_text_that_is_json() {
    let text =
        "{ \"branch\":\t\"${pactbroker.consumerVersionBranch}\", \"n\": 12345678901234567890123 }";
    let sent = String::from_utf8(nasty(&with_text(text))).unwrap();
    assert!(sent.ends_with(", \"n\": 12345678901234567890123 }"), "{sent}");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["branch"], NASTY);
}

#[test]
fn keys_are_rendered_too() {
    let template = json!({ "${pactbroker.consumerVersionBranch}": 1, "x": 2 });
    let sent: Value = serde_json::from_slice(&nasty(&with_json(template))).unwrap();
    assert_eq!(sent, json!({ NASTY: 1, "x": 2 }));
}

#[test]
fn keys_that_become_equal_are_refused() {
    for body in [
        json!({ "${pactbroker.consumerName}": 1, "Zoo App": 2 }),
        json!([{ "x": { "${pactbroker.consumerVersionTags}": 1, "${user.none}a, b": 2, "a, b": 3 } }]),
    ] {
        let found = rendered_with(&with_json(body), &event(), &[("none", "x")]);
        assert_eq!(found, Err(RenderError::DuplicateKey));
    }
    let text = r#"{"${pactbroker.consumerName}":1,"Zoo App":[1.5,-1,null,true,"x"]}"#;
    assert_eq!(rendered(&with_text(text)), Err(RenderError::DuplicateKey));
    let fine = r#"{"${pactbroker.consumerName}":1,"Zoo":[1.5,-1,null,true,"x",{"Zoo App":0}]}"#;
    assert!(rendered(&with_text(fine)).is_ok());
}

#[test]
fn other_text_is_spliced_as_it_is() {
    let text = "branch=${pactbroker.consumerVersionBranch}&x={";
    assert_eq!(nasty(&with_text(text)), format!("branch={NASTY}&x={{").into_bytes());
    let outside_of_a_string = r#"{"n": ${pactbroker.consumerVersionNumber}}"#;
    assert_eq!(body_of(&with_text(outside_of_a_string)), r#"{"n": 1.2.3}"#);
}

#[test]
fn raw_mode_splices_everywhere() {
    let expected = format!("{{\"branch\":\"{NASTY}\"}}").into_bytes();
    let template = json!({ "branch": "${pactbroker.consumerVersionBranch}" });
    assert_eq!(nasty(&raw(with_json(template.clone()))), expected);
    assert_eq!(nasty(&raw(with_text(&template.to_string()))), expected);
}

#[test]
fn no_body_and_null_send_none() {
    assert_eq!(rendered(&request()).unwrap().body, None);
    let null = rendered(&with_json(Value::Null)).unwrap();
    assert_eq!(null.body, None);
    assert!(!null.headers.contains_key("content-type"));
}

#[test]
fn content_type_says_what_was_rendered() {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for (request, expected) in [
        (with_json(json!({ "a": 1 })), json),
        (with_json(json!("text")), json),
        (with_text(r#"{"a":"${pactbroker.consumerName}"}"#), json),
        (with_text(r#"{"a":1}"#), json),
        (with_text("a=1"), form),
        (with_text(""), form),
        (raw(with_json(json!({ "a": 1 }))), form),
    ] {
        assert_eq!(header_of(&rendered(&request).unwrap(), "content-type"), expected);
    }
    let mut own = with_json(json!({}));
    own.headers.push(("content-type".into(), "application/vnd.x+json".into()));
    assert_eq!(header_of(&rendered(&own).unwrap(), "content-type"), "application/vnd.x+json");
}

fn dispatch(body: Value) -> postrider_domain::RequestTemplate {
    let url = "https://api.github.com/repos/o/r/dispatches";
    postrider_domain::RequestTemplate { body: Some(Body::Json(body)), ..with_url(url) }
}

#[test]
fn github_takes_ten_keys() {
    assert!(rendered(&dispatch(dispatch_body("x", 10))).is_ok());
    let refused = rendered(&dispatch(dispatch_body("x", 11))).unwrap_err();
    assert_eq!(refused, RenderError::PayloadKeys { keys: 11, limit: 10 });
    let text = refused.to_string();
    assert!(text.contains("client_payload") && text.contains("nest"), "{text}");
    let nested = json!({ "event_type": "x", "client_payload": { "all": dispatch_body("x", 50) } });
    assert!(rendered(&dispatch(nested)).is_ok());
    assert!(rendered(&with_json(dispatch_body("x", 11))).is_ok(), "not GitHub");
}

#[test]
fn github_takes_event_types_of_up_to_100_characters() {
    for (event_type, chars) in [("", 0), (&*"é".repeat(101), 101)] {
        let refused = rendered(&dispatch(dispatch_body(event_type, 1)));
        assert_eq!(refused, Err(RenderError::EventType { chars, limit: 100 }));
    }
    for event_type in ["x", &*"é".repeat(100), "\u{1f600}\""] {
        assert!(rendered(&dispatch(dispatch_body(event_type, 1))).is_ok());
    }
    let mut long = event();
    long.consumer.branch = "b".repeat(101);
    let template = dispatch(json!({ "event_type": "${pactbroker.consumerVersionBranch}" }));
    let refused = rendered_with(&template, &long, &[]);
    assert_eq!(refused, Err(RenderError::EventType { chars: 101, limit: 100 }));
}

#[test]
fn what_github_would_refuse_otherwise_is_left_to_github() {
    for body in [json!({}), json!([1]), json!({ "event_type": 5, "client_payload": "x" })] {
        assert!(rendered(&dispatch(body)).is_ok());
    }
}

#[test]
fn dispatches_are_limited_to_64_kilobytes() {
    let workflow = "https://ghe.example.org/api/v3/repos/o/r/actions/workflows/1/dispatches";
    for url in [workflow, "https://api.github.com/repos/o/r/dispatches"] {
        let sized = |bytes: usize| postrider_domain::RequestTemplate {
            body: Some(Body::Json(json!("x".repeat(bytes - 2)))),
            ..with_url(url)
        };
        assert!(rendered(&sized(MAX_DISPATCH_BYTES)).is_ok());
        let bytes = MAX_DISPATCH_BYTES + 1;
        let refused = rendered(&sized(bytes));
        assert_eq!(refused, Err(RenderError::TooLarge { bytes, limit: MAX_DISPATCH_BYTES }));
    }
}

#[test]
fn every_body_is_limited_to_a_mebibyte() {
    assert!(rendered(&with_text(&"x".repeat(MAX_BODY_BYTES))).is_ok());
    let mut large = event();
    large.consumer.branch = "\n".repeat(MAX_BODY_BYTES / 8);
    let many = "${pactbroker.consumerVersionBranch}".repeat(10_000);
    for request in [with_text(&many), with_json(json!(many)), raw(with_json(json!(many)))] {
        let refused = rendered_with(&request, &large, &[]);
        assert!(
            matches!(refused, Err(RenderError::TooLarge { limit: MAX_BODY_BYTES, bytes }) if bytes > MAX_BODY_BYTES),
            "{refused:?}"
        );
    }
}
