//! What would be said of a webhook's document if it were written.

use jiff::Timestamp;
use postrider_api::{FieldError, WebhookCheck};
use postrider_domain::RequestTemplate;
use postrider_http_server::Problem;
use postrider_http_server::json::pointer_step;
use postrider_store::WebhookWrite;
use serde_json::Value;

use crate::app::App;
use crate::broker_api::faults::{Errors, Fault};
use crate::broker_api::response::Failure;
use crate::broker_api::rules::Rules;
use crate::broker_api::scope::Scope;
use crate::broker_api::{merge, validate, webhooks};

/// Judges a document as creation would, or replacement where its uuid is known.
///
/// # Errors
/// The store is away; nothing was judged then.
pub(crate) async fn check(app: &App, document: &Value) -> Result<WebhookCheck, Problem> {
    match judged(app, document).await {
        Ok(check) => Ok(check),
        Err(Failure::Invalid(errors) | Failure::Unprocessable(errors)) => {
            let warnings = webhooks::key_warnings(document);
            Ok(WebhookCheck { errors: listed(&errors), warnings, ..WebhookCheck::default() })
        }
        Err(Failure::Problem(problem)) => Err(*problem),
        // The broker's other answers are about paths and headers, which are not in question here.
        Err(
            Failure::Path(_)
            | Failure::Unreadable(_)
            | Failure::NotFound
            | Failure::NotAcceptable
            | Failure::UnsupportedType
            | Failure::Internal,
        ) => Err(Problem::internal()),
    }
}

async fn judged(app: &App, document: &Value) -> Result<WebhookCheck, Failure> {
    let draft = validate::webhook(document, &Scope::all(), &Rules::of(&app.config))
        .map_err(Failure::Invalid)?;
    let uuid = match document.get("uuid").and_then(Value::as_str).map(str::parse) {
        Some(Ok(uuid)) => uuid,
        Some(Err(_)) | None => webhooks::new_uuid()?,
    };
    let old = app.store().webhook(&uuid).await?;
    let old = old.map(|old| old.webhook);
    let before = old.as_ref().map(|old| old.request.clone());
    let webhook = merge::apply(draft, uuid, old, Timestamp::now()).map_err(Failure::Invalid)?;
    let write = webhooks::to_write(app, webhook).await?;
    let now = &write.webhook.request;
    let of_keys = webhooks::key_warnings(document);
    let of_secrets = lacking(app, &write).await?;
    Ok(WebhookCheck {
        errors: Vec::new(),
        warnings: [of_keys, webhooks::warnings(now), of_secrets].concat(),
        lane: Some(write.lane.name.clone()),
        secrets: write.secret_names.iter().cloned().collect(),
        hidden_changes: before.map(|before| hidden_changes(&before, now)).unwrap_or_default(),
    })
}

/// Secrets without a value: what needs them would wait.
async fn lacking(app: &App, write: &WebhookWrite) -> Result<Vec<String>, Failure> {
    let names = &write.secret_names;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let there = app.store().secret_values(names, write.webhook.team_uuid.as_deref()).await?;
    let lacks =
        |name: &&String| !there.values.contains_key(*name) && !there.apps.contains_key(*name);
    let told = names.iter().filter(lacks).map(|name| {
        format!(
            "the secret {name} has no value, so deliveries would be held: `postrider secrets set \
             {name}`"
        )
    });
    Ok(told.collect())
}

/// Members that are starred, and name other secrets than what is stored, or none any more. Nothing
/// is said of values that stand there themselves: whoever may ask could guess at them.
fn hidden_changes(before: &RequestTemplate, now: &RequestTemplate) -> Vec<String> {
    let differ = |before: Option<&str>, now: Option<&str>| {
        let names = |text: Option<&str>| text.is_some_and(|text| text.contains("${user."));
        before != now && (names(before) || names(now))
    };
    let header = |request: &RequestTemplate, name: &str| {
        let mut found = request.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone())
    };
    let mut changes = Vec::new();
    for (name, value) in &now.headers {
        if differ(header(before, name).as_deref(), Some(value)) {
            changes.push(format!("request.headers.{}", name.to_lowercase()));
        }
    }
    for (member, before, now) in [
        ("request.url", Some(&before.url), Some(&now.url)),
        ("request.username", before.username.as_ref(), now.username.as_ref()),
        ("request.password", before.password.as_ref(), now.password.as_ref()),
    ] {
        if differ(before.map(String::as_str), now.map(String::as_str)) {
            changes.push(member.to_owned());
        }
    }
    changes
}

fn listed(errors: &Errors) -> Vec<FieldError> {
    let pointer = |fault: &Fault| {
        let steps: String = fault.key.split('.').map(pointer_step).collect();
        fault.index.map_or(steps.clone(), |index| format!("{steps}/{index}"))
    };
    let error =
        |fault: &Fault| FieldError { pointer: pointer(fault), detail: fault.message.clone() };
    errors.faults().map(error).collect()
}
