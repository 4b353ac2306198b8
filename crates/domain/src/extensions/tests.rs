use serde_json::json;

use super::*;
use crate::{Event, EventName, Pacticipant};

fn read(value: &Value) -> Extensions {
    Extensions::read(value).unwrap()
}

/// The one fault of a document.
fn fault(value: &Value) -> (String, String) {
    let faults = Extensions::read(value).unwrap_err();
    assert_eq!(faults.len(), 1, "{value}: {faults:?}");
    (faults[0].key.clone(), faults[0].message.clone())
}

fn event(branch: &str, tags: &[&str]) -> Event {
    let side = |name: &str, branch: &str, tags: &[&str]| Pacticipant {
        name: name.into(),
        branch: branch.into(),
        tags: tags.iter().map(ToString::to_string).collect(),
        ..Pacticipant::default()
    };
    Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".into(),
        consumer: side("web-shop", branch, tags),
        provider: side("orders", "", &[]),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

#[test]
fn documents_come_back_as_they_were_given() {
    let given = json!({
        "when": {"consumerBranches": ["main", "release/*"]},
        "success": {"codes": [200, 302], "contentType": "Application/*", "bodyContains": "ok"},
        "timeout": 30, "retrySchedule": "10, 1m", "signing": {"secret": "${user.a-B_1}", "previous": null},
    });
    let extensions = read(&given);
    assert_eq!(extensions.timeout, Some(Duration::from_secs(30)));
    assert_eq!(extensions.retry.as_ref().unwrap().schedule.len(), 2);
    assert_eq!(extensions.secret_names().collect::<Vec<_>>(), ["a-B_1"]);
    let text = serde_json::to_string(&extensions).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), given);
    assert_eq!(serde_json::from_str::<Extensions>(&text).unwrap(), extensions);
    assert_eq!(read(&json!({})), Extensions::default());
    assert_eq!(Extensions::default().document(), None);
}

#[test]
fn every_fault_names_its_key() {
    let long = "x".repeat(256);
    for (document, key) in [
        (json!([]), "postrider"),
        (json!({"whenn": {}}), "postrider.whenn"),
        (json!({"deadline": "1h"}), "postrider.deadline"),
        (json!({"when": []}), "postrider.when"),
        (json!({"when": {"branches": ["x"]}}), "postrider.when.branches"),
        (json!({"when": {"consumers": []}}), "postrider.when.consumers"),
        (json!({"when": {"consumers": "x"}}), "postrider.when.consumers"),
        (json!({"when": {"consumerTags": [""]}}), "postrider.when.consumerTags"),
        (json!({"when": {"consumerTags": [1]}}), "postrider.when.consumerTags"),
        (json!({"when": {"providers": vec!["x"; 51]}}), "postrider.when.providers"),
        (json!({"when": {"providerBranches": [long]}}), "postrider.when.providerBranches"),
        (json!({"success": {}}), "postrider.success"),
        (json!({"success": {"codes": []}}), "postrider.success.codes"),
        (json!({"success": {"codes": [404]}}), "postrider.success.codes"),
        (json!({"success": {"codes": ["200"]}}), "postrider.success.codes"),
        (json!({"success": {"codes": [200.5]}}), "postrider.success.codes"),
        (
            json!({"success": {"contentType": "text/html; charset=x"}}),
            "postrider.success.contentType",
        ),
        (json!({"success": {"contentType": "*/*"}}), "postrider.success.contentType"),
        (json!({"success": {"contentType": "json"}}), "postrider.success.contentType"),
        (json!({"success": {"bodyContains": ""}}), "postrider.success.bodyContains"),
        (json!({"success": {"bodyExcludes": "x".repeat(1025)}}), "postrider.success.bodyExcludes"),
        (json!({"timeout": "999ms"}), "postrider.timeout"),
        (json!({"timeout": 61}), "postrider.timeout"),
        (json!({"timeout": "soon"}), "postrider.timeout"),
        (json!({"timeout": 1.5}), "postrider.timeout"),
        (json!({"retrySchedule": ""}), "postrider.retrySchedule"),
        (json!({"retrySchedule": "25h"}), "postrider.retrySchedule"),
        (json!({"retrySchedule": "1 ".repeat(21)}), "postrider.retrySchedule"),
        (json!({"retrySchedule": [1]}), "postrider.retrySchedule"),
        (json!({"signing": {}}), "postrider.signing.secret"),
        (json!({"signing": {"secret": "abc"}}), "postrider.signing.secret"),
        (json!({"signing": {"secret": "${user.a}x"}}), "postrider.signing.secret"),
        (json!({"signing": {"secret": "${user.a|json}"}}), "postrider.signing.secret"),
        (
            json!({"signing": {"secret": "${user.a}", "previous": "b"}}),
            "postrider.signing.previous",
        ),
        (json!({"signing": {"secret": "${user.a}", "key": "b"}}), "postrider.signing.key"),
    ] {
        assert_eq!(fault(&document).0, key, "{document}");
    }
    assert!(
        fault(&json!({"success": {"bodycontains": "x"}, "timeout": "5s"}))
            .1
            .contains("bodyContains")
    );
    let two = json!({"timeout": 0, "retrySchedule": 0});
    assert_eq!(Extensions::read(&two).unwrap_err().len(), 2);
}

#[test]
fn bounds_are_inclusive() {
    for document in [
        json!({"timeout": "1s"}),
        json!({"timeout": "1m"}),
        json!({"retrySchedule": "24h"}),
        json!({"retrySchedule": "1 ".repeat(20)}),
        json!({"when": {"consumers": vec!["x".repeat(255); 50]}}),
        json!({"success": {"codes": [200, 399], "bodyContains": "x".repeat(1024)}}),
    ] {
        read(&document);
    }
}

#[test]
fn patterns_fit_the_whole_value() {
    for (pattern, value, fits) in [
        ("main", "main", true),
        ("main", "Main", false),
        ("main", "main2", false),
        ("release/*", "release/1/2", true),
        ("release/*", "release/", true),
        ("release/*", "xrelease/1", false),
        ("*-x-*", "a-x-b", true),
        ("*-x-*", "a-xb", false),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "abcbc", true),
        ("**", "", true),
        ("a?c", "abc", false),
        ("[ab]", "a", false),
        (r"a\*b", "a*b", true),
        (r"a\*b", "axb", false),
        (r"a\\*", r"a\x", true),
        (r"a\b", r"a\b", true),
        (r"a\", r"a\", true),
    ] {
        assert_eq!(Pattern::parse(pattern).matches(value), fits, "{pattern} {value}");
    }
}

#[test]
fn all_keys_must_match_and_of_each_one_pattern() {
    let when = |document: Value| read(&json!({ "when": document })).when.unwrap();
    for (document, branch, tags, kept_out_by) in [
        (json!({"consumerBranches": ["main", "release/*"]}), "release/1", &[][..], None),
        (json!({"consumerBranches": ["main"]}), "feat", &[], Some(WhenKey::ConsumerBranches)),
        (json!({"consumerBranches": ["main"]}), "", &[], Some(WhenKey::ConsumerBranches)),
        (json!({"consumerBranches": ["m*", "**"]}), "", &[], Some(WhenKey::ConsumerBranches)),
        (json!({"consumerBranches": ["main", "*"]}), "", &[], None),
        (json!({"consumerTags": ["prod"]}), "", &["a", "prod"], None),
        (json!({"consumerTags": ["prod"]}), "", &["a"], Some(WhenKey::ConsumerTags)),
        (json!({"consumerTags": ["p*"]}), "", &[], Some(WhenKey::ConsumerTags)),
        (json!({"consumerTags": ["*"]}), "", &[], None),
        (json!({"consumers": ["web-*"], "providers": ["orders"]}), "", &[], None),
        (json!({"consumers": ["web-*"], "providers": ["x"]}), "", &[], Some(WhenKey::Providers)),
        (json!({"providerBranches": ["*"]}), "", &[], None),
    ] {
        let kept_out = when(document.clone()).kept_out(&event(branch, tags));
        assert_eq!(kept_out.map(|out| out.key), kept_out_by, "{document} {branch:?} {tags:?}");
    }
    let out = when(json!({"consumerTags": ["x"]})).kept_out(&event("", &["a", "b"])).unwrap();
    assert_eq!(out.to_string(), "postrider.when.consumerTags does not match \"a, b\"");
    assert_eq!(read(&json!({"when": {}})).when, None);
}

#[test]
fn an_answer_has_to_pass_the_whole_rule() {
    let rule = |document: Value| read(&json!({ "success": document })).success.unwrap();
    for (document, content_type, body, failed) in [
        (json!({"codes": [200]}), None, "", None),
        (
            json!({"contentType": "application/json"}),
            Some("Application/JSON; charset=utf-8"),
            "",
            None,
        ),
        (json!({"contentType": "text/*"}), Some("text/plain"), "", None),
        (json!({"contentType": "text/*"}), Some("text"), "", Some(FailedRule::ContentType)),
        (json!({"contentType": "text/*"}), None, "", Some(FailedRule::ContentType)),
        (
            json!({"contentType": "text/html"}),
            Some("text/html5"),
            "",
            Some(FailedRule::ContentType),
        ),
        (json!({"bodyContains": "\"ok\":true"}), None, "{\"ok\":true}", None),
        (json!({"bodyContains": "OK"}), None, "ok", Some(FailedRule::BodyContains)),
        (json!({"bodyExcludes": "error"}), None, "an error", Some(FailedRule::BodyExcludes)),
        (json!({"bodyExcludes": "error"}), None, "Error", None),
        (
            json!({"bodyContains": "a", "bodyExcludes": "a"}),
            None,
            "a",
            Some(FailedRule::BodyExcludes),
        ),
    ] {
        let failing = rule(document.clone()).failed(content_type, body.as_bytes());
        assert_eq!(failing, failed, "{document} {content_type:?} {body}");
    }
    let far = [vec![b'x'; SEARCHED_BYTES], b"error".to_vec()].concat();
    assert_eq!(rule(json!({"bodyExcludes": "error"})).failed(None, &far), None);
    assert_eq!(rule(json!({"bodyContains": "\u{fffd}b"})).failed(None, b"a\xffb"), None);
}

const SEARCHED_BYTES: usize = 64 * 1024;
