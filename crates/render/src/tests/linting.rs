//! What there is to say about a webhook before it sends anything.

use std::collections::BTreeSet;

use postrider_domain::{Body, EventName, RequestTemplate};
use serde_json::json;

use super::seed::seed;
use super::{dispatch_body, request, with_header, with_json, with_text, with_url};
use crate::{Finding, LintRule, Linted, Severity, lint};

const WANTED: &[EventName] = &[EventName::ContractRequiringVerificationPublished];

fn findings(request: &RequestTemplate) -> Vec<Finding> {
    lint(Linted { request, events: WANTED, secrets: None })
}

/// Rule and pointer of each finding.
fn found(request: &RequestTemplate) -> Vec<(LintRule, String)> {
    findings(request).into_iter().map(|finding| (finding.rule, finding.pointer)).collect()
}

#[track_caller]
fn one(request: &RequestTemplate, rule: LintRule, pointer: &str) {
    assert_eq!(found(request), [(rule, pointer.to_owned())]);
}

fn dispatch(event_type: &str, keys: usize) -> RequestTemplate {
    RequestTemplate { body: Some(Body::Json(dispatch_body(event_type, keys))), ..seed() }
}

#[test]
fn the_seed_webhook_is_clean() {
    assert_eq!(findings(&seed()), []);
}

#[test]
fn credentials_in_headers_are_found() {
    for (name, value) in [
        ("Authorization", "Bearer abc"),
        ("authorization", "Basic dTpw"),
        ("X-Gitlab-Token", "t"),
        ("x-plain", "ghp_0123456789abcdef0123"),
        ("x-plain", "prefix glpat-0123456789abcdef!"),
        ("x-plain", "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"),
    ] {
        one(&with_header(name, value), LintRule::InlineSecret, &format!("/request/headers/{name}"));
    }
    for (name, value) in [
        ("authorization", "Bearer ${user.token}"),
        ("x-token", "${pactbroker.buildUrl}"),
        ("x-plain", "ghp_short"),
        ("x-plain", "eyJust-a-long-word-that-is-none"),
        ("x-plain", "aghp_0123456789abcdef0123"),
    ] {
        assert_eq!(found(&with_header(name, value)), [], "{name}: {value}");
    }
}

#[test]
fn credentials_in_the_url_are_found() {
    for url in [
        "https://user:pass@h/x",
        "https://token@h/x",
        "https://${user.name}:pass@h/x",
        "https://h/x?token=abc",
        "https://h/x?a=1&private_token=abc&b=2",
        "https://h/github_pat_0123456789abcdef",
    ] {
        one(&with_url(url), LintRule::InlineSecret, "/request/url");
    }
    for url in [
        "https://user:${user.pass}@h/x",
        "https://${user.a}:${user.b}@h/x",
        "https://${user.token}@h/x",
        "https://h/x?token=${user.token}",
        "https://h/x?token=",
        "https://h/token?consumer=${pactbroker.consumerName}",
    ] {
        assert_eq!(found(&with_url(url)), [], "{url}");
    }
}

#[test]
fn credentials_in_password_and_body_are_found() {
    let password = |text: &str| RequestTemplate {
        username: Some("u".into()),
        password: Some(text.into()),
        ..request()
    };
    one(&password("p"), LintRule::InlineSecret, "/request/password");
    assert_eq!(found(&password("${user.p}")), []);
    let body = json!({"a": [{"b/c": "ghp_0123456789abcdef0123"}], "ok": "x"});
    one(&with_json(body), LintRule::InlineSecret, "/request/body/a/0/b~1c");
    one(&with_json(json!({"api-key": "k"})), LintRule::InlineSecret, "/request/body/api-key");
    one(&with_text("t=ghs_0123456789abcdef"), LintRule::InlineSecret, "/request/body");
    assert_eq!(found(&with_json(json!({"token": "${user.t}", "tokens": "3", "secret": 1}))), []);
}

#[test]
fn each_credential_has_a_fix_of_its_own() {
    let fix = |request: &RequestTemplate| {
        let found = findings(request).into_iter().find(|one| one.rule == LintRule::InlineSecret);
        found.unwrap().fix
    };
    let header = |name: &str| with_header(name, "Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz");
    assert!(fix(&header("Authorization")).contains("write Bearer ${user.NAME}"));
    assert!(fix(&header("X-Token")).ends_with("write ${user.NAME}"));
    let url = with_url("https://h.example/x?token=ghp_0123456789abcdefghijklmnopqrstuvwxyz");
    assert!(fix(&url).contains("in a header or in request.password"));
}

#[test]
fn a_filter_that_is_none_is_found() {
    let request = with_text("a=${pactbroker.consumerName|jsn}");
    let rules: Vec<LintRule> = found(&request).into_iter().map(|(rule, _)| rule).collect();
    assert!(rules.contains(&LintRule::InvalidFilter), "{rules:?}");
}

#[test]
fn no_finding_holds_the_secret() {
    let mut request = with_url("https://user:s3cret-one@h/x?token=s3cret-two");
    request.headers = vec![("authorization".into(), "Bearer s3cret-three".into())];
    request.password = Some("s3cret-four".into());
    request.body = Some(Body::Json(json!({"password": "s3cret-five"})));
    let findings = findings(&request);
    assert_eq!(findings.len(), 5, "{findings:?}");
    assert!(!format!("{findings:?}").contains("s3cret"), "{findings:?}");
}

#[test]
fn starred_values_are_noted_and_nothing_else() {
    let stars = with_header("authorization", "**********");
    let found = findings(&stars);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].rule, found[0].severity), (LintRule::Hidden, Severity::Note));
}

#[test]
fn url_and_method_are_judged() {
    one(&with_url("http://h/x"), LintRule::Http, "/request/url");
    one(&with_url("no url"), LintRule::InvalidUrl, "/request/url");
    one(&with_url("https://${pactbroker.consumerName}/x"), LintRule::InvalidUrl, "/request/url");
    let put = RequestTemplate { method: "PUT".into(), ..request() };
    one(&put, LintRule::Method, "/request/method");
}

#[test]
fn github_s_limits_are_kept() {
    assert_eq!(found(&dispatch("e", 10)), []);
    one(&dispatch("e", 11), LintRule::PayloadKeys, "/request/body/client_payload");
    assert_eq!(found(&dispatch(&"e".repeat(100), 1)), []);
    one(&dispatch(&"e".repeat(101), 1), LintRule::EventType, "/request/body/event_type");
    assert_eq!(found(&dispatch("${pactbroker.eventName}", 1)), [], "a value may fit");
    let large = json!({"event_type": "e", "client_payload": {"a": "x".repeat(70_000)}});
    let large = RequestTemplate { body: Some(Body::Json(large)), ..seed() };
    one(&large, LintRule::BodySize, "/request/body");
    assert_eq!(found(&with_json(dispatch_body("e", 11))), [], "no dispatch, no limit");
}

#[test]
fn a_dispatch_wants_the_event_that_names_the_provider_version() {
    let pointers = |request: &RequestTemplate, events: &[EventName]| -> Vec<String> {
        let findings = lint(Linted { request, events, secrets: None });
        assert!(findings.iter().all(|finding| finding.rule == LintRule::DispatchEvent));
        findings.into_iter().map(|finding| finding.pointer).collect()
    };
    let seed = seed();
    assert_eq!(pointers(&seed, &[]), ["/events"]);
    assert_eq!(
        pointers(&seed, &EventName::ALL),
        ["/events/0/name", "/events/1/name"],
        "the two that fire without need"
    );
    assert_eq!(pointers(&request(), &EventName::ALL), [""; 0], "other targets may want all");
}

#[test]
fn placeholders_that_nothing_fills_in_are_named() {
    let url = with_url("https://h/x?a=${pactbroker.consumerNam}");
    one(&url, LintRule::UnknownVariable, "/request/url");
    let found = findings(&url);
    assert_eq!(found[0].fix, "write ${pactbroker.consumerName}");
    one(
        &with_json(json!({"a": {"${pactbroker.nope}": 1}})),
        LintRule::UnknownVariable,
        "/request/body/a/${pactbroker.nope}",
    );
    let known = BTreeSet::from(["other".to_owned()]);
    let missing = |secrets| lint(Linted { request: &seed(), events: WANTED, secrets });
    let found = missing(Some(&known));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule, LintRule::UnknownSecret);
    assert_eq!(found[0].fix, "postrider secrets set githubToken");
    assert_eq!(missing(Some(&BTreeSet::from(["githubToken".to_owned()]))), []);
}

#[test]
fn what_certainly_goes_wrong_is_named() {
    let authorized = |url: &str, body: serde_json::Value| {
        let mut request = with_json(body);
        request.url = url.into();
        request.headers = vec![("Authorization".into(), "Bearer ${user.t}".into())];
        request
    };
    let event = || json!({"event_type": "x"});
    let github = "https://api.github.com/repos/a/b";
    let workflow = format!("{github}/actions/workflows/ci.yml/dispatches");
    one(
        &authorized(&format!("{github}/dispatches/"), event()),
        LintRule::GithubPath,
        "/request/url",
    );
    for url in [
        "https://github.com/api/v3/repos/a/b/dispatches",
        "https://github.com/repos/a/b/dispatches",
        "https://api.github.com/api/v3/repos/a/b/dispatches",
    ] {
        one(&authorized(url, event()), LintRule::GithubPath, "/request/url");
    }
    for (url, body, member) in [
        (format!("{github}/dispatches"), json!({"client_payload": {}}), "event_type"),
        (format!("{github}/dispatches"), json!({"event_type": 1}), "event_type"),
        (workflow.clone(), json!({"inputs": {}}), "ref"),
    ] {
        let pointer = format!("/request/body/{member}");
        one(&authorized(&url, body), LintRule::MissingMember, &pointer);
    }
    assert_eq!(found(&authorized(&workflow, json!({"ref": "main"}))), []);
    let ghes = "https://ghes.example/api/v3/repos/a/b/dispatches";
    assert_eq!(found(&authorized(ghes, event())), []);

    let mut open = authorized(&format!("{github}/dispatches"), event());
    open.headers.clear();
    one(&open, LintRule::NoCredential, "/request/headers");
    open.password = Some("${user.p}".into());
    one(&open, LintRule::PasswordAlone, "/request/password");
    open.username = Some("u".into());
    assert_eq!(found(&open), []);

    one(
        &with_json(json!({"u": "$${pactbroker.pactUrl}"})),
        LintRule::LeftoverDollar,
        "/request/body/u",
    );
    assert_eq!(found(&with_json(json!({"u": "$${other} $$ ${pactbroker.pactUrl}"}))), []);
}

#[test]
fn addresses_that_are_secrets_are_found() {
    for url in [
        "https://hooks.slack.com/services/T000/B000/abcdefghijklmnop",
        "https://hooks.slack.com/triggers/T000/123/abc",
        "https://discord.com/api/webhooks/111/abc",
        "https://discord.com/api/v10/webhooks/111/abc",
        "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d",
    ] {
        one(&with_url(url), LintRule::InlineSecret, "/request/url");
    }
    for url in [
        "https://hooks.slack.com/services/T000/B000/${user.hook}",
        "https://discord.com/api/webhooks/111/${user.hook}",
        "https://acme.webhook.office.com/webhookb2/${user.hook}",
        "https://slack.example/services/T000/B000/abc",
    ] {
        assert_eq!(found(&with_url(url)), [], "{url}");
    }
}
