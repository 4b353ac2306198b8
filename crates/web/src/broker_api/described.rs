//! What the OpenAPI document says of the broker's API: the calls of each resource beside what
//! answers them.

use postrider_http_server::openapi::{Document, Operation, Tag};
use serde_json::{Value, json};

use crate::broker_api::{docs, index, secrets, status, test_delivery, triggered, webhooks};

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

/// Tells the document of all calls.
pub(crate) fn describe(document: &mut Document) {
    let all = [index::operations(), docs::operations()].into_iter();
    let all = all.chain(webhooks::operations()).chain(test_delivery::operations());
    let all = all.chain([status::operations(), triggered::operations()]);
    for (method, path, operation) in all.chain(secrets::operations()) {
        document.add(method, path, operation);
    }
}
