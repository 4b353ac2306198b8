//! A receiver of alerts that answers as it is told to and keeps what it got.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use tokio::task::JoinHandle;

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// 429 with so many seconds of `Retry-After`.
    Limited(u32),
    /// Never.
    Hang,
}

/// A request that it got.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Received {
    pub(crate) fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.text)?)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Script {
    /// Answers to the next requests; the last one is kept.
    replies: VecDeque<Reply>,
    received: Vec<Received>,
}

/// It stops when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: String,
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Answers with these one after the other, and with the last of them from then on.
    pub(crate) async fn start(replies: &[Reply]) -> Result<Self> {
        let replies = replies.iter().copied().collect();
        let script = Arc::new(Mutex::new(Script { replies, received: Vec::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let serve = async move {
            axum::serve(listener, router).await.ok();
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no role to wait for it")]
        let server = tokio::spawn(serve);
        Ok(Self { url, script, server })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that it got so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let bytes = to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let reply = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.received.push(Received { at: Instant::now(), headers, text });
        match script.replies.len() {
            0 => Reply::Status(200),
            1 => script.replies.front().copied().unwrap_or(Reply::Status(200)),
            _ => script.replies.pop_front().unwrap_or(Reply::Status(200)),
        }
    };
    let mut response = Response::new(Body::from("said by the receiver"));
    match reply {
        Reply::Status(status) => *response.status_mut() = status.try_into().unwrap_or_default(),
        Reply::Limited(seconds) => {
            *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert("retry-after", seconds.into());
        }
        Reply::Hang => pending().await,
    }
    response
}
