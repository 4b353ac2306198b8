//! The operations API under `/api/v1`: JSON, errors as `application/problem+json`, role `read`
//! for GET and `operate` for the rest.

mod deliveries;
mod filter;
mod freshness;
mod incidents;
mod lanes;
mod params;
mod replay;
mod secrets;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::body::{self, Limits};
use crate::events::media_type;
use crate::json::{self, JsonFault, kind};
use crate::problem::Problem;
use crate::routes::{Route, route};
use crate::server::App;

#[cfg(test)]
pub(crate) use filter::NAMES as FILTERS;
pub(crate) use secrets::{MAX_VALUE as MAX_SECRET, is_name as is_secret_name, wake_opened};

/// Bytes of a request to the operations API: a secret of 64 KiB, every byte of it escaped.
const MAX_BODY: usize = 512 * 1024;

/// The calls of the API.
pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/api/v1/deliveries" => deliveries::list),
    route!(GET "/api/v1/deliveries/{id}" => deliveries::show),
    route!(POST "/api/v1/deliveries/replay" => replay::replay),
    route!(GET "/api/v1/lanes" => lanes::list),
    route!(POST "/api/v1/lanes/hold" => lanes::hold),
    route!(POST "/api/v1/lanes/release" => lanes::release),
    route!(GET "/api/v1/freshness" => freshness::list),
    route!(GET "/api/v1/incidents" => incidents::list),
    route!(GET "/api/v1/incidents/{id}" => incidents::show),
    route!(POST "/api/v1/incidents/{id}/ack" => incidents::acknowledge),
    route!(GET "/api/v1/secrets" => secrets::list),
    route!(PUT "/api/v1/secrets/{name}" => secrets::set),
    route!(DELETE "/api/v1/secrets/{name}" => secrets::delete),
    route!(GET "/api/v1/stats" => stats),
];

/// `GET /api/v1/stats`.
async fn stats(State(app): State<App>) -> Result<Response, Problem> {
    let stats = app.store().stats().await?;
    let lanes = stats.backlog.iter();
    let backlog: Vec<_> =
        lanes.map(|(lane, waiting)| json!({"lane": lane, "waiting": waiting})).collect();
    let body = json!({
        "backlog": backlog,
        "sending": stats.sending,
        "oldest_pending_seconds": stats.oldest_pending.map(|age| age.as_secs()),
    });
    Ok(Json(body).into_response())
}

/// The body as a JSON object with no other members than `known`.
async fn read_object(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    known: &[&str],
) -> Result<Map<String, Value>, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type(given.unwrap_or_default()).0 != "application/json" {
        let detail = "send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let mut share = app.room.enter()?;
    let limits = Limits { bytes: MAX_BODY, time: app.config.request_timeout };
    let bytes = body::read(body, &app.room, &mut share, limits).await?;
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
    let Value::Object(object) = value else {
        return Err(Problem::bad("", format!("must be an object, not {}", kind(&value))));
    };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(object),
        Some(unknown) => {
            let near = crate::near::hint(unknown, known.iter().copied());
            let pointer = json::pointer_step(unknown);
            Err(Problem::bad(pointer, format!("is no known member{near}")))
        }
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

#[cfg(test)]
mod tests;
