//! Webhooks: create, read, replace, delete, collections.

use aws_lc_rs::rand;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use postrider_domain::{Webhook, WebhookUuid};
use postrider_render::{secret_names, unknown_variables};
use postrider_store::{LaneSpec, Put, StoredWebhook, WebhookWrite};

use crate::hooks::answer::{self, Answer, Failure};
use crate::hooks::exchange::Exchange;
use crate::hooks::scope::Scope;
use crate::hooks::validate::{self, Errors};
use crate::hooks::{document, keep, read, team};

/// A collection of webhooks; `title` is what its link to itself is called.
pub(super) async fn collection(
    exchange: &Exchange,
    scope: &Scope,
    title: &str,
    body: Body,
) -> Answer {
    if exchange.parts.method == Method::POST {
        create(exchange, scope, body).await
    } else {
        list(exchange, scope, title).await
    }
}

/// `/webhooks/{uuid}`.
pub(super) async fn one(exchange: &Exchange, uuid: &str, body: Body) -> Answer {
    match exchange.parts.method {
        Method::PUT => replace(exchange, uuid, body).await,
        Method::DELETE => delete(exchange, uuid).await,
        _ => show(exchange, uuid).await,
    }
}

async fn list(exchange: &Exchange, scope: &Scope, title: &str) -> Answer {
    exchange.takes_hal()?;
    let table = exchange.app.store().webhook_table(None).await?;
    let webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    let listed: Vec<&Webhook> =
        webhooks.iter().map(|stored| &stored.webhook).filter(|hook| scope.lists(hook)).collect();
    let body = document::collection(title, &listed, &exchange.bases);
    Ok(answer::hal(StatusCode::OK, &body))
}

async fn show(exchange: &Exchange, uuid: &str) -> Answer {
    exchange.takes_hal()?;
    let stored = stored(exchange, uuid).await?.ok_or(Failure::NotFound)?;
    let body = document::webhook(&stored.webhook, &[], &exchange.bases);
    Ok(answer::hal(StatusCode::OK, &body))
}

async fn delete(exchange: &Exchange, uuid: &str) -> Answer {
    exchange.takes_hal()?;
    let known = uuid.parse::<WebhookUuid>().map_err(|_| Failure::NotFound)?;
    if exchange.app.store().delete_webhook(&known).await? {
        Ok(answer::no_content())
    } else {
        Err(Failure::NotFound)
    }
}

async fn create(exchange: &Exchange, scope: &Scope, body: Body) -> Answer {
    let webhook = described(exchange, scope, body).await?;
    let stored = write(exchange, webhook).await?;
    let location = exchange.bases.webhook(&stored.webhook.uuid);
    let mut response = written(exchange, StatusCode::CREATED, &stored);
    if let Ok(value) = location.parse() {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

async fn replace(exchange: &Exchange, uuid: &str, body: Body) -> Answer {
    let value = read::document(&exchange.app, &exchange.parts, body).await?;
    let draft = exchange.checked(&value, |rules| {
        let mut errors = Errors::default();
        validate::uuid_rule(uuid, &mut errors);
        validate::webhook_with(&value, &Scope::all(), rules, errors)
    })?;
    exchange.takes_hal()?;
    exchange.sent_json()?;
    let known: WebhookUuid = uuid.parse().map_err(|_| Failure::NotFound)?;
    let old = exchange.app.store().webhook(&known).await?;
    let existed = old.is_some();
    let webhook = keep::apply(draft, known, old.map(|old| old.webhook), Timestamp::now());
    let stored = write(exchange, webhook).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok(written(exchange, status, &stored))
}

async fn write(exchange: &Exchange, webhook: Webhook) -> Result<StoredWebhook, Failure> {
    let write = to_write(exchange, webhook).await?;
    match exchange.app.store().put_webhook(&write).await? {
        Put::Created(stored) | Put::Replaced(stored) => Ok(stored),
    }
}

/// A new webhook as a valid document describes it.
pub(super) async fn described(
    exchange: &Exchange,
    scope: &Scope,
    body: Body,
) -> Result<Webhook, Failure> {
    let value = read::document(&exchange.app, &exchange.parts, body).await?;
    let draft = exchange.checked(&value, |rules| validate::webhook(&value, scope, rules))?;
    exchange.takes_hal()?;
    exchange.sent_json()?;
    Ok(keep::apply(draft, new_uuid()?, None, Timestamp::now()))
}

/// The webhook with its lane, and the secrets that it names and may use.
pub(super) async fn to_write(
    exchange: &Exchange,
    webhook: Webhook,
) -> Result<WebhookWrite, Failure> {
    let app = &exchange.app;
    let hash = |text: &str| app.config.master_key.short_hash(text);
    let lane = app.config.lane_rules.lane(&webhook.request, &hash);
    let (name, limits) =
        lane.map_err(|error| Failure::invalid("request.url", error.to_string()))?;
    let secret_names = secret_names(&webhook.request);
    team::check(app.store(), webhook.team_uuid.as_deref(), &secret_names).await?;
    Ok(WebhookWrite { webhook, lane: LaneSpec { name, limits }, secret_names })
}

fn written(exchange: &Exchange, status: StatusCode, stored: &StoredWebhook) -> Response {
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
    answer::hal(status, &document::webhook(&stored.webhook, &warnings, &exchange.bases))
}

/// The webhook of a uuid that a client gave, which may be none.
pub(super) async fn stored(
    exchange: &Exchange,
    uuid: &str,
) -> Result<Option<StoredWebhook>, Failure> {
    match uuid.parse::<WebhookUuid>() {
        Ok(uuid) => Ok(exchange.app.store().webhook(&uuid).await?),
        Err(_) => Ok(None),
    }
}

/// 22 characters of base64url, as the broker makes them.
fn new_uuid() -> Result<WebhookUuid, Failure> {
    let mut random = [0_u8; 16];
    rand::fill(&mut random).map_err(|_| Failure::Internal)?;
    URL_SAFE_NO_PAD.encode(random).parse().map_err(|_| Failure::Internal)
}
