//! Help pages, to which the curies of the documents and messages of validation point.

use http::StatusCode;
use serde_json::json;

use crate::broker_api::content_negotiation::{HAL, HTML};
use crate::broker_api::described::{Described, call, text};
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};

const PAGE: &str = include_str!("docs.html");

/// Relations that the page is about: those of the index and of collections.
const RELATIONS: [&str; 8] = [
    "webhooks",
    "webhook",
    "webhooks-create",
    "webhooks-webhooks",
    "webhooks-webhook",
    "webhooks-execute",
    "webhooks-secrets",
    "secrets",
];

/// `GET /doc/{rel}`: one page for all of them. The HAL browser asks for it as if for a document.
pub(super) fn show(context: &RequestContext, rel: &str) -> Answer {
    context.choose(&[HTML, HAL])?;
    if RELATIONS.contains(&rel) {
        Ok(response::page(StatusCode::OK, PAGE))
    } else {
        Err(Failure::NotFound)
    }
}

pub(super) fn operations() -> Described {
    let rel = json!({"type": "string", "examples": ["webhooks-create"]});
    let operation = call("showRelation", "Show what a relation means")
        .path("rel", "The relation.", &rel)
        .answers_as(200, "A page for people.", "text/html", &text());
    ("GET", "/doc/{rel}", operation)
}
