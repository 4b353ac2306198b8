//! Reading the document, fault by fault.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::ExtensionFault;
use crate::duration::parse_duration;
use crate::suggestions;

/// Notes what is wrong.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<ExtensionFault>,
}

impl Reader {
    /// Notes a fault; nothing was read.
    pub(super) fn fault<T>(&mut self, key: &str, message: impl Into<String>) -> Option<T> {
        self.faults.push(ExtensionFault { key: key.to_owned(), message: message.into() });
        None
    }

    /// Notes every member that is not known.
    pub(super) fn known(&mut self, key: &str, object: &Map<String, Value>, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = suggestions::hint(name, known.iter().copied());
            let message = format!("is no known key: use {}{near}", known.join(", "));
            self.fault::<()>(&format!("{key}.{name}"), message);
        }
    }

    pub(super) fn object<'a>(
        &mut self,
        key: &str,
        value: &'a Value,
    ) -> Option<&'a Map<String, Value>> {
        value.as_object().or_else(|| self.fault(key, "must be a hash"))
    }

    pub(super) fn text<'a>(&mut self, key: &str, value: &'a Value) -> Option<&'a str> {
        value.as_str().or_else(|| self.fault(key, "must be a string"))
    }

    /// A list of one item at least and `most` at most.
    pub(super) fn list<'a>(
        &mut self,
        key: &str,
        value: &'a Value,
        most: usize,
    ) -> Option<&'a [Value]> {
        let Some(items) = value.as_array() else {
            return self.fault(key, "must be an array");
        };
        if (1..=most).contains(&items.len()) {
            Some(items)
        } else {
            self.fault(key, format!("must have 1 to {most} items: leave the key out for no rule"))
        }
    }

    /// A text such as `15s`, or a number of seconds.
    pub(super) fn duration(&mut self, key: &str, value: &Value) -> Option<Duration> {
        if let Some(seconds) = value.as_u64() {
            return Some(Duration::from_secs(seconds));
        }
        match value.as_str().map(parse_duration) {
            Some(Ok(duration)) => Some(duration),
            Some(Err(error)) => self.fault(key, error.to_string()),
            None => self.fault(key, "must be a duration such as \"15s\", or a number of seconds"),
        }
    }
}
