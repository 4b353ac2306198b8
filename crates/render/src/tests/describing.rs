//! Requests and answers as they are kept.

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{rendered, secrets, with_header, with_json, with_text, with_url};
use crate::{MAX_SHOWN_BYTES, Redactor, describe_acceptance, describe_request, describe_response};

fn redactor() -> Redactor {
    Redactor::new(secrets(&[("token", "s3cret-value")]).values())
}

fn shown(request: &postrider_domain::RequestTemplate) -> Value {
    let shown = describe_request(&rendered(request).unwrap(), &redactor());
    assert!(!shown.contains("s3cret"), "{shown}");
    serde_json::from_str(&shown).unwrap()
}

fn answer(headers: &HeaderMap, body: &[u8]) -> Value {
    let shown = describe_response(StatusCode::OK, headers, body, &redactor());
    assert!(!shown.contains("s3cret") && !shown.contains("\\u0000"), "{shown}");
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn requests_show_what_is_no_secret() {
    let mut request = with_url("https://me:pw@h/a/${user.token}?q=${pactbroker.consumerName}");
    request.headers = vec![
        ("authorization".into(), "Bearer x".into()),
        ("x-auth-token-2".into(), "inline".into()),
        ("x-custom".into(), "k=${user.token}".into()),
    ];
    request.body = with_json(json!({ "a": "${user.token}", "b": ["\n\"", 1.50] })).body;
    let expected = json!({
        "method": "POST",
        "url": "https://h/a/********?q=Zoo+App",
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "authorization": "**********",
            "x-auth-token-2": "**********",
            "x-custom": "k=********",
            "user-agent": "postrider/test",
        },
        "body": { "a": "********", "b": ["\n\"", 1.5] },
    });
    assert_eq!(shown(&request), expected);
}

#[test]
fn user_info_added_later_is_not_shown() {
    let mut request = rendered(&with_url("https://h/x")).unwrap();
    for info in ["me:pw@", "me@", ":pw@", ""] {
        request.url = format!("https://{info}h:8443/x?y").parse().unwrap();
        let shown: Value = serde_json::from_str(&describe_request(&request, &redactor())).unwrap();
        assert_eq!(shown["url"], "https://h:8443/x?y", "{info}");
    }
}

#[test]
fn bodies_that_are_no_json_are_text() {
    assert_eq!(shown(&with_text("a=${user.token}\n"))["body"], "a=********\n");
    assert_eq!(shown(&with_header("x", "y"))["body"], Value::Null);
}

#[test]
fn long_bodies_are_cut() {
    let long = "x".repeat(MAX_SHOWN_BYTES - 5) + "${user.token}" + &"y".repeat(100);
    let shown = shown(&with_text(&long));
    assert_eq!(shown["body"], "x".repeat(MAX_SHOWN_BYTES - 5) + "********");
    assert_eq!(shown["body_bytes"], MAX_SHOWN_BYTES - 5 + 12 + 100);
}

#[test]
fn answers_keep_their_headers_but_for_credentials() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("set-cookie", "session=1"),
        ("x-github-sso", "required; url=https://github.com/orgs/o/sso?token=1"),
        ("proxy-authorization", "Basic x"),
        ("x-csrf-token", "1"),
        ("github-authentication-token-expiration", "2026-12-01 00:00:00 UTC"),
        ("x-ratelimit-remaining", "0"),
        ("location", "https://h/?t=s3cret-value"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers.append("vary", HeaderValue::from_static("accept"));
    headers.append("vary", HeaderValue::from_bytes(b"\xff").unwrap());
    let expected = json!({
        "status": 200,
        "headers": {
            "set-cookie": "**********",
            "x-github-sso": "**********",
            "proxy-authorization": "**********",
            "x-csrf-token": "**********",
            "github-authentication-token-expiration": "2026-12-01 00:00:00 UTC",
            "x-ratelimit-remaining": "0",
            "location": "https://h/?t=********",
            "vary": "accept, \u{fffd}",
        },
        "body": null,
    });
    assert_eq!(answer(&headers, b""), expected);
}

#[test]
fn answers_show_their_body_in_a_form_any_store_takes() {
    let none = HeaderMap::new();
    for (body, expected) in [
        (&b"{\"message\": \"Bad credentials\"}"[..], json!({ "message": "Bad credentials" })),
        (b"{\n \"a\": \"\\u00e9\"\n}", json!({ "a": "é" })),
        (b"[\"s3cret-value\"]", json!(["********"])),
        (b"<html>\xff", json!("<html>\u{fffd}")),
        (b"a\0b", json!("a\u{fffd}b")),
        (b"[\"\\u0000\"]", json!("[\"\\u0000\"]")),
        (b"[\"\\ud800\"]", json!("[\"\\ud800\"]")),
        (b"{} {}", json!("{} {}")),
    ] {
        let text = describe_response(StatusCode::OK, &none, body, &redactor());
        let shown: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown["body"], expected);
        assert!(!text.replace("\\\\u", "").contains("\\u0000"), "{text}");
    }
}

/// JSON that was written over several lines or with odd escapes is shown as any other.
#[test]
fn json_bodies_of_requests_are_shown_as_json() {
    for (text, expected) in [
        ("{\n  \"a\": \"${pactbroker.consumerName}\"\n}", json!({ "a": "Zoo App" })),
        ("[\"\\u00e9\", 1.50]", json!(["é", 1.5])),
        ("[\"\\u0000\"]", json!("[\"\\u0000\"]")),
        ("[\"\\ud800\"]", json!("[\"\\ud800\"]")),
        ("  {\"a\":\"${user.token}\"}  ", json!({ "a": "********" })),
    ] {
        assert_eq!(shown(&with_text(text))["body"], expected, "{text}");
    }
    let number = Redactor::new(secrets(&[("a", "12345")]).values());
    let sent = rendered(&with_json(json!({ "n": 12345 }))).unwrap();
    let text = describe_request(&sent, &number);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["body"], "{\"n\":********}", "stars outside a string make text of it");
}

#[test]
fn acceptances_keep_what_says_something() {
    let status = StatusCode::ACCEPTED;
    let mut headers = HeaderMap::new();
    for name in ["date", "server", "content-type", "vary", "strict-transport-security"] {
        headers.append(name, HeaderValue::from_static("x"));
    }
    assert_eq!(describe_acceptance(status, &headers, b"", &redactor()), None);
    for (name, value) in [
        ("x-request-id", "abc"),
        ("x-ratelimit-remaining", "7"),
        ("location", "https://h/?t=s3cret-value"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let text = describe_acceptance(status, &headers, b"{\"id\":1}", &redactor()).unwrap();
    let expected = json!({
        "status": 202,
        "headers": {
            "x-request-id": "abc",
            "x-ratelimit-remaining": "7",
            "location": "https://h/?t=********",
        },
        "body": null,
        "body_bytes": 8,
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut headers = HeaderMap::new();
    for index in 0..500 {
        let name: http::HeaderName = format!("x-{index}").parse().unwrap();
        headers.append(name, HeaderValue::from_str(&"v".repeat(5_000)).unwrap());
    }
    let shown = answer(&headers, &vec![b'z'; 65_536]);
    assert_eq!(shown["headers"].as_object().unwrap().len(), 64);
    assert_eq!(shown["headers"]["x-0"].as_str().unwrap().len(), 2_048);
    assert_eq!(shown["body"].as_str().unwrap().len(), MAX_SHOWN_BYTES);
}
