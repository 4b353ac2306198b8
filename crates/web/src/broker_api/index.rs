//! The index: relations by which clients find webhooks. Of the broker's relations only those
//! are here whose resources are.

use http::StatusCode;
use postrider_api::broker::Index;
use serde_json::json;

use crate::broker_api::content_negotiation::{HAL, JSON};
use crate::broker_api::described::{Described, call};
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer};

/// `GET /`.
pub(super) fn show(context: &RequestContext) -> Answer {
    context.choose(&[HAL, JSON])?;
    let bases = &context.bases;
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
    Ok(response::hal(StatusCode::OK, &json!({"_links": links})))
}

pub(super) fn operations() -> Described {
    let operation = call("showIndex", "Show where clients find webhooks");
    ("GET", "/", operation.answers::<Index>(200, "Fine."))
}
