//! The answer of `POST /events`.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use postrider_api::{AcceptedDelivery, AcceptedEvent, AcceptedResult, EventResult};
use postrider_http_server::Problem;

use crate::commit::{Candidate, CommitResult};

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

/// What is answered to each event, in order; `results` are those of the events that were not
/// refused.
pub(super) fn join(
    refused: Refused,
    results: Vec<CommitResult>,
) -> impl Iterator<Item = Result<AcceptedEvent, Problem>> {
    let mut results = results.into_iter();
    refused.into_iter().map(move |problem| match problem {
        Some(problem) => Err(problem),
        None => accepted(results.next().unwrap_or(CommitResult::Away)),
    })
}

/// One object, or an array in the order of the events.
pub(super) fn response(many: bool, answers: Vec<Result<AcceptedEvent, Problem>>) -> Response {
    if many {
        return array(answers);
    }
    match answers.into_iter().next() {
        Some(Ok(body)) => (StatusCode::ACCEPTED, Json(body)).into_response(),
        Some(Err(problem)) => problem.into_response(),
        None => Problem::internal().into_response(),
    }
}

fn array(answers: Vec<Result<AcceptedEvent, Problem>>) -> Response {
    let status = overall_status(&answers);
    let items: Vec<_> = answers.into_iter().map(one_of_several).collect();
    let mut response = (status, Json(items)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// 202 if any was accepted, else the first error's.
fn overall_status(answers: &[Result<AcceptedEvent, Problem>]) -> StatusCode {
    if answers.iter().any(Result::is_ok) {
        return StatusCode::ACCEPTED;
    }
    let first = answers.iter().find_map(|answer| answer.as_ref().err());
    first.map_or(StatusCode::INTERNAL_SERVER_ERROR, |problem| problem.status)
}

fn one_of_several(answer: Result<AcceptedEvent, Problem>) -> EventResult {
    match answer {
        Ok(AcceptedEvent { event_id, deliveries, duplicate }) => {
            let status = StatusCode::ACCEPTED.as_u16();
            EventResult::Accepted(AcceptedResult { status, event_id, deliveries, duplicate })
        }
        Err(problem) => EventResult::Refused(problem.document()),
    }
}

/// The answer to one event.
pub(crate) fn accepted(result: CommitResult) -> Result<AcceptedEvent, Problem> {
    match result {
        CommitResult::Accepted { event_id, deliveries, duplicate } => {
            let deliveries = deliveries.into_iter();
            let deliveries =
                deliveries.map(|(id, webhook_uuid)| AcceptedDelivery { id, webhook_uuid });
            Ok(AcceptedEvent { event_id, deliveries: deliveries.collect(), duplicate })
        }
        CommitResult::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the idempotency key was used for an event with other content: give each event its \
             own key",
        )),
        CommitResult::Away => Err(Problem::away("the store is away: try again")),
    }
}
