//! Help pages, to which the curies of the documents and messages of validation point.

use http::StatusCode;

use crate::hooks::accept::{HAL, HTML};
use crate::hooks::answer::{self, Answer, Failure};
use crate::hooks::exchange::Exchange;

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
pub(super) fn show(exchange: &Exchange, rel: &str) -> Answer {
    exchange.choose(&[HTML, HAL])?;
    if RELATIONS.contains(&rel) {
        Ok(answer::page(StatusCode::OK, PAGE))
    } else {
        Err(Failure::NotFound)
    }
}
