//! A broker that answers from a list and remembers what it was asked.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use postrider_broker::{Broker, BrokerConfig};
use serde_json::Value;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) user_agent: String,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    Silence,
}

impl Script {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    pub(crate) fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Answer(status, headers, body)
            }
            Self::Silence => self,
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, Vec::new(), body.to_string().into_bytes())
    }

    /// An answer as recorded from a Pact Broker.
    pub(crate) fn recorded(name: &str) -> Self {
        let exchange = recording(name);
        let response = &exchange["response"];
        let body = match &response["body"] {
            Value::String(text) => text.clone().into_bytes(),
            document => document.to_string().into_bytes(),
        };
        Self::Answer(response["status"].as_u64().unwrap().try_into().unwrap(), Vec::new(), body)
    }
}

/// A recorded exchange.
pub(crate) fn recording(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[derive(Debug, Clone, Default)]
struct Shared {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// It runs as long as the test.
#[derive(Debug)]
pub(crate) struct ScriptedBroker {
    pub(crate) url: String,
    shared: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl ScriptedBroker {
    /// Answers each request with the next script, the last one for ever.
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let shared = Shared::default();
        shared.scripts.lock().unwrap().extend(scripts);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serve = async move { axum::serve(listener, router).await.unwrap() };
        #[expect(clippy::disallowed_methods, reason = "a test has no role to wait for it")]
        let server = tokio::spawn(serve);
        Self { url, shared, server }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Broker {
        self.client_with(|_| ())
    }

    pub(crate) fn client_with(&self, change: impl FnOnce(&mut BrokerConfig)) -> Broker {
        let mut config = BrokerConfig::new(self.url.parse().unwrap());
        change(&mut config);
        Broker::new(config).unwrap()
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    match shared.next(&request) {
        Script::Silence => std::future::pending().await,
        Script::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
    }
}

impl Shared {
    /// Notes the request and says what to answer.
    fn next(&self, request: &Request) -> Script {
        let header = |name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap_or_default().to_owned())
        };
        self.seen.lock().unwrap().push(Seen {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            authorization: header("authorization"),
            user_agent: header("user-agent").unwrap_or_default(),
        });
        let mut scripts = self.scripts.lock().unwrap();
        let next = scripts.front().cloned().unwrap();
        if scripts.len() > 1 {
            scripts.pop_front();
        }
        next
    }
}
