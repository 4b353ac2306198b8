//! A stand-in for a Pact Broker: it answers the reads that postrider makes, in the words of
//! Pact Broker 2.120, and remembers what it was asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use url::Url;

/// It stops when dropped.
#[derive(Debug)]
pub(crate) struct ScriptedBroker {
    url: String,
    state: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

/// What it knows and what it saw.
#[derive(Debug, Default)]
struct Script {
    /// Rows by consumer and provider, in the order in which they were given.
    matrix: Vec<((String, String), Value)>,
    /// Answers to every request, in place of the proper ones: status, `Retry-After`, body.
    trouble: Option<(u16, Option<u32>, String)>,
    /// The token that it asks for.
    token: Option<String>,
    /// Path, query and `Authorization` of each request.
    seen: Vec<(String, Option<String>)>,
}

impl ScriptedBroker {
    /// Starts an empty, open one.
    pub(crate) async fn start() -> Result<Self> {
        let state = Arc::new(Mutex::new(Script::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let serve = async move {
            axum::serve(listener, router).await.ok();
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no role to wait for it")]
        let server = tokio::spawn(serve);
        Ok(Self { url, state, server })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Gives a pair its matrix, newest action first.
    pub(crate) fn set(&self, consumer: &str, provider: &str, rows: &[Value]) {
        self.with(|script| {
            let pair = (consumer.to_owned(), provider.to_owned());
            script.matrix.retain(|(known, _)| *known != pair);
            script.matrix.push((pair, json!(rows)));
        });
    }

    /// From now on everything is answered like this; `None` ends it.
    pub(crate) fn trouble(&self, trouble: Option<(u16, Option<u32>, &str)>) {
        let trouble = trouble.map(|(status, retry, body)| (status, retry, body.to_owned()));
        self.with(|script| script.trouble = trouble);
    }

    /// From now on a bearer token is asked for.
    pub(crate) fn ask_for(&self, token: &str) {
        self.with(|script| script.token = Some(token.to_owned()));
    }

    /// Path, query and `Authorization` of each request so far.
    pub(crate) fn seen(&self) -> Vec<(String, Option<String>)> {
        self.with(|script| script.seen.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A row of the matrix: a contract, and the provider version `p-<version>`'s result for it.
pub(crate) fn row(
    version: &str,
    published_at: Timestamp,
    result: Option<(bool, Timestamp)>,
) -> Value {
    let link = |path: &str| json!({ "self": { "href": format!("https://broker.example/{path}") } });
    json!({
        "consumer": { "version": { "number": version, "branch": "main" } },
        "provider": {
            "version": result.map(|_| json!({ "number": format!("p-{version}"), "branch": "main" })),
        },
        "pact": { "createdAt": published_at, "_links": link(&format!("pacts/version/{version}")) },
        "verificationResult": result.map(|(success, verified_at)| json!({
            "success": success,
            "verifiedAt": verified_at,
            "_links": link(&format!("pacts/version/{version}/verification-results/1")),
        })),
    })
}

/// The body of an answer that was recorded from Pact Broker 2.120.0.
pub(crate) fn recorded(name: &str) -> Result<Value> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker/tests/data");
    let text = std::fs::read(data.join(format!("{name}.json"))).with_context(|| name.to_owned())?;
    let exchange: Value = serde_json::from_slice(&text)?;
    Ok(exchange["response"]["body"].clone())
}

async fn answer(State(state): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let mut script = state.lock().unwrap_or_else(PoisonError::into_inner);
    let authorization = request.headers().get("authorization");
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let target = request.uri().to_string();
    let (status, retry_after, body) = script.answer(&target, authorization.as_deref());
    script.seen.push((target, authorization));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.try_into().unwrap_or_default();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

impl Script {
    fn answer(&self, target: &str, authorization: Option<&str>) -> (u16, Option<u32>, String) {
        if let Some(trouble) = &self.trouble {
            return trouble.clone();
        }
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && wanted.as_deref() != authorization {
            return (401, None, String::new());
        }
        let (status, body) = match Url::parse("http://broker").and_then(|base| base.join(target)) {
            Ok(url) if url.path() == "/integrations" => (200, self.integrations()),
            Ok(url) if url.path() == "/pacticipants" => (200, self.pacticipants()),
            Ok(url) if url.path() == "/matrix" => self.matrix(&url),
            Ok(_) | Err(_) => (404, json!({ "error": "not found on this server" })),
        };
        (status, None, body.to_string())
    }

    fn integrations(&self) -> Value {
        let pairs = self.matrix.iter().map(|((consumer, provider), _)| {
            json!({ "consumer": { "name": consumer }, "provider": { "name": provider } })
        });
        json!({ "_embedded": { "integrations": pairs.collect::<Vec<_>>() } })
    }

    fn names(&self) -> Vec<&str> {
        let pairs = self.matrix.iter().map(|(pair, _)| pair);
        pairs.flat_map(|(consumer, provider)| [consumer.as_str(), provider.as_str()]).collect()
    }

    fn pacticipants(&self) -> Value {
        let names = self.names().into_iter().map(|name| json!({ "name": name }));
        json!({ "_embedded": { "pacticipants": names.collect::<Vec<_>>() } })
    }

    fn matrix(&self, url: &Url) -> (u16, Value) {
        let asked: Vec<String> = url
            .query_pairs()
            .filter(|(name, _)| name == "q[][pacticipant]")
            .map(|(_, value)| value.into_owned())
            .collect();
        let known = self.names();
        let unknown = asked.iter().filter(|name| !known.contains(&name.as_str()));
        let errors: Vec<String> =
            unknown.map(|name| format!("Pacticipant {name} not found")).collect();
        if !errors.is_empty() {
            return (400, json!({ "errors": errors }));
        }
        let by_pair: HashMap<_, _> = self.matrix.iter().cloned().collect();
        let pair = (asked.first().cloned(), asked.get(1).cloned());
        let rows = match pair {
            (Some(consumer), Some(provider)) => by_pair.get(&(consumer, provider)).cloned(),
            _ => None,
        };
        (200, json!({ "matrix": rows.unwrap_or_else(|| json!([])) }))
    }
}
