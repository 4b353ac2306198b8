//! What a broker's webhook becomes here: pure, from its document and what is here already.

use postrider_api::broker::is_starred;
use serde_json::{Value, json};

use super::map::Mapping;
use crate::connect::is_a_relay;
use crate::webhooks::plan::{Action, compare};

/// What to do about one webhook of the broker.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// It is the relay to postrider; a copy would send events in a circle.
    Relay,
    /// These fields are starred, and nothing says which secret they hold.
    Needs(Vec<String>),
    /// postrider would not take it, for this reason.
    Refused(String),
    /// It is brought over.
    Copy {
        /// The document to store.
        document: Value,
        /// What that means here.
        action: Action,
    },
}

/// One webhook of the broker with its decision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The document as the broker shows it.
    pub(super) source: Value,
    pub(super) decision: Decision,
}

/// Members that a server adds to a document.
const ADDED: [&str; 3] = ["createdAt", "updatedAt", "_links"];

/// Plans all of them; the second value tells for each mapping whether any webhook had a place
/// for it.
pub(super) fn plan(
    sources: Vec<Value>,
    here: &[Value],
    mappings: &[Mapping],
    replace_hidden: bool,
) -> (Vec<Step>, Vec<bool>) {
    let mut used = vec![false; mappings.len()];
    let steps = sources
        .into_iter()
        .map(|source| {
            let uuid = source.get("uuid");
            let current = here.iter().find(|webhook| webhook.get("uuid") == uuid);
            let decision = decision(&source, current, mappings, &mut used, replace_hidden);
            Step { source, decision }
        })
        .collect();
    (steps, used)
}

fn decision(
    source: &Value,
    current: Option<&Value>,
    mappings: &[Mapping],
    used: &mut [bool],
    replace_hidden: bool,
) -> Decision {
    if is_a_relay(source) {
        return Decision::Relay;
    }
    let mut document = bare(source);
    for (mapping, used) in mappings.iter().zip(used) {
        *used |= mapping.apply(&mut document);
    }
    let starred = starred(&document);
    let needs: Vec<String> = starred
        .into_iter()
        // What is stored here stays when stars are sent.
        .filter(|field| !current.is_some_and(|current| self::starred(current).contains(field)))
        .collect();
    if !needs.is_empty() {
        return Decision::Needs(needs);
    }
    let action = match current {
        None => Action::Create,
        Some(current) => {
            // The original was switched off because its copy does the work.
            if source.get("enabled") == Some(&json!(false)) {
                document["enabled"] = current.get("enabled").cloned().unwrap_or(json!(true));
            }
            compare(&document, current, replace_hidden)
        }
    };
    Decision::Copy { document, action }
}

/// The document without what the server adds.
pub(super) fn bare(webhook: &Value) -> Value {
    let mut document = webhook.clone();
    if let Some(members) = document.as_object_mut() {
        for key in ADDED {
            members.shift_remove(key);
        }
    }
    document
}

/// The document that switches the original off and leaves everything else as it is: the broker
/// keeps what is sent as stars (Pact Broker 2.120: `webhooks/service.rb`).
pub(super) fn switched_off(source: &Value) -> Value {
    let mut document = bare(source);
    if let Some(members) = document.as_object_mut() {
        members.shift_remove("uuid");
    }
    document["enabled"] = json!(false);
    document
}

/// Dotted names of the fields that are starred.
fn starred(webhook: &Value) -> Vec<String> {
    let Some(request) = webhook.get("request") else { return Vec::new() };
    let headers = request.get("headers").and_then(Value::as_object).into_iter().flatten();
    let headers = headers
        .filter(|(_, value)| is_starred(value))
        .map(|(name, _)| format!("request.headers.{}", name.to_lowercase()));
    let plain = ["url", "username", "password"]
        .into_iter()
        .filter(|key| request.get(*key).is_some_and(is_starred))
        .map(|key| format!("request.{key}"));
    headers.chain(plain).collect()
}

/// The `--map` that would name a field's secret.
pub(super) fn example(field: &str) -> String {
    let name = field.rsplit('.').next().unwrap_or(field);
    match name {
        "authorization" => "--map 'authorization=Bearer ${user.NAME}'".to_owned(),
        name => format!("--map '{name}=${{user.NAME}}'"),
    }
}
