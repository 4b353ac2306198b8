//! The rules of `request`.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use postrider_domain::{Body, BodyMode, is_transport_header};
use postrider_render::invalid_filter;
use serde_json::{Map, Value};

use crate::broker_api::draft::{DraftRequest, Member, optional_text};
use crate::broker_api::faults::{Errors, FILLED, HASH, MISSING, STRING};
use crate::broker_api::rules::Rules;
use crate::broker_api::url::{self, UrlFault};

/// Where the broker says more of what its settings allow.
const DOC: &str = "See /doc/webhooks#whitelist for more information.";

/// Methods that HTTP libraries know (RFC 9110, RFC 5789, RFC 4918).
const METHODS: [&str; 15] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "UNLOCK",
];

/// Validates the member `request`; `None` when there is none to look into.
pub(super) fn request(
    document: &Map<String, Value>,
    rules: &Rules<'_>,
    errors: &mut Errors,
) -> Option<DraftRequest> {
    let request = match document.get("request") {
        None => return fault(errors, "request", MISSING),
        Some(Value::Null) => return fault(errors, "request", FILLED),
        Some(Value::Object(request)) if request.is_empty() => {
            return fault(errors, "request", FILLED);
        }
        Some(Value::Object(request)) => request,
        Some(Value::String(text)) if text.is_empty() => return fault(errors, "request", FILLED),
        Some(Value::Array(items)) if items.is_empty() => return fault(errors, "request", FILLED),
        Some(_) => return fault(errors, "request", HASH),
    };
    let draft = DraftRequest {
        method: method(request, rules, errors),
        url: url(request, rules, errors),
        headers: headers(request, errors),
        body: body(request),
        body_mode: body_mode(request, errors),
        username: optional_text(request, "username", "request.username", errors).given(),
        password: optional_text(request, "password", "request.password", errors),
    };
    filters(&draft, errors);
    Some(draft)
}

/// What was starred when it was read can't hold a fault.
fn filters(draft: &DraftRequest, errors: &mut Errors) {
    let body = match &draft.body {
        None => None,
        Some(Body::Text(text)) => Some(Cow::Borrowed(text.as_str())),
        Some(Body::Json(value)) => Some(Cow::Owned(value.to_string())),
    };
    let mut check = |key: &str, text: Option<&str>| {
        if let Some(invalid) = text.and_then(invalid_filter) {
            errors.add(key, invalid.to_string());
        }
    };
    check("request.url", Some(&draft.url));
    for (_, value) in &draft.headers {
        check("request.headers", Some(value));
    }
    check("request.body", body.as_deref());
    check("request.username", draft.username.as_deref());
    check("request.password", draft.password.as_given());
}

/// Stands in where a fault was told already.
pub(super) fn nothing() -> DraftRequest {
    DraftRequest {
        method: String::new(),
        url: String::new(),
        headers: Vec::new(),
        body: None,
        body_mode: BodyMode::Json,
        username: None,
        password: Member::Missing,
    }
}

fn fault<T>(errors: &mut Errors, key: &str, message: &str) -> Option<T> {
    errors.add(key, message);
    None
}

fn required_text<'a>(
    request: &'a Map<String, Value>,
    member: &str,
    errors: &mut Errors,
) -> Option<&'a str> {
    let key = format!("request.{member}");
    match request.get(member) {
        None => fault(errors, &key, MISSING),
        Some(Value::Null) => fault(errors, &key, FILLED),
        Some(Value::String(text)) if text.is_empty() => fault(errors, &key, FILLED),
        Some(Value::String(text)) => Some(text),
        Some(_) => fault(errors, &key, STRING),
    }
}

fn method(request: &Map<String, Value>, rules: &Rules<'_>, errors: &mut Errors) -> String {
    let Some(method) = required_text(request, "method", errors) else {
        return String::new();
    };
    let is_known = METHODS.iter().any(|known| known.eq_ignore_ascii_case(method));
    let is_allowed = rules.methods.iter().any(|allowed| allowed.eq_ignore_ascii_case(method));
    if !is_known {
        errors.add("request.method", "is not a recognised HTTP method");
    } else if !is_allowed {
        let list = rules.methods.join(", ");
        let of = if rules.methods.len() == 1 { "" } else { "one of " };
        errors.add("request.method", format!("must be {of}{list}. {DOC}"));
    }
    method.to_owned()
}

fn url(request: &Map<String, Value>, rules: &Rules<'_>, errors: &mut Errors) -> String {
    let Some(url) = required_text(request, "url", errors) else {
        return String::new();
    };
    if let Err(fault) = url::check(url, rules.schemes, rules.hosts) {
        errors.add("request.url", url_message(fault, rules));
    }
    url.to_owned()
}

fn url_message(fault: UrlFault, rules: &Rules<'_>) -> String {
    match fault {
        UrlFault::Invalid => "is not a valid URL eg. http://example.org".to_owned(),
        UrlFault::TemplatedHost => "cannot have a template parameter in the host".to_owned(),
        UrlFault::Scheme => format!("scheme must be {}. {DOC}", rules.schemes.join(", ")),
        UrlFault::Host => {
            let entries: Vec<String> = rules.hosts.entries().map(inspect).collect();
            format!("host must be in the whitelist {}. {DOC}", entries.join(", "))
        }
    }
}

/// As Ruby shows an entry: regular expressions bare, texts quoted.
fn inspect(entry: &str) -> String {
    let is_regexp = entry.len() > 1 && entry.starts_with('/') && entry.ends_with('/');
    if is_regexp { entry.to_owned() } else { format!("{entry:?}") }
}

/// Headers with lower-case names; of equal names the last counts, null ones are left out.
fn headers(request: &Map<String, Value>, errors: &mut Errors) -> Vec<(String, String)> {
    let given = match request.get("headers") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(given)) => given,
        Some(_) => {
            errors.add("request.headers", HASH);
            return Vec::new();
        }
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        match header(name, value) {
            Ok(None) => {}
            Ok(Some((name, value))) => match headers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => headers.push((name, value)),
            },
            Err(message) => errors.add("request.headers", message),
        }
    }
    headers
}

fn header(name: &str, value: &Value) -> Result<Option<(String, String)>, String> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(lower.as_bytes()).is_err() {
        return Err(format!("{name:?} is not a valid header name"));
    }
    match value {
        Value::Null => Ok(None),
        _ if is_transport_header(&lower) => Err(format!(
            "{lower} cannot be set: it belongs to the connection or to a proxy, so remove it"
        )),
        Value::String(text) if lower == "host" && text.contains("${") => {
            Err("host cannot have a template parameter: write the name of the host".to_owned())
        }
        Value::String(text) if HeaderValue::from_str(text).is_err() => {
            Err(format!("{lower} cannot contain control characters"))
        }
        Value::String(text) => Ok(Some((lower, text.clone()))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("{lower} {STRING}"))
        }
    }
}

fn body(request: &Map<String, Value>) -> Option<Body> {
    match request.get("body") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Body::Text(text.clone())),
        Some(value) => Some(Body::Json(value.clone())),
    }
}

fn body_mode(request: &Map<String, Value>, errors: &mut Errors) -> BodyMode {
    match request.get("bodyMode") {
        None | Some(Value::Null) => BodyMode::Json,
        Some(Value::String(mode)) if mode == "json" => BodyMode::Json,
        Some(Value::String(mode)) if mode == "raw" => BodyMode::Raw,
        Some(_) => {
            errors.add("request.bodyMode", "must be one of: json, raw");
            BodyMode::Json
        }
    }
}
