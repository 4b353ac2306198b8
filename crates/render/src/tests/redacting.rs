//! Finding secrets however they are written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::SecretString;
use serde_json::json;

use super::{secrets, with_header};
use crate::Redactor;

const NASTY: &str = "p/ä s+\"\\<w>\n~%'1";

fn redactor(values: &[&str]) -> Redactor {
    let values: Vec<SecretString> = values.iter().map(|value| SecretString::from(*value)).collect();
    Redactor::new(&values)
}

#[test]
fn secrets_are_starred_as_they_are_written() {
    let json = serde_json::to_string(NASTY).unwrap();
    for written in [
        NASTY.to_owned(),
        "p%2F%C3%A4+s%2B%22%5C%3Cw%3E%0A~%25%271".to_owned(),
        "p%2F%C3%A4%20s%2B%22%5C%3Cw%3E%0A~%25%271".to_owned(),
        "p%2f%c3%a4+s%2b%22%5c%3cw%3e%0a~%25%271".to_owned(),
        json.trim_matches('"').to_owned(),
        r#"p\/ä s+\"\\<w>\n~%'1"#.to_owned(),
        r#"p/\u00e4 s+\"\\\u003cw\u003e\n~%\u00271"#.to_owned(),
    ] {
        let text = format!("before {written} after {written}");
        assert_eq!(redactor(&[NASTY]).redact(&text), "before ******** after ********");
        assert_eq!(
            redactor(&[NASTY]).redact_bytes(text.as_bytes()),
            b"before ******** after ********"
        );
    }
}

#[test]
fn secrets_are_starred_inside_base64() {
    for user in ["", "u", "us", "use", "user"] {
        for secret in ["s3cret-value", "another-one-4", "tok?>~~~en12"] {
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode(format!("{user}:{secret}"));
                let shown = redactor(&[secret]).redact(&format!("Basic {text}; x"));
                assert_eq!(shown, "Basic ********; x", "{user}:{secret}");
            }
        }
    }
}

#[test]
fn the_longest_match_wins_and_overlaps_are_covered() {
    let redactor = redactor(&["secret", "secret-value", "value-and", "abab"]);
    for (text, expected) in [
        ("<secret-value>", "<********>"),
        ("<secret-other>", "<********-other>"),
        ("<secret-value-and-more>", "<********-more>"),
        ("<ababab>", "<********>"),
        ("secretsecret", "****************"),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
}

#[test]
fn short_values_and_clean_texts_are_left_alone() {
    assert_eq!(redactor(&["abc", ""]).redact("abcabc"), "abcabc");
    assert_eq!(redactor(&["abcd"]).redact("abc d\u{1f600}"), "abc d\u{1f600}");
    assert_eq!(redactor(&["abcd"]).redact_bytes(b"\xff\xfeabcd\xff"), b"\xff\xfe********\xff");
    assert_eq!(Redactor::default().redact("x"), "x");
}

#[test]
fn credentials_in_the_request_itself_are_known() {
    let mut request = with_header("Authorization", "Bearer inline-token-1");
    request.headers.push(("x-api-token".into(), "inline-token-2".into()));
    request.headers.push(("x-other".into(), "plain-text".into()));
    request.password = Some("inline-password".into());
    request.url = "https://me:url%2Dpassword@h/${user.a}".into();
    let redactor = Redactor::for_request(&request, &secrets(&[("a", "named-secret")]));
    let text = json!(["inline-token-1", "inline-token-2", "inline-password", "named-secret"]);
    let stars = json!(["********", "********", "********", "********"]);
    assert_eq!(redactor.redact(&text.to_string()), stars.to_string());
    assert_eq!(redactor.redact("plain-text Bearer"), "plain-text Bearer");
    assert_eq!(redactor.redact("url-password"), "********");
}

/// A cut never leaves part of a secret, nor lets one slide into view.
#[test]
fn cutting_does_not_uncover_secrets() {
    let secret = "0123456789abcdef0123456789abcdef";
    let redactor = redactor(&[secret]);
    let text = format!("{secret}{secret}--{secret}{secret}").into_bytes();
    for limit in 0..=text.len() {
        let shown = String::from_utf8(redactor.redact_head(&text, limit).into_owned()).unwrap();
        assert!(!shown.chars().any(char::is_alphanumeric), "{limit}: {shown}");
    }
}
