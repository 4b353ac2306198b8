//! Answers that were recorded from a Pact Broker.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The body of an answer that was recorded from Pact Broker 2.120.0.
pub(crate) fn recorded(name: &str) -> Result<Value> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker/tests/data");
    let text = std::fs::read(data.join(format!("{name}.json"))).with_context(|| name.to_owned())?;
    let exchange: Value = serde_json::from_slice(&text)?;
    Ok(exchange["response"]["body"].clone())
}
