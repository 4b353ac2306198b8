//! What applying a file would change: a pure comparison of documents.

use std::collections::BTreeSet;

use postrider_api::broker::{self, Comparison, Difference};
use postrider_domain::STARS;
use serde_json::{Value, json};

use crate::Failure;

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
        /// Fields that the server stars, and that are sent with the others as the file has them.
        hidden: Vec<String>,
    },
    /// It is there and the same.
    Unchanged {
        /// The webhook's uuid.
        uuid: String,
        /// Fields that the server stars and the file does not.
        hidden: Vec<String>,
    },
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
    let Comparison { mut differences, mut hidden } = broker::compare(document, current);
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
        Action::Replace { uuid, differences, hidden }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> Value {
        let request =
            json!({"method": "POST", "url": "https://h/x", "headers": {"authorization": STARS}});
        json!({"uuid": "0123456789abcdef", "description": "d", "request": request, "_links": {}})
    }

    /// The same in other words.
    fn wanted() -> Value {
        let request =
            json!({"method": "post", "url": "https://h/x", "headers": {"Authorization": STARS}});
        json!({"description": "d", "consumer": null, "enabled": true, "request": request})
    }

    fn action(document: Value) -> Action {
        plan(vec![document], &[webhook()], false).unwrap().remove(0).action
    }

    #[test]
    fn the_same_in_other_words_is_unchanged() {
        let uuid = "0123456789abcdef".to_owned();
        assert_eq!(action(wanted()), Action::Unchanged { uuid, hidden: Vec::new() });
    }

    #[test]
    fn a_removal_is_shown() {
        let mut with_rules = webhook();
        with_rules["postrider"] = json!({"timeout": "5s"});
        let step = plan(vec![wanted()], &[with_rules], false).unwrap().remove(0);
        assert!(matches!(step.action, Action::Replace { .. }));
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

    /// What is sent beside a difference is sent whatever the server has there.
    #[test]
    fn hidden_values_are_told_where_others_change() {
        let mut document = wanted();
        document["enabled"] = json!(false);
        document["request"]["headers"]["Authorization"] = json!("Bearer **********");
        let Action::Replace { differences, hidden, .. } = action(document) else {
            panic!("it differs")
        };
        assert_eq!(differences.len(), 1);
        assert_eq!(hidden, ["request.headers.authorization"]);
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
