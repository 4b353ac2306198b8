//! Answers as the broker gives them: HAL JSON, its error bodies, its headers.

use std::iter;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use postrider_http_server::Problem;
use postrider_store::StoreError;
use serde_json::{Value, json};

use crate::broker_api::content_negotiation::Accept;
use crate::broker_api::faults::{Errors, Fault};
use crate::broker_api::route::PathFault;

/// Clients compare it as a string.
const HAL: HeaderValue = HeaderValue::from_static("application/hal+json;charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json;charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html;charset=utf-8");

/// The broker whose behaviour is promised; its clients read the header.
const BROKER_VERSION: HeaderValue = HeaderValue::from_static("2.120.0");

/// Nothing is there.
const NOT_FOUND: &str = "The requested document was not found on this server.";

const NOT_FOUND_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>404 Not Found</title>\
    </head><body><h1>404 Not Found</h1><p>The requested document was not found on this server.</p>\
    </body></html>\n";

/// What a handler says.
pub(super) type Answer = Result<Response, Failure>;

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// 404 or 422: the path was not looked at.
    Path(PathFault),
    /// 400, by field.
    Invalid(Errors),
    /// 422, by field.
    Unprocessable(Errors),
    /// 400, one text.
    Unreadable(String),
    /// 404.
    NotFound,
    /// 406.
    NotAcceptable,
    /// 415.
    UnsupportedType,
    /// 500.
    Internal,
    /// As our own API says it: sizes, time, store.
    Problem(Box<Problem>),
}

impl Failure {
    pub(super) fn invalid(key: &str, message: impl Into<String>) -> Self {
        let mut errors = Errors::default();
        errors.add(key, message);
        Self::Invalid(errors)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

/// How errors are to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) accept: &'a Accept,
    /// Where the types of problems point to.
    pub(super) base: &'a str,
}

impl Style<'_> {
    fn failure(self, failure: Failure) -> Response {
        match failure {
            Failure::Path(fault) => self.path_fault(fault),
            Failure::Invalid(errors) => self.invalid(StatusCode::BAD_REQUEST, &errors),
            Failure::Unprocessable(errors) => {
                self.invalid(StatusCode::UNPROCESSABLE_ENTITY, &errors)
            }
            Failure::Unreadable(message) => self.unreadable(&message),
            Failure::NotFound => self.not_found(),
            Failure::NotAcceptable => StatusCode::NOT_ACCEPTABLE.into_response(),
            Failure::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
            Failure::Internal => self.problem(&Problem::internal()),
            Failure::Problem(problem) => self.problem(&problem),
        }
    }

    fn invalid(self, status: StatusCode, errors: &Errors) -> Response {
        if !self.accept.wants_problems() {
            return hal(status, &json!({"errors": errors.by_key()}));
        }
        let listed: Vec<Value> = errors.faults().map(|fault| self.fault(fault)).collect();
        let body = json!({
            "title": "Validation errors",
            "type": format!("{}/problems/validation-error", self.base),
            "status": status.as_u16(),
            "instance": "/",
            "errors": listed,
        });
        typed(status, PROBLEM, &body)
    }

    /// The broker finds the kind of a fault in its wording, so a message that ends with "for
    /// more information" is about a format.
    fn fault(self, fault: &Fault) -> Value {
        let kind = match &fault.message {
            message if message.contains("missing") => "missing-body-property",
            message if message.contains("format") => "invalid-body-property-format",
            _ => "invalid-body-property-value",
        };
        let place = fault.index.map(|index| format!("/{index}")).unwrap_or_default();
        json!({
            "type": format!("{}/problems/{kind}", self.base),
            "title": "Invalid body parameter",
            "detail": fault.message,
            "pointer": format!("/{}{place}", fault.key.replace('.', "/")),
        })
    }

    /// The broker's problem document speaks of a server error under a status of 400.
    fn unreadable(self, message: &str) -> Response {
        if !self.accept.wants_problems() {
            return hal(StatusCode::BAD_REQUEST, &json!({"error": message}));
        }
        let body = self.single("Server error", "server-error", message, 500);
        typed(StatusCode::BAD_REQUEST, PROBLEM, &body)
    }

    fn not_found(self) -> Response {
        if self.accept.wants_problems() {
            let body = self.single("404 Not Found", "not-found", NOT_FOUND, 404);
            typed(StatusCode::NOT_FOUND, PROBLEM, &body)
        } else if self.accept.wants_pages() {
            page(StatusCode::NOT_FOUND, NOT_FOUND_PAGE)
        } else {
            typed(StatusCode::NOT_FOUND, JSON, &json!({"error": NOT_FOUND}))
        }
    }

    /// These are problem documents whatever the client accepts.
    fn path_fault(self, fault: PathFault) -> Response {
        let (status, title, kind, detail) = match fault {
            PathFault::Invalid => (
                StatusCode::NOT_FOUND,
                "Not Found",
                "not-found",
                "The requested path is not a valid URL path.",
            ),
            PathFault::NewLine => unprocessable("URL path cannot contain a new line character."),
            PathFault::Tab => unprocessable("URL path cannot contain a tab character."),
            PathFault::Control => unprocessable("URL path cannot contain a control character."),
        };
        typed(status, PROBLEM, &self.single(title, kind, detail, status.as_u16()))
    }

    /// What the broker has no words for, in its shapes.
    fn problem(self, problem: &Problem) -> Response {
        let status = problem.status;
        let mut response = if self.accept.wants_problems() {
            let title = status.canonical_reason().unwrap_or("Error");
            let kind = if status.is_server_error() { "server-error" } else { "request-error" };
            typed(status, PROBLEM, &self.single(title, kind, &problem.detail, status.as_u16()))
        } else if status.is_server_error() {
            let reference = reference();
            tracing::warn!(reference, detail = problem.detail, "request.failed");
            let error = json!({"message": problem.detail, "reference": reference});
            hal(status, &json!({"error": error}))
        } else {
            hal(status, &json!({"error": problem.detail}))
        };
        let headers = problem.headers().iter();
        response.headers_mut().extend(headers.map(|(name, value)| (name.clone(), value.clone())));
        response
    }

    fn single(self, title: &str, kind: &str, detail: &str, status: u16) -> Value {
        let kind = format!("{}/problem/{kind}", self.base);
        json!({"title": title, "type": kind, "detail": detail, "status": status})
    }
}

fn unprocessable(detail: &str) -> (StatusCode, &str, &str, &str) {
    (StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable", "invalid-url-path", detail)
}

/// Ten letters by which a failure is found in the log.
fn reference() -> String {
    iter::repeat_with(|| char::from(rand_letter())).take(10).collect()
}

fn rand_letter() -> u8 {
    let mut byte = [0_u8];
    // Without randomness all references are alike, which hurts nobody.
    let _unlikely = aws_lc_rs::rand::fill(&mut byte);
    b'a' + byte[0] % 26
}

/// A HAL document.
pub(super) fn hal(status: StatusCode, body: &Value) -> Response {
    typed(status, HAL, body)
}

fn typed(status: StatusCode, kind: HeaderValue, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// Text for people.
pub(super) fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], body).into_response()
}

/// A page for people.
pub(super) fn page(status: StatusCode, body: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, HTML)], body).into_response()
}

pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The answer with the headers that all of them carry.
pub(super) fn finish(answer: Answer, style: Style<'_>) -> Response {
    let mut response = answer.unwrap_or_else(|failure| style.failure(failure));
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-pact-broker-version"), BROKER_VERSION);
    response
}

/// 401 as the broker's basic authentication gives it, which stands in front of all else and
/// makes no difference between no credentials, wrong ones, and those of a reader who writes.
pub(crate) fn unauthorised() -> Response {
    const REALM: HeaderValue = HeaderValue::from_static(r#"Basic realm="Restricted area""#);
    const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");
    let headers = [(header::CONTENT_TYPE, PLAIN), (header::WWW_AUTHENTICATE, REALM)];
    (StatusCode::UNAUTHORIZED, headers, ()).into_response()
}
