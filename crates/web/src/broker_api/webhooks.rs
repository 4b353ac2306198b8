//! Webhooks: create, read, replace, delete, collections.

use std::collections::BTreeSet;

use aws_lc_rs::rand;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use postrider_api::broker::{WebhookCollection, WebhookDocument};
use postrider_domain::{RequestTemplate, Webhook, WebhookUuid};
use postrider_render::{
    Mistyped, SIGNATURE_HEADERS, app_misuse, body_advice, mistyped_keys, secret_names,
    unknown_variables,
};
use postrider_store::{Put, StoredWebhook, WebhookWrite};
use serde_json::{Value, json};

use crate::api::example;
use crate::app::App;
use crate::broker_api::described::{Described, call, sides, text};
use crate::broker_api::faults::Errors;
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{self, Answer, Failure};
use crate::broker_api::scope::Scope;
use crate::broker_api::validate;
use crate::broker_api::{document, merge, read, team};

/// A collection of webhooks; `title` is what its link to itself is called.
pub(super) async fn collection(
    context: &RequestContext,
    scope: &Scope,
    title: &str,
    body: Body,
) -> Answer {
    if context.parts.method == Method::POST {
        create(context, scope, body).await
    } else {
        list(context, scope, title).await
    }
}

/// `/webhooks/{uuid}`.
pub(super) async fn one(context: &RequestContext, uuid: &str, body: Body) -> Answer {
    match context.parts.method {
        Method::PUT => replace(context, uuid, body).await,
        Method::DELETE => delete(context, uuid).await,
        _ => show(context, uuid).await,
    }
}

const ALL: &str = "/webhooks";
const ONE: &str = "/webhooks/{uuid}";

/// Lists: where, whose webhooks, and by which names both calls of it go.
const LISTS: [(&str, &str, [&str; 2]); 5] = [
    (ALL, "", ["listWebhooks", "createWebhook"]),
    (
        "/webhooks/provider/{provider}",
        " of a provider",
        ["listProviderWebhooks", "createProviderWebhook"],
    ),
    (
        "/webhooks/consumer/{consumer}",
        " of a consumer",
        ["listConsumerWebhooks", "createConsumerWebhook"],
    ),
    (
        "/webhooks/provider/{provider}/consumer/{consumer}",
        " of a pair",
        ["listPairWebhooks", "createPairWebhook"],
    ),
    (
        "/pacts/provider/{provider}/consumer/{consumer}/webhooks",
        " of a pair, by its old path",
        ["listPactWebhooks", "createPactWebhook"],
    ),
];

pub(super) fn operations() -> Vec<Described> {
    let mut all = Vec::new();
    for (path, whose, [list, create]) in LISTS {
        let list = call(list, &format!("List webhooks{whose}"));
        let list = sides(list, path).answers::<WebhookCollection>(200, "Fine.");
        let create = call(create, &format!("Create a webhook{whose}"));
        let create = sides(create, path)
            .takes::<WebhookDocument>(example::webhook())
            .answers::<postrider_api::broker::Webhook>(201, "It is created.")
            .answers_header(201, "Location", "The new resource.");
        if path == ALL {
            all.push(("GET", path, list.example(200, collection_example())));
            all.push(("POST", path, create.example(201, shown_example())));
        } else {
            let names = "Names in the path count where the document has none.";
            all.push(("GET", path, list));
            all.push(("POST", path, create.description(names)));
        }
    }
    all.extend(of_one());
    all
}

fn of_one() -> [Described; 3] {
    type Shown = postrider_api::broker::Webhook;
    let of = |id: &str, summary: &str| call(id, summary).path("uuid", "The webhook.", &text());
    let show = of("showWebhook", "Show a webhook")
        .description("Secrets are starred.")
        .answers::<Shown>(200, "Fine.")
        .example(200, shown_example());
    let put = of("putWebhook", "Replace a webhook, or create it under this uuid")
        .description(
            "The uuid has 16 or more of the characters A-Z, a-z, 0-9, _ and -. Stars keep what is \
             stored.",
        )
        .takes::<WebhookDocument>(example::webhook())
        .answers::<Shown>(200, "It is replaced.")
        .answers::<Shown>(201, "It is created.");
    let delete = of("deleteWebhook", "Delete a webhook")
        .description("What waits for it is discarded.")
        .answers_nothing(204, "It is gone.");
    [("GET", ONE, show), ("PUT", ONE, put), ("DELETE", ONE, delete)]
}

/// [`example::webhook`] as it is shown.
fn shown_example() -> Value {
    let at = "https://postrider.example.org/webhooks/2LCteR1tS9v0HLxPmpkNaA";
    let mut shown = example::webhook();
    let title = shown["description"].clone();
    shown["uuid"] = "2LCteR1tS9v0HLxPmpkNaA".into();
    shown["enabled"] = true.into();
    shown["createdAt"] = "2026-11-21T09:00:00+00:00".into();
    shown["request"]["headers"]["Authorization"] = "**********".into();
    shown["_links"] = json!({
        "self": {"title": title, "href": at},
        "pb:execute": {
            "title": "Test the execution of the webhook", "href": format!("{at}/execute"),
        },
        "pb:provider": {
            "title": "Provider", "name": "billing",
            "href": "https://postrider.example.org/pacticipants/billing",
        },
        "pb:webhooks": {
            "title": "All webhooks", "href": "https://postrider.example.org/webhooks",
        },
    });
    shown
}

fn collection_example() -> Value {
    let all = "https://postrider.example.org/webhooks";
    let one = json!({
        "title": "A webhook for all pacts with provider billing",
        "name": "Notify billing when a consumer contract requires verification",
        "href": format!("{all}/2LCteR1tS9v0HLxPmpkNaA"),
    });
    let curie = json!({
        "name": "pb", "href": "https://postrider.example.org/doc/webhooks-{rel}",
        "templated": true,
    });
    json!({"_links": {
        "self": {"title": "Webhooks", "href": all},
        "pb:create": {"title": "POST to create a webhook", "href": all},
        "pb:webhooks": [one],
        "curies": [curie],
    }})
}

async fn list(context: &RequestContext, scope: &Scope, title: &str) -> Answer {
    context.takes_hal()?;
    let table = context.app.store().webhook_table(None).await?;
    let webhooks = table.map(|table| table.webhooks).unwrap_or_default();
    let listed: Vec<&Webhook> =
        webhooks.iter().map(|stored| &stored.webhook).filter(|hook| scope.lists(hook)).collect();
    let body = document::collection(title, &listed, &context.bases);
    Ok(response::hal(StatusCode::OK, &body))
}

async fn show(context: &RequestContext, uuid: &str) -> Answer {
    context.takes_hal()?;
    let stored = stored(context, uuid).await?.ok_or(Failure::NotFound)?;
    let body = shown_document(context, &stored, &[]);
    Ok(response::hal(StatusCode::OK, &body))
}

async fn delete(context: &RequestContext, uuid: &str) -> Answer {
    context.takes_hal()?;
    let known = uuid.parse::<WebhookUuid>().map_err(|_| Failure::NotFound)?;
    let _turn = context.app.shared.webhook_writes.read().await;
    if context.changes().delete_webhook(&known).await? {
        Ok(response::no_content())
    } else {
        Err(Failure::NotFound)
    }
}

async fn create(context: &RequestContext, scope: &Scope, body: Body) -> Answer {
    let (webhook, keys) = described(context, scope, body).await?;
    let stored = write(context, webhook).await?;
    let location = context.bases.webhook(&stored.webhook.uuid);
    let mut response = written(context, StatusCode::CREATED, &stored, keys);
    if let Ok(value) = location.parse() {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

async fn replace(context: &RequestContext, uuid: &str, body: Body) -> Answer {
    let value = read::document(&context.app, &context.parts, body).await?;
    let draft = context.checked(&value, |rules| {
        let mut errors = Errors::default();
        validate::uuid_rule(uuid, &mut errors);
        validate::webhook_with(&value, &Scope::all(), rules, errors)
    })?;
    context.takes_hal()?;
    context.sent_json()?;
    let known: WebhookUuid = uuid.parse().map_err(|_| Failure::NotFound)?;
    let old = context.app.store().webhook(&known).await?;
    let existed = old.is_some();
    let webhook = merge::apply(draft, known, old.map(|old| old.webhook), Timestamp::now());
    let webhook = webhook.map_err(Failure::Invalid)?;
    let stored = write(context, webhook).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok(written(context, status, &stored, key_warnings(&value)))
}

async fn write(context: &RequestContext, webhook: Webhook) -> Result<StoredWebhook, Failure> {
    let write = to_write(&context.app, webhook).await?;
    let _turn = context.app.shared.webhook_writes.read().await;
    match context.changes().put_webhook(&write).await? {
        Put::Created(stored) | Put::Replaced(stored) => Ok(stored),
    }
}

/// A new webhook as a valid document describes it, and what is to be said of the document's keys.
pub(super) async fn described(
    context: &RequestContext,
    scope: &Scope,
    body: Body,
) -> Result<(Webhook, Vec<String>), Failure> {
    let value = read::document(&context.app, &context.parts, body).await?;
    let draft = context.checked(&value, |rules| validate::webhook(&value, scope, rules))?;
    context.takes_hal()?;
    context.sent_json()?;
    let webhook = merge::apply(draft, new_uuid()?, None, Timestamp::now());
    Ok((webhook.map_err(Failure::Invalid)?, key_warnings(&value)))
}

/// The webhook with its lane, and the secrets that it names and may use.
pub(super) async fn to_write(app: &App, webhook: Webhook) -> Result<WebhookWrite, Failure> {
    let hash = |text: &str| app.config.master_key.short_hash(text);
    let place = app.config.lane_rules.lane(&webhook.request, &hash);
    let place = place.map_err(|error| Failure::invalid("request.url", error.to_string()))?;
    if let Some(header) = signed_twice(&webhook) {
        let message = format!("{header} is set by postrider.signing: remove one of both");
        return Err(Failure::invalid("request.headers", message));
    }
    let mut secret_names = secret_names(&webhook.request);
    secret_names.extend(webhook.extensions.secret_names().cloned());
    check_secrets(app, &webhook, &secret_names).await?;
    Ok(WebhookWrite { webhook, lane: place.into(), secret_names })
}

/// Whose secrets it may use, and where those stand whose value is an app's token.
async fn check_secrets(
    app: &App,
    webhook: &Webhook,
    names: &BTreeSet<String>,
) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let secrets = app.store().secrets().await?;
    team::check(&secrets, webhook.team_uuid.as_deref(), names)?;
    let is_app = |name: &str| {
        secrets.iter().any(|secret| secret.name == name && secret.github_app.is_some())
    };
    let may = app.config.app_targets();
    match app_misuse(&webhook.request, &webhook.extensions, is_app, may) {
        None => Ok(()),
        Some((_, member, why)) => Err(Failure::invalid(member, why)),
    }
}

/// A header that the webhook sets although its signature does.
fn signed_twice(webhook: &Webhook) -> Option<&str> {
    webhook.extensions.signing.as_ref()?;
    let mut names = webhook.request.headers.iter().map(|(name, _)| name.as_str());
    names.find(|name| SIGNATURE_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)))
}

fn written(
    context: &RequestContext,
    status: StatusCode,
    stored: &StoredWebhook,
    of_keys: Vec<String>,
) -> Response {
    let warnings = [of_keys, warnings(&stored.webhook.request)].concat();
    response::hal(status, &shown_document(context, stored, &warnings))
}

fn shown_document(context: &RequestContext, stored: &StoredWebhook, warnings: &[String]) -> Value {
    let more = &context.app.config.redact_more;
    document::webhook(&stored.webhook, warnings, &context.bases, more)
}

/// What is to be said of a document's keys. Clients of a broker may send any that it takes no notice
/// of; those that are nearly right were meant to do something.
pub(super) fn key_warnings(document: &Value) -> Vec<String> {
    let told = |Mistyped { pointer, near }: Mistyped| {
        format!("{pointer} is no key of a webhook and means nothing: did you mean {near}?")
    };
    mistyped_keys(document).into_iter().map(told).collect()
}

/// What its owner should know of a webhook that was written as asked.
pub(super) fn warnings(request: &RequestTemplate) -> Vec<String> {
    let unknown = unknown_variables(request).into_iter().map(|unknown| match unknown.nearest {
        Some(nearest) => format!(
            "${{{}}} is no known variable and is sent as it is: did you mean ${{{nearest}}}?",
            unknown.name
        ),
        None => format!("${{{}}} is no known variable and is sent as it is", unknown.name),
    });
    let advice = body_advice(request).into_iter();
    unknown.chain(advice.map(|finding| finding.sentence())).collect()
}

/// The webhook of a uuid that a client gave, which may be none.
pub(super) async fn stored(
    context: &RequestContext,
    uuid: &str,
) -> Result<Option<StoredWebhook>, Failure> {
    match uuid.parse::<WebhookUuid>() {
        Ok(uuid) => Ok(context.app.store().webhook(&uuid).await?),
        Err(_) => Ok(None),
    }
}

/// 22 characters of base64url, as the broker makes them.
pub(super) fn new_uuid() -> Result<WebhookUuid, Failure> {
    let mut random = [0_u8; 16];
    rand::fill(&mut random).map_err(|_| Failure::Internal)?;
    URL_SAFE_NO_PAD.encode(random).parse().map_err(|_| Failure::Internal)
}
