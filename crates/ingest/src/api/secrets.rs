//! Secrets: names only, never values.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use postrider_store::SecretInfo;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::api::params::Segment;
use crate::api::{read_object, required_text};
use crate::problem::Problem;
use crate::server::App;

/// Bytes of a value.
pub(crate) const MAX_VALUE: usize = 64 * 1024;

/// `GET /api/v1/secrets`.
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let secrets: Vec<_> = app.store().secrets().await?.iter().map(document).collect();
    Ok(Json(json!({"secrets": secrets})).into_response())
}

/// `PUT /api/v1/secrets/{name}`.
pub(super) async fn set(
    State(app): State<App>,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let object = read_object(&app, &headers, body, &["value"]).await?;
    let value = required_text(&object, "value")?;
    if value.is_empty() || value.len() > MAX_VALUE {
        let found = value.len();
        let detail = format!("is {found} bytes long: must be 1 to {MAX_VALUE}");
        return Err(Problem::bad("/value", detail));
    }
    let (info, opened) = app.store().set_secret(&name, &SecretString::from(value)).await?;
    wake_opened(&app, &opened).await;
    let is_new = info.created_at == info.updated_at;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let body = json!({"name": info.name, "rev": info.rev, "lanes_opened": opened});
    Ok((status, Json(body)).into_response())
}

/// `DELETE /api/v1/secrets/{name}`.
pub(super) async fn delete(
    State(app): State<App>,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    if check_name(&name).is_ok() && app.store().delete_secret(&name).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, "there is no secret of this name"))
    }
}

/// Opened lanes have a backlog that workers of this process should begin with now.
pub(crate) async fn wake_opened(app: &App, opened: &[String]) {
    if opened.is_empty() {
        return;
    }
    // Workers look each second anyway.
    let Ok(lanes) = app.store().lanes().await else {
        return;
    };
    let ids: Vec<_> =
        lanes.iter().filter(|lane| opened.contains(&lane.name)).map(|lane| lane.id).collect();
    app.parts.dispatcher.wake(&ids);
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_name(name) {
        Ok(())
    } else {
        let detail = "a secret's name has 1 to 64 characters, each a letter, a digit, an \
                      underscore or a hyphen";
        Err(Problem::bad("", detail))
    }
}

/// Whether a secret can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn document(secret: &SecretInfo) -> Value {
    json!({
        "name": secret.name,
        "uuid": secret.uuid,
        "description": secret.description,
        "team_uuid": secret.team_uuid,
        "rev": secret.rev,
        "created_at": secret.created_at,
        "updated_at": secret.updated_at,
    })
}
