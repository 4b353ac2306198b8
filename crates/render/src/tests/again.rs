//! What is rendered again reads as what was kept when it was sent.

use proptest::prelude::*;
use serde_json::json;

use super::seed::seed;
use super::{DELIVERY, USER_AGENT, event, rendered_with, request, secrets, with_json};
use crate::{Redactor, Variables, describe_request, render_again};

fn again(template: &postrider_domain::RequestTemplate) -> crate::RenderedAgain {
    let event = event();
    let vars =
        Variables { event: &event, event_name: event.event_name.as_str(), delivery_id: DELIVERY };
    render_again(template, &vars, USER_AGENT, None, &[]).unwrap()
}

/// As it was kept when it was sent with this secret.
fn kept(template: &postrider_domain::RequestTemplate, name: &str, secret: &str) -> String {
    let sent = rendered_with(template, &event(), &[(name, secret)]).unwrap();
    let values = secrets(&[(name, secret)]);
    describe_request(&sent, &Redactor::for_request(template, &values, &[]))
}

#[test]
fn it_reads_as_it_did() {
    assert_eq!(again(&seed()).text, kept(&seed(), "githubToken", "ghp_0123456789abcdef"));
    let body = json!({"token": "${user.a}", "list": ["x ${user.a}", "${pactbroker.pactUrl}"]});
    let mut all_over = with_json(body);
    all_over.url = "https://h/${user.a}/x?q=${user.a}&n=${pactbroker.providerName}".into();
    all_over.headers.push(("x-key".into(), "k ${user.a}".into()));
    all_over.username = Some("${user.a}".into());
    all_over.password = Some("pw".into());
    assert_eq!(again(&all_over).text, kept(&all_over, "a", "the secret + more"));
    let mut raw = super::raw(super::with_text("a=${user.a}\n"));
    raw.headers.clear();
    assert_eq!(again(&raw).text, kept(&raw, "a", "the secret"));
}

#[test]
fn the_trace_stands_where_it_stood() {
    let event = event();
    let vars = Variables { event: &event, event_name: "test", delivery_id: DELIVERY };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let text = render_again(&request(), &vars, USER_AGENT, Some(trace), &[]).unwrap().text;
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["headers"]["traceparent"], trace);
    assert_eq!(shown["headers"]["user-agent"], USER_AGENT);
}

#[test]
fn lengths_are_known_where_no_secret_is() {
    let sent = rendered_with(&seed(), &event(), &[("githubToken", "x")]).unwrap();
    assert_eq!(again(&seed()).body_bytes, sent.body.map(|body| body.len()));
    assert_eq!(again(&request()).body_bytes, Some(0));
    assert_eq!(again(&with_json(json!({"a": "${user.a}"}))).body_bytes, None);
    assert_eq!(again(&with_json(json!({"a": "x ********"}))).body_bytes, None);
}

proptest! {
    /// Whatever the secret is, unless it also stands in the event.
    #[test]
    fn no_secret_makes_a_difference(secret in "[a-zA-Z0-9 +/=\"\\\\]{12,40}") {
        let mut template = seed();
        template.url.push_str("?k=${user.githubToken}");
        template.body = with_json(json!({"a": ["${user.githubToken}", 1]})).body;
        prop_assert_eq!(again(&template).text, kept(&template, "githubToken", &secret));
    }
}
