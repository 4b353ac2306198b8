//! Tests over the crate's public face, and what they share.

use std::collections::BTreeMap;

use postrider_domain::{
    Body, BodyMode, DeliveryId, Event, EventName, Pacticipant, RequestTemplate,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{RenderError, RenderedRequest, Variables, render};

mod again;
mod bodies;
mod describing;
mod filters;
mod inspecting;
mod leaks;
mod linting;
mod properties;
mod redacting;
mod requests;
mod seed;
mod variables;

const DELIVERY: DeliveryId = DeliveryId(Uuid::from_u128(0x0193_4d5e_0000_7000_8000_0000_0000_0001));
const USER_AGENT: &str = "postrider/test";

/// Every field filled, each with a text of its own.
fn full_event(event_name: EventName) -> Event {
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Event {
        event_name,
        occurred_at: None,
        broker: "default".into(),
        consumer: Pacticipant {
            name: "Zoo App".into(),
            version_number: "1.2.3".into(),
            branch: "main".into(),
            tags: strings(&["a", "b"]),
            labels: strings(&["mobile"]),
            version_descriptions: Vec::new(),
        },
        provider: Pacticipant {
            name: "Animal/Service".into(),
            version_number: "9f2".into(),
            branch: "feat/x".into(),
            tags: strings(&["prod"]),
            labels: strings(&["core", "java"]),
            version_descriptions: strings(&["latest from main branch", "prod"]),
        },
        pact_url: "https://b/pacts/1".into(),
        verification_result_url: "https://b/results/2".into(),
        verification_success: Some(true),
        build_url: "https://ci/3".into(),
        currently_deployed_provider_version_number: "8e1".into(),
    }
}

/// Nothing but what an event must have.
fn bare_event(event_name: EventName) -> Event {
    let named = |name: &str| Pacticipant { name: name.into(), ..Pacticipant::default() };
    Event {
        event_name,
        occurred_at: None,
        broker: "default".into(),
        consumer: named("C"),
        provider: named("P"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

fn event() -> Event {
    full_event(EventName::ContractRequiringVerificationPublished)
}

fn request() -> RequestTemplate {
    RequestTemplate {
        method: "post".into(),
        url: "https://example.org/hook".into(),
        headers: Vec::new(),
        body: None,
        body_mode: BodyMode::Json,
        username: None,
        password: None,
    }
}

fn with_url(url: &str) -> RequestTemplate {
    RequestTemplate { url: url.into(), ..request() }
}

fn with_header(name: &str, value: &str) -> RequestTemplate {
    RequestTemplate { headers: vec![(name.into(), value.into())], ..request() }
}

fn with_json(body: Value) -> RequestTemplate {
    RequestTemplate { body: Some(Body::Json(body)), ..request() }
}

fn with_text(body: &str) -> RequestTemplate {
    RequestTemplate { body: Some(Body::Text(body.into())), ..request() }
}

fn raw(request: RequestTemplate) -> RequestTemplate {
    RequestTemplate { body_mode: BodyMode::Raw, ..request }
}

fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
}

fn rendered_with(
    request: &RequestTemplate,
    event: &Event,
    values: &[(&str, &str)],
) -> Result<RenderedRequest, RenderError> {
    let vars = Variables { event, event_name: event.event_name.as_str(), delivery_id: DELIVERY };
    render(request, &vars, &secrets(values), USER_AGENT)
}

fn rendered(request: &RequestTemplate) -> Result<RenderedRequest, RenderError> {
    rendered_with(request, &event(), &[("token", "s3cret-value")])
}

fn body_of(request: &RequestTemplate) -> String {
    let body = rendered(request).unwrap().body.unwrap();
    String::from_utf8(body).unwrap()
}

fn header_of<'a>(request: &'a RenderedRequest, name: &str) -> &'a str {
    request.headers.get(name).unwrap().to_str().unwrap()
}

/// The body of a dispatch whose payload has this many keys.
fn dispatch_body(event_type: &str, keys: usize) -> Value {
    let payload: serde_json::Map<String, Value> =
        (0..keys).map(|index| (format!("k{index}"), json!(index))).collect();
    json!({ "event_type": event_type, "client_payload": payload })
}
