//! The operations API under `/api/v1`: JSON, errors as `application/problem+json`, role `read`
//! for GET and `operate` for the rest.

mod audit;
mod brokers;
mod credentials;
mod deliveries;
mod doctor;
mod events;
pub(crate) mod example;
mod filter;
mod freshness;
mod github_app;
mod incidents;
mod lanes;
mod params;
mod replay;
mod secrets;
mod stats;
pub(crate) mod stream;
mod webhooks;

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use postrider_http_server::body::{self, Limits};
use postrider_http_server::json::{self, JsonFault, kind};
use postrider_http_server::{Problem, Route, media_type, route};
use serde_json::{Map, Value};

use crate::server::App;

pub(crate) use secrets::{MAX_VALUE as MAX_SECRET, is_name as is_secret_name, wake_opened};

/// Bytes of a request to the operations API: a secret of 64 KiB, every byte of it escaped.
const MAX_BODY: usize = 512 * 1024;

/// The calls of the API.
pub(crate) const ROUTES: &[Route<App>] = &[
    route!(GET "/api/v1/deliveries" => deliveries::list, deliveries::list_described),
    route!(GET "/api/v1/deliveries/{id}" => deliveries::show, deliveries::show_described),
    route!(POST "/api/v1/deliveries/replay" => replay::replay, replay::replay_described),
    route!(POST "/api/v1/deliveries/discard" => replay::discard, replay::discard_described),
    route!(POST "/api/v1/deliveries/{id}/discard" => replay::discard_one, replay::discard_one_described),
    route!(GET "/api/v1/events" => events::list, events::list_described),
    route!(GET "/api/v1/events/{id}" => events::show, events::show_described),
    route!(GET "/api/v1/doctor" => doctor::examine, doctor::examine_described),
    route!(GET "/api/v1/lanes" => lanes::list, lanes::list_described),
    route!(POST "/api/v1/lanes/hold" => lanes::hold, lanes::hold_described),
    route!(POST "/api/v1/lanes/release" => lanes::release, lanes::release_described),
    route!(GET "/api/v1/freshness" => freshness::list, freshness::list_described),
    route!(GET "/api/v1/brokers" => brokers::list, brokers::list_described),
    route!(GET "/api/v1/incidents" => incidents::list, incidents::list_described),
    route!(GET "/api/v1/incidents/{id}" => incidents::show, incidents::show_described),
    route!(POST "/api/v1/incidents/{id}/ack" => incidents::acknowledge, incidents::acknowledge_described),
    route!(GET "/api/v1/secrets" => secrets::list, secrets::list_described),
    route!(PUT "/api/v1/secrets/{name}" => secrets::set, secrets::set_described),
    route!(DELETE "/api/v1/secrets/{name}" => secrets::delete, secrets::delete_described),
    route!(GET "/api/v1/audit" => audit::list, audit::list_described),
    route!(GET "/api/v1/credentials" => credentials::list, credentials::list_described),
    route!(PUT "/api/v1/secrets/{name}/pending" => credentials::set_pending, credentials::set_pending_described),
    route!(DELETE "/api/v1/secrets/{name}/pending" => credentials::drop_pending, credentials::drop_pending_described),
    route!(POST "/api/v1/secrets/{name}/probe" => credentials::ask_probe, credentials::ask_probe_described),
    route!(GET "/api/v1/secrets/{name}/probe" => credentials::show_probe, credentials::show_probe_described),
    route!(POST "/api/v1/secrets/{name}/switch" => credentials::switch, credentials::switch_described),
    route!(GET "/api/v1/stream" => stream::listen, stream::listen_described),
    route!(GET "/api/v1/stats" => stats::show, stats::show_described),
    route!(POST "/api/v1/webhooks/check" => webhooks::check, webhooks::check_described),
    route!(POST "/api/v1/webhooks/{uuid}/release" => webhooks::release, webhooks::release_described),
];

/// The body as a JSON object with no other members than `known`.
async fn read_object(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    known: &[&str],
) -> Result<Map<String, Value>, Problem> {
    let object = read_any_object(app, headers, body).await?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(object),
        Some(unknown) => {
            let near = postrider_domain::suggestions::hint(unknown, known.iter().copied());
            let pointer = json::pointer_step(unknown);
            Err(Problem::bad(pointer, format!("is no known member{near}")))
        }
    }
}

/// The body as a JSON object.
async fn read_any_object(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<Map<String, Value>, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type(given.unwrap_or_default()).0 != "application/json" {
        let detail = "send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let mut permit = app.memory().enter()?;
    let limits = Limits { bytes: MAX_BODY, time: app.config.request_timeout };
    let bytes = body::read(headers, body, app.memory(), &mut permit, limits).await?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::bad("", "is not valid UTF-8"))?;
    let value = json::parse(&text).map_err(|fault| match &fault {
        JsonFault::TooDeep(_) => Problem::bad("", fault.to_string()),
        // The parser's own words may quote a value, which may be a secret.
        JsonFault::Syntax(error) => {
            let (line, column) = (error.line(), error.column());
            Problem::bad("", format!("is not valid JSON at line {line} column {column}"))
        }
        JsonFault::Nul { pointer } => Problem::bad(pointer.as_str(), fault.to_string()),
    })?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Problem::bad("", format!("must be an object, not {}", kind(&other)))),
    }
}

/// A member that has to be a string.
fn required_text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Problem> {
    let pointer = json::pointer_step(key);
    match object.get(key) {
        None => Err(Problem::bad(pointer, "is required: a string")),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Problem::bad(pointer, format!("must be a string, not {}", kind(other)))),
    }
}

/// A text that may be missing or null.
fn optional_text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a str>, Problem> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => required_text(object, key).map(Some),
    }
}

/// A member that is `false` when missing.
fn flag(object: &Map<String, Value>, key: &str) -> Result<bool, Problem> {
    match object.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => {
            let detail = format!("must be true or false, not {}", kind(other));
            Err(Problem::bad(json::pointer_step(key), detail))
        }
    }
}
