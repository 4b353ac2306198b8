//! What the tests share: a client as strict as postrider's, and requests.

use std::time::Duration;

use postrider_github_double::{Double, Options};
use reqwest::{Client, RequestBuilder, redirect::Policy};
use serde_json::{Value, json};

/// Token that a double with default options accepts.
pub(crate) const TOKEN: &str = "test-token";
/// Longest wait for anything that must happen.
pub(crate) const CAP: Duration = Duration::from_secs(10);

pub(crate) async fn double() -> Double {
    Double::start(Options::default()).await.unwrap()
}

pub(crate) fn client() -> Client {
    client_with_timeout(CAP)
}

pub(crate) fn client_with_timeout(timeout: Duration) -> Client {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .timeout(timeout)
        .user_agent("postrider-test")
        .build()
        .unwrap()
}

/// A dispatch that passes all checks.
pub(crate) fn dispatch(client: &Client, double: &Double, repo: &str) -> RequestBuilder {
    dispatch_as(client, double, repo, TOKEN, &payload("d-1"))
}

pub(crate) fn dispatch_as(
    client: &Client,
    double: &Double,
    repo: &str,
    token: &str,
    body: &Value,
) -> RequestBuilder {
    client
        .post(format!("{}/repos/{repo}/dispatches", double.base_url()))
        .bearer_auth(token)
        .json(body)
}

pub(crate) fn payload(delivery_id: &str) -> Value {
    json!({"event_type": "contract_changed", "client_payload": {"delivery_id": delivery_id}})
}

pub(crate) async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}
