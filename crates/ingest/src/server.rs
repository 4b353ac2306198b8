//! The role as one object: its tasks, its router, and what every request passes through.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use postrider_store::Store;
use postrider_telemetry::{Metrics, spans};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::{Access, Role};
use crate::body::Room;
use crate::commit::{Committer, Parts};
use crate::execution::Executions;
use crate::problem::Problem;
use crate::road::Dispatcher;
use crate::table::TableCache;
use crate::{IngestConfig, Road, hooks, routes, traced};

/// How much longer than its body a request may take.
const ANSWER_GRACE: Duration = Duration::from_secs(25);

/// The HTTP intake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest(App);

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: IngestConfig,
    pub(crate) parts: Arc<Parts>,
    pub(crate) committer: Committer,
    pub(crate) room: Room,
    pub(crate) executions: Executions,
    cancel: CancellationToken,
}

impl Ingest {
    /// Starts the tasks of the role on `tracker`. They end after `cancel`, once what was taken
    /// is committed; from then on new events are refused with 503.
    pub fn start(
        config: IngestConfig,
        store: Store,
        road: Road,
        metrics: Metrics,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let dispatcher = Dispatcher::new(road);
        let parts = Arc::new(Parts { store, table: TableCache::default(), dispatcher, metrics });
        let room = Room::new();
        let committer = Committer::start(Arc::clone(&parts), room.clone(), tracker, cancel.clone());
        let (guarded, most, until) = (Arc::clone(&parts), config.max_unpublished, cancel.clone());
        tracker.spawn(async move {
            guarded.dispatcher.guard(&guarded.store, most, until).await;
        });
        let executions =
            Executions::new(&config, Arc::clone(&parts), tracker.clone(), cancel.clone());
        Self(App(Arc::new(Inner { config, parts, committer, room, executions, cancel })))
    }

    /// Everything under the intake's address. Serve it with connect info
    /// (`into_make_service_with_connect_info::<SocketAddr>()`), which trusted proxies need.
    pub fn router(&self) -> Router {
        let app = &self.0;
        let routes = routes::router().fallback(elsewhere).method_not_allowed_fallback(wrong_method);
        // Inside of the authorisation: strangers make no spans.
        let routes = if spans::is_on() { routes.layer(from_fn(traced::call)) } else { routes };
        routes
            .layer(from_fn_with_state(app.clone(), authorise))
            .layer(from_fn_with_state(app.clone(), within_time))
            .layer(CatchPanicLayer::custom(panicked))
            .with_state(app.clone())
    }
}

impl App {
    /// 503 while no event can be taken.
    pub(crate) fn intake_is_open(&self) -> Result<(), Problem> {
        if self.cancel.is_cancelled() {
            Err(Problem::away("shutting down: try again"))
        } else if self.parts.dispatcher.is_full() {
            Err(Problem::away("RabbitMQ is away and too much waits for it: try again later"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.parts.store
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

async fn authorise(State(app): State<App>, request: Request, next: Next) -> Response {
    let needed = Role::needed(request.method(), request.uri().path());
    match app.config.tokens.check(request.headers(), needed) {
        Access::Granted => next.run(request).await,
        Access::Unknown | Access::WrongRole if !is_own(request.uri().path()) => {
            hooks::unauthorised()
        }
        Access::Unknown => unauthorised().into_response(),
        Access::WrongRole => {
            let detail = format!("this token has not the role {needed}, which this call needs");
            Problem::new(StatusCode::FORBIDDEN, detail).into_response()
        }
    }
}

fn unauthorised() -> Problem {
    const BASIC: HeaderValue = HeaderValue::from_static(r#"Basic realm="postrider""#);
    const BEARER: HeaderValue = HeaderValue::from_static(r#"Bearer realm="postrider""#);
    let detail = "a token is needed: send it as Authorization: Bearer <token>, or as the password \
                  of Basic authentication";
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, BEARER)
        .header(header::WWW_AUTHENTICATE, BASIC)
}

async fn within_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut limit = app.config.request_timeout + ANSWER_GRACE;
    if request.uri().path().trim_end_matches('/').ends_with("/execute") {
        limit += app.executions.longest();
    }
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::away("the answer took too long: try again").into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

/// Whether a path is of our own API rather than of the broker's.
fn is_own(path: &str) -> bool {
    const OWN: [&str; 5] = ["events", "hooks", "api", "ui", "openapi.json"];
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
    first.is_some_and(|first| OWN.contains(&first))
}

/// What is no route of our own API is the broker's.
async fn elsewhere(state: State<App>, request: Request) -> Response {
    let path = request.uri().path();
    if is_own(path) {
        let detail = format!("there is nothing at {path}");
        Problem::new(StatusCode::NOT_FOUND, detail).into_response()
    } else {
        hooks::serve(state, request).await
    }
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} is not allowed here: see the header Allow", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
