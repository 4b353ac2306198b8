//! What applying a file would change: a pure comparison of documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::Failure;

/// What the server shows instead of a secret (Pact Broker 2.120).
const STARS: &str = "**********";

/// What to do about one document of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// There is none yet.
    Create,
    /// It is there and differs.
    Replace {
        /// The webhook's uuid.
        uuid: String,
        /// Fields with the value now and the value wanted.
        differences: Vec<Difference>,
    },
    /// It is there and the same.
    Unchanged {
        /// The webhook's uuid.
        uuid: String,
        /// Fields that the server stars and the file does not.
        hidden: Vec<String>,
    },
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) field: String,
    pub(crate) now: Value,
    pub(crate) wanted: Value,
}

/// One document with what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) document: Value,
    pub(super) action: Action,
}

/// Plans all documents; a document that can't be told apart from another is refused.
pub(super) fn plan(
    documents: Vec<Value>,
    existing: &[Value],
    replace_hidden: bool,
) -> Result<Vec<Step>, Failure> {
    let mut seen = BTreeSet::new();
    documents
        .into_iter()
        .enumerate()
        .map(|(index, mut document)| {
            // What a file does not hold is removed: only a null says so.
            if let Some(members) = document.as_object_mut() {
                members.entry("postrider").or_insert(Value::Null);
            }
            let number = index + 1;
            let action = match matching(&document, existing, number)? {
                None => Action::Create,
                Some(current) => compare(&document, current, replace_hidden),
            };
            let identity = match &action {
                Action::Replace { uuid, .. } | Action::Unchanged { uuid, .. } => uuid.clone(),
                Action::Create => name(&document),
            };
            if !seen.insert(identity) {
                return Err(Failure::usage(format!(
                    "document {number} of the file is the same webhook as one before it"
                ))
                .fix("give each its own uuid or description"));
            }
            Ok(Step { document, action })
        })
        .collect()
}

/// How a document is called in the plan.
pub(crate) fn name(document: &Value) -> String {
    let text =
        |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("description").or_else(|| text("uuid")).unwrap_or_default().to_owned()
}

/// The webhook of the same uuid, else the one of the same description.
fn matching<'a>(
    document: &Value,
    existing: &'a [Value],
    number: usize,
) -> Result<Option<&'a Value>, Failure> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let fix = "give it a description of its own, or a uuid of 16 or more characters";
    if !document.is_object() {
        return Err(Failure::usage(format!("document {number} of the file is no object")));
    }
    if let Some(uuid) = text(document, "uuid") {
        return Ok(existing.iter().find(|webhook| text(webhook, "uuid").as_ref() == Some(&uuid)));
    }
    let description = text(document, "description").filter(|text| !text.trim().is_empty());
    let Some(description) = description else {
        let what = format!("document {number} of the file has neither uuid nor description");
        return Err(Failure::usage(what).fix(fix));
    };
    let mut same = existing
        .iter()
        .filter(|webhook| text(webhook, "description").as_ref() == Some(&description));
    match (same.next(), same.next()) {
        (found, None) => Ok(found),
        (_, Some(_)) => Err(Failure::usage(format!(
            "several webhooks are called {description:?}, and document {number} of the file has no uuid"
        ))
        .fix("add the uuid of the one that is meant: `postrider webhooks list` shows them")),
    }
}

/// What it would mean to store a document in place of the one that is there. Values that the
/// server stars count only where `replace_hidden` says so.
pub(crate) fn compare(document: &Value, current: &Value, replace_hidden: bool) -> Action {
    let uuid = current.get("uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (now, mut wanted) = (fields(current), fields(document));
    // The server keeps these when a document leaves them out.
    for kept in ["description", "events", "teamUuid", "postrider"] {
        if !wanted.contains_key(kept) && document.get(kept).is_none() {
            wanted.extend(now.get(kept).map(|value| (kept.to_owned(), value.clone())));
        }
    }
    let names: BTreeSet<&String> = now.keys().chain(wanted.keys()).collect();
    let mut differences = Vec::new();
    let mut hidden = Vec::new();
    for field in names {
        let value = |of: &BTreeMap<String, Value>| of.get(field).cloned().unwrap_or(Value::Null);
        let (now, wanted) = (value(&now), value(&wanted));
        match (is_starred(&now), is_starred(&wanted)) {
            _ if now == wanted => {}
            (_, true) => {}
            (true, false) if !wanted.is_null() => hidden.push(field.clone()),
            (true | false, false) => {
                differences.push(Difference { field: field.clone(), now, wanted });
            }
        }
    }
    if replace_hidden {
        let wanted = json!("as in the file");
        differences.extend(hidden.drain(..).map(|field| Difference {
            field,
            now: json!(STARS),
            wanted: wanted.clone(),
        }));
    }
    if differences.is_empty() {
        Action::Unchanged { uuid, hidden }
    } else {
        Action::Replace { uuid, differences }
    }
}

/// Whether a server shows stars there.
pub(crate) fn is_starred(value: &Value) -> bool {
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
mod tests {
    use super::*;

    fn webhook() -> Value {
        json!({
            "uuid": "0123456789abcdef", "description": "d", "enabled": true,
            "provider": {"name": "P"},
            "request": {
                "method": "POST", "url": "https://h/x",
                "headers": {"accept": "a", "authorization": STARS},
                "body": {"a": 1},
            },
            "events": [{"name": "contract_published"}, {"name": "contract_content_changed"}],
            "createdAt": "2026-01-01T00:00:00+00:00", "_links": {},
        })
    }

    fn wanted() -> Value {
        json!({
            "description": "d", "provider": {"name": "P"}, "consumer": null,
            "request": {
                "method": "post", "url": "https://h/x",
                "headers": {"Accept": "a", "Authorization": STARS},
                "body": {"a": 1},
            },
            "events": [{"name": "contract_content_changed"}, {"name": "contract_published"}],
        })
    }

    fn action(document: Value) -> Action {
        plan(vec![document], &[webhook()], false).unwrap().remove(0).action
    }

    fn changed(edit: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut document = wanted();
        edit(&mut document);
        match action(document) {
            Action::Replace { differences, .. } => {
                differences.into_iter().map(|difference| difference.field).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_in_other_words_is_unchanged() {
        let uuid = "0123456789abcdef".to_owned();
        assert_eq!(action(wanted()), Action::Unchanged { uuid, hidden: Vec::new() });
    }

    #[test]
    fn differences_are_told_by_field() {
        assert_eq!(changed(|w| w["enabled"] = json!(false)), ["enabled"]);
        assert_eq!(changed(|w| w["request"]["url"] = json!("https://h/y")), ["request.url"]);
        assert_eq!(changed(|w| w["request"]["body"]["a"] = json!(2)), ["request.body"]);
        assert_eq!(changed(|w| w["provider"] = json!(null)), ["provider"]);
        assert_eq!(changed(|w| w["postrider"] = json!({"timeout": "5s"})), ["postrider"]);
        let mut with_rules = webhook();
        with_rules["postrider"] = json!({"timeout": "5s"});
        let step = plan(vec![wanted()], &[with_rules], false).unwrap().remove(0);
        assert!(matches!(step.action, Action::Replace { .. }), "a removal is shown");
        assert_eq!(
            changed(|w| w["request"]["headers"] = json!({"x": "1"})),
            ["request.headers.accept", "request.headers.authorization", "request.headers.x",]
        );
    }

    #[test]
    fn hidden_values_don_t_count_unless_asked() {
        let mut document = wanted();
        document["request"]["headers"]["Authorization"] = json!("Bearer ${user.t}");
        let hidden = vec!["request.headers.authorization".to_owned()];
        let uuid = "0123456789abcdef".to_owned();
        assert_eq!(action(document.clone()), Action::Unchanged { uuid, hidden });
        let step = plan(vec![document], &[webhook()], true).unwrap().remove(0);
        assert!(
            matches!(step.action, Action::Replace { differences, .. } if differences.len() == 1)
        );
    }

    #[test]
    fn documents_are_told_apart() {
        let mut other = wanted();
        other["description"] = json!("new");
        assert_eq!(action(other), Action::Create);
        let mut by_uuid = wanted();
        by_uuid["uuid"] = json!("fedcba9876543210");
        assert_eq!(action(by_uuid), Action::Create);
        let twice = plan(vec![wanted(), wanted()], &[webhook()], false).unwrap_err();
        assert!(twice.message.contains("document 2"), "{twice}");
        let ambiguous = plan(vec![wanted()], &[webhook(), webhook()], false).unwrap_err();
        assert!(ambiguous.message.contains("several webhooks"), "{ambiguous}");
        assert!(plan(vec![json!({"request": {}})], &[], false).is_err());
        assert!(plan(vec![json!(1)], &[], false).is_err());
    }
}
