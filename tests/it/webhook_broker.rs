//! A Pact Broker on loopback, as far as its webhooks go: it keeps documents, stars credentials
//! and keeps what comes back as stars, as Pact Broker 2.120.0 was recorded to do.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

const STARS: &str = "**********";

/// A recorded exchange's answer.
pub(crate) fn recorded(name: &str) -> Result<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/tests/data/broker");
    let text = fs::read_to_string(dir.join(format!("{name}.json"))).context(name.to_owned())?;
    let exchange: Value = serde_json::from_str(&text)?;
    Ok(exchange["response"]["body"].clone())
}

/// A call that reached it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) body: Value,
}

/// What it has and how it behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Webhooks in clear, with their uuid.
    pub(crate) webhooks: Vec<Value>,
    /// `PactFlow`'s secrets in clear; `None` for a broker that has none.
    pub(crate) secrets: Option<Vec<Value>>,
    /// Basic authentication that it wants.
    pub(crate) basic: Option<(String, String)>,
    /// Whether its scheme whitelist has http.
    pub(crate) takes_http: bool,
    /// Whether tests of webhooks succeed.
    pub(crate) test_fails: bool,
}

#[derive(Debug, Default)]
struct Inner {
    behaviour: Behaviour,
    calls: Vec<Call>,
}

type Shared = Arc<Mutex<Inner>>;

/// The broker. It ends when dropped.
#[derive(Debug)]
pub(crate) struct WebhookBroker {
    shared: Shared,
    url: String,
    _stop: DropGuard,
}

impl WebhookBroker {
    pub(crate) async fn start(behaviour: Behaviour) -> Result<Self> {
        let shared = Shared::new(Mutex::new(Inner { behaviour, calls: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let serving = async move { axum::serve(listener, app).await };
        TaskTracker::new().spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self { shared, url, _stop: stop.drop_guard() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Calls so far, and forgets them.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Calls so far that change something.
    pub(crate) fn take_writes(&self) -> Vec<Call> {
        self.take_calls().into_iter().filter(|call| call.method != Method::GET).collect()
    }

    /// Its webhooks in clear.
    pub(crate) fn webhooks(&self) -> Vec<Value> {
        self.lock().behaviour.webhooks.clone()
    }

    /// Its secrets in clear.
    pub(crate) fn secrets(&self) -> Vec<Value> {
        self.lock().behaviour.secrets.clone().unwrap_or_default()
    }

    /// Changes how it behaves, or what it has.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock().behaviour);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = uri.path().to_owned();
    inner.calls.push(Call { method: method.clone(), body: body.clone() });
    let behaviour = &mut inner.behaviour;
    if let Some((user, password)) = &behaviour.basic {
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if given != Some(wanted.as_str()) {
            let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"Restricted area\"")];
            return (StatusCode::UNAUTHORIZED, realm, "").into_response();
        }
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (status, document) = match (method.as_str(), segments.as_slice()) {
        ("GET", [""]) => (200, recorded("index").unwrap_or_default()),
        ("GET", ["webhooks"]) => (200, collection(&behaviour.webhooks)),
        ("POST", ["webhooks"]) => stored(behaviour, None, body),
        ("GET", ["webhooks", uuid]) => {
            behaviour.find(uuid).map_or_else(not_found, |found| (200, shown(found)))
        }
        ("PUT", ["webhooks", uuid]) => stored(behaviour, Some(uuid), body),
        ("DELETE", ["webhooks", uuid]) => {
            let before = behaviour.webhooks.len();
            behaviour.webhooks.retain(|webhook| webhook["uuid"] != *uuid);
            if behaviour.webhooks.len() < before { (204, Value::Null) } else { not_found() }
        }
        ("POST", ["webhooks", uuid, "execute"]) => behaviour.execute(uuid),
        ("GET" | "POST" | "PUT", ["secrets", ..]) => secret(behaviour, &method, &segments, body),
        _ => not_found(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let hal = [(header::CONTENT_TYPE, "application/hal+json;charset=utf-8")];
    (status, hal, document.to_string()).into_response()
}

fn not_found() -> (u16, Value) {
    (404, json!({ "error": "The requested document was not found on this server." }))
}

impl Behaviour {
    fn find(&self, uuid: &str) -> Option<&Value> {
        self.webhooks.iter().find(|webhook| webhook["uuid"] == uuid)
    }

    /// The members that clients read, with lines as recorded; the log quotes the password, as
    /// logs of receivers may.
    fn execute(&self, uuid: &str) -> (u16, Value) {
        let Some(webhook) = self.find(uuid) else { return not_found() };
        let password = webhook["request"]["password"].as_str().unwrap_or_default();
        let (status, end) = if self.test_fails {
            ("401 Unauthorized", "[2026-11-22T00:24:26Z] INFO: Webhook execution failed\n")
        } else {
            ("204 No Content", "")
        };
        let logs = format!(
            "[2026-11-22T00:24:26Z] INFO: HTTP/1.1 {status}\n\
             [2026-11-22T00:24:26Z] INFO: the receiver quotes {password}\n{end}"
        );
        (200, json!({ "logs": logs, "success": !self.test_fails }))
    }
}

/// Links only, to the address at which the recorded broker believed to be.
fn collection(webhooks: &[Value]) -> Value {
    let link = |webhook: &Value| {
        let uuid = webhook["uuid"].as_str().unwrap_or_default();
        json!({ "title": "A webhook", "href": format!("http://127.0.0.1:9292/webhooks/{uuid}") })
    };
    let links: Vec<Value> = webhooks.iter().map(link).collect();
    json!({ "_links": { "pb:webhooks": links } })
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name.contains("authorization") || name.contains("token")
}

/// The document with stars, header names in lower case.
fn shown(webhook: &Value) -> Value {
    let mut shown = webhook.clone();
    let request = &mut shown["request"];
    if let Some(headers) = request["headers"].as_object() {
        let starred = headers.iter().map(|(name, value)| {
            let value = if is_secret(name) { json!(STARS) } else { value.clone() };
            (name.to_lowercase(), value)
        });
        request["headers"] = Value::Object(starred.collect());
    }
    if request["password"].is_string() {
        request["password"] = json!(STARS);
    }
    for key in ["headers", "password", "username", "body"] {
        if request[key].is_null()
            && let Some(request) = request.as_object_mut()
        {
            request.remove(key);
        }
    }
    shown
}

/// Creates or replaces; what comes as stars is kept.
fn stored(behaviour: &mut Behaviour, uuid: Option<&str>, mut document: Value) -> (u16, Value) {
    let url = document["request"]["url"].as_str().unwrap_or_default();
    if url.starts_with("http:") && !behaviour.takes_http {
        return (400, recorded("webhook-error-http-scheme").unwrap_or_default());
    }
    let old = uuid.and_then(|uuid| behaviour.find(uuid)).cloned();
    let new_uuid = format!("made-by-the-broker-{}", behaviour.webhooks.len());
    document["uuid"] = json!(uuid.unwrap_or(&new_uuid));
    if document.get("enabled").is_none() {
        document["enabled"] = json!(true);
    }
    if let Some(old) = &old {
        keep(&mut document["request"], &old["request"]);
    }
    let status = if old.is_some() { 200 } else { 201 };
    behaviour.webhooks.retain(|webhook| webhook["uuid"] != document["uuid"]);
    behaviour.webhooks.push(document.clone());
    (status, shown(&document))
}

fn keep(request: &mut Value, old: &Value) {
    if request.get("password").is_none_or(|password| password == STARS) {
        request["password"] = old["password"].clone();
    }
    let old_headers = old["headers"].as_object().cloned().unwrap_or_default();
    for (name, value) in request["headers"].as_object_mut().into_iter().flatten() {
        let stored = old_headers.iter().find(|(old, _)| old.eq_ignore_ascii_case(name));
        if let (true, Some((_, stored))) = (*value == STARS, stored) {
            *value = stored.clone();
        }
    }
}

fn secret(
    behaviour: &mut Behaviour,
    method: &Method,
    segments: &[&str],
    body: Value,
) -> (u16, Value) {
    let Some(secrets) = &mut behaviour.secrets else { return not_found() };
    let without_value = |secret: &Value| {
        let name = secret["name"].as_str().unwrap_or_default();
        let href = format!("http://127.0.0.1:9292/secrets/uuid-of-{name}");
        json!({ "name": name, "_links": { "self": { "href": href } } })
    };
    if method == Method::GET {
        let all: Vec<Value> = secrets.iter().map(without_value).collect();
        return (200, json!({ "_embedded": { "secrets": all } }));
    }
    let name = body["name"].clone();
    let known = secrets.iter().any(|secret| secret["name"] == name);
    let is_right = match segments {
        ["secrets"] => !known,
        ["secrets", uuid] => known && format!("uuid-of-{}", name.as_str().unwrap_or("")) == *uuid,
        _ => false,
    };
    if !is_right {
        return (400, json!({ "errors": { "name": ["has already been taken"] } }));
    }
    secrets.retain(|secret| secret["name"] != name);
    let answer = without_value(&body);
    secrets.push(body);
    (if known { 200 } else { 201 }, answer)
}
