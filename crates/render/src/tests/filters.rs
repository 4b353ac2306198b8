//! Filters: the value as the template's owner wants it, then the place's own encoding.

use postrider_domain::Event;
use serde_json::json;

use super::{
    DELIVERY, body_of, event, header_of, raw, rendered_with, with_header, with_json, with_text,
    with_url,
};
use crate::{Finding, body_advice, invalid_filter, secret_names, unknown_variables};

const VALUE: &str = "a b&<\"\\'/\u{e4}";

fn with_value() -> Event {
    let mut event = event();
    event.consumer.branch = VALUE.into();
    event
}

fn template(filter: &str) -> String {
    format!("<${{pactbroker.consumerVersionBranch|{filter}}}>")
}

#[test]
fn nothing_follows_a_filter_in_headers_and_raw_bodies() {
    for (filter, expected) in [
        ("json", "<a b&\\u003c\\\"\\\\'/\u{e4}>"),
        ("xml", "<a b&amp;&lt;&quot;\\&#39;/\u{e4}>"),
        ("form", "<a+b%26%3C%22%5C%27%2F%C3%A4>"),
        ("url", "<a%20b%26%3C%22%5C%27%2F%C3%A4>"),
        ("base64", "<YSBiJjwiXCcvw6Q=>"),
    ] {
        let text = template(filter);
        let sent = rendered_with(&with_header("x-a", &text), &with_value(), &[]).unwrap();
        assert_eq!(sent.headers.get("x-a").unwrap().as_bytes(), expected.as_bytes());
        for request in [with_text(&text), raw(with_text(&text))] {
            let sent = rendered_with(&request, &with_value(), &[]).unwrap();
            assert_eq!(String::from_utf8(sent.body.unwrap()).unwrap(), expected);
        }
    }
}

#[test]
fn json_is_written_around_what_a_filter_made() {
    for (filter, expected) in [
        ("json", "<a b&\\u003c\\\"\\\\'/\u{e4}>"),
        ("xml", "<a b&amp;&lt;&quot;\\&#39;/\u{e4}>"),
        ("base64", "<YSBiJjwiXCcvw6Q=>"),
    ] {
        let request = with_json(json!({ "a": [template(filter)] }));
        let sent = rendered_with(&request, &with_value(), &[]).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&sent.body.unwrap()).unwrap();
        assert_eq!(body, json!({ "a": [expected] }), "{filter}");
    }
}

/// The value can neither break nor extend the document inside.
#[test]
fn json_in_a_json_string_holds() {
    let mut event = event();
    event.consumer.branch = "x\",\"env\":\"prod".into();
    let inner = r#"{"env":"test","branch":"${pactbroker.consumerVersionBranch|json}"}"#;
    let request = with_json(json!({ "parameters": inner }));
    let sent = rendered_with(&request, &event, &[]).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&sent.body.unwrap()).unwrap();
    let inner: serde_json::Value =
        serde_json::from_str(body["parameters"].as_str().unwrap()).unwrap();
    assert_eq!(inner, json!({ "env": "test", "branch": event.consumer.branch }));
}

#[test]
fn urls_are_encoded_once() {
    for (filter, expected) in [
        ("form", "a+b%26%3C%22%5C%27%2F%C3%A4"),
        ("url", "a%20b%26%3C%22%5C%27%2F%C3%A4"),
        ("base64", "YSBiJjwiXCcvw6Q%3D"),
        ("xml", "a+b%26amp%3B%26lt%3B%26quot%3B%5C%26%2339%3B%2F%C3%A4"),
    ] {
        let text = template(filter).replace(['<', '>'], "");
        let request = with_url(&format!("https://h/{text}?q={text}"));
        let sent = rendered_with(&request, &with_value(), &[]).unwrap();
        assert_eq!(sent.url.as_str(), format!("https://h/{expected}?q={expected}"), "{filter}");
    }
}

#[test]
fn all_kinds_of_variables_have_filters() {
    let request = with_header("x-a", "${user.token|base64} ${postrider.deliveryId|url}");
    let sent = rendered_with(&request, &event(), &[("token", "a?>")]).unwrap();
    assert_eq!(header_of(&sent, "x-a"), format!("YT8+ {DELIVERY}"));
    assert!(sent.headers.get("x-a").unwrap().is_sensitive());
    assert!(secret_names(&request).contains("token"));
}

#[test]
fn filters_that_are_none_are_told_of_and_sent_as_written() {
    for name in ["pactbroker.pactUrl", "user.token", "postrider.deliveryId"] {
        for filter in ["", "html", "JSON", " json", "json ", "json|xml", "json}|{"] {
            let text = format!("a ${{{name}|{filter}}}");
            let told = invalid_filter(&text).map(|invalid| invalid.to_string());
            assert_eq!(told.is_some(), filter != "json}|{", "{text}");
        }
        for text in [format!("${{ {name}|json}}"), format!("${{{name} |json}}")] {
            assert!(invalid_filter(&text).is_some(), "{text}");
        }
    }
    for text in
        ["${pactbroker.foo|bar}", "${a|b}", "${user.a b|json}", "$|json", "${pactbroker.pactUrl}|x"]
    {
        assert_eq!(invalid_filter(text), None, "{text}");
    }
    let told = invalid_filter("${pactbroker.pactUrl|html}").unwrap().to_string();
    assert!(told.contains("json, xml, form, url, base64"), "{told}");
    let text = "${pactbroker.pactUrl|html} ${pactbroker.foo|xml} ${pactbroker.pactUrl|json|xml}";
    assert_eq!(body_of(&with_text(text)), text);
}

#[test]
fn a_mistyped_variable_keeps_its_filter_in_the_advice() {
    let unknown = unknown_variables(&with_text("${pactbroker.consumerNam|xml}"));
    assert_eq!(unknown[0].name, "pactbroker.consumerNam|xml");
    assert_eq!(unknown[0].nearest.as_deref(), Some("pactbroker.consumerName|xml"));
    assert_eq!(unknown_variables(&with_text("${pactbroker.consumerName|xml}")), []);
}

#[test]
fn raw_bodies_that_values_could_break_are_warned_of() {
    let plain = "${pactbroker.consumerName}";
    for (content_type, text, expected) in [
        ("application/xml", "<a>${pactbroker.consumerName}</a>", Some("xml")),
        ("image/svg+xml; charset=utf-8", "<a>${pactbroker.consumerName}</a>", Some("xml")),
        ("application/xml", "<a>${pactbroker.consumerName|xml}</a>", None),
        ("application/xml", "<a>${pactbroker.consumerName|json}</a>", Some("xml")),
        ("application/xml", "<a>${postrider.deliveryId}</a>", None),
        ("Application/X-WWW-Form-Urlencoded", plain, Some("form")),
        ("application/json", "{\"a\": ${pactbroker.consumerName}}", Some("json")),
        ("application/json", "{\"a\": \"${pactbroker.consumerName}\"}", None),
        ("text/plain", plain, None),
    ] {
        let mut request = with_text(text);
        request.headers = vec![("Content-Type".into(), content_type.into())];
        let told = body_advice(&request);
        let told = told.first().map(Finding::sentence);
        assert_eq!(told.is_some(), expected.is_some(), "{content_type} {text}: {told:?}");
        if let (Some(told), Some(filter)) = (told, expected) {
            assert!(told.contains(&format!("|{filter}}}")), "{told}");
        }
    }
    assert_eq!(body_advice(&with_text(plain)).len(), 0, "it says nothing of its type");
    assert_eq!(body_advice(&with_text("no variable")).len(), 0);
}

#[test]
fn json_in_strings_is_warned_of() {
    let body = |inner: &str| with_json(json!({ "p": [{ "q": inner }] }));
    let told = body_advice(&body(r#"{"a":"${pactbroker.consumerName}"}"#));
    assert_eq!(told[0].pointer, "/request/body/p/0/q");
    for inner in [
        r#"{"a":"${pactbroker.consumerName|json}"}"#,
        r#"{"a":"${postrider.deliveryId}"}"#,
        r#"{"a":"b"}"#,
        "${pactbroker.consumerName}",
    ] {
        assert_eq!(body_advice(&body(inner)), [], "{inner}");
    }
}
