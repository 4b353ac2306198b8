//! The role as one object: its router, and what every request passes through.

use std::any::Any;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use postrider_http_server::openapi::Document;
use postrider_http_server::{Access, Caller, Limit, Problem, Role, Shared, router};
use postrider_telemetry::IntakeRoute;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

use crate::announce::Announce;
use crate::app::{App, Inner};
use crate::page::{self, Admission, Desk, Gate};
use crate::relay_calls::{IntakeCall, RelayCalls};
use crate::stream::Streams;
use crate::test_delivery::TestDeliveries;
use crate::{WebConfig, broker_api, routes, way_in};

/// How much longer than its body a request may take.
const ANSWER_GRACE: Duration = Duration::from_secs(25);

/// Both APIs and the page. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Web(App);

impl Web {
    /// `document` makes the OpenAPI document of the whole program. Tests of webhooks are watched by
    /// tasks of `tracker`; those that still wait when `cancel` is called are withdrawn.
    pub fn new(
        config: WebConfig,
        shared: Shared,
        announce: Announce,
        document: fn() -> String,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let relay_calls = RelayCalls::new(shared.store.clone(), tracker.clone());
        let streams = Streams::new(tracker.clone(), cancel.clone());
        let test_deliveries = TestDeliveries::new(&config, Arc::clone(&announce), tracker, cancel);
        let limit = Limit::new(config.api_rate);
        let (tokens, key) = (config.tokens.clone(), config.master_key.clone());
        let gate = Arc::new(Gate::new(tokens, key, config.base_url.as_ref()));
        Self(App::new(Inner {
            config,
            shared,
            test_deliveries,
            streams,
            document: LazyLock::new(document),
            announce,
            limit,
            relay_calls,
            gate,
        }))
    }

    /// Tells the OpenAPI document of both APIs.
    pub fn describe(document: &mut Document) {
        routes::describe(document);
    }

    /// Everything under one address: the APIs, the page, and the calls that bring events, which
    /// `intake` answers. Serve it with connect info
    /// (`into_make_service_with_connect_info::<SocketAddr>()`), which trusted proxies need.
    pub fn router(&self, intake: Router) -> Router {
        let app = &self.0;
        let (gate, brokers) = (Arc::clone(&app.gate), app.config.brokers.clone());
        let page = page::router(Desk::new(gate, self.apis(intake.clone()), brokers));
        self.apis(intake.merge(page))
            .layer(from_fn_with_state(app.clone(), authorise))
            .layer(from_fn_with_state(app.clone(), within_time))
            .layer(way_in::same_site(app.config.base_url.as_ref()))
            .layer(from_fn_with_state(app.clone(), way_in::guard_host))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn_with_state(app.clone(), count))
    }

    /// Both APIs beside something else, before anybody is asked for a token.
    fn apis(&self, beside: Router) -> Router {
        router(routes::all())
            .merge(beside.with_state(()))
            .fallback(elsewhere)
            .method_not_allowed_fallback(wrong_method)
            .with_state(self.0.clone())
    }
}

async fn authorise(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if page::is_page(path) {
        return visit(&app, request, next).await;
    }
    if path == "/" && request.method() == Method::GET && broker_api::wants_page(request.headers()) {
        return ([(header::VARY, "Accept")], page::on_to("/ui")).into_response();
    }
    let needed = Role::needed(request.method(), request.uri().path());
    let call = IntakeCall::of(&request);
    match app.config.tokens.check(request.headers(), needed) {
        Access::Granted => {
            let response = granted(&app, request, next).await;
            if let Some(call) = call.filter(|_| response.status().is_success()) {
                app.relay_calls.taken(&call);
            }
            response
        }
        Access::Unknown | Access::WrongRole if !is_own(request.uri().path()) => {
            broker_api::unauthorised()
        }
        Access::Unknown => {
            if let Some(call) = &call {
                app.relay_calls.refused(call);
            }
            unauthorised().into_response()
        }
        Access::WrongRole => {
            let detail = format!("this token has not the role {needed}, which this call needs");
            Problem::new(StatusCode::FORBIDDEN, detail).into_response()
        }
    }
}

/// Goes on, unless the caller called the APIs too often. The intake counts its events itself, and
/// a broker's calls are never refused for their number: it would give them up.
async fn granted(app: &App, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_counted = app.limit.is_on()
        && Role::needed(request.method(), path) != Role::Ingest
        && path != "/openapi.json";
    if is_counted {
        let config = &app.config;
        let caller = Caller::of(&request, &config.tokens, &config.trusted_proxies);
        if let Err(refused) = take_one(app, caller) {
            return refused.into_response();
        }
    }
    next.run(request).await
}

/// One call more of a caller.
fn take_one(app: &App, caller: Caller) -> Result<(), Problem> {
    app.limit.take(caller, 1, Instant::now()).inspect_err(|_| {
        let name = caller.name(&app.config.tokens, &app.config.master_key);
        app.shared.metrics.http_limited(&name, "api");
    })
}

/// A request to the page: its own checks take the place of those of tokens.
async fn visit(app: &App, mut request: Request, next: Next) -> Response {
    match app.gate.admit(&request, Timestamp::now()) {
        Admission::Open => next.run(request).await,
        Admission::Out(response) => response,
        Admission::In(signed_in, cookie) => {
            let (tokens, proxies) = (&app.config.tokens, &app.config.trusted_proxies);
            let caller = signed_in.caller();
            let caller = caller.unwrap_or_else(|| Caller::of(&request, tokens, proxies));
            if let Err(refused) = take_one(app, caller) {
                return page::strict(refused.into_response());
            }
            request.extensions_mut().insert(signed_in);
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie {
                response.headers_mut().entry(header::SET_COOKIE).or_insert(cookie);
            }
            response
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
        limit += app.test_deliveries.longest();
    }
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::away("the answer took too long: try again").into_response(),
    }
}

/// Counts answers to calls that bring events, refusals of every kind among them.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = match request.uri().path() {
        "/events" => Some(IntakeRoute::Events),
        path if path.starts_with("/hooks/broker") => Some(IntakeRoute::Relay),
        _ => None,
    };
    let response = next.run(request).await;
    if let Some(route) = route {
        app.shared.metrics.intake_answered(route, response.status().as_str());
    }
    response
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("http.handler_panicked");
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
        broker_api::serve(state, request).await
    }
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} is not allowed here: see the header Allow", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
