//! What it would mean to store a webhook's document in place of the one that is there.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::{STARS, has_stars, is_all_stars, is_starred_or_empty};
use serde_json::{Map, Value, json};

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

/// Characters that are shown of a value before where it differs.
const AROUND: usize = 40;

/// At most so many characters of both texts, where either is longer each from shortly before where
/// they begin to differ. `…` stands for what is left out.
pub fn brief(now: &str, wanted: &str, most: usize) -> (String, String) {
    let same = now.chars().zip(wanted.chars()).take_while(|(one, other)| one == other).count();
    let is_long = [now, wanted].iter().any(|text| text.chars().count() > most);
    let skipped = if is_long { same.saturating_sub(AROUND) } else { 0 };
    let cut = |text: &str| {
        let before = if skipped > 0 { "…" } else { "" };
        let shown: String = text.chars().skip(skipped).take(most).collect();
        let after = if text.chars().count() > skipped + most { "…" } else { "" };
        format!("{before}{shown}{after}")
    };
    (cut(now), cut(wanted))
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
/// compare equal: in other order, left out where that means the default or what is there, names of
/// headers in other case. Stars keep what is there where the server keeps it, and are text elsewhere.
pub fn compare(document: &Value, current: &Value) -> Comparison {
    let (now, mut wanted) = (fields(current), fields(document));
    // The server keeps these when a document leaves them out.
    let keeps = |field: &str| match field {
        "description" | "postrider" => document.get(field).is_none(),
        "events" => document.get(field).is_none_or(Value::is_null),
        "request.password" => document["request"].get("password").is_none(),
        _ => false,
    };
    wanted
        .extend(now.iter().filter(|(field, _)| keeps(field)).map(|(f, v)| (f.clone(), v.clone())));
    let names: BTreeSet<&String> = now.keys().chain(wanted.keys()).collect();
    let mut found = Comparison::default();
    for field in names {
        let value = |of: &BTreeMap<String, Value>| of.get(field).cloned().unwrap_or(Value::Null);
        let (now, wanted) = (value(&now), value(&wanted));
        match change(field, &now, &wanted) {
            Change::None => {}
            Change::Hidden => found.hidden.push(field.clone()),
            Change::Seen => {
                found.differences.push(Difference { field: field.clone(), now, wanted });
            }
        }
    }
    found
}

/// How a member changes.
enum Change {
    /// It stays.
    None,
    /// What is there is starred, so the server alone can tell.
    Hidden,
    /// It differs.
    Seen,
}

fn change(field: &str, now: &Value, wanted: &Value) -> Change {
    let header = field.starts_with("request.headers.");
    let stars = header || ["request.url", "request.username", "request.password"].contains(&field);
    let (Some(text), true) = (wanted.as_str(), stars) else {
        return if now == wanted { Change::None } else { Change::Seen };
    };
    // Nothing is as good as stars for a header and a password.
    let stands_for_stored = match field {
        "request.url" => false,
        "request.username" => is_all_stars(text) && now.is_string(),
        "request.password" => is_starred_or_empty(text) && now.is_string(),
        _ => is_starred_or_empty(text),
    };
    let is_hidden = now.as_str().is_some_and(|now| is_one_of(now, text));
    match () {
        () if now == wanted || stands_for_stored => Change::None,
        () if is_hidden => Change::Hidden,
        () => Change::Seen,
    }
}

/// Whether the text could be what is shown with stars: it has all that is not starred, in its place.
fn is_one_of(shown: &str, text: &str) -> bool {
    let Some((first, rest)) = shown.split_once(STARS) else { return false };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split(STARS).collect();
    let Some((last, between)) = parts.split_last() else { return false };
    for part in between {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}

/// Whether a server shows stars there.
pub fn is_starred(value: &Value) -> bool {
    value.as_str().is_some_and(has_stars)
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
    for name in ["description", "teamUuid"] {
        put(name, document.get(name));
    }
    for name in ["consumer", "provider"] {
        put(name, selector(document.get(name)).as_ref());
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

/// Whose contracts, without what is null in it.
fn selector(given: Option<&Value>) -> Option<Value> {
    let mut given = given?.clone();
    if let Some(members) = given.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    Some(given)
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
