//! PactFlow's `/secrets`: the same secrets as the operations API's, by uuid, with description
//! and team. A value never comes out again.

use axum::body::Body;
use http::{Method, StatusCode, header};
use postrider_api::broker::{BrokerSecret, BrokerSecretDocument, BrokerSecretList};
use postrider_domain::{InvalidSecret, is_starred_or_empty, secret_value};
use postrider_http_server::openapi::{Operation, Tag, refer};
use postrider_store::{SecretContent, SecretInfo, SecretPut, SecretWrite};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::api;
use crate::broker_api::base::Bases;
use crate::broker_api::described::{Described, text};
use crate::broker_api::draft::{Member, optional_text};
use crate::broker_api::faults::{Errors, FILLED, MISSING};
use crate::broker_api::read;
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};
use crate::broker_api::time::xml_time;

/// A secret as sent.
#[derive(Debug)]
struct Draft {
    /// `None` keeps the stored one.
    name: Option<String>,
    /// `None` keeps the stored one.
    value: Option<SecretString>,
    description: Option<String>,
    team_uuid: Option<String>,
}

/// `/secrets`.
pub(super) async fn all(context: &RequestContext, body: Body) -> Answer {
    if context.parts.method == Method::POST {
        create(context, body).await
    } else {
        list(context).await
    }
}

/// `/secrets/{uuid}`.
pub(super) async fn one(context: &RequestContext, uuid: &str, body: Body) -> Answer {
    match context.parts.method {
        Method::PUT => replace(context, uuid, body).await,
        Method::DELETE => delete(context, uuid).await,
        _ => show(context, uuid).await,
    }
}

const ALL: &str = "/secrets";
const ONE: &str = "/secrets/{uuid}";

pub(super) fn operations() -> [Described; 5] {
    let call = |id: &str, summary: &str| Operation::new(Tag::Secrets, id, summary);
    let of = |id: &str, summary: &str| call(id, summary).path("uuid", "The secret.", &text());
    let sent = || json!({"name": "githubToken", "description": "of the robot", "value": "a-token"});
    let new =
        json!({"$ref": refer::<BrokerSecretDocument>()["$ref"], "required": ["name", "value"]});
    let list = call("listBrokerSecrets", "List secrets")
        .description("Never their values.")
        .answers::<BrokerSecretList>(200, "Fine.");
    let create = call("createBrokerSecret", "Create a secret")
        .description("`name` and `value` are needed.")
        .knows::<BrokerSecretDocument>()
        .takes_as("application/json", &new, sent())
        .answers::<BrokerSecret>(201, "It is created.")
        .answers_header(201, "Location", "The new resource.")
        .example(201, shown_example())
        .refuses(422, "BrokerInvalid");
    let show = of("showBrokerSecret", "Show a secret")
        .description("Never its value.")
        .answers::<BrokerSecret>(200, "Fine.");
    let replace = of("replaceBrokerSecret", "Replace a secret")
        .description("A name or value that is missing is kept.")
        .takes::<BrokerSecretDocument>(sent())
        .answers::<BrokerSecret>(200, "Fine.")
        .refuses(422, "BrokerUnusable");
    let delete = of("deleteBrokerSecret", "Delete a secret").answers_nothing(204, "It is gone.");
    [
        ("GET", ALL, list),
        ("POST", ALL, create),
        ("GET", ONE, show),
        ("PUT", ONE, replace),
        ("DELETE", ONE, delete),
    ]
}

fn shown_example() -> Value {
    let at = "2026-11-21T09:00:00+00:00";
    let href = "https://postrider.example.org/secrets/2LCteR1tS9v0HLxPmpkNaA";
    json!({
        "uuid": "2LCteR1tS9v0HLxPmpkNaA",
        "name": "githubToken",
        "description": "of the robot",
        "createdAt": at,
        "updatedAt": at,
        "_links": {"self": {"title": "Secret", "href": href}},
    })
}

async fn list(context: &RequestContext) -> Answer {
    context.takes_hal()?;
    let secrets = context.app.store().secrets().await?;
    let items: Vec<Value> = secrets.iter().map(|each| document(each, &context.bases)).collect();
    let body = json!({
        "_embedded": {"secrets": items},
        "_links": {"self": {"title": "Secrets", "href": context.bases.request}},
    });
    Ok(response::hal(StatusCode::OK, &body))
}

async fn show(context: &RequestContext, uuid: &str) -> Answer {
    context.takes_hal()?;
    let secret = find(context, uuid).await?;
    Ok(response::hal(StatusCode::OK, &document(&secret, &context.bases)))
}

async fn delete(context: &RequestContext, uuid: &str) -> Answer {
    context.takes_hal()?;
    let secret = find(context, uuid).await?;
    if context.changes().delete_secret(&secret.name).await? {
        Ok(response::no_content())
    } else {
        Err(Failure::NotFound)
    }
}

async fn create(context: &RequestContext, body: Body) -> Answer {
    let value = read::document(&context.app, &context.parts, body).await?;
    let draft = validate(&value, true)?;
    context.takes_hal()?;
    context.sent_json()?;
    let secret = put(context, None, draft.name.clone().unwrap_or_default(), draft).await?;
    let mut response = response::hal(StatusCode::CREATED, &document(&secret, &context.bases));
    if let Ok(location) = context.bases.secret(&secret.uuid).parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn replace(context: &RequestContext, uuid: &str, body: Body) -> Answer {
    let value = read::document(&context.app, &context.parts, body).await?;
    let draft = validate(&value, false)?;
    context.takes_hal()?;
    let old = find(context, uuid).await?;
    context.sent_json()?;
    let name = draft.name.clone().unwrap_or(old.name);
    let secret = put(context, Some(old.uuid), name, draft).await?;
    Ok(response::hal(StatusCode::OK, &document(&secret, &context.bases)))
}

async fn put(
    context: &RequestContext,
    uuid: Option<String>,
    name: String,
    draft: Draft,
) -> Result<SecretInfo, Failure> {
    let Draft { value, description, team_uuid, name: _ } = draft;
    let value = value.map(SecretContent::from);
    let write = SecretWrite { uuid, name, description, team_uuid, value };
    match context.changes().put_secret(&write).await? {
        SecretPut::Written { secret, opened } => {
            api::wake_opened(&context.app, &opened).await;
            Ok(secret)
        }
        SecretPut::NameTaken => Err(Failure::invalid("name", "is taken by another secret")),
        SecretPut::NotFound => Err(Failure::NotFound),
    }
}

async fn find(context: &RequestContext, uuid: &str) -> Result<SecretInfo, Failure> {
    let secrets = context.app.store().secrets().await?;
    secrets.into_iter().find(|secret| secret.uuid == uuid).ok_or(Failure::NotFound)
}

/// A new secret needs a name and a value; an old one keeps what is not given, and a value of
/// stars is one that was not known.
///
/// # Errors
/// 422 for a value that no request could carry, 400 for any other fault.
fn validate(document: &Value, is_new: bool) -> Result<Draft, Failure> {
    read::must_be_object(document)?;
    let mut errors = Errors::default();
    let empty = Map::new();
    let object = document.as_object().unwrap_or(&empty);
    let mut text = |key: &str| optional_text(object, key, key, &mut errors);
    let (name, value) = (text("name"), text("value"));
    let (description, team) = (text("description"), text("teamUuid"));
    let name = required("name", name, is_new, &mut errors);
    if let Some(name) = name.as_deref().filter(|name| !api::is_secret_name(name)) {
        let rule = "can only contain A-Z, a-z, 0-9, _ and -, and must be 1 to 64 characters";
        errors.add("name", if name.is_empty() { FILLED } else { rule });
    }
    let given = match value {
        Member::Given(text) if !is_new && is_starred_or_empty(&text) => Member::Missing,
        other => other,
    };
    let value = required("value", given, is_new, &mut errors);
    let is_otherwise_valid = errors.is_empty();
    let (value, is_unusable) = usable(value.as_deref(), &mut errors);
    let filled = |member: Member<String>| member.given().filter(|text| !text.trim().is_empty());
    let draft = Draft {
        name,
        value: value.map(SecretString::from),
        description: filled(description),
        team_uuid: filled(team),
    };
    match (errors.is_empty(), is_otherwise_valid && is_unusable) {
        (true, _) => Ok(draft),
        (false, true) => Err(Failure::Unprocessable(errors)),
        (false, false) => Err(Failure::Invalid(errors)),
    }
}

/// The value as it is stored, and whether no request could carry what was given.
fn usable(text: Option<&str>, errors: &mut Errors) -> (Option<String>, bool) {
    let fault = match text.map(secret_value) {
        None => return (None, false),
        Some(Ok(value)) if value.len() > api::MAX_SECRET => {
            format!("cannot be longer than {} bytes", api::MAX_SECRET)
        }
        Some(Ok(value)) => return (Some(value.to_owned()), false),
        Some(Err(InvalidSecret::Empty)) => FILLED.to_owned(),
        Some(Err(error @ InvalidSecret::ControlCharacter { .. })) => {
            errors.add("value", error.to_string());
            return (None, true);
        }
    };
    errors.add("value", fault);
    (None, false)
}

fn required(
    key: &str,
    member: Member<String>,
    is_new: bool,
    errors: &mut Errors,
) -> Option<String> {
    match member {
        Member::Given(text) => Some(text),
        Member::Missing if !is_new => None,
        Member::Missing => {
            errors.add(key, MISSING);
            None
        }
        Member::Null => {
            // A wrong type was told already.
            if !errors.has(key) {
                errors.add(key, FILLED);
            }
            None
        }
    }
}

fn document(secret: &SecretInfo, bases: &Bases) -> Value {
    let mut document = Map::new();
    document.insert("uuid".into(), secret.uuid.as_str().into());
    document.insert("name".into(), secret.name.as_str().into());
    let texts = [("description", &secret.description), ("teamUuid", &secret.team_uuid)];
    for (key, text) in texts {
        if let Some(text) = text {
            document.insert(key.into(), text.as_str().into());
        }
    }
    document.insert("createdAt".into(), xml_time(secret.created_at).into());
    document.insert("updatedAt".into(), xml_time(secret.updated_at).into());
    let own = json!({"title": "Secret", "href": bases.secret(&secret.uuid)});
    document.insert("_links".into(), json!({"self": own}));
    Value::Object(document)
}
