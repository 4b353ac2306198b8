//! The webhook that most teams start with: tell the provider's repository at GitHub.

use postrider_domain::{Body, BodyMode, EventName, RequestTemplate, example_body};
use serde_json::Value;

use super::{bare_event, event, rendered_with, secrets};
use crate::{Redactor, RenderedRequest, describe_request};

pub(super) fn seed() -> RequestTemplate {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    RequestTemplate {
        method: "POST".into(),
        url: "https://api.github.com/repos/org/provider-repo/dispatches".into(),
        headers: vec![
            header("accept", "application/vnd.github+json"),
            header("authorization", "Bearer ${user.githubToken}"),
            header("content-type", "application/json"),
            header("user-agent", "PactFlow"),
            header("x-github-api-version", "2022-11-28"),
        ],
        body: Some(Body::Json(example_body())),
        body_mode: BodyMode::Json,
        username: None,
        password: None,
    }
}

fn shown(request: &RenderedRequest) -> Value {
    let values = secrets(&[("githubToken", "ghp_0123456789abcdef")]);
    let shown = describe_request(request, &Redactor::new(values.values()));
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn the_seed_webhook() {
    let sent = rendered_with(&seed(), &event(), &[("githubToken", "ghp_0123456789abcdef")]);
    let sent = sent.unwrap();
    assert_eq!(sent.headers.get("authorization").unwrap(), "Bearer ghp_0123456789abcdef");
    insta::assert_json_snapshot!(shown(&sent), @r#"
    {
      "method": "POST",
      "url": "https://api.github.com/repos/org/provider-repo/dispatches",
      "headers": {
        "accept": "application/vnd.github+json",
        "content-type": "application/json",
        "authorization": "**********",
        "user-agent": "PactFlow",
        "x-github-api-version": "2022-11-28"
      },
      "body": {
        "event_type": "contract_requiring_verification_published",
        "client_payload": {
          "pact_url": "https://b/pacts/1",
          "sha": "9f2",
          "branch": "feat/x",
          "consumer_name": "Zoo App",
          "consumer_version_number": "1.2.3",
          "consumer_version_tags": "a, b",
          "consumer_version_branch": "main",
          "delivery_id": "01934d5e-0000-7000-8000-000000000001"
        }
      }
    }
    "#);
}

#[test]
fn empty_values_arrive_with_their_key() {
    let event = bare_event(EventName::ContractRequiringVerificationPublished);
    let sent = rendered_with(&seed(), &event, &[("githubToken", "x")]).unwrap();
    let body = String::from_utf8(sent.body.unwrap()).unwrap();
    insta::assert_snapshot!(body, @r#"{"event_type":"contract_requiring_verification_published","client_payload":{"pact_url":"","sha":"","branch":"","consumer_name":"C","consumer_version_number":"","consumer_version_tags":"","consumer_version_branch":"","delivery_id":"01934d5e-0000-7000-8000-000000000001"}}"#);
}
