//! What a template asks for.

use postrider_domain::{Body, RequestTemplate};
use serde_json::json;

use super::{request, with_text};
use crate::{secret_names, unknown_variables};

#[test]
fn secrets_are_found_everywhere() {
    let request = RequestTemplate {
        url: "https://${user.info}@h/${user.path}?${user.query}".into(),
        headers: vec![("x".into(), "a ${user.header} ${user.header}".into())],
        body: Some(Body::Json(json!({ "${user.key}": [{ "a": "${user.value}" }] }))),
        username: Some("${user.name}".into()),
        password: Some("${user.pass_word-1}".into()),
        ..request()
    };
    let names: Vec<String> = secret_names(&request).into_iter().collect();
    assert_eq!(names, ["header", "info", "key", "name", "pass_word-1", "path", "query", "value"]);
    assert!(secret_names(&with_text("${user.} ${User.a} ${pactbroker.consumerName}")).is_empty());
}

#[test]
fn mistyped_variables_are_named_with_what_was_meant() {
    for (text, name, nearest) in [
        ("${pactbroker.foo}", "pactbroker.foo", None),
        ("${pactbroker.consumerNam}", "pactbroker.consumerNam", Some("pactbroker.consumerName")),
        ("${pactbroker.consumername}", "pactbroker.consumername", Some("pactbroker.consumerName")),
        ("${consumerName}", "consumerName", Some("pactbroker.consumerName")),
        ("${ pactbroker.pactUrl }", " pactbroker.pactUrl ", Some("pactbroker.pactUrl")),
        ("${pact-broker.pactUrl}", "pact-broker.pactUrl", Some("pactbroker.pactUrl")),
        ("${postrider.deliveryID}", "postrider.deliveryID", Some("postrider.deliveryId")),
        ("${user.my token}", "user.my token", None),
    ] {
        let found = unknown_variables(&with_text(text));
        let found: Vec<(&str, Option<&str>)> =
            found.iter().map(|v| (v.name.as_str(), v.nearest.as_deref())).collect();
        assert_eq!(found, [(name, nearest)], "{text}");
    }
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    for text in ["${HOME}", "${{ secrets.X }}", "$${user.a}", "${user.a}", "${", "${pactbroker."] {
        assert_eq!(unknown_variables(&with_text(text)), [], "{text}");
    }
}

#[test]
fn each_unknown_variable_is_named_once() {
    let request = RequestTemplate {
        headers: vec![("x".into(), "${pactbroker.b}${pactbroker.a}".into())],
        ..with_text("${pactbroker.a}${pactbroker.${pactbroker.b}")
    };
    let names: Vec<String> = unknown_variables(&request).into_iter().map(|v| v.name).collect();
    assert_eq!(names, ["pactbroker.a", "pactbroker.b"]);
}
