//! What is wrong with a document, member by member, in the broker's words.

use serde_json::{Map, Value};

pub(super) const MISSING: &str = "is missing";
pub(super) const FILLED: &str = "must be filled";
pub(super) const STRING: &str = "must be a string";
pub(super) const HASH: &str = "must be a hash";

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Dotted.
    pub(super) key: String,
    /// Which item of the list that the key names.
    pub(super) index: Option<usize>,
    pub(super) message: String,
}

/// Faults in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Errors(Vec<Fault>);

impl Errors {
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Fault { key: key.to_owned(), index: None, message: message.into() });
    }

    pub(super) fn add_at(&mut self, key: &str, index: usize, message: impl Into<String>) {
        let (key, message) = (key.to_owned(), message.into());
        self.0.push(Fault { key, index: Some(index), message });
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|fault| fault.key == key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Messages by key; those about an item of a list say which.
    pub(super) fn by_key(&self) -> Value {
        let mut keys: Map<String, Value> = Map::new();
        for fault in &self.0 {
            let message = match fault.index {
                Some(index) => format!("{} (at index {index})", fault.message),
                None => fault.message.clone(),
            };
            let messages = keys.entry(fault.key.clone()).or_insert_with(|| Value::Array(vec![]));
            if let Value::Array(messages) = messages {
                messages.push(message.into());
            }
        }
        Value::Object(keys)
    }
}
