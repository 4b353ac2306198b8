//! The answer of `POST /events`.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::commit::{Candidate, Fate};
use crate::problem::Problem;

/// The refused events of a call: a place for each event, filled where it was refused.
pub(super) type Refused = Vec<Option<Problem>>;

/// Parts what goes on from what is refused already.
pub(super) fn part(read: Vec<Result<Candidate, Problem>>) -> (Vec<Candidate>, Refused) {
    let mut candidates = Vec::with_capacity(read.len());
    let refused = read
        .into_iter()
        .map(|one| match one {
            Ok(candidate) => {
                candidates.push(candidate);
                None
            }
            Err(problem) => Some(problem),
        })
        .collect();
    (candidates, refused)
}

/// One object, or an array in the order of the events; `fates` are those of the events that
/// were not refused.
pub(super) fn answer(many: bool, refused: Refused, fates: Vec<Fate>) -> Response {
    let mut fates = fates.into_iter();
    let mut answers = refused.into_iter().map(|problem| match problem {
        Some(problem) => Err(problem),
        None => accepted(fates.next().unwrap_or(Fate::Away)),
    });
    if many {
        return array(&answers.collect::<Vec<_>>());
    }
    match answers.next() {
        Some(Ok(body)) => (StatusCode::ACCEPTED, Json(body)).into_response(),
        Some(Err(problem)) => problem.into_response(),
        None => Problem::internal().into_response(),
    }
}

fn array(answers: &[Result<Map<String, Value>, Problem>]) -> Response {
    let status = overall_status(answers);
    let items: Vec<_> = answers.iter().map(element).collect();
    let mut response = (status, Json(items)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// 202 if any was accepted, else the first error's.
fn overall_status(answers: &[Result<Map<String, Value>, Problem>]) -> StatusCode {
    if answers.iter().any(Result::is_ok) {
        return StatusCode::ACCEPTED;
    }
    let first = answers.iter().find_map(|answer| answer.as_ref().err());
    first.map_or(StatusCode::INTERNAL_SERVER_ERROR, |problem| problem.status)
}

fn element(answer: &Result<Map<String, Value>, Problem>) -> Value {
    match answer {
        Ok(members) => {
            let mut element = Map::new();
            element.insert("status".into(), StatusCode::ACCEPTED.as_u16().into());
            element.extend(members.clone());
            Value::Object(element)
        }
        Err(problem) => Value::Object(problem.document()),
    }
}

/// The members of the answer to one event.
pub(crate) fn accepted(fate: Fate) -> Result<Map<String, Value>, Problem> {
    match fate {
        Fate::Accepted { event_id, deliveries, duplicate } => {
            let deliveries: Vec<_> = deliveries
                .iter()
                .map(|(id, webhook)| json!({"id": id, "webhook_uuid": webhook}))
                .collect();
            let mut members = Map::new();
            members.insert("event_id".into(), json!(event_id));
            members.insert("deliveries".into(), deliveries.into());
            members.insert("duplicate".into(), duplicate.into());
            Ok(members)
        }
        Fate::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the idempotency key was used for an event with other content: give each event its \
             own key",
        )),
        Fate::Away => Err(Problem::away("the store is away: try again")),
    }
}
