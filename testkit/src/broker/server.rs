//! The server: it answers from the model, and may be slow, in trouble, or away.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use url::Url;

use super::answers::answer;
use super::model::Model;
use super::webhooks::TriggerStatus;

/// Path with query, and `Authorization`, of a request.
pub type Seen = (String, Option<String>);

/// A contract, and the result of the provider version `p-<version>` if it has one.
pub type Row = (String, Timestamp, Option<(bool, Timestamp)>);

/// A row for [`ScriptedBroker::set`].
pub fn row(version: &str, published_at: Timestamp, result: Option<(bool, Timestamp)>) -> Row {
    (version.to_owned(), published_at, result)
}

/// It stops when dropped.
#[derive(Debug)]
pub struct ScriptedBroker {
    url: String,
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

/// Status, `Retry-After`, body.
type Trouble = (u16, Option<u32>, String);

#[derive(Debug, Default)]
struct Script {
    base: String,
    model: Model,
    trouble: Option<Trouble>,
    /// Answers to requests whose decoded path and query hold a text.
    answers_of: Vec<(String, Trouble)>,
    delay: Duration,
    token: Option<String>,
    seen: Vec<Seen>,
}

impl ScriptedBroker {
    /// Starts an empty, open one on a free port of loopback.
    pub async fn start() -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let script = Script { base: url.clone(), ..Script::default() };
        let script = Arc::new(Mutex::new(script));
        let router = Router::new().fallback(respond).with_state(Arc::clone(&script));
        let serve = async move {
            axum::serve(listener, router).await.ok();
        };
        #[expect(clippy::disallowed_methods, reason = "a test has no role to wait for it")]
        let server = tokio::spawn(serve);
        Ok(Self { url, script, server })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Looks at the model, or changes it.
    pub fn model<T>(&self, act: impl FnOnce(&mut Model) -> T) -> T {
        self.with(|script| act(&mut script.model))
    }

    /// Gives a pair its contracts, in any order, in place of what it had. All are of the branch
    /// `main`, which is the main branch of both.
    pub fn set(&self, consumer: &str, provider: &str, rows: &[Row]) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|(_, published_at, _)| *published_at);
        self.model(|model| {
            model.forget_pair(consumer, provider);
            let first = rows.first().map_or_else(Timestamp::now, |(_, at, _)| *at);
            model.main_branch(consumer, Some("main"), first);
            model.main_branch(provider, Some("main"), first);
            model.integration(consumer, provider, first);
            for (version, published_at, result) in &rows {
                // Another pair may have put it there: the order of these rows counts.
                model.take_off(consumer, version, "main");
                model.build_on(consumer, version, "main", *published_at);
                model.publish(consumer, version, provider, version, *published_at);
                if let Some((success, at)) = result {
                    let by = format!("p-{version}");
                    model.build_on(provider, &by, "main", *at);
                    model.verify(provider, &by, consumer, version, *success, *at);
                }
            }
        });
    }

    /// From now on everything is answered like this; `None` ends it.
    pub fn trouble(&self, trouble: Option<(u16, Option<u32>, &str)>) {
        let trouble = trouble.map(|(status, retry, body)| (status, retry, body.to_owned()));
        self.with(|script| script.trouble = trouble);
    }

    /// From now on requests whose decoded path and query hold the text are answered with this
    /// status and body; `None` ends it.
    pub fn answer_of(&self, text: &str, answer: Option<(u16, &str)>) {
        self.with(|script| {
            script.answers_of.retain(|(known, _)| known != text);
            let answer = answer.map(|(status, body)| (status, None, body.to_owned()));
            script.answers_of.extend(answer.map(|answer| (text.to_owned(), answer)));
        });
    }

    /// From now on every answer takes so long.
    pub fn delay(&self, delay: Duration) {
        self.with(|script| script.delay = delay);
    }

    /// From now on a bearer token is asked for.
    pub fn ask_for(&self, token: &str) {
        self.with(|script| script.token = Some(token.to_owned()));
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|script| script.seen.clone())
    }

    /// The calls that the broker's relay webhook has still to make, as paths with query below
    /// the receiver's address; what it was killed before is not among them. They count as made.
    pub fn take_relay_calls(&self, relay: &str) -> Vec<String> {
        self.with(|script| {
            let base = script.base.clone();
            let triggers = script.model.triggers.iter_mut();
            let due = triggers
                .filter(|trigger| trigger.status == TriggerStatus::NotRun && !trigger.is_forgotten);
            due.map(|trigger| {
                trigger.status = TriggerStatus::Success;
                trigger.relay_call(relay, &base)
            })
            .collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let authorization = request.headers().get("authorization");
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let target = request.uri().to_string();
    let (delay, (status, retry_after, body)) = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = script.answer(&target, authorization.as_deref());
        script.seen.push((target, authorization));
        (script.delay, answered)
    };
    // A slow broker is slow in real time; nothing waits for exactly that long.
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.try_into().unwrap_or_default();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

impl Script {
    fn answer(&self, target: &str, authorization: Option<&str>) -> Trouble {
        if let Some(trouble) = &self.trouble {
            return trouble.clone();
        }
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && wanted.as_deref() != authorization {
            return (401, None, String::new());
        }
        let decoded = percent_encoding::percent_decode_str(target).decode_utf8_lossy();
        let of_it = self.answers_of.iter().find(|(text, _)| decoded.contains(text));
        if let Some((_, answer)) = of_it {
            return answer.clone();
        }
        match Url::parse(&self.base).and_then(|base| base.join(target)) {
            Ok(url) => {
                let (status, document) = answer(&self.model, &self.base, &url);
                (status, None, document.to_string())
            }
            Err(_) => (400, None, String::new()),
        }
    }
}
