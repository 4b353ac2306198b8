//! What a webhook document may hold, in the words of Pact Broker 2.120 (`webhook_contract.rb`,
//! `webhook_request_contract.rb`, `webhook_pacticipant_contract.rb`), because its clients show
//! them to people and compare them. For each key only the first fault is told; a wrong type
//! hides the rules behind it.

mod request;

use postrider_domain::{EventName, Extensions, Selector, WebhookUuid};
use serde_json::{Map, Value};

use crate::broker_api::draft::{Draft, Member, optional_text};
use crate::broker_api::faults::{Errors, FILLED, HASH, MISSING, STRING};
use crate::broker_api::rules::Rules;
use crate::broker_api::scope::Scope;

/// Longest uuid of a webhook.
const LONGEST_UUID: usize = 255;

/// The broker's order of the names, as its message lists them.
const NAMES: [EventName; 6] = [
    EventName::ContractPublished,
    EventName::ContractContentChanged,
    EventName::ProviderVerificationPublished,
    EventName::ProviderVerificationSucceeded,
    EventName::ProviderVerificationFailed,
    EventName::ContractRequiringVerificationPublished,
];

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
    if let Some(uuid) = optional_text(object, "uuid", "uuid", errors_ref).given()
        && errors_ref.is_empty()
    {
        uuid_rule(&uuid, errors_ref);
    }
    let request = request::request(object, rules, errors_ref);
    let draft = Draft {
        description: optional_text(object, "description", "description", errors_ref),
        consumer: side(object, "consumer", scope.consumer.as_deref(), errors_ref),
        provider: side(object, "provider", scope.provider.as_deref(), errors_ref),
        enabled: enabled(object, errors_ref),
        events: events(object, errors_ref),
        request: request.unwrap_or_else(request::nothing),
        team_uuid: provided(optional_text(object, "teamUuid", "teamUuid", errors_ref)),
        extensions: extensions(object, errors_ref),
    };
    if errors.is_empty() { Ok(draft) } else { Err(errors) }
}

/// Checks a uuid that a client gave.
pub(super) fn uuid_rule(uuid: &str, errors: &mut Errors) {
    if uuid.len() > LONGEST_UUID {
        errors.add("uuid", format!("cannot be longer than {LONGEST_UUID} characters"));
    } else if uuid.parse::<WebhookUuid>().is_err() {
        let rule = "can only contain A-Z, a-z, 0-9, _ and -, and must be 16 or more characters";
        errors.add("uuid", rule);
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
            Err(message) => errors.add_at("events", index, message),
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

/// What a broker's clients never send.
fn extensions(object: &Map<String, Value>, errors: &mut Errors) -> Member<Extensions> {
    match object.get("postrider") {
        None => Member::Missing,
        Some(Value::Null) => Member::Null,
        Some(value) => match Extensions::read(value) {
            Ok(extensions) => Member::Given(extensions),
            Err(faults) => {
                for fault in faults {
                    errors.add(&fault.key, fault.message);
                }
                Member::Null
            }
        },
    }
}

/// A text that is not blank.
fn provided(member: Member<String>) -> Option<String> {
    member.given().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
