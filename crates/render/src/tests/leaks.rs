//! No text that this crate makes for people holds a value.

use postrider_domain::{Event, RequestTemplate};
use proptest::prelude::*;
use serde_json::json;

use super::{
    dispatch_body, event, rendered_with, request, secrets, with_header, with_json, with_url,
};
use crate::{CompiledRequest, Redactor, RenderError, describe_request, describe_response};

const SECRET: &str = "${user.token}";
const VALUE: &str = "${pactbroker.consumerVersionBranch}";

/// Templates that fail whatever the values, each with secret and variable in reach.
fn failing() -> Vec<RequestTemplate> {
    let both = format!("{SECRET}{VALUE}");
    let github = "https://api.github.com/repos/o/r/dispatches";
    let on_github = |body| RequestTemplate { body: with_json(body).body, ..with_url(github) };
    let mut requests = vec![
        RequestTemplate { method: format!("{both} "), ..request() },
        with_url(&format!("https://{both}/")),
        with_url(&format!("https://h:{both}/")),
        with_url(&format!("mailto:{both}")),
        with_header("bad name", &both),
        with_header("x", &format!("\n{both}")),
        with_header("host", &both),
        with_header("x", &both.repeat(6_000)),
        with_url(&format!("https://h/?{}", both.repeat(6_000))),
        RequestTemplate { username: Some(both.repeat(6_000)), ..request() },
        with_json(json!(both.repeat(50_000))),
        with_json(json!({ both.clone(): 1, format!("{both}${{postrider.x}}"): 2 })),
        on_github(json!([both.repeat(6_000)])),
        on_github(dispatch_body(&both.repeat(100), 1)),
        on_github(dispatch_body(&both, 11)),
        RequestTemplate { password: Some("${user.absent}".into()), ..with_header("x", &both) },
    ];
    for request in &mut requests {
        request.headers.push(("authorization".into(), SECRET.into()));
    }
    requests
}

fn duplicate_keys(branch: &str) -> RequestTemplate {
    with_json(json!({ branch: SECRET, VALUE: 1 }))
}

fn event_with(branch: &str) -> Event {
    let mut event = event();
    event.consumer.branch = branch.into();
    event
}

fn assert_clean(text: &str, secret: &str, branch: &str) {
    assert!(!text.contains(secret), "a secret in {text}");
    assert!(!text.contains(branch), "a value in {text}");
}

fn check_error(request: &RequestTemplate, secret: &str, branch: &str) -> Option<RenderError> {
    let found = rendered_with(request, &event_with(branch), &[("token", secret)]);
    let error = found.err()?;
    assert_clean(&format!("{error} {error:?}"), secret, branch);
    Some(error)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn errors_hold_no_values(secret in "[A-Z][ -~]{11,30}[0-9]", branch in "[A-Z]{3}[ -~]{9,30}!") {
        let mut kinds = std::collections::HashSet::new();
        let mut requests = failing();
        requests.push(duplicate_keys(&branch));
        for request in &requests {
            let error = check_error(request, &secret, &branch);
            kinds.extend(error.as_ref().map(std::mem::discriminant));
        }
        // All kinds but `DotSegment`, whose value is known, and `SecretUnusable`.
        prop_assert_eq!(kinds.len(), 13, "kinds of errors seen");
    }

    #[test]
    fn control_characters_are_not_shown(secret in "[a-z]{9}\n[a-z]{9}") {
        let error = check_error(&with_header("x", SECRET), &secret, "unused-branch").unwrap();
        let shown = format!("{error} {error:?}");
        for part in secret.split('\n') {
            prop_assert!(!shown.contains(part));
        }
    }

    #[test]
    fn debug_and_descriptions_hold_no_secrets(secret in "[ -~]{12,40}[A-Za-z0-9]{3}") {
        let mut request = with_url("https://h/${user.token}/x?y=${user.token}");
        request.headers = vec![("authorization".into(), SECRET.into()), ("x".into(), SECRET.into())];
        request.body = with_json(json!({ SECRET: [SECRET] })).body;
        request.password = Some(SECRET.into());
        for username in [None, Some("me".to_owned())] {
            request.username = username;
            let sent = rendered_with(&request, &event(), &[("token", &secret)]).unwrap();
            let values = secrets(&[("token", &secret)]);
            let redactor = Redactor::new(values.values());
            let echo = format!("{:?}", sent.headers.get("x").unwrap().as_bytes());
            let url = sent.url.as_str().to_owned();
            let body = [sent.body.clone().unwrap(), url.clone().into_bytes(), echo.into_bytes()].concat();
            let encoded = url.trim_start_matches("https://h/").split('/').next().unwrap();
            let escaped = json!(secret).to_string();
            for text in [
                format!("{sent:?} {redactor:?} {:?}", CompiledRequest::compile(&request)),
                describe_request(&sent, &redactor),
                describe_response(http::StatusCode::OK, &sent.headers, &body, &redactor),
            ] {
                prop_assert!(!text.contains(&secret), "{}", text);
                prop_assert!(!text.contains(encoded), "{}", text);
                prop_assert!(!text.contains(escaped.trim_matches('"')), "{}", text);
            }
        }
    }
}

#[test]
fn debug_of_a_request_names_and_counts_only() {
    let mut request = with_url("https://me:pw@h:1/path?query");
    request.headers.push(("x-a".into(), "value".into()));
    request.body = Some(postrider_domain::Body::Text("text".into()));
    let sent = rendered_with(&request, &event(), &[]).unwrap();
    let shown = format!("{sent:?}");
    for hidden in ["path", "query", "value", "text", "pw", "me:"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(shown.contains("https://h:1") && shown.contains("x-a"), "{shown}");
}
