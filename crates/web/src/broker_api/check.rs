//! What would be said of a webhook's document if it were written.

use jiff::Timestamp;
use postrider_api::{FieldError, WebhookCheck};
use postrider_http_server::Problem;
use postrider_http_server::json::pointer_step;
use serde_json::Value;

use crate::broker_api::response::Failure;
use crate::broker_api::scope::Scope;
use crate::broker_api::validate::{self, Errors, Fault, Rules};
use crate::broker_api::{merge, webhooks};
use crate::server::App;

/// Judges a document as creation would, or replacement where its uuid is known.
///
/// # Errors
/// The store is away; nothing was judged then.
pub(crate) async fn check(app: &App, document: &Value) -> Result<WebhookCheck, Problem> {
    match judged(app, document).await {
        Ok(warnings) => Ok(WebhookCheck { errors: Vec::new(), warnings }),
        Err(Failure::Invalid(errors) | Failure::Unprocessable(errors)) => {
            Ok(WebhookCheck { errors: listed(&errors), warnings: Vec::new() })
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

async fn judged(app: &App, document: &Value) -> Result<Vec<String>, Failure> {
    let draft = validate::webhook(document, &Scope::all(), &Rules::of(&app.config))
        .map_err(Failure::Invalid)?;
    let uuid = match document.get("uuid").and_then(Value::as_str).map(str::parse) {
        Some(Ok(uuid)) => uuid,
        Some(Err(_)) | None => webhooks::new_uuid()?,
    };
    let old = app.store().webhook(&uuid).await?;
    let webhook = merge::apply(draft, uuid, old.map(|old| old.webhook), Timestamp::now())
        .map_err(Failure::Invalid)?;
    let write = webhooks::to_write(app, webhook).await?;
    Ok(webhooks::warnings(&write.webhook.request))
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
