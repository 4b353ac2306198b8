use std::str::FromStr;

use postrider_domain::BodyMode;
use serde_json::json;

use super::*;

fn request() -> RequestTemplate {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    RequestTemplate {
        method: "POST".to_owned(),
        url: "https://me:url-password@h:8443/a@b?t=inline-token".to_owned(),
        headers: vec![
            header("Authorization", "Bearer inline-token"),
            header("x-token", "${user.other}"),
            header("x-copy", "inline-token"),
            header("accept", "*/*"),
        ],
        body: Some(Body::Json(json!({"t": "inline-token", "n": "${pactbroker.consumerName}"}))),
        body_mode: BodyMode::Json,
        username: Some("somebody".to_owned()),
        password: Some("basic-password".to_owned()),
    }
}

#[test]
fn credentials_are_starred_wherever_they_stand() {
    let starred = starred(&request());
    assert_eq!(starred.url, "https://********:********@h:8443/a@b?t=********");
    let values: Vec<&str> = starred.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, [STARS, STARS, STARS, "*/*"]);
    let body = json!({"t": STARS, "n": "${pactbroker.consumerName}"});
    assert!(starred.body == Some(Body::Json(body)));
    assert_eq!(starred.username.as_deref(), Some("somebody"));
    assert_eq!(starred.password.as_deref(), Some(STARS));
    let text = format!("{starred:?}");
    for secret in ["inline-token", "url-password", "basic-password"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_holds_no_credential_stays() {
    let plain = RequestTemplate {
        url: "https://h/x?a=b@c".to_owned(),
        headers: vec![("accept".to_owned(), "*/*".to_owned())],
        username: None,
        password: None,
        ..request()
    };
    assert_eq!(starred(&plain), plain);
    let text = Body::Text("plain".to_owned());
    assert!(starred_body(&text, &Redactor::default()) == text);
}

#[test]
fn stars_that_break_json_leave_text() {
    let password = Some("12345".to_owned());
    let odd =
        RequestTemplate { body: Some(Body::Json(json!({"n": 12345}))), password, ..request() };
    assert!(starred(&odd).body == Some(Body::Text("{\"n\":********}".to_owned())));
}

/// Nothing goes that an attempt which is still kept may have used.
#[test]
fn a_document_is_needed_from_the_day_of_the_oldest_attempt() {
    let at = |text: &str| Timestamp::from_str(text).unwrap();
    let now = at("2026-11-29T12:00:00Z");
    let id = |text: &str| {
        let seconds = u64::try_from(at(text).as_second()).unwrap();
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
    };
    for (oldest, expected) in [
        (None, "2026-11-28T00:00:00Z"),
        (Some(id("2026-11-01T23:59:59Z")), "2026-10-31T00:00:00Z"),
        (Some(id("2026-12-24T00:00:00Z")), "2026-11-28T00:00:00Z"),
        (Some(Uuid::nil()), "1969-12-31T00:00:00Z"),
    ] {
        assert_eq!(needed_since(oldest, now), at(expected), "{oldest:?}");
    }
}
