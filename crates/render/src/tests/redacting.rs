//! Finding secrets however they are written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::SecretString;
use serde_json::json;

use super::{event, rendered_with, secrets, with_header, with_json, with_text, with_url};
use crate::redact::Piece;
use crate::{Redactor, describe_request, is_token};

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
            &*redactor(&[NASTY]).redact_head(text.as_bytes(), usize::MAX),
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
                let header = format!("Basic {text}; x");
                let shown = redactor(&[secret]).redact(&header);
                assert_eq!(shown, "Basic ********; x", "{user}:{secret}");
            }
        }
    }
}

/// What a target may make of a value before it sends it back.
#[test]
fn secrets_are_starred_under_several_layers() {
    let html = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let json = |text: &str| json!(text).to_string().trim_matches('"').to_owned();
    let unicode = |text: &str| {
        let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        units.concat()
    };
    let percent = |text: &str| {
        let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        bytes.concat()
    };
    let entities = |text: &str| {
        let all: Vec<_> = text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect();
        all.concat()
    };
    let once: [&dyn Fn(&str) -> String; 5] = [&html, &json, &unicode, &percent, &entities];
    for secret in ["p/ä s+\"\\<w>&~%'1", "plain-token-1", "a&amp;b%41\\u0041", "+++ +++"] {
        for first in once {
            for second in once {
                for text in [first(secret), second(&first(secret))] {
                    let shown = redactor(&[secret]).redact(&text).into_owned();
                    assert_eq!(shown, "********", "{secret}: {text}");
                }
            }
        }
    }
}

#[test]
fn secrets_are_starred_as_filters_write_them() {
    let secret = "p/ä s+\"\\<w>&~%'1";
    let template = |filter: &str| format!("<${{user.token|{filter}}}>");
    for filter in ["json", "xml", "form", "url", "base64"] {
        for request in [
            with_header("x-a", &template(filter)),
            with_url(&format!("https://h/?q={}", template(filter))),
            with_json(json!({ "a": template(filter) })),
            with_text(&template(filter)),
        ] {
            let sent = rendered_with(&request, &event(), &[("token", secret)]).unwrap();
            let shown = describe_request(&sent, &redactor(&[secret]));
            assert!(shown.contains("********"), "{filter}: {shown}");
            assert!(!shown.contains("&amp;") && !shown.contains("cC/D"), "{filter}: {shown}");
            let body = sent.body.unwrap_or_default();
            let echo = STANDARD.encode(format!("user:{}", String::from_utf8_lossy(&body)));
            let shown = redactor(&[secret]).redact(&echo).into_owned();
            assert!(body.is_empty() || shown == "********", "{filter}: {shown}");
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
    let bytes = b"\xff\xfeabcd\xff";
    assert_eq!(&*redactor(&["abcd"]).redact_head(bytes, 7), b"\xff\xfe********\xff");
    assert_eq!(Redactor::default().redact("x"), "x");
}

#[test]
fn credentials_in_the_request_itself_are_known() {
    let mut request = with_header("Authorization", "Bearer inline-token-1");
    request.headers.push(("x-api-token".into(), "inline-token-2".into()));
    request.headers.push(("x-other".into(), "plain-text".into()));
    request.password = Some("inline-password".into());
    request.url = "https://me:url%2Dpassword@h/${user.a}".into();
    let redactor = Redactor::for_request(&request, &secrets(&[("a", "named-secret")]), &[]);
    let text = json!(["inline-token-1", "inline-token-2", "inline-password", "named-secret"]);
    let stars = json!(["********", "********", "********", "********"]);
    assert_eq!(redactor.redact(&text.to_string()), stars.to_string());
    assert_eq!(redactor.redact("plain-text Bearer"), "plain-text Bearer");
    assert_eq!(redactor.redact("url-password"), "********");
}

#[test]
fn user_names_that_are_tokens_are_known() {
    for (username, password, is_known) in [
        ("ghp_0123456789abcdef0123", Some("anything"), true),
        ("0123456789abcdef", None, true),
        ("0123456789abcdef", Some("x-oauth-basic"), true),
        ("0123456789abcdef", Some("secret-word"), false),
        ("jane.doe@example.org", None, false),
        ("jane", None, false),
    ] {
        assert_eq!(is_token(username, password), is_known, "{username}");
        let mut request = with_header("accept", "a");
        request.username = Some(username.into());
        request.password = password.map(str::to_owned);
        let shown =
            Redactor::for_request(&request, &secrets(&[]), &[]).redact(username).into_owned();
        assert_eq!(shown == "********", is_known, "{username}");
    }
    let request = with_url("https://0123456789abcdef@h/");
    let redactor = Redactor::for_request(&request, &secrets(&[]), &[]);
    assert_eq!(redactor.redact("0123456789abcdef"), "********");
}

#[test]
fn names_given_by_a_setting_are_starred() {
    let more = ["x-api-key".to_owned(), "sig nature".to_owned()];
    let mut request = with_header("X-Api-Key", "key-value-1");
    request.url = "https://h/x?sig+nature=sig-value-2&a=b&SIG%20NATURE=#f".into();
    let sent = rendered_with(&request, &event(), &[]).unwrap();
    let shown = describe_request(&sent, &Redactor::for_request(&request, &secrets(&[]), &more));
    assert!(!shown.contains("value") && shown.contains("a=b"), "{shown}");
    assert!(shown.contains("\"x-api-key\":\"**********\""), "{shown}");
    assert!(shown.contains("sig+nature=**********&a=b"), "{shown}");
    let echo = Redactor::for_request(&request, &secrets(&[]), &more);
    assert_eq!(echo.redact("key-value-1 sig-value-2"), "******** ********");
}

/// Texts without a secret are neither copied nor looked at twice.
#[test]
fn clean_texts_are_not_copied() {
    let redactor = redactor(&["secret-value"]);
    let text = "sec secret-valu se";
    assert!(matches!(redactor.redact(text), std::borrow::Cow::Borrowed(_)));
    let pieces: Vec<_> = redactor.pieces(text.as_bytes(), 5).collect();
    assert_eq!(pieces, [Piece::Shown(b"sec s")]);
    let pieces: Vec<_> = redactor.pieces(b"secret-value:secret-value", 13).collect();
    assert_eq!(pieces, [Piece::Starred, Piece::Shown(b":")]);
    assert_eq!(redactor.pieces(b"", 5).count(), 0);
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
