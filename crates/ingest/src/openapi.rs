//! The OpenAPI document of everything that this program answers over HTTP.

use http::{HeaderValue, header};

/// The document: OpenAPI 3.1, JSON. Tests hold it against the routes and against the answers.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// `GET /openapi.json`.
pub(crate) async fn show() -> ([(header::HeaderName, HeaderValue); 1], &'static str) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI)
}

#[cfg(test)]
mod tests;
