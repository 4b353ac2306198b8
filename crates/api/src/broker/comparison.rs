//! What it would mean to store a webhook's document in place of the one that is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// What a server shows instead of a secret (Pact Broker 2.120).
pub const STARS: &str = "**********";

/// A member of a webhook's document that would change.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its dotted name, such as `request.headers.accept`; names of headers in lower case.
    pub field: String,
    /// Its value now; null where it has none.
    pub now: Value,
    /// Its value in the document; null where it has none.
    pub wanted: Value,
}

/// How a document differs from a stored webhook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// What would change, by name.
    pub differences: Vec<Difference>,
    /// Members that the server stars and the document does not: whether they differ the server
    /// alone can tell.
    pub hidden: Vec<String>,
}

/// Compares a document with the webhook as the server shows it. Members that stand for the same
/// compare equal: in other order, left out where that means the default, names of headers in other
/// case. What is starred in the document stays as it is.
pub fn compare(document: &Value, current: &Value) -> Comparison {
    let (now, mut wanted) = (fields(current), fields(document));
    // The server keeps these when a document leaves them out.
    for kept in ["description", "events", "teamUuid", "postrider"] {
        if !wanted.contains_key(kept) && document.get(kept).is_none() {
            wanted.extend(now.get(kept).map(|value| (kept.to_owned(), value.clone())));
        }
    }
    let names: BTreeSet<&String> = now.keys().chain(wanted.keys()).collect();
    let mut found = Comparison::default();
    for field in names {
        let value = |of: &BTreeMap<String, Value>| of.get(field).cloned().unwrap_or(Value::Null);
        let (now, wanted) = (value(&now), value(&wanted));
        match (is_starred(&now), is_starred(&wanted)) {
            _ if now == wanted => {}
            (_, true) => {}
            (true, false) if !wanted.is_null() => found.hidden.push(field.clone()),
            (true | false, false) => {
                found.differences.push(Difference { field: field.clone(), now, wanted });
            }
        }
    }
    found
}

/// Whether a server shows stars there.
pub fn is_starred(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(STARS))
}

/// A document's fields by dotted name, with defaults filled in, so that documents which mean
/// the same compare equal.
fn fields(document: &Value) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let mut put = |name: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            fields.insert(name.to_owned(), value.clone());
        }
    };
    for name in ["description", "consumer", "provider", "teamUuid"] {
        put(name, document.get(name));
    }
    let rules = document.get("postrider").filter(|rules| **rules != json!({}));
    put("postrider", rules);
    put("enabled", Some(document.get("enabled").unwrap_or(&json!(true))));
    put("events", event_names(document).as_ref());
    let nothing = Value::Object(Map::new());
    let request = document.get("request").unwrap_or(&nothing);
    for name in ["url", "body", "username", "password"] {
        put(&format!("request.{name}"), request.get(name));
    }
    let upper = request.get("method").and_then(Value::as_str).map(str::to_uppercase);
    put("request.method", upper.map(Value::String).as_ref());
    put("request.bodyMode", Some(request.get("bodyMode").unwrap_or(&json!("json"))));
    for (header, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
        put(&format!("request.headers.{}", header.to_lowercase()), Some(value));
    }
    fields
}

/// The names in order, whatever order they were written in.
fn event_names(document: &Value) -> Option<Value> {
    let events = document.get("events")?.as_array()?;
    let names: BTreeSet<&str> =
        events.iter().filter_map(|event| event.get("name")?.as_str()).collect();
    Some(json!(names))
}

#[cfg(test)]
mod tests;
