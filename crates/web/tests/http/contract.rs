//! Answers and requests held against the OpenAPI document.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use http::StatusCode;
use jsonschema::Validator;
use postrider_http_server::openapi::Document;
use postrider_ingest::Ingest;
use postrider_web::Web;
use serde_json::{Value, json};

use crate::harness::Answer;

/// The document of the calls that the harness answers, as text.
pub(crate) static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut document = Document::default();
    Ingest::describe(&mut document);
    Web::describe(&mut document);
    document.text()
});

/// And as JSON.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&TEXT).unwrap());

/// The document in which objects have no members but those told, as answers are judged.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    close(&mut document["components"]["schemas"]);
    close(&mut document["paths"]);
    document
});

/// By where the schema is in which document.
type Validators = HashMap<(bool, String), Arc<Validator>>;
static VALIDATORS: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// Operations and the statuses that they answered in this process.
static SEEN: LazyLock<Mutex<BTreeSet<(String, String)>>> = LazyLock::new(Mutex::default);

/// What a path that the document does not have, or a method that a path has not, may answer.
const ELSEWHERE: [u16; 7] = [401, 403, 404, 405, 422, 501, 503];

fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One step of a JSON pointer.
pub(crate) fn step(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The path of the document that a request's path is of: of several the one with most words.
fn template(path: &str) -> Option<&'static str> {
    if path.contains("//") {
        return None;
    }
    let path = path.strip_suffix(".json").filter(|_| path != "/openapi.json").unwrap_or(path);
    let is_broker = !["/api/", "/hooks/", "/events"].iter().any(|own| path.starts_with(own));
    let is_relay = path.starts_with("/hooks/");
    let path = path.trim_start_matches('/');
    let path = if is_broker || is_relay { path.trim_end_matches('/') } else { path };
    let segments: Vec<_> = path.split('/').collect();
    let fits = |template: &&str| {
        let parts: Vec<_> = template.trim_start_matches('/').split('/').collect();
        let mut pairs = parts.iter().zip(&segments);
        parts.len() == segments.len()
            && pairs.all(|(part, segment)| {
                part == segment || (part.starts_with('{') && !segment.is_empty())
            })
    };
    let templates = DOCUMENT["paths"].as_object().unwrap().keys().map(String::as_str);
    templates.filter(fits).min_by_key(|template| template.matches('{').count())
}

/// Where the operation of a request is in the document.
fn operation(method: &str, target: &str) -> Option<String> {
    let path = target.split('?').next().unwrap_or_default();
    let pointer = format!("/paths{}/{}", step(template(path)?), method.to_lowercase());
    DOCUMENT.pointer(&pointer).map(|_| pointer)
}

/// The pointer with the reference there, if any, followed.
fn followed(pointer: String) -> String {
    let found = DOCUMENT.pointer(&pointer).and_then(|value| value["$ref"].as_str());
    found.map_or(pointer, |reference| reference.trim_start_matches('#').to_owned())
}

fn validator(is_closed: bool, pointer: &str) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().unwrap();
    let validator = known.entry((is_closed, pointer.to_owned())).or_insert_with(|| {
        let document: &Value = if is_closed { &CLOSED } else { &DOCUMENT };
        let schema = json!({
            "allOf": [document.pointer(pointer).unwrap()],
            "components": {"schemas": document["components"]["schemas"]},
        });
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("{pointer}: {error}")))
    });
    Arc::clone(validator)
}

/// Fails unless the value is as the schema at the pointer says.
pub(crate) fn assert_valid(is_closed: bool, pointer: &str, value: &Value) {
    let validator = validator(is_closed, pointer);
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|fault| format!("{} at {}", fault, fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{pointer}: {faults:#?} in {value}");
}

/// Fails unless the answer is one that the document tells of.
pub(crate) fn assert_answer(method: &str, target: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    if [403, 421, 429].contains(&status) {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        assert_valid(true, "/components/schemas/Problem", &answer.json());
        let told = operation(method, target).map(|operation| (operation, status.to_string()));
        SEEN.lock().unwrap().extend(told);
        return;
    }
    let Some(operation) = operation(method, target) else {
        let is_told_in_words = ["OPTIONS", "HEAD"].contains(&method) && status == 200;
        assert!(is_told_in_words || ELSEWHERE.contains(&status), "{method} {target}: {answer:?}");
        return;
    };
    let told = format!("{operation}/responses/{status}");
    assert!(DOCUMENT.pointer(&told).is_some(), "{told} is not told of: {target} {answer:?}");
    SEEN.lock().unwrap().insert((operation, status.to_string()));
    let told = followed(told);
    let kind = answer.header("content-type").split(';').next().unwrap_or_default();
    if DOCUMENT.pointer(&told).unwrap()["content"].is_null() {
        assert_eq!((kind, answer.text.as_str()), ("", ""), "{told} has no content");
        return;
    }
    let content = format!("{told}/content{}", step(kind));
    assert!(DOCUMENT.pointer(&content).is_some(), "{content} is not told of: {answer:?}");
    let value = if kind.ends_with("json") { answer.json() } else { answer.text.as_str().into() };
    assert_valid(true, &format!("{content}/schema"), &value);
}

/// Fails unless a JSON body that was taken is one that the document tells of.
pub(crate) fn assert_request(method: &str, target: &str, body: &Value, status: StatusCode) {
    let operation = operation(method, target).filter(|_| status.is_success());
    if let Some(operation) = operation {
        let content = format!("{operation}/requestBody/content/application~1json/schema");
        if DOCUMENT.pointer(&content).is_some() {
            assert_valid(false, &content, body);
        }
    }
}

/// The statuses of all operations that no answer had.
pub(crate) fn unseen() -> BTreeSet<(String, String)> {
    let seen = SEEN.lock().unwrap();
    let mut unseen = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let pointer = format!("/paths{}/{method}", step(path));
            let statuses = operation["responses"].as_object().unwrap().keys();
            let all = statuses.map(|status| (pointer.clone(), status.clone()));
            unseen.extend(all.filter(|one| !seen.contains(one)));
        }
    }
    unseen
}
