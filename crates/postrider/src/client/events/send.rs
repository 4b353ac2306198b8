//! Sending one call's worth of events, again where the intake asks for it.

use std::time::Duration;

use postrider_broker::error_list;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::input::{Event, Kind};
use crate::cli::Failure;
use crate::client::{Answer, Api, Body};

/// Calls made for the same events before giving up.
const MAX_TRIES: u32 = 8;
/// The longest wait between two of them, whatever `Retry-After` says.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What the intake said about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new and committed.
    Accepted,
    /// It was known already.
    Duplicate,
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
    if let Some(items) = answer.body.as_array().filter(|items| items.len() == count) {
        return Ok(items.iter().enumerate().map(|(place, item)| of_item(place, item)).collect());
    }
    match answer.status.as_u16() {
        503 => Ok(vec![None; count]),
        400 | 413 | 415 | 422 => {
            let status = u64::from(answer.status.as_u16());
            let refused = Verdict::Refused { status, reasons: reasons(&answer.body, None) };
            Ok(vec![Some(refused); count])
        }
        _ => Err(api.refusal(answer)),
    }
}

fn of_item(place: usize, item: &Value) -> Option<Verdict> {
    let status = item.get("status").and_then(Value::as_u64).unwrap_or_default();
    let duplicate = item.get("duplicate").and_then(Value::as_bool) == Some(true);
    match status {
        503 => None,
        200..=299 if duplicate => Some(Verdict::Duplicate),
        200..=299 => Some(Verdict::Accepted),
        _ => Some(Verdict::Refused { status, reasons: reasons(item, Some(place)) }),
    }
}

/// What is wrong by pointer; the event's place in the call is left out of the pointers.
fn reasons(problem: &Value, place: Option<usize>) -> Vec<String> {
    let listed = error_list(problem.get("errors"));
    if listed.is_empty() {
        let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
        return vec![text("detail").or_else(|| text("title")).unwrap_or_default()];
    }
    let prefix = place.map(|place| format!("/{place}")).unwrap_or_default();
    let own = |reason: String| match reason.strip_prefix(&prefix) {
        Some(rest) if rest.starts_with('/') || rest.starts_with(' ') => {
            rest.trim_start().to_owned()
        }
        Some(_) | None => reason,
    };
    listed.into_iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_has_its_verdict() {
        let refused = json!({
            "status": 400, "title": "Bad Request",
            "errors": [{ "pointer": "/3/consumer/name", "detail": "is missing" }],
        });
        assert_eq!(
            of_item(0, &json!({"status": 202, "duplicate": false})),
            Some(Verdict::Accepted)
        );
        assert_eq!(
            of_item(1, &json!({"status": 202, "duplicate": true})),
            Some(Verdict::Duplicate)
        );
        assert_eq!(of_item(2, &json!({"status": 503})), None);
        let reasons = vec!["/consumer/name is missing".to_owned()];
        assert_eq!(of_item(3, &refused), Some(Verdict::Refused { status: 400, reasons }));
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(wait(Some(Duration::from_secs(2)), 0), Duration::from_secs(2));
        assert_eq!(wait(Some(Duration::from_hours(9)), 0), MAX_WAIT);
        assert_eq!(wait(None, 1), Duration::from_secs(1));
        assert_eq!(wait(None, 63), MAX_WAIT);
    }
}
