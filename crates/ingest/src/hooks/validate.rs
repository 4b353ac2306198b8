//! What a webhook document may hold, in the words of Pact Broker 2.120 (`webhook_contract.rb`,
//! `webhook_request_contract.rb`, `webhook_pacticipant_contract.rb`), because its clients show
//! them to people and compare them. For each key only the first fault is told; a wrong type
//! hides the rules behind it.

mod request;

use postrider_domain::{EventName, HostWhitelist, Selector, WebhookUuid};
use serde_json::{Map, Value};

use crate::hooks::draft::{Draft, Member};
use crate::hooks::scope::Scope;

pub(super) const MISSING: &str = "is missing";
pub(super) const FILLED: &str = "must be filled";
pub(super) const STRING: &str = "must be a string";
pub(super) const HASH: &str = "must be a hash";
const DOC: &str = "See /doc/webhooks#whitelist for more information.";

/// The broker's order of the names, as its message lists them.
const NAMES: [EventName; 6] = [
    EventName::ContractPublished,
    EventName::ContractContentChanged,
    EventName::ProviderVerificationPublished,
    EventName::ProviderVerificationSucceeded,
    EventName::ProviderVerificationFailed,
    EventName::ContractRequiringVerificationPublished,
];

/// Faults by dotted key, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Errors(Vec<(String, Vec<String>)>);

/// What settings allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) schemes: &'a [String],
    pub(super) methods: &'a [String],
    pub(super) hosts: &'a HostWhitelist,
}

impl Errors {
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        let message = message.into();
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, messages)) => messages.push(message),
            None => self.0.push((key.to_owned(), vec![message])),
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.0.into_iter().map(|(key, messages)| (key, Value::from(messages))).collect()
    }
}

/// Validates a document that creates a webhook.
pub(super) fn webhook(document: &Value, scope: &Scope, rules: &Rules<'_>) -> Result<Draft, Errors> {
    webhook_with(document, scope, rules, Errors::default())
}

/// As [`webhook`], with faults that were found before.
pub(super) fn webhook_with(
    document: &Value,
    scope: &Scope,
    rules: &Rules<'_>,
    mut errors: Errors,
) -> Result<Draft, Errors> {
    let empty = Map::new();
    let object = document.as_object().unwrap_or(&empty);
    let errors_ref = &mut errors;
    if let Some(uuid) = optional_text(object, "uuid", "uuid", errors_ref).given() {
        path_uuid(&uuid, errors_ref);
    }
    let request = request::request(object, rules, errors_ref);
    let draft = Draft {
        description: optional_text(object, "description", "description", errors_ref),
        consumer: side(object, "consumer", scope.consumer.as_deref(), errors_ref),
        provider: side(object, "provider", scope.provider.as_deref(), errors_ref),
        enabled: enabled(object, errors_ref),
        events: events(object, errors_ref),
        request: request.unwrap_or_else(request::nothing),
        team_uuid: optional_text(object, "teamUuid", "teamUuid", errors_ref).given(),
    };
    if errors.0.is_empty() { Ok(draft) } else { Err(errors) }
}

/// Checks a uuid that a client gave.
pub(super) fn path_uuid(uuid: &str, errors: &mut Errors) {
    if uuid.parse::<WebhookUuid>().is_err() && uuid.len() > 255 {
        errors.add("uuid", "cannot be longer than 255 characters");
    } else if uuid.parse::<WebhookUuid>().is_err() {
        let rule = "can only contain A-Z, a-z, 0-9, _ and -, and must be 16 or more characters";
        errors.add("uuid", rule);
    }
}

/// A text that may be missing or null.
pub(super) fn optional_text(
    object: &Map<String, Value>,
    member: &str,
    key: &str,
    errors: &mut Errors,
) -> Member<String> {
    match object.get(member) {
        None => Member::Missing,
        Some(Value::Null) => Member::Null,
        Some(Value::String(text)) => Member::Given(text.clone()),
        Some(_) => {
            errors.add(key, STRING);
            Member::Null
        }
    }
}

fn enabled(object: &Map<String, Value>, errors: &mut Errors) -> bool {
    match object.get("enabled") {
        None => true,
        Some(Value::Bool(enabled)) => *enabled,
        Some(Value::Null) => {
            errors.add("enabled", FILLED);
            true
        }
        Some(Value::String(text)) if text.is_empty() => {
            errors.add("enabled", FILLED);
            true
        }
        Some(_) => {
            errors.add("enabled", "must be boolean");
            true
        }
    }
}

/// The events without duplicates; `None` when missing or null.
fn events(object: &Map<String, Value>, errors: &mut Errors) -> Option<Vec<EventName>> {
    let items = match object.get("events") {
        None | Some(Value::Null) => return None,
        Some(Value::Array(items)) => items,
        Some(_) => {
            errors.add("events", "must be an array");
            return None;
        }
    };
    if items.is_empty() {
        errors.add("events", "size cannot be less than 1");
    }
    let mut names = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match event(item) {
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(message) => errors.add("events", format!("{message} (at index {index})")),
        }
    }
    Some(names)
}

fn event(item: &Value) -> Result<EventName, String> {
    let Value::Object(item) = item else {
        return Err(HASH.to_owned());
    };
    match item.get("name") {
        None => Err(format!("name {MISSING}")),
        Some(Value::Null) => Err(format!("name {FILLED}")),
        Some(Value::String(name)) if name.is_empty() => Err(format!("name {FILLED}")),
        Some(Value::String(name)) => name.parse().map_err(|_| {
            format!("name must be one of: {}", NAMES.map(EventName::as_str).join(", "))
        }),
        Some(_) => Err(format!("name {STRING}")),
    }
}

/// Whose contracts: by the document, else by the path.
fn side(
    object: &Map<String, Value>,
    member: &str,
    in_path: Option<&str>,
    errors: &mut Errors,
) -> Option<Selector> {
    let from_path = || in_path.map(|name| Selector::Name(name.to_owned()));
    let side = match object.get(member) {
        None | Some(Value::Null) => return from_path(),
        Some(Value::Object(side)) => side,
        Some(_) => {
            errors.add(member, HASH);
            return None;
        }
    };
    let (name_key, label_key) = (format!("{member}.name"), format!("{member}.label"));
    let is_typed = |key| matches!(side.get(key), None | Some(Value::Null | Value::String(_)));
    let name = provided(optional_text(side, "name", &name_key, errors));
    let label = provided(optional_text(side, "label", &label_key, errors));
    match (name, label) {
        (Some(_), Some(_)) => {
            errors.add(&label_key, "name and label cannot be provided at the same time");
            None
        }
        (Some(name), None) => Some(Selector::Name(name)),
        (None, Some(_)) if in_path.is_some() => {
            errors.add(&label_key, "cannot be provided when the path names the pacticipant");
            None
        }
        (None, Some(label)) => Some(Selector::Label(label)),
        (None, None) if is_typed("name") && is_typed("label") => {
            errors.add(&name_key, "cannot be blank");
            None
        }
        (None, None) => None,
    }
}

/// A text that is not blank.
fn provided(member: Member<String>) -> Option<String> {
    member.given().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
