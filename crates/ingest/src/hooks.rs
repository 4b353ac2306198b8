//! Webhooks in the shape of Pact Broker 2.120: create, read, replace, delete, collections.
//!
//! Each resource answers every method itself, because what the broker's clients compare is the
//! broker's way: 405 with its list in `Allow`, 400 before 415, errors as HAL JSON. Pacticipants
//! are not stored here, so names are taken as given.

mod answer;
mod base;
mod document;
mod draft;
mod execute;
mod keep;
mod logs;
mod read;
mod scope;
mod url;
mod validate;

use std::net::SocketAddr;

use aws_lc_rs::rand;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use postrider_domain::{Webhook, WebhookUuid};
use postrider_render::{secret_names, unknown_variables};
use postrider_store::{LaneSpec, Put, StoredWebhook, WebhookWrite};
use serde_json::Value;

use crate::hooks::answer::{Allowed, Failure};
use crate::hooks::base::Bases;
use crate::hooks::draft::Draft;
use crate::hooks::scope::Scope;
use crate::hooks::validate::{Errors, Rules};
use crate::server::App;

const COLLECTION: Allowed = Allowed("GET, POST, OPTIONS");
const ONE: Allowed = Allowed("GET, PUT, DELETE, OPTIONS");
const EXECUTE: Allowed = Allowed("POST, OPTIONS");

type Answer = Result<Response, Failure>;

/// `/webhooks`.
pub(crate) async fn all(State(app): State<App>, request: Request) -> Response {
    answer::finish(collection(&app, Scope::all(), request).await)
}

/// `/webhooks/provider/{provider}`.
pub(crate) async fn of_provider(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match answer::names(path.map(|Path(provider)| [provider])) {
        Ok([provider]) => {
            answer::finish(collection(&app, Scope::provider(provider), request).await)
        }
        Err(refused) => refused,
    }
}

/// `/webhooks/consumer/{consumer}`.
pub(crate) async fn of_consumer(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match answer::names(path.map(|Path(consumer)| [consumer])) {
        Ok([consumer]) => {
            answer::finish(collection(&app, Scope::consumer(consumer), request).await)
        }
        Err(refused) => refused,
    }
}

/// `/webhooks/provider/{provider}/consumer/{consumer}`.
pub(crate) async fn of_pair(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    match answer::names(path.map(|Path((provider, consumer))| [provider, consumer])) {
        Ok([provider, consumer]) => {
            answer::finish(collection(&app, Scope::pair(provider, consumer), request).await)
        }
        Err(refused) => refused,
    }
}

/// `/webhooks/{uuid}`.
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match answer::names(path.map(|Path(uuid)| [uuid])) {
        Ok([uuid]) => answer::finish(single(&app, &uuid, request).await),
        Err(refused) => refused,
    }
}

/// `/webhooks/{uuid}/execute`.
pub(crate) async fn execute_one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match answer::names(path.map(|Path(uuid)| [uuid])) {
        Ok([uuid]) => answer::finish(execute_saved(&app, &uuid, request).await),
        Err(refused) => refused,
    }
}

/// `/webhooks/execute`.
pub(crate) async fn execute_unsaved(State(app): State<App>, request: Request) -> Response {
    answer::finish(execute_document(&app, request).await)
}

async fn execute_saved(app: &App, uuid: &str, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return Ok(EXECUTE.options()),
        other => return Ok(EXECUTE.refuse(&other)),
    }
    let stored = stored(app, uuid).await?.ok_or(Failure::NotFound)?;
    let tested = execute::Tested::Saved(Box::new(stored));
    let told = execute::test(app, &bases(app, &parts), &tested).await?;
    Ok(answer::hal(StatusCode::OK, &told))
}

async fn execute_document(app: &App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return Ok(EXECUTE.options()),
        other => return Ok(EXECUTE.refuse(&other)),
    }
    let value = read::document(app, &parts, body).await?;
    let draft =
        checked(app, &parts, &value, |rules| validate::webhook(&value, &Scope::all(), rules))?;
    let webhook = keep::apply(draft, new_uuid()?, None, Timestamp::now());
    let tested = execute::Tested::Unsaved(Box::new(to_write(app, webhook)?));
    let told = execute::test(app, &bases(app, &parts), &tested).await?;
    Ok(answer::hal(StatusCode::OK, &told))
}

async fn collection(app: &App, scope: Scope, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let bases = bases(app, &parts);
    match parts.method {
        Method::GET => list(app, &scope, &bases).await,
        Method::POST => create(app, &scope, &bases, &parts, body).await,
        Method::OPTIONS => Ok(COLLECTION.options()),
        other => Ok(COLLECTION.refuse(&other)),
    }
}

async fn single(app: &App, uuid: &str, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let bases = bases(app, &parts);
    match parts.method {
        Method::GET => show(app, uuid, &bases).await,
        Method::PUT => replace(app, uuid, &bases, &parts, body).await,
        Method::DELETE => delete(app, uuid).await,
        Method::OPTIONS => Ok(ONE.options()),
        other => Ok(ONE.refuse(&other)),
    }
}

async fn list(app: &App, scope: &Scope, bases: &Bases) -> Answer {
    let table = app.store().webhook_table(None).await?;
    let webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    let listed: Vec<&Webhook> =
        webhooks.iter().map(|stored| &stored.webhook).filter(|hook| scope.lists(hook)).collect();
    Ok(answer::hal(StatusCode::OK, &document::collection(&listed, bases)))
}

async fn show(app: &App, uuid: &str, bases: &Bases) -> Answer {
    let stored = stored(app, uuid).await?.ok_or(Failure::NotFound)?;
    Ok(answer::hal(StatusCode::OK, &document::webhook(&stored.webhook, &[], bases)))
}

async fn delete(app: &App, uuid: &str) -> Answer {
    let known = uuid.parse::<WebhookUuid>().map_err(|_| Failure::NotFound)?;
    if app.store().delete_webhook(&known).await? {
        Ok(answer::no_content())
    } else {
        Err(Failure::NotFound)
    }
}

async fn create(app: &App, scope: &Scope, bases: &Bases, parts: &Parts, body: Body) -> Answer {
    let value = read::document(app, parts, body).await?;
    let draft = checked(app, parts, &value, |rules| validate::webhook(&value, scope, rules))?;
    let uuid = new_uuid()?;
    let webhook = keep::apply(draft, uuid, None, Timestamp::now());
    let stored = write(app, webhook).await?;
    let location = bases.webhook(&stored.webhook.uuid);
    let mut response = written(StatusCode::CREATED, &stored, bases);
    if let Ok(value) = location.parse() {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

async fn replace(app: &App, uuid: &str, bases: &Bases, parts: &Parts, body: Body) -> Answer {
    let value = read::document(app, parts, body).await?;
    let draft = checked(app, parts, &value, |rules| {
        let mut errors = Errors::default();
        validate::path_uuid(uuid, &mut errors);
        validate::webhook_with(&value, &Scope::all(), rules, errors)
    })?;
    let known: WebhookUuid = uuid.parse().map_err(|_| Failure::NotFound)?;
    let old = app.store().webhook(&known).await?;
    let existed = old.is_some();
    let webhook = keep::apply(draft, known, old.map(|old| old.webhook), Timestamp::now());
    let stored = write(app, webhook).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok(written(status, &stored, bases))
}

/// 400 for an invalid document comes before 415 for its content type.
fn checked(
    app: &App,
    parts: &Parts,
    value: &Value,
    validate: impl FnOnce(&Rules<'_>) -> Result<Draft, Errors>,
) -> Result<Draft, Failure> {
    read::must_be_object(value)?;
    let rules = Rules {
        schemes: &app.config.scheme_whitelist,
        methods: &app.config.method_whitelist,
        hosts: &app.config.host_whitelist,
    };
    let draft = validate(&rules).map_err(Failure::Invalid)?;
    if read::is_json(parts) { Ok(draft) } else { Err(Failure::UnsupportedType) }
}

async fn write(app: &App, webhook: Webhook) -> Result<StoredWebhook, Failure> {
    match app.store().put_webhook(&to_write(app, webhook)?).await? {
        Put::Created(stored) | Put::Replaced(stored) => Ok(stored),
    }
}

/// The webhook with its lane and the secrets that it names.
fn to_write(app: &App, webhook: Webhook) -> Result<WebhookWrite, Failure> {
    let hash = |text: &str| app.config.master_key.short_hash(text);
    let lane = app.config.lane_rules.lane(&webhook.request, &hash);
    let (name, limits) =
        lane.map_err(|error| Failure::invalid("request.url", error.to_string()))?;
    let secret_names = secret_names(&webhook.request);
    Ok(WebhookWrite { webhook, lane: LaneSpec { name, limits }, secret_names })
}

fn written(status: StatusCode, stored: &StoredWebhook, bases: &Bases) -> Response {
    let unknown = unknown_variables(&stored.webhook.request);
    let warnings: Vec<String> = unknown
        .iter()
        .map(|unknown| match &unknown.nearest {
            Some(nearest) => format!(
                "${{{}}} is no known variable and is sent as it is: did you mean ${{{nearest}}}?",
                unknown.name
            ),
            None => format!("${{{}}} is no known variable and is sent as it is", unknown.name),
        })
        .collect();
    answer::hal(status, &document::webhook(&stored.webhook, &warnings, bases))
}

async fn stored(app: &App, uuid: &str) -> Result<Option<StoredWebhook>, Failure> {
    match uuid.parse::<WebhookUuid>() {
        Ok(uuid) => Ok(app.store().webhook(&uuid).await?),
        Err(_) => Ok(None),
    }
}

/// 22 characters of base64url, as the broker makes them.
fn new_uuid() -> Result<WebhookUuid, Failure> {
    let mut random = [0_u8; 16];
    rand::fill(&mut random).map_err(|_| Failure::Internal)?;
    URL_SAFE_NO_PAD.encode(random).parse().map_err(|_| Failure::Internal)
}

fn bases(app: &App, parts: &Parts) -> Bases {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    Bases::of(&app.config, parts, peer)
}
