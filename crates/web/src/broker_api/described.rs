//! How a call of the broker's API is described for the OpenAPI document.

use postrider_http_server::openapi::{Operation, Tag};
use serde_json::{Value, json};

/// A method at a path with what is said of it.
pub(super) type Described = (&'static str, &'static str, Operation);

/// A call that concerns webhooks.
pub(super) fn call(id: &str, summary: &str) -> Operation {
    Operation::new(Tag::Webhooks, id, summary)
}

/// A text in a path.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// Names in a path.
pub(super) fn sides(operation: Operation, path: &str) -> Operation {
    let mut operation = operation;
    for (side, description) in
        [("provider", "Name of the provider."), ("consumer", "Name of the consumer.")]
    {
        if path.contains(&format!("{{{side}}}")) {
            operation = operation.path(side, description, &text());
        }
    }
    operation
}
