//! Errors as our own API words them: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use postrider_store::StoreError;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One thing that is wrong with one place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// JSON pointer into the body; empty when the body as a whole, or a header, is meant.
    pub(crate) pointer: String,
    /// What is wrong and what would be right.
    pub(crate) detail: String,
}

/// An answer other than success.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    headers: HeaderMap,
}

/// Seconds after which a refused call is worth repeating.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: HeaderMap::new() }
    }

    /// 400 for one place of the body.
    pub(crate) fn bad(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// 400 for several places of the body.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(FieldError::sentence).collect::<Vec<_>>().join("; ");
        let mut problem = Self::new(StatusCode::BAD_REQUEST, detail);
        problem.errors = errors;
        problem
    }

    /// 503, to be tried again.
    pub(crate) fn away(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        problem
    }

    /// What a store error is to a client; the cause goes to the log.
    pub(crate) fn store(error: &StoreError) -> Self {
        tracing::warn!(%error, "the store refused a step");
        match error {
            StoreError::Unavailable(_) => Self::away("the store is away: try again"),
            StoreError::Corrupt(_)
            | StoreError::NewerSchema { .. }
            | StoreError::WrongKey { .. }
            | StoreError::Unusable(_) => Self::internal(),
        }
    }

    /// 500 without the cause.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an error inside; the log has it")
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Headers that go with the answer.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The members of the problem document.
    pub(crate) fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("title".into(), self.status.canonical_reason().unwrap_or("Error").into());
        document.insert("status".into(), self.status.as_u16().into());
        document.insert("detail".into(), self.detail.as_str().into());
        document.insert("errors".into(), json!(self.errors));
        document
    }
}

impl FieldError {
    fn sentence(&self) -> String {
        if self.pointer.is_empty() {
            self.detail.clone()
        } else {
            format!("{} {}", self.pointer, self.detail)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::store(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Value::Object(self.document()).to_string();
        let mut headers = self.headers;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        (self.status, headers, body).into_response()
    }
}
