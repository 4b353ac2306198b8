//! PactFlow's `/secrets`: the same secrets as the operations API's, by uuid, with description
//! and team. A value never comes out again.

use axum::body::Body;
use http::{Method, StatusCode, header};
use postrider_store::{SecretInfo, SecretPut, SecretWrite};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::api;
use crate::hooks::answer::{self, Answer, Failure};
use crate::hooks::base::Bases;
use crate::hooks::draft::Member;
use crate::hooks::exchange::Exchange;
use crate::hooks::keep::is_starred;
use crate::hooks::read;
use crate::hooks::time::xml_time;
use crate::hooks::validate::{Errors, FILLED, MISSING, optional_text};

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
pub(super) async fn all(exchange: &Exchange, body: Body) -> Answer {
    if exchange.parts.method == Method::POST {
        create(exchange, body).await
    } else {
        list(exchange).await
    }
}

/// `/secrets/{uuid}`.
pub(super) async fn one(exchange: &Exchange, uuid: &str, body: Body) -> Answer {
    match exchange.parts.method {
        Method::PUT => replace(exchange, uuid, body).await,
        Method::DELETE => delete(exchange, uuid).await,
        _ => show(exchange, uuid).await,
    }
}

async fn list(exchange: &Exchange) -> Answer {
    exchange.takes_hal()?;
    let secrets = exchange.app.store().secrets().await?;
    let items: Vec<Value> = secrets.iter().map(|each| document(each, &exchange.bases)).collect();
    let body = json!({
        "_embedded": {"secrets": items},
        "_links": {"self": {"title": "Secrets", "href": exchange.bases.request}},
    });
    Ok(answer::hal(StatusCode::OK, &body))
}

async fn show(exchange: &Exchange, uuid: &str) -> Answer {
    exchange.takes_hal()?;
    let secret = find(exchange, uuid).await?;
    Ok(answer::hal(StatusCode::OK, &document(&secret, &exchange.bases)))
}

async fn delete(exchange: &Exchange, uuid: &str) -> Answer {
    exchange.takes_hal()?;
    let secret = find(exchange, uuid).await?;
    if exchange.app.store().delete_secret(&secret.name).await? {
        Ok(answer::no_content())
    } else {
        Err(Failure::NotFound)
    }
}

async fn create(exchange: &Exchange, body: Body) -> Answer {
    let value = read::document(&exchange.app, &exchange.parts, body).await?;
    let draft = exchange.checked(&value, |_| validate(&value, true))?;
    exchange.takes_hal()?;
    exchange.sent_json()?;
    let secret = put(exchange, None, draft.name.clone().unwrap_or_default(), draft).await?;
    let mut response = answer::hal(StatusCode::CREATED, &document(&secret, &exchange.bases));
    if let Ok(location) = exchange.bases.secret(&secret.uuid).parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn replace(exchange: &Exchange, uuid: &str, body: Body) -> Answer {
    let value = read::document(&exchange.app, &exchange.parts, body).await?;
    let draft = exchange.checked(&value, |_| validate(&value, false))?;
    exchange.takes_hal()?;
    let old = find(exchange, uuid).await?;
    exchange.sent_json()?;
    let name = draft.name.clone().unwrap_or(old.name);
    let secret = put(exchange, Some(old.uuid), name, draft).await?;
    Ok(answer::hal(StatusCode::OK, &document(&secret, &exchange.bases)))
}

async fn put(
    exchange: &Exchange,
    uuid: Option<String>,
    name: String,
    draft: Draft,
) -> Result<SecretInfo, Failure> {
    let Draft { value, description, team_uuid, name: _ } = draft;
    let write = SecretWrite { uuid, name, description, team_uuid, value };
    match exchange.app.store().put_secret(&write).await? {
        SecretPut::Written { secret, opened } => {
            api::wake_opened(&exchange.app, &opened).await;
            Ok(secret)
        }
        SecretPut::NameTaken => Err(Failure::invalid("name", "is taken by another secret")),
        SecretPut::NotFound => Err(Failure::NotFound),
    }
}

async fn find(exchange: &Exchange, uuid: &str) -> Result<SecretInfo, Failure> {
    let secrets = exchange.app.store().secrets().await?;
    secrets.into_iter().find(|secret| secret.uuid == uuid).ok_or(Failure::NotFound)
}

/// A new secret needs a name and a value; an old one keeps what is not given, and a value of
/// stars is one that was not known.
fn validate(document: &Value, is_new: bool) -> Result<Draft, Errors> {
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
        Member::Given(text) if !is_new && is_starred(&text) => Member::Missing,
        other => other,
    };
    let value = required("value", given, is_new, &mut errors);
    let size = value.as_ref().map(String::len);
    if size == Some(0) {
        errors.add("value", FILLED);
    } else if size.is_some_and(|size| size > api::MAX_SECRET) {
        errors.add("value", format!("cannot be longer than {} bytes", api::MAX_SECRET));
    }
    let filled = |member: Member<String>| member.given().filter(|text| !text.trim().is_empty());
    let draft = Draft {
        name,
        value: value.map(SecretString::from),
        description: filled(description),
        team_uuid: filled(team),
    };
    if errors.is_empty() { Ok(draft) } else { Err(errors) }
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
