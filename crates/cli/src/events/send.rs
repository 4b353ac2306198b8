//! Sending one call's worth of events, again where the intake asks for it.

use std::time::Duration;

use postrider_api::{AcceptedResult, EventResult, FieldError, Problem};
use reqwest::{Method, StatusCode};

use super::input::{Event, Kind};
use crate::Failure;
use crate::{Answer, Api, Body};

/// Calls made for the same events before giving up.
const MAX_TRIES: u32 = 8;
/// The longest wait between two of them, whatever `Retry-After` says.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What the intake said about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new and committed.
    Accepted(AcceptedResult),
    /// It was known already.
    Duplicate(AcceptedResult),
    /// It was not taken.
    Refused {
        /// HTTP status.
        status: u64,
        /// What is wrong, by pointer.
        reasons: Vec<String>,
    },
}

/// Sends the events until each has a verdict. Those that the intake could not store (503) are
/// sent again; their keys make that harmless.
pub(super) async fn send(api: &Api, events: &[Event]) -> Result<Vec<Verdict>, Failure> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; events.len()];
    for attempt in 0..MAX_TRIES {
        let open: Vec<usize> =
            (0..events.len()).filter(|i| verdicts.get(*i).is_some_and(Option::is_none)).collect();
        let answer = post(api, events, &open).await?;
        for (position, verdict) in judge(api, &answer, open.len())?.into_iter().enumerate() {
            if let Some(slot) = open.get(position).and_then(|index| verdicts.get_mut(*index)) {
                *slot = verdict;
            }
        }
        if let Some(all) = verdicts.iter().cloned().collect::<Option<Vec<_>>>() {
            return Ok(all);
        }
        if attempt + 1 == MAX_TRIES {
            let unavailable = Answer { status: StatusCode::SERVICE_UNAVAILABLE, ..answer };
            return Err(api.refusal(&unavailable));
        }
        tokio::time::sleep(wait(answer.retry_after, attempt)).await;
    }
    Err(Failure::usage("there is nothing to send"))
}

fn wait(retry_after: Option<Duration>, attempt: u32) -> Duration {
    let doubling = Duration::from_millis(500).saturating_mul(2_u32.saturating_pow(attempt));
    retry_after.unwrap_or(doubling).min(MAX_WAIT)
}

async fn post(api: &Api, events: &[Event], open: &[usize]) -> Result<Answer, Failure> {
    let open: Vec<&Event> = open.iter().filter_map(|index| events.get(*index)).collect();
    let content_type = match open.first().map(|event| event.kind) {
        Some(Kind::Cloud) => "application/cloudevents-batch+json",
        Some(Kind::Plain) | None => "application/json",
    };
    let bodies: Vec<&str> = open.iter().map(|event| event.json.as_str()).collect();
    let body = format!("[{}]", bodies.join(","));
    api.call(Method::POST, &["events"], &[], Body::Bytes(content_type, body.as_bytes())).await
}

/// A verdict for each event; `None` where it has to be sent again.
fn judge(api: &Api, answer: &Answer, count: usize) -> Result<Vec<Option<Verdict>>, Failure> {
    let results: Option<Vec<EventResult>> = serde_json::from_value(answer.body.clone()).ok();
    if let Some(results) = results.filter(|results| results.len() == count) {
        return Ok(results.iter().enumerate().map(|(place, one)| of_one(place, one)).collect());
    }
    match answer.status.as_u16() {
        503 => Ok(vec![None; count]),
        400 | 413 | 415 | 422 => {
            let status = u64::from(answer.status.as_u16());
            let problem = serde_json::from_value::<Problem>(answer.body.clone()).ok();
            let reasons = problem.map(|problem| reasons(&problem, None)).unwrap_or_default();
            Ok(vec![Some(Verdict::Refused { status, reasons }); count])
        }
        _ => Err(api.refusal(answer)),
    }
}

fn of_one(place: usize, result: &EventResult) -> Option<Verdict> {
    match result {
        EventResult::Accepted(accepted) if accepted.duplicate => {
            Some(Verdict::Duplicate(accepted.clone()))
        }
        EventResult::Accepted(accepted) => Some(Verdict::Accepted(accepted.clone())),
        EventResult::Refused(problem) if problem.status == 503 => None,
        EventResult::Refused(problem) => {
            let reasons = reasons(problem, Some(place));
            Some(Verdict::Refused { status: u64::from(problem.status), reasons })
        }
    }
}

/// What is wrong by pointer; the event's place in the call is left out of the pointers.
fn reasons(problem: &Problem, place: Option<usize>) -> Vec<String> {
    if problem.errors.is_empty() {
        return vec![problem.detail.clone()];
    }
    let prefix = place.map(|place| format!("/{place}")).unwrap_or_default();
    let own = |FieldError { pointer, detail }: &FieldError| {
        let own = pointer.strip_prefix(&prefix);
        let own = own.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(pointer);
        format!("{own} {detail}").trim_start().to_owned()
    };
    problem.errors.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use postrider_domain::EventId;

    use super::*;

    #[test]
    fn each_event_has_its_verdict() {
        let accepted = |duplicate| {
            let event_id = EventId(uuid::Uuid::now_v7());
            let deliveries = Vec::new();
            EventResult::Accepted(AcceptedResult { status: 202, event_id, deliveries, duplicate })
        };
        let refused = |status, errors| {
            let (title, detail) = (String::new(), "away".to_owned());
            EventResult::Refused(Problem { title, status, detail, errors })
        };
        let error = |pointer: &str| FieldError {
            pointer: pointer.to_owned(),
            detail: "is missing".to_owned(),
        };
        assert!(matches!(of_one(0, &accepted(false)), Some(Verdict::Accepted(_))));
        assert!(matches!(of_one(1, &accepted(true)), Some(Verdict::Duplicate(_))));
        assert_eq!(of_one(2, &refused(503, Vec::new())), None);
        let reasons = vec!["/consumer/name is missing".to_owned(), "is missing".to_owned()];
        assert_eq!(
            of_one(3, &refused(400, vec![error("/3/consumer/name"), error("/3")])),
            Some(Verdict::Refused { status: 400, reasons })
        );
        let reasons = vec!["/31/x is missing".to_owned()];
        assert_eq!(
            of_one(3, &refused(400, vec![error("/31/x")])),
            Some(Verdict::Refused { status: 400, reasons })
        );
        assert_eq!(
            of_one(3, &refused(422, Vec::new())),
            Some(Verdict::Refused { status: 422, reasons: vec!["away".to_owned()] })
        );
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(wait(Some(Duration::from_secs(2)), 0), Duration::from_secs(2));
        assert_eq!(wait(Some(Duration::from_hours(9)), 0), MAX_WAIT);
        assert_eq!(wait(None, 1), Duration::from_secs(1));
        assert_eq!(wait(None, 63), MAX_WAIT);
    }
}
