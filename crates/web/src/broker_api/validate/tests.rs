use postrider_domain::HostWhitelist;
use serde_json::json;

use super::*;

fn valid() -> Value {
    json!({"request": {"method": "POST", "url": "https://example.org/x"}})
}

fn check(document: &Value, scope: &Scope, methods: &[&str], hosts: &str) -> Result<Draft, Value> {
    let methods: Vec<_> = methods.iter().map(ToString::to_string).collect();
    let hosts = HostWhitelist::parse(hosts).unwrap();
    let rules = Rules { schemes: &["https".to_owned()], methods: &methods, hosts: &hosts };
    webhook(document, scope, &rules).map_err(|errors| errors.by_key())
}

fn errors(document: &Value) -> Value {
    check(document, &Scope::all(), &["POST"], "").unwrap_err()
}

/// The errors of a valid document with one member replaced.
fn errors_with(pointer: &str, value: Value) -> Value {
    let mut document = valid();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    errors(&document)
}

const ONE_OF: &str = "name must be one of: contract_published, contract_content_changed, \
                      provider_verification_published, provider_verification_succeeded, \
                      provider_verification_failed, contract_requiring_verification_published";

/// A member's place, a wrong value for it, the key and the message.
type Row<'a> = (&'a str, Value, &'a str, &'a str);

fn check_messages(table: &[Row<'_>]) {
    for (pointer, value, key, message) in table {
        assert_eq!(errors_with(pointer, value.clone()), json!({*key: [message]}), "{value}");
    }
}

#[test]
fn messages_of_the_request_and_its_method() {
    check_messages(&[
        ("/request", json!(null), "request", "must be filled"),
        ("/request", json!({}), "request", "must be filled"),
        ("/request", json!(""), "request", "must be filled"),
        ("/request", json!([]), "request", "must be filled"),
        ("/request", json!("x"), "request", "must be a hash"),
        ("/request", json!(1), "request", "must be a hash"),
        ("/request", json!([1]), "request", "must be a hash"),
        ("/request/method", json!(null), "request.method", "must be filled"),
        ("/request/method", json!(""), "request.method", "must be filled"),
        ("/request/method", json!(1), "request.method", "must be a string"),
        ("/request/method", json!("FETCH"), "request.method", "is not a recognised HTTP method"),
        (
            "/request/method",
            json!("get"),
            "request.method",
            "must be POST. See /doc/webhooks#whitelist for more information.",
        ),
    ]);
}

#[test]
fn messages_of_urls() {
    check_messages(&[
        ("/request/url", json!(null), "request.url", "must be filled"),
        ("/request/url", json!(""), "request.url", "must be filled"),
        ("/request/url", json!(["https://h"]), "request.url", "must be a string"),
        ("/request/url", json!("foo"), "request.url", "is not a valid URL eg. http://example.org"),
        (
            "/request/url",
            json!("https://${pactbroker.consumerName}/x"),
            "request.url",
            "cannot have a template parameter in the host",
        ),
        (
            "/request/url",
            json!("http://example.org"),
            "request.url",
            "scheme must be https. See /doc/webhooks#whitelist for more information.",
        ),
    ]);
}

#[test]
fn messages_of_the_rest_of_the_request() {
    check_messages(&[
        ("/request/headers", json!([]), "request.headers", "must be a hash"),
        ("/request/headers", json!({"X-N": 1}), "request.headers", "x-n must be a string"),
        (
            "/request/headers",
            json!({"a b": "c"}),
            "request.headers",
            "\"a b\" is not a valid header name",
        ),
        (
            "/request/headers",
            json!({"a": "b\nc"}),
            "request.headers",
            "a cannot contain control characters",
        ),
        ("/request/username", json!(1), "request.username", "must be a string"),
        ("/request/password", json!({}), "request.password", "must be a string"),
        ("/request/bodyMode", json!("xml"), "request.bodyMode", "must be one of: json, raw"),
    ]);
}

#[test]
fn headers_of_the_connection_and_variable_hosts_are_refused() {
    for name in ["Connection", "Proxy-Authorization", "TE", "Transfer-Encoding", "Keep-Alive"] {
        let errors = errors_with("/request/headers", json!({name: "x"}));
        let message = errors["request.headers"][0].as_str().unwrap();
        assert!(message.starts_with(&name.to_lowercase()), "{message}");
        assert!(message.contains("remove it"), "{message}");
    }
    for host in ["${pactbroker.consumerName}", "a.${user.x}"] {
        let message = "host cannot have a template parameter: write the name of the host";
        let errors = errors_with("/request/headers", json!({"Host": host}));
        assert_eq!(errors, json!({"request.headers": [message]}));
    }
    let mut document = valid();
    document["request"]["headers"] = json!({"Host": "a.example", "Connection": null});
    assert!(check(&document, &Scope::all(), &["POST"], "").is_ok());
}

#[test]
fn filters_that_are_none_are_refused_where_they_stand() {
    for (pointer, value, key) in [
        ("/request/url", json!("https://h/?a=${pactbroker.pactUrl|html}"), "request.url"),
        ("/request/headers", json!({"x-a": "${user.t|json|xml}"}), "request.headers"),
        ("/request/body", json!({"a": ["${pactbroker.pactUrl|JSON}"]}), "request.body"),
        ("/request/body", json!({"${pactbroker.pactUrl|}": 1}), "request.body"),
        ("/request/body", json!("${ pactbroker.pactUrl|json}"), "request.body"),
        ("/request/username", json!("${postrider.deliveryId|x}"), "request.username"),
        ("/request/password", json!("${user.p| url}"), "request.password"),
    ] {
        let errors = errors_with(pointer, value.clone());
        let message = errors[key][0].as_str().unwrap_or_default();
        assert!(message.contains("json, xml, form, url, base64"), "{value}: {errors}");
    }
    let mut document = valid();
    document["request"]["body"] = json!("${pactbroker.pactUrl|xml} ${pactbroker.x|y} ${a|b}");
    assert!(check(&document, &Scope::all(), &["POST"], "").is_ok());
}

#[test]
fn messages_of_events() {
    let one_of = format!("{ONE_OF} (at index 0)");
    check_messages(&[
        ("/events", json!([]), "events", "size cannot be less than 1"),
        ("/events", json!("x"), "events", "must be an array"),
        ("/events", json!([{}]), "events", "name is missing (at index 0)"),
        ("/events", json!([{"name": null}]), "events", "name must be filled (at index 0)"),
        ("/events", json!([{"name": ""}]), "events", "name must be filled (at index 0)"),
        ("/events", json!([{"name": 1}]), "events", "name must be a string (at index 0)"),
        ("/events", json!(["x"]), "events", "must be a hash (at index 0)"),
        ("/events", json!([{"name": "foo"}]), "events", &one_of),
    ]);
}

#[test]
fn messages_of_the_other_members() {
    check_messages(&[
        ("/enabled", json!(null), "enabled", "must be filled"),
        ("/enabled", json!("true"), "enabled", "must be boolean"),
        ("/consumer", json!("C"), "consumer", "must be a hash"),
        ("/consumer", json!({}), "consumer.name", "cannot be blank"),
        ("/consumer", json!({"name": " "}), "consumer.name", "cannot be blank"),
        ("/provider", json!({"label": ""}), "provider.name", "cannot be blank"),
        ("/provider", json!({"name": 1}), "provider.name", "must be a string"),
        (
            "/consumer",
            json!({"name": "C", "label": "l"}),
            "consumer.label",
            "name and label cannot be provided at the same time",
        ),
        (
            "/uuid",
            json!("short"),
            "uuid",
            "can only contain A-Z, a-z, 0-9, _ and -, and must be 16 or more characters",
        ),
        ("/description", json!(1), "description", "must be a string"),
        ("/teamUuid", json!([]), "teamUuid", "must be a string"),
    ]);
}

#[test]
fn missing_members() {
    assert_eq!(errors(&json!({})), json!({"request": ["is missing"]}));
    assert_eq!(
        errors(&json!({"request": {"body": 1}, "events": [{"name": "contract_published"}, {}]})),
        json!({
            "request.method": ["is missing"],
            "request.url": ["is missing"],
            "events": ["name is missing (at index 1)"],
        })
    );
}

#[test]
fn whitelists_in_messages() {
    let mut document = valid();
    document["request"]["method"] = "DELETE".into();
    let found = check(&document, &Scope::all(), &["POST", "GET"], "/foo.bar/ bar.org").unwrap_err();
    assert_eq!(
        found,
        json!({
            "request.method":
                ["must be one of POST, GET. See /doc/webhooks#whitelist for more information."],
            "request.url": ["host must be in the whitelist /foo.bar/, \"bar.org\". \
                             See /doc/webhooks#whitelist for more information."],
        })
    );
}

#[test]
fn what_a_valid_document_means() {
    let document = json!({
        "uuid": "ignored-but-valid-1234", "unknown": 1, "description": "d", "enabled": false,
        "consumer": {"name": "C"}, "provider": {"label": "l"}, "teamUuid": "t",
        "events": [{"name": "contract_published"}, {"name": "contract_published", "x": 1}],
        "request": {"method": "post", "url": "https://h/", "bodyMode": "raw", "body": false,
                    "headers": {"Accept": "a", "X-Null": null, "ACCEPT": "b"},
                    "username": "u", "password": null},
    });
    let draft = check(&document, &Scope::all(), &["POST"], "").unwrap();
    assert_eq!(draft.description, Member::Given("d".to_owned()));
    assert_eq!(draft.consumer, Some(Selector::Name("C".to_owned())));
    assert_eq!(draft.provider, Some(Selector::Label("l".to_owned())));
    assert_eq!(draft.events, Some(vec![EventName::ContractPublished]));
    assert_eq!(draft.team_uuid.as_deref(), Some("t"));
    assert!(!draft.enabled);
    assert_eq!(draft.request.method, "post");
    assert_eq!(draft.request.headers, [("accept".to_owned(), "b".to_owned())]);
    assert!(matches!(&draft.request.body, Some(postrider_domain::Body::Json(Value::Bool(false)))));
    assert_eq!(draft.request.password, Member::Null);
}

#[test]
fn defaults() {
    let mut document = valid();
    document["events"] = Value::Null;
    document["consumer"] = Value::Null;
    document["request"]["headers"] = Value::Null;
    let draft = check(&document, &Scope::all(), &["POST"], "").unwrap();
    assert!(draft.enabled);
    assert_eq!((draft.events, draft.consumer), (None, None));
    assert_eq!(draft.description, Member::Missing);
    assert_eq!(draft.request.password, Member::Missing);
    assert!(draft.request.headers.is_empty());
}

#[test]
fn names_in_the_path_fill_in() {
    let pair = Scope::pair("P", "C");
    let draft = check(&valid(), &pair, &["POST"], "").unwrap();
    assert_eq!(draft.consumer, Some(Selector::Name("C".to_owned())));
    assert_eq!(draft.provider, Some(Selector::Name("P".to_owned())));
    let mut document = valid();
    document["consumer"] = json!({"name": "D"});
    let draft = check(&document, &pair, &["POST"], "").unwrap();
    assert_eq!(draft.consumer, Some(Selector::Name("D".to_owned())));
    document["consumer"] = json!({"label": "l"});
    let found = check(&document, &pair, &["POST"], "").unwrap_err();
    assert!(found["consumer.label"].is_array(), "{found}");
}
