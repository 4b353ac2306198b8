//! A server that plays the operations API, and the program beside it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One call as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Value,
}

/// The route that lists deliveries.
pub(super) const LIST: &str = "GET /api/v1/deliveries";

/// The route for all that is asked.
const EVERYTHING: &str = "*";

/// Answers by method and path, taken from the front; the last one stays.
type Script = BTreeMap<String, Vec<(u16, Value)>>;

#[derive(Clone, Default)]
struct Shared {
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
}

pub(super) struct Server {
    shared: Shared,
    pub(super) url: String,
    // Dropped last; the server ends with it.
    _runtime: Runtime,
}

impl Server {
    pub(super) fn start(script: &[(&str, &[(u16, Value)])]) -> Self {
        let script = script.iter().map(|(route, answers)| ((*route).to_owned(), answers.to_vec()));
        let shared = Shared { script: Arc::new(Mutex::new(script.collect())), ..Shared::default() };
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, url, _runtime: runtime }
    }

    /// Answers everything in the same way.
    pub(super) fn answering(status: u16, body: &Value) -> Self {
        let server = Self::start(&[]);
        let always = [(EVERYTHING.to_owned(), vec![(status, body.clone())])];
        *server.shared.script.lock().unwrap() = always.into();
        server
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    pub(super) fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        postrider(arguments, &[("POSTRIDER_URL", &self.url), ("POSTRIDER_TOKEN", "hunter2")], stdin)
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    shared.calls.lock().unwrap().push(Call {
        method: method.clone(),
        target: uri.to_string(),
        authorization: text(header::AUTHORIZATION),
        content_type: text(header::CONTENT_TYPE),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let mut script = shared.script.lock().unwrap();
    let route = format!("{method} {}", uri.path());
    let route = if script.contains_key(EVERYTHING) { EVERYTHING } else { &route };
    let Some(answers) = script.get_mut(route) else {
        return (StatusCode::NOT_FOUND, json!({ "detail": "no such thing" }).to_string())
            .into_response();
    };
    let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, body.to_string()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, "0".parse().unwrap());
    }
    response
}

/// Runs the program with nothing of this process's environment, in an empty directory.
pub(super) fn postrider(arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that does not read its input may be gone already.
    input.write_all(stdin.as_bytes()).ok();
    drop(input);
    child.wait_with_output().unwrap()
}

pub(super) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(super) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(super) fn expect(output: &Output, exit: i32) {
    assert_eq!(code(output), exit, "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

const TIME: &str = "2026-11-21T09:00:00Z";
pub(super) const ID: &str = "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e";

/// A document as the server writes it, with these members in the place of others.
fn whole(mut document: Value, given: Value) -> Value {
    if let (Value::Object(whole), Value::Object(given)) = (&mut document, given) {
        whole.extend(given);
    }
    document
}

/// A delivery in a list.
pub(super) fn delivery(given: Value) -> Value {
    let document = serde_json::json!({
        "id": ID, "event_id": ID, "event_name": "contract_published", "broker": "default",
        "webhook_uuid": "0123456789abcdef", "consumer": "C", "provider": "P",
        "status": "delivered", "lane": "h/c", "attempts": 1, "last_outcome": "accepted",
        "last_status_code": 204, "next_attempt_at": null, "created_at": TIME, "updated_at": TIME,
    });
    whole(document, given)
}

/// A page of deliveries.
pub(super) fn page(deliveries: &[Value], next: Option<&str>) -> Value {
    let total = deliveries.len();
    serde_json::json!({
        "deliveries": deliveries, "next": next, "total": total, "total_is_exact": true,
    })
}

/// A lane.
pub(super) fn lane(given: Value) -> Value {
    let document = serde_json::json!({
        "name": "h/c", "limit": "h/c", "state": "open", "cause": null, "since": null,
        "rate": "unlimited", "burst": 1, "concurrency": 16, "per_hour": null, "backlog": 0,
        "backlog_is_exact": true, "oldest_at": null, "paused_until": null, "drain_seconds": 0,
        "held_webhooks": [],
    });
    whole(document, given)
}

/// An incident.
pub(super) fn incident(given: Value) -> Value {
    let document = serde_json::json!({
        "id": ID, "kind": "lane_held", "subject": "h/c", "cause": "credential",
        "severity": "critical", "summary": "s", "next": "n", "opened_at": TIME,
        "updated_at": TIME, "acknowledged_at": null, "resolved_at": null,
    });
    whole(document, given)
}
