//! What holds for every template and every value.

use postrider_domain::{Body, BodyMode, Event, RequestTemplate};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{event, rendered_with, request, secrets, with_json, with_text, with_url};
use crate::{Redactor, describe_request, describe_response, secret_names, unknown_variables};

/// Values as bad as they come: everything that breaks JSON, HTML, headers, URLs or a second pass.
fn value() -> impl Strategy<Value = String> {
    let bad = prop_oneof![
        Just("${user.githubToken}".to_owned()),
        Just("${pactbroker.providerName}".to_owned()),
        Just("${".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("\\0\\1\\u0041".to_owned()),
        Just("\n\r\t".to_owned()),
        Just("\u{0}\u{1f}\u{7f}\u{85}\u{2028}".to_owned()),
        Just("</script>".to_owned()),
        Just("\u{1f600}é".to_owned()),
        Just("\",\"x\":{\"".to_owned()),
        Just("../?&#%2F".to_owned()),
        any::<String>(),
    ];
    vec(bad, 0..4).prop_map(|parts| parts.concat())
}

/// A piece of a template's string.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Branch,
    Provider,
    Secret,
}

#[derive(Debug, Clone)]
struct Values {
    branch: String,
    provider: String,
    secret: String,
}

fn values() -> impl Strategy<Value = Values> {
    (value(), value(), value()).prop_map(|(branch, provider, secret)| Values {
        branch,
        provider,
        secret: secret + "!",
    })
}

impl Values {
    fn event(&self) -> Event {
        let mut event = event();
        event.consumer.branch.clone_from(&self.branch);
        event.provider.name.clone_from(&self.provider);
        event
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let text = "[^$]{0,8}".prop_map(Piece::Text);
    vec(prop_oneof![text, Just(Piece::Branch), Just(Piece::Provider), Just(Piece::Secret)], 0..4)
}

fn written(pieces: &[Piece]) -> String {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Branch => "${pactbroker.consumerVersionBranch}".to_owned(),
        Piece::Provider => "${pactbroker.providerName}".to_owned(),
        Piece::Secret => "${user.githubToken}".to_owned(),
    };
    pieces.iter().map(part).collect()
}

fn meant(pieces: &[Piece], values: &Values) -> String {
    let part = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Branch => values.branch.clone(),
        Piece::Provider => values.provider.clone(),
        Piece::Secret => values.secret.clone(),
    };
    pieces.iter().map(part).collect()
}

/// A JSON template, as a tree whose strings are pieces.
#[derive(Debug, Clone)]
enum Node {
    Scalar(Value),
    Text(Vec<Piece>),
    List(Vec<Self>),
    Object(Vec<(Vec<Piece>, Self)>),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from)
        ]
        .prop_map(Node::Scalar),
        pieces().prop_map(Node::Text),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Node::List),
            vec((pieces(), inner), 0..5).prop_map(Node::Object),
        ]
    })
}

impl Node {
    /// Keys begin with their place, so that no two are equal.
    fn json(&self, text: &impl Fn(&[Piece]) -> String) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::Text(pieces) => Value::String(text(pieces)),
            Self::List(list) => list.iter().map(|node| node.json(text)).collect(),
            Self::Object(entries) => {
                let entry = |(index, (key, node)): (usize, &(Vec<Piece>, Self))| {
                    (format!("{index}:{}", text(key)), node.json(text))
                };
                Value::Object(entries.iter().enumerate().map(entry).collect::<Map<_, _>>())
            }
        }
    }
}

fn sent_body(request: &RequestTemplate, values: &Values) -> Vec<u8> {
    let secret = [("githubToken", values.secret.as_str())];
    rendered_with(request, &values.event(), &secret).unwrap().body.unwrap()
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("${pactbroker.consumerVersionBranch}".to_owned()),
        Just("${user.githubToken}".to_owned()),
        Just("${postrider.deliveryId}".to_owned()),
        Just("${pactbroker.".to_owned()),
        Just("${user.".to_owned()),
        Just("{\"a\":\"".to_owned()),
        Just("\"}".to_owned()),
        Just("https://h/".to_owned()),
        Just("}".to_owned()),
        value(),
    ];
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn in_json(text: &str) -> Body {
    Body::Json(json!({ text: [text] }))
}

fn any_request() -> impl Strategy<Value = RequestTemplate> {
    let body = proptest::option::of((any::<bool>(), any_text()));
    let mode = prop_oneof![Just(BodyMode::Json), Just(BodyMode::Raw)];
    let url = prop_oneof![any_text(), any_text().prop_map(|text| format!("https://h/{text}"))];
    let credentials = (proptest::option::of(any_text()), proptest::option::of(any_text()));
    let headers = vec((prop_oneof![Just("x-a".to_owned()), any_text()], any_text()), 0..3);
    let method = prop_oneof![3 => Just("POST".to_owned()), 1 => any_text()];
    (method, url, headers, body, mode, credentials).prop_map(
        |(method, url, headers, body, body_mode, (username, password))| RequestTemplate {
            method,
            url,
            headers,
            body: body.map(|(json, text)| if json { in_json(&text) } else { Body::Text(text) }),
            body_mode,
            username,
            password,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_panics(request in any_request(), values in values()) {
        secret_names(&request);
        unknown_variables(&request);
        let known = secrets(&[("githubToken", &values.secret)]);
        let redactor = Redactor::for_request(&request, &known, &[]);
        let secret = [("githubToken", values.secret.as_str())];
        if let Ok(sent) = rendered_with(&request, &values.event(), &secret) {
            let shown = describe_request(&sent, &redactor);
            prop_assert!(serde_json::from_str::<Value>(&shown).is_ok());
            if sent.body_is_json {
                let body = sent.body.as_deref().unwrap_or_default();
                prop_assert!(serde_json::from_slice::<Value>(body).is_ok());
            }
            let body = sent.body.unwrap_or_default();
            let status = http::StatusCode::OK;
            let shown = describe_response(status, &sent.headers, &body, &redactor);
            prop_assert!(serde_json::from_str::<Value>(&shown).is_ok());
        }
    }

    /// Same keys, same lengths, every value itself, nothing expanded again.
    #[test]
    fn json_bodies_are_what_was_meant(node in node(), values in values()) {
        let template = node.json(&written);
        let expected = node.json(&|pieces| meant(pieces, &values));
        prop_assume!(!template.is_null());
        let sent = sent_body(&with_json(template.clone()), &values);
        prop_assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected.clone());
        prop_assert_eq!(String::from_utf8(sent).unwrap(), expected.to_string());
        let text = serde_json::to_string_pretty(&template).unwrap();
        let sent = sent_body(&with_text(&text), &values);
        prop_assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected);
    }

    #[test]
    fn raw_bodies_are_spliced_once(pieces in pieces(), values in values()) {
        let template = RequestTemplate { body_mode: BodyMode::Raw, ..with_text(&written(&pieces)) };
        let sent = sent_body(&template, &values);
        prop_assert_eq!(String::from_utf8(sent).unwrap(), meant(&pieces, &values));
    }

    /// A receiver that decodes the query gets each value as it was.
    #[test]
    fn query_values_arrive_as_they_were(values in values()) {
        let template = with_url("https://h/x?a=${pactbroker.consumerVersionBranch}&b=${user.githubToken}&c=${pactbroker.providerName}");
        let secret = [("githubToken", values.secret.as_str())];
        let sent = rendered_with(&template, &values.event(), &secret).unwrap();
        let pairs: Vec<(String, String)> = sent.url.query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected =
            [pair("a", &values.branch), pair("b", &values.secret), pair("c", &values.provider)];
        prop_assert_eq!(pairs, expected);
    }

    /// Whatever a header's value becomes, it is one line and one header.
    #[test]
    fn header_values_are_themselves_or_refused(values in values()) {
        let template = RequestTemplate {
            headers: vec![("x-a".into(), "<${pactbroker.consumerVersionBranch}>".into())],
            ..request()
        };
        match rendered_with(&template, &values.event(), &[]) {
            Ok(sent) => {
                let expected = format!("<{}>", values.branch);
                prop_assert_eq!(sent.headers.get("x-a").unwrap().as_bytes(), expected.as_bytes());
                prop_assert!(!values.branch.chars().any(char::is_control));
            }
            Err(_) => prop_assert!(values.branch.chars().any(char::is_control)),
        }
    }

    #[test]
    fn redacted_text_holds_no_secret(
        before in any::<String>(),
        secret in "[ -~é\n]{3,20}[a-z]",
        after in any::<String>(),
    ) {
        let redactor = Redactor::new(secrets(&[("a", &secret)]).values());
        let text = format!("{before}{secret}{after}{secret}");
        let shown = redactor.redact(&text);
        prop_assert!(!shown.contains(&secret));
        prop_assert!(shown.ends_with("********"));
    }
}
