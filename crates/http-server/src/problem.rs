//! Errors as our own API words them: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use postrider_api::FieldError;
use postrider_store::StoreError;

/// An answer other than success.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Of the answer.
    pub status: StatusCode,
    /// What is wrong and what would be right, in a sentence.
    pub detail: String,
    /// What is wrong where, if places can be named.
    pub errors: Vec<FieldError>,
    headers: HeaderMap,
}

/// Seconds after which a refused call is worth repeating.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Problem {
    /// One sentence under a status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: HeaderMap::new() }
    }

    /// 400 for one place of the body.
    pub fn bad(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// 400 for several places of the body.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(sentence).collect::<Vec<_>>().join("; ");
        let mut problem = Self::new(StatusCode::BAD_REQUEST, detail);
        problem.errors = errors;
        problem
    }

    /// 503, to be tried again.
    pub fn away(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        problem
    }

    /// What a store error is to a client; the cause goes to the log.
    fn store(error: &StoreError) -> Self {
        tracing::warn!(%error, "request.store_failed");
        match error {
            StoreError::Unavailable(_) => Self::away("the store is away: try again"),
            StoreError::Slow(_) => Self::away(
                "the database ran out of time: ask for less (one consumer and provider, one \
                 webhook, a shorter time) or try again",
            ),
            StoreError::Unknown(_) => Self::away(
                "the store did not answer in time, so it is not known whether this was done: \
                 look, or try again",
            ),
            StoreError::Corrupt(_)
            | StoreError::NewerSchema { .. }
            | StoreError::WrongKey { .. }
            | StoreError::Unusable(_) => Self::internal(),
        }
    }

    /// 500 without the cause.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an error inside; the log has it")
    }

    /// The same under another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Headers that go with the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The problem document.
    pub fn document(&self) -> postrider_api::Problem {
        postrider_api::Problem {
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        }
    }
}

fn sentence(error: &FieldError) -> String {
    if error.pointer.is_empty() {
        error.detail.clone()
    } else {
        format!("{} {}", error.pointer, error.detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::store(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(self.document());
        let mut headers = self.headers;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        (self.status, headers, body).into_response()
    }
}
