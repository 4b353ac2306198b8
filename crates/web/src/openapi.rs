//! `GET /openapi.json`.

use axum::extract::State;
use http::{HeaderValue, header};
use postrider_http_server::openapi::{Operation, Tag};
use serde_json::json;

use crate::app::App;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The document as it was given to this role: it tells of the whole program.
pub(crate) async fn show(
    State(app): State<App>,
) -> ([(header::HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, JSON)], (*app.document).clone())
}

pub(crate) fn show_described() -> Operation {
    let schema = json!({
        "type": "object", "description": "OpenAPI 3.1.", "required": ["openapi", "info", "paths"],
    });
    Operation::new(Tag::Operations, "showOpenapi", "Show this document").answers_as(
        200,
        "Fine.",
        "application/json",
        &schema,
    )
}

#[cfg(test)]
mod tests;
