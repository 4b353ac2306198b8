//! Schemas of types as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

const PREFIX: &str = "#/components/schemas/";

/// A reference to the schema of a type.
pub fn refer<T: ToSchema>() -> Value {
    json!({ "$ref": format!("{PREFIX}{}", T::name()) })
}

/// Schemas by name.
#[derive(Debug, Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A type and what it is made of.
    pub(super) fn add<T: ToSchema>(&mut self) {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        self.0.extend(found.into_iter().map(|(name, schema)| (name, json!(schema))));
    }

    pub(super) fn into_json(self, all: &mut BTreeMap<String, Value>) {
        all.extend(self.0);
    }
}

/// All schemas, each in a form that tells of all members in one place.
pub(super) fn finished(mut all: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let parts: Vec<String> = all
        .iter()
        .filter(|(_, schema)| schema["allOf"].is_array())
        .map(|(n, _)| n.clone())
        .collect();
    for name in parts {
        let joined = all.get(&name).map(|schema| joined(schema, &all));
        all.extend(joined.map(|schema| (name, schema)));
    }
    for schema in all.values_mut() {
        unwrap_lines(schema);
    }
    all
}

/// A document that is several in one (`#[serde(flatten)]`): it has the members of all of them and
/// no others.
fn joined(schema: &Value, all: &BTreeMap<String, Value>) -> Value {
    let mut whole = Map::new();
    let mut required = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let name = part["$ref"].as_str().and_then(|reference| reference.strip_prefix(PREFIX));
        let part = name.and_then(|name| all.get(name)).unwrap_or(part);
        whole.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let mut document = json!({
        "type": "object",
        "description": schema["description"],
        "properties": whole,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        document["required"] = required.into();
    }
    document
}

/// Comments are broken into lines where the page ends.
pub(super) fn unwrap_lines(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) if key == "description" => *text = one_line(text),
                    other => unwrap_lines(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Paragraphs stay.
fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
