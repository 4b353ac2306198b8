//! The index: relations by which clients find webhooks. Of the broker's relations only those
//! are here whose resources are.

use http::StatusCode;
use serde_json::json;

use crate::hooks::answer::{self, Answer};
use crate::hooks::exchange::Exchange;

/// `GET /`.
pub(super) fn show(exchange: &Exchange) -> Answer {
    exchange.takes_hal()?;
    let bases = &exchange.bases;
    let links = json!({
        "self": {"href": bases.base, "title": "Index", "templated": false},
        "pb:webhooks": {"href": bases.webhooks(), "title": "Webhooks", "templated": false},
        "pb:webhook": {
            "href": format!("{}/{{uuid}}", bases.webhooks()),
            "title": "Webhook",
            "templated": true,
        },
        "curies": [{
            "name": "pb",
            "href": format!("{}/doc/{{rel}}?context=index", bases.base),
            "templated": true,
        }],
    });
    Ok(answer::hal(StatusCode::OK, &json!({"_links": links})))
}
