//! A target that answers each path as it is scripted, and keeps when it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::task::JoinHandle;

/// One answer of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripted {
    pub(crate) status: u16,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static str,
}

/// The answers to one path, the last of which is kept, and when they were given.
#[derive(Debug, Default)]
struct Path {
    answers: &'static [Scripted],
    asked: Vec<Instant>,
}

type Paths = Arc<Mutex<BTreeMap<String, Path>>>;

/// It stops when dropped.
#[derive(Debug)]
pub(crate) struct ScriptedTarget {
    url: String,
    paths: Paths,
    server: JoinHandle<()>,
}

impl ScriptedTarget {
    /// Answers these paths as scripted and any other with 404.
    pub(crate) async fn start(scripts: &[(&str, &'static [Scripted])]) -> Result<Self> {
        let path = |(path, answers): &(&str, &'static [Scripted])| {
            ((*path).to_owned(), Path { answers, asked: Vec::new() })
        };
        let paths: Paths = Arc::new(Mutex::new(scripts.iter().map(path).collect()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&paths));
        let serve = async move {
            axum::serve(listener, router).await.ok();
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no role to wait for it")]
        let server = tokio::spawn(serve);
        Ok(Self { url, paths, server })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// When this path was asked for.
    pub(crate) fn asked(&self, path: &str) -> Vec<Instant> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get(path).map(|path| path.asked.clone()).unwrap_or_default()
    }
}

impl Drop for ScriptedTarget {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(paths): State<Paths>, request: Request) -> Response {
    let scripted = {
        let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get_mut(request.uri().path()).and_then(|path| {
            path.asked.push(Instant::now());
            path.answers.get(path.asked.len() - 1).or(path.answers.last()).copied()
        })
    };
    let scripted = scripted.unwrap_or(Scripted { status: 404, headers: &[], body: "" });
    let mut response = Response::builder().status(scripted.status);
    for (name, value) in scripted.headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(scripted.body)).unwrap_or_default()
}
