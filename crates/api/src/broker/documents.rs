//! Webhooks' documents as people write them.

use serde::Deserialize as _;
use serde_json::Value;
use serde_norway::Deserializer;

/// The text holds no documents.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocuments {
    /// It can't be read.
    #[error("neither JSON nor YAML: {0}")]
    Unreadable(#[from] serde_norway::Error),
    /// There is nothing in it.
    #[error("without a webhook")]
    Empty,
}

/// The documents of a text: one, a list, or several YAML documents of either. YAML is read as such
/// with its merge keys (`<<: *anchor`) resolved, and JSON is YAML.
///
/// # Errors
/// It is neither, or holds none. What the documents hold is not looked at.
pub fn documents(text: &str) -> Result<Vec<Value>, InvalidDocuments> {
    let mut documents = Vec::new();
    for document in Deserializer::from_str(text) {
        match json(document)? {
            Value::Array(items) => documents.extend(items),
            Value::Null => {}
            one => documents.push(one),
        }
    }
    if documents.is_empty() { Err(InvalidDocuments::Empty) } else { Ok(documents) }
}

fn json(document: Deserializer<'_>) -> Result<Value, serde_norway::Error> {
    let mut yaml = serde_norway::Value::deserialize(document)?;
    yaml.apply_merge()?;
    serde_norway::from_value(yaml)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_keys_are_resolved() {
        let text = "- &base {enabled: true, request: {method: POST}}\n\
                    - {<<: *base, description: second, enabled: false}\n";
        let read = documents(text).unwrap();
        let second =
            json!({"description": "second", "enabled": false, "request": {"method": "POST"}});
        assert_eq!(read[1], second);
    }

    #[test]
    fn one_several_and_none() {
        assert_eq!(documents("{\"a\": 1}").unwrap(), [json!({"a": 1})]);
        assert_eq!(documents("a: 1\n---\n- b: 2\n- c: 3\n").unwrap().len(), 3);
        assert!(matches!(documents("# nothing\n"), Err(InvalidDocuments::Empty)));
        assert!(matches!(documents("a: [1"), Err(InvalidDocuments::Unreadable(_))));
    }
}
