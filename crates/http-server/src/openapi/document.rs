//! The document as a whole.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};

use super::operation::{Operation, Tag};
use super::{refusals, schema};
use crate::Role;

const SUMMARY: &str =
    "Delivers what a Pact Broker or PactFlow says to GitHub and other targets, and loses nothing.";

const DESCRIPTION: &str = "\
Errors of `/events`, `/hooks` and `/api/v1` are problem documents (RFC 9457). The other paths \
answer as Pact Broker 2.120 and PactFlow do.\n\n\
Not listed: a path ending in `.json` asks for HAL at the webhook paths, which also answer OPTIONS \
with their methods in `Access-Control-Allow-Methods`; HEAD is answered wherever GET is, except \
there; other methods get 405, with the list in `Allow`. Where no token is configured none is \
needed. Without tokens a host that is not of this machine is answered with 421; requests that \
another site's page made, with 403; above a rate that a setting gives, with 429; all three with a \
problem document.";

const BEARER: &str = "A token of POSTRIDER_API_TOKENS. Roles: `ingest` sends events, `read` reads, \
                      `operate` changes, and does what the others do.";

/// The document, as far as it is put together.
#[derive(Debug, Default)]
pub struct Document {
    paths: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Document {
    /// One more call.
    pub fn add(&mut self, method: &str, path: &str, mut operation: Operation) {
        refusals::complete(path, &mut operation);
        secure(method, path, &mut operation);
        let Operation { members, schemas, .. } = operation;
        schemas.into_json(&mut self.schemas);
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[method.to_lowercase()] = members.into();
    }

    /// OpenAPI 3.1, JSON.
    pub fn text(mut self) -> String {
        refusals::schemas().into_json(&mut self.schemas);
        let paths = Value::Object(self.paths);
        let mut responses = refusals::all();
        let named = references("responses", [&paths]);
        responses.retain(|name, _| named.contains(name));
        let responses = Value::Object(responses);
        let mut schemas = schema::finished(self.schemas);
        // What was only a part of others, or is of calls that are not here.
        let mut used = references("schemas", [&paths, &responses]);
        loop {
            let known = used.len();
            let found: Vec<&Value> = used.iter().filter_map(|name| schemas.get(name)).collect();
            let more = references("schemas", found);
            used.extend(more);
            if used.len() == known {
                break;
            }
        }
        schemas.retain(|name, _| used.contains(name));
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "postrider",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": SUMMARY,
                "description": DESCRIPTION,
                "license": {
                    "name": env!("CARGO_PKG_LICENSE"),
                    "identifier": env!("CARGO_PKG_LICENSE"),
                },
            },
            "servers": [
                {"url": "/", "description": "Where this document comes from (POSTRIDER_LISTEN)."},
            ],
            "security": [{"bearer": []}, {"basic": []}],
            "tags": Tag::ALL.map(|tag| json!({
                "name": tag.as_str(), "description": tag.description(),
            })),
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": BEARER},
                    "basic": {
                        "type": "http", "scheme": "basic",
                        "description": "The token as the password; any user name.",
                    },
                },
            },
        });
        format!("{document:#}\n")
    }
}

/// The names of components of a kind that these refer to.
fn references<'v>(kind: &str, all: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    let place = format!("#/components/{kind}/");
    let mut found = BTreeSet::new();
    let mut left: Vec<&Value> = all.into_iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => left.extend(members.values()),
            Value::Array(items) => left.extend(items),
            Value::String(text) => found.extend(text.strip_prefix(&place).map(str::to_owned)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

/// Says which role the call needs.
fn secure(method: &str, path: &str, operation: &mut Operation) {
    let role = match (operation.tag, Method::from_bytes(method.as_bytes())) {
        (Tag::Admin, _) | (_, Err(_)) => None,
        (_, Ok(method)) => Some(Role::needed(&method, path).as_str()),
    };
    let Some(role) = role else {
        operation.members.insert("security".into(), json!([]));
        return;
    };
    operation.members.insert("security".into(), json!([{"bearer": [role]}, {"basic": [role]}]));
    let needs = format!("Needs the role `{role}`.");
    let told = operation.members.get("description").and_then(Value::as_str);
    let told = told.map_or(needs.clone(), |told| format!("{told} {needs}"));
    operation.members.insert("description".into(), told.into());
}
