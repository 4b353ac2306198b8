//! Secrets: names only, never values.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use postrider_api::{
    GithubAppInfo, SecretInfo, SecretKind, SecretList, SecretName, SecretSet, SecretValue,
    ShortPageQuery,
};
use postrider_domain::{GithubApp, InvalidSecret, secret_value, secret_warnings};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag, refer};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::api::body::{read_object, required_text};
use crate::api::example::{LANE, TIME, WEBHOOK};
use crate::api::github_app;
use crate::api::params::{Params, Segment, ShortPage};
use crate::app::{App, Changes};

/// Bytes of a value.
pub(crate) const MAX_VALUE: usize = 64 * 1024;

/// `GET /api/v1/secrets`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[ShortPageQuery::NAMES])?;
    let secrets: Vec<SecretInfo> = app.store().secrets().await?.into_iter().map(document).collect();
    let page = ShortPage::of(secrets, |secret| &secret.name.0, &params)?;
    let ShortPage { rows: secrets, next, total } = page;
    Ok(Json(SecretList { secrets, next, total, total_is_exact: true }).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "name": "githubToken",
        "uuid": WEBHOOK,
        "kind": "value",
        "description": null,
        "team_uuid": null,
        "rev": 2,
        "created_at": TIME,
        "updated_at": TIME,
    });
    Operation::new(Tag::Operations, "listSecrets", "List secrets")
        .description("Never their values.")
        .query::<ShortPageQuery>()
        .answers::<SecretList>(200, "Fine.")
        .example(
            200,
            json!({"secrets": [example], "next": null, "total": 1, "total_is_exact": true}),
        )
}

/// `PUT /api/v1/secrets/{name}`.
pub(super) async fn set(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let object = read_object(&app, &headers, body, &["value", "github_app"]).await?;
    let (content, warnings) = match object.get("github_app") {
        None => {
            let (value, warnings) = usable(&object)?;
            (value.into(), warnings)
        }
        Some(_) if object.contains_key("value") => {
            let detail = "cannot be given with value: send one of both";
            return Err(Problem::bad("/github_app", detail));
        }
        Some(described) => {
            let may = app.config.app_targets();
            let content = github_app::read(described, may)?;
            let webhooks = app.store().webhook_table(None).await?;
            github_app::unused_elsewhere(webhooks, &name, may)?;
            (content, Vec::new())
        }
    };
    let (info, opened) = changes.set_secret_to(&name, content).await?;
    wake_opened(&app, &opened).await;
    let is_new = info.created_at == info.updated_at;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let name = SecretName(info.name);
    let set = SecretSet { name, rev: info.rev, lanes_opened: opened, warnings };
    Ok((status, Json(set)).into_response())
}

pub(super) fn set_described() -> Operation {
    let example = json!({"name": "githubToken", "rev": 2, "lanes_opened": [LANE]});
    of_one("setSecret", "Set a secret's value")
        .description(
            "Opens the lanes that were held for the old one. With `github_app` the value is an \
             installation token of that app, made when a request needs one; webhooks may use it in \
             `Authorization` of requests to GitHub alone.",
        )
        .takes::<SecretValue>(json!({"value": "a-token"}))
        .answers::<SecretSet>(200, "The value was replaced.")
        .example(200, example)
        .answers::<SecretSet>(201, "The secret is new.")
        .answers_nothing(422, "The value holds a control character, which no request can carry.")
}

/// The member `value` as it is stored, and what is odd about it.
pub(super) fn usable(object: &Map<String, Value>) -> Result<(SecretString, Vec<String>), Problem> {
    let given = required_text(object, "value")?;
    let value = secret_value(given).map_err(|error| match error {
        InvalidSecret::Empty => Problem::bad("/value", "is empty: send a value"),
        InvalidSecret::ControlCharacter { .. } => {
            Problem::bad("/value", error.to_string()).status(StatusCode::UNPROCESSABLE_ENTITY)
        }
    })?;
    if value.len() > MAX_VALUE {
        let found = value.len();
        let detail = format!("is {found} bytes long: must be 1 to {MAX_VALUE}");
        return Err(Problem::bad("/value", detail));
    }
    Ok((SecretString::from(value), secret_warnings(value)))
}

pub(super) fn of_one(id: &str, summary: &str) -> Operation {
    Operation::new(Tag::Operations, id, summary).knows::<SecretName>().path(
        "name",
        "Name of the secret.",
        &refer::<SecretName>(),
    )
}

/// `DELETE /api/v1/secrets/{name}`.
pub(super) async fn delete(
    Changes(changes): Changes,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    if check_name(&name).is_ok() && changes.delete_secret(&name).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, "there is no secret of this name"))
    }
}

pub(super) fn delete_described() -> Operation {
    of_one("deleteSecret", "Delete a secret")
        .description("Lanes that need it are held.")
        .answers_nothing(204, "It is gone.")
        .refuses(404, "NotFound")
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
    let ids = lanes.iter().filter(|lane| opened.contains(&lane.name)).map(|lane| lane.id).collect();
    app.wake(ids);
}

pub(super) fn check_name(name: &str) -> Result<(), Problem> {
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

fn document(secret: postrider_store::SecretInfo) -> SecretInfo {
    let kind = match &secret.github_app {
        None => SecretKind::Value,
        Some(_) => SecretKind::GithubApp,
    };
    SecretInfo {
        name: SecretName(secret.name),
        uuid: secret.uuid,
        kind,
        github_app: secret.github_app.map(|app| app_document(*app)),
        description: secret.description,
        team_uuid: secret.team_uuid,
        rev: secret.rev,
        created_at: secret.created_at,
        updated_at: secret.updated_at,
    }
}

fn app_document(app: GithubApp) -> GithubAppInfo {
    let GithubApp { app_id, installation_id, owner, per_repository, api_url } = app;
    GithubAppInfo { app_id, installation_id, owner, per_repository, api_url }
}
