//! What the fuzzer calls: everything that is made of a webhook's document before the store has a part
//! in it.

use postrider_domain::Webhook;
use serde_json::Value;

use crate::broker_api;

/// The webhook that a document describes, judged as creation does.
pub fn webhook(document: &Value) -> Option<Webhook> {
    broker_api::described_by(document)
}
