//! Answers as the broker gives them: HAL JSON, its error bodies, its headers.

use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use postrider_store::StoreError;
use serde_json::{Value, json};

use crate::hooks::validate::Errors;
use crate::problem::Problem;

/// Clients compare it as a string.
const HAL: HeaderValue = HeaderValue::from_static("application/hal+json;charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");

/// The broker whose behaviour is promised; its clients read the header.
const BROKER_VERSION: HeaderValue = HeaderValue::from_static("2.120.0");

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// 400, by field.
    Invalid(Errors),
    /// 400, one text.
    Unreadable(String),
    /// 404.
    NotFound,
    /// 415.
    UnsupportedType,
    /// 500.
    Internal,
    /// As our own API says it: sizes, time, store.
    Problem(Box<Problem>),
}

impl Failure {
    pub(super) fn invalid(key: &str, message: String) -> Self {
        let mut errors = Errors::default();
        errors.add(key, message);
        Self::Invalid(errors)
    }

    fn into_response(self) -> Response {
        match self {
            Self::Invalid(errors) => {
                hal(StatusCode::BAD_REQUEST, &json!({"errors": errors.into_value()}))
            }
            Self::Unreadable(message) => hal(StatusCode::BAD_REQUEST, &json!({"error": message})),
            Self::NotFound => not_found(),
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
            Self::Internal => Problem::internal().into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
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

fn not_found() -> Response {
    let body = json!({"error": "The requested document was not found on this server."});
    typed(StatusCode::NOT_FOUND, JSON, &body)
}

/// A HAL document.
pub(super) fn hal(status: StatusCode, body: &Value) -> Response {
    typed(status, HAL, body)
}

fn typed(status: StatusCode, kind: HeaderValue, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The answer with the headers that all of them carry.
pub(super) fn finish(answer: Result<Response, Failure>) -> Response {
    let mut response = answer.unwrap_or_else(Failure::into_response);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-pact-broker-version"), BROKER_VERSION);
    response
}

/// The names in the path, unless they hold what no name may.
pub(super) fn names<const N: usize>(
    path: Result<[String; N], PathRejection>,
) -> Result<[String; N], Response> {
    let refuse = |status, detail| Err(finish(Ok(Problem::new(status, detail).into_response())));
    match path {
        Err(_) => refuse(StatusCode::BAD_REQUEST, "a name in the path is not valid UTF-8"),
        Ok(names) if names.iter().any(|name| name.chars().any(char::is_control)) => refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "a name in the path holds a new line, a tab or another control character",
        ),
        Ok(names) => Ok(names),
    }
}

/// The methods of a resource in the broker's order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed(pub(super) &'static str);

impl Allowed {
    /// 200 with the list.
    pub(super) fn options(self) -> Response {
        let list = HeaderValue::from_static(self.0);
        ([(header::ACCESS_CONTROL_ALLOW_METHODS, list)], ()).into_response()
    }

    /// 405 with the list, or 501 for a method that nobody knows.
    pub(super) fn refuse(self, method: &Method) -> Response {
        const KNOWN: [Method; 5] =
            [Method::HEAD, Method::TRACE, Method::CONNECT, Method::PATCH, Method::PUT];
        let is_known = KNOWN.contains(method) || [Method::POST, Method::DELETE].contains(method);
        if !is_known {
            return StatusCode::NOT_IMPLEMENTED.into_response();
        }
        let list = HeaderValue::from_static(self.0);
        (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, list)], ()).into_response()
    }
}
