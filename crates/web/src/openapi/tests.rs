//! The document against the code: calls, roles, closed lists; and against itself.

use std::collections::BTreeSet;

use axum::routing::MethodFilter;
use http::Method;
use postrider_api::DeliveryFilter;
use postrider_domain::{DeliveryStatus, EventName, FreshnessState, Outcome};
use postrider_http_server::Role;
use postrider_http_server::openapi::Document;
use postrider_ingest::Ingest;
use postrider_render::BrokerVar;
use postrider_store::IncidentKind;
use serde_json::{Value, json};

use crate::broker_api::route::{PATHS, route};
use crate::{Web, routes};

/// A call of the document.
struct Operation<'a> {
    method: Method,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn is_of_admin(&self) -> bool {
        self.value["tags"] == json!(["admin"])
    }

    /// Its parameters at a place, references followed.
    fn parameters(&self, document: &Value, place: &str) -> BTreeSet<String> {
        let all = self.value["parameters"].as_array().into_iter().flatten();
        let here = all.map(|each| followed(document, each)).filter(|each| each["in"] == place);
        here.map(|each| text(&each["name"])).collect()
    }
}

fn text_of_all() -> String {
    let mut document = Document::default();
    Ingest::describe(&mut document);
    Web::describe(&mut document);
    document.text()
}

fn document() -> Value {
    serde_json::from_str(&text_of_all()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, value)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path,
            value,
        })
    });
    calls.collect()
}

/// What a reference points to; what is none, itself.
fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => at(document, reference),
        None => value,
    }
}

fn at<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let pointer = reference.strip_prefix('#').unwrap_or_default();
    document.pointer(pointer).unwrap_or_else(|| panic!("{reference} is nowhere"))
}

/// All references below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(value["$ref"].as_str().map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn call(path: &str, method: &Method) -> String {
    let filter = MethodFilter::try_from(method.clone()).unwrap();
    format!("{filter:?} {path}")
}

/// The calls of the broker's API: OPTIONS, which all of its resources answer, is told in words.
fn broker_calls() -> impl Iterator<Item = String> {
    PATHS.iter().flat_map(|(path, _)| {
        let resource = route(&path.replace(['{', '}'], "")).unwrap().resource.unwrap();
        let methods = resource.allowed().0.split(", ").filter(|method| *method != "OPTIONS");
        methods.map(|method| call(path, &method.parse().unwrap())).collect::<Vec<_>>()
    })
}

#[test]
fn the_document_has_the_calls_that_are_answered_and_no_others() {
    let document = document();
    let operations = operations(&document);
    let of_intake = operations.iter().filter(|operation| !operation.is_of_admin());
    let told: BTreeSet<_> =
        of_intake.map(|operation| call(operation.path, &operation.method)).collect();
    let intake = ["POST /events", "POST /hooks/broker", "POST /hooks/broker/{name}"];
    let intake = intake.map(|one| one.split_once(' ').unwrap());
    let own = routes::all().map(|route| (route.method, route.path)).chain(intake);
    let own = own.map(|(method, path)| call(path, &method.parse().unwrap()));
    let answered: BTreeSet<_> = own.chain(broker_calls()).collect();
    assert_eq!(told, answered);
}

#[test]
fn the_document_names_the_role_that_is_needed() {
    let document = document();
    for operation in operations(&document) {
        let role = Role::needed(&operation.method, operation.path).as_str();
        let needed = json!([{"bearer": [role]}, {"basic": [role]}]);
        let told = &operation.value["security"];
        let expected = if operation.is_of_admin() { json!([]) } else { needed };
        assert_eq!(told, &expected, "{}", operation.name());
        let in_words = format!("Needs the role `{role}`.");
        let description = operation.value["description"].as_str().unwrap_or_default();
        assert!(operation.is_of_admin() || description.ends_with(&in_words), "{description}");
    }
}

#[test]
fn closed_lists_are_the_codes() {
    let document = document();
    let listed = |name: &str| {
        let words = &document["components"]["schemas"][name]["enum"];
        words.as_array().unwrap().iter().map(text).collect::<BTreeSet<_>>()
    };
    let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let names = EventName::ALL.map(EventName::as_str).to_vec();
    let with_test = [names.clone(), vec![EventName::Test.as_str()]].concat();
    for (name, expected) in [
        ("EventName", names),
        ("EventOrTestName", with_test),
        ("DeliveryStatus", DeliveryStatus::ALL.map(DeliveryStatus::as_str).to_vec()),
        ("Outcome", Outcome::ALL.map(Outcome::as_str).to_vec()),
        ("FreshnessState", FreshnessState::ALL.map(FreshnessState::as_str).to_vec()),
        ("IncidentKind", IncidentKind::ALL.map(IncidentKind::as_str).to_vec()),
    ] {
        assert_eq!(listed(name), words(expected), "{name}");
    }
}

#[test]
fn parameters_are_the_codes() {
    let document = document();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let of = |id: &str| {
        let all = operations(&document);
        let found = all.iter().find(|operation| operation.value["operationId"] == id);
        found.unwrap().parameters(&document, "query")
    };
    let filters = words(&[DeliveryFilter::NAMES, &["limit", "cursor"]].concat());
    assert_eq!(of("listDeliveries"), filters.into_iter().collect());
    let variables = words(&BrokerVar::ALL.map(BrokerVar::as_str));
    assert_eq!(of("relayEvent"), variables.iter().cloned().collect());
    assert_eq!(of("relayNamedEvent"), variables.into_iter().collect());
    let body = &document["components"]["schemas"]["ReplayRequest"]["properties"];
    let members: BTreeSet<_> = body.as_object().unwrap().keys().cloned().collect();
    let known = words(
        &[DeliveryFilter::NAMES, &["ids", "dry_run", "forget_marks", "id", "resume"]].concat(),
    );
    assert_eq!(members, known.into_iter().collect());
}

#[test]
fn references_lead_somewhere_and_no_component_is_left_over() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(at(&document, reference).is_object(), "{reference}");
    }
    for (section, components) in document["components"].as_object().unwrap() {
        for (name, component) in components.as_object().unwrap() {
            let reference = format!("#/components/{section}/{name}");
            assert!(section == "securitySchemes" || found.contains(&reference), "{reference}");
            assert!(component["description"].is_string(), "{reference} is not described");
        }
    }
}

#[test]
fn operations_are_whole() {
    let document = document();
    let tags: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let (name, value) = (operation.name(), operation.value);
        assert!(ids.insert(text(&value["operationId"])), "{name}: its id is taken");
        assert!(value["summary"].is_string(), "{name}");
        assert!(value["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{name}");
        let in_path: BTreeSet<_> = operation
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(str::to_owned)
            .collect();
        assert_eq!(operation.parameters(&document, "path"), in_path, "{name}");
        for (status, response) in value["responses"].as_object().unwrap() {
            let response = followed(&document, response);
            assert!(response["description"].is_string(), "{name} {status}");
        }
        let is_read = [Method::GET, Method::DELETE].contains(&operation.method);
        assert!(!is_read || value["requestBody"].is_null(), "{name} has a body");
    }
}

#[test]
fn the_document_is_of_this_program() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["license"]["identifier"], env!("CARGO_PKG_LICENSE"));
    let text = text_of_all();
    let foreign = text.split("://").skip(1).find(|rest| {
        let host = rest.split(['/', '"', ':']).next().unwrap_or_default();
        host != "{host}" && !host.ends_with("example.org")
    });
    assert_eq!(foreign, None, "only hosts of example.org are named");
}
