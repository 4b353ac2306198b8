//! A webhook's document, as far as it can be read without the server's settings.

use postrider_domain::{Body, BodyMode, EventName, ExtensionFault, Extensions, RequestTemplate};
use postrider_render::{Mistyped, mistyped_keys};
use serde_json::{Map, Value};

/// What a document asks for.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) request: RequestTemplate,
    pub(crate) events: Vec<EventName>,
    pub(crate) extensions: Extensions,
}

/// Why a document is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, as a JSON pointer.
    pub(crate) pointer: String,
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// Reads it, or tells everything that is wrong with its shape.
pub(crate) fn read(webhook: &Value) -> Result<Document, Vec<Fault>> {
    let mut faults = Vec::new();
    for Mistyped { pointer, near } in mistyped_keys(webhook) {
        let fix = format!("write {near}, or remove it");
        fault(&mut faults, pointer, "is no key of a webhook", fix);
    }
    let document = Document {
        request: request(webhook, &mut faults),
        events: events(webhook, &mut faults),
        extensions: extensions(webhook, &mut faults),
    };
    if faults.is_empty() { Ok(document) } else { Err(faults) }
}

fn fault(faults: &mut Vec<Fault>, pointer: impl Into<String>, what: &str, fix: impl Into<String>) {
    faults.push(Fault { pointer: pointer.into(), what: what.to_owned(), fix: fix.into() });
}

fn request(webhook: &Value, faults: &mut Vec<Fault>) -> RequestTemplate {
    let nothing = Map::new();
    let request = webhook.get("request").and_then(Value::as_object).unwrap_or_else(|| {
        fault(faults, "/request", "is missing or no object", "write method, url and body there");
        &nothing
    });
    let is_empty = request.is_empty();
    let mut text = |key: &str, is_required: bool| match request.get(key) {
        Some(Value::String(text)) if !text.is_empty() || !is_required => Some(text.clone()),
        None | Some(Value::Null) if !is_required || is_empty => None,
        _ => {
            fault(faults, format!("/request/{key}"), "is missing or no text", "write a text");
            None
        }
    };
    let (method, url) = (text("method", true), text("url", true));
    let (username, password) = (text("username", false), text("password", false));
    let is_raw = request.get("bodyMode").and_then(Value::as_str) == Some("raw");
    RequestTemplate {
        method: method.unwrap_or_default(),
        url: url.unwrap_or_default(),
        headers: headers(request, faults),
        body: match request.get("body") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Body::Text(text.clone())),
            Some(value) => Some(Body::Json(value.clone())),
        },
        body_mode: if is_raw { BodyMode::Raw } else { BodyMode::Json },
        username,
        password,
    }
}

fn headers(request: &Map<String, Value>, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let given = match request.get("headers") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(given)) => given,
        Some(_) => {
            fault(faults, "/request/headers", "is no object", "write NAME: VALUE pairs");
            return Vec::new();
        }
    };
    let mut headers = Vec::with_capacity(given.len());
    for (name, value) in given {
        match value {
            Value::String(text) => headers.push((name.clone(), text.clone())),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let pointer = format!("/request/headers/{name}");
                fault(faults, pointer, "is no text", "put it in quotes");
            }
        }
    }
    headers
}

fn events(webhook: &Value, faults: &mut Vec<Fault>) -> Vec<EventName> {
    let items = match webhook.get("events") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) if !items.is_empty() => items,
        Some(_) => {
            fault(faults, "/events", "is empty or no list", "write a list of {name: EVENT}");
            return Vec::new();
        }
    };
    let mut events = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let name = item.get("name").and_then(Value::as_str);
        if let Some(name) = name.and_then(|name| name.parse::<EventName>().ok()) {
            events.push(name);
        } else {
            let known = EventName::ALL.map(EventName::as_str).join(", ");
            let pointer = format!("/events/{index}/name");
            fault(faults, pointer, "is none of the broker's events", format!("use {known}"));
        }
    }
    events
}

fn extensions(webhook: &Value, faults: &mut Vec<Fault>) -> Extensions {
    let Some(value) = webhook.get("postrider").filter(|value| !value.is_null()) else {
        return Extensions::default();
    };
    Extensions::read(value).unwrap_or_else(|found| {
        for ExtensionFault { key, message } in found {
            let pointer = format!("/{}", key.replace('.', "/"));
            fault(faults, pointer, &message, "correct it, or remove the key");
        }
        Extensions::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(webhook: &Value) -> Vec<String> {
        read(webhook).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn mistyped_keys_are_named() {
        let webhook = json!({
            "enabld": false, "evnts": [{"name": "contract_published"}], "posteider": {},
            "request": {"method": "POST", "url": "https://h", "heders": {"A": "b"}},
        });
        assert_eq!(pointers(&webhook), ["/enabld", "/evnts", "/posteider", "/request/heders"]);
        let strange = json!({
            "id": 1, "team": "x", "_links": {}, "createdAt": "",
            "request": {"method": "POST", "url": "https://h", "note": "kept by others"},
        });
        assert!(read(&strange).is_ok(), "keys that are near to none are left alone");
    }

    #[test]
    fn documents_are_read() {
        let webhook = json!({
            "request": {
                "method": "POST", "url": "https://h", "headers": {"A": "b", "C": null},
                "body": {"x": 1}, "username": "u",
            },
            "events": [{"name": "contract_published"}],
        });
        let read = read(&webhook).unwrap();
        assert_eq!(read.events, [EventName::ContractPublished]);
        assert_eq!(read.request.headers, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(read.request.username.as_deref(), Some("u"));
    }

    #[test]
    fn all_faults_are_told_with_their_place() {
        assert_eq!(pointers(&json!(1)), ["/request"]);
        assert_eq!(
            pointers(&json!({"request": {"method": 1}})),
            ["/request/method", "/request/url"]
        );
        let request = json!({"method": "POST", "url": "https://h", "headers": {"a": 1}});
        assert_eq!(
            pointers(&json!({"request": request, "events": [{"name": "contract_publishd"}]})),
            ["/request/headers/a", "/events/0/name"]
        );
        assert_eq!(pointers(&json!({"request": {}, "events": []})), ["/events"]);
        let request = json!({"method": "POST", "url": "https://h"});
        assert_eq!(
            pointers(&json!({"request": request, "postrider": {"when": {"x": 1}, "timeout": 0}})),
            ["/postrider/when/x", "/postrider/timeout"]
        );
    }
}
