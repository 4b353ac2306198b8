//! `postrider deliveries show`: what happened to one delivery, in the order of time, and what was
//! sent and answered.

use jiff::Timestamp;
use postrider_api::{Attempt, DeliveryDetail};
use postrider_domain::{DeliveryStatus, Outcome};
use serde_json::Value;

use super::last::last;
use crate::follow::held_by;
use crate::{Out, cell_of, printable, seconds};

/// Seconds; waits below it are nobody's question.
const NO_WAIT: f64 = 0.5;

/// What is known, the time line, each request with its answer.
pub(super) fn print(delivery: &DeliveryDetail, out: &mut Out) {
    let fields = [
        ("id", delivery.id.to_string()),
        ("status", delivery.status.to_string()),
        ("lane", cell_of(Some(&delivery.lane))),
        ("webhook_uuid", delivery.webhook_uuid.to_string()),
        ("event_name", delivery.event_name.to_string()),
        ("event_id", delivery.event_id.to_string()),
        ("broker", cell_of(Some(&delivery.broker))),
        ("consumer", cell_of(Some(&delivery.consumer))),
        ("provider", cell_of(Some(&delivery.provider))),
        ("created_at", delivery.created_at.to_string()),
        ("updated_at", delivery.updated_at.to_string()),
        ("next_attempt_at", cell_of(delivery.next_attempt_at)),
        ("event", delivery.event.to_string()),
    ];
    for (key, value) in fields {
        out.line(format_args!("{key:<16} {}", printable(&value)));
    }
    out.line("");
    let rows = time_line(delivery).into_iter().map(|step| {
        let after = step.after.map_or_else(|| "-".to_owned(), seconds);
        vec![step.at.to_string(), after, step.what]
    });
    out.table(&["at", "after", "what happened"], rows.collect(), "");
    let mut before = None;
    for attempt in &delivery.attempts {
        out.line("");
        for line in exchange(attempt, before) {
            out.line(line);
        }
        before = Some(&attempt.request);
    }
}

/// One line of the story.
#[derive(Debug, PartialEq)]
struct Step {
    at: Timestamp,
    /// Seconds since the end of the one before.
    after: Option<f64>,
    what: String,
}

fn time_line(delivery: &DeliveryDetail) -> Vec<Step> {
    let created = format!("accepted as {}", delivery.event_name);
    let mut steps = vec![Step { at: delivery.created_at, after: None, what: created }];
    let mut ended = delivery.created_at;
    let since = |ended: Timestamp, at: Timestamp| {
        let wait = at.duration_since(ended).as_secs_f64();
        (wait >= NO_WAIT).then_some(wait)
    };
    for attempt in &delivery.attempts {
        let at = attempt.started_at;
        steps.push(Step { at, after: since(ended, at), what: told(attempt) });
        let took = i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX);
        ended = at.saturating_add(jiff::SignedDuration::from_millis(took)).unwrap_or(at);
    }
    let (at, what) = end(delivery);
    steps.push(Step { at, after: since(ended, at), what });
    steps
}

/// `attempt 2: server_error 502, took 143 ms`.
fn told(attempt: &Attempt) -> String {
    let mut outcome = last(Some(attempt.outcome), attempt.status_code);
    if let (None, Some(why)) = (attempt.status_code, attempt.response["error"].as_str()) {
        outcome = format!("{outcome} ({})", printable(why));
    }
    let github = attempt.github_request_id.as_ref().map(|id| format!("GitHub's request {id}"));
    let twice = "the target may have had it before".to_owned();
    let capped = "a longer wait was asked for than is given".to_owned();
    let is_odd = attempt.outcome == Outcome::Invalid
        && attempt.status_code.is_some_and(|status| (200..300).contains(&status));
    let odd = "a success, but not what this call is answered with: look at who answered".to_owned();
    let run = attempt.run.as_ref().map(|run| format!("started run {}: {}", run.id, run.url));
    let told = [
        Some(format!("attempt {}: {outcome}", attempt.number)),
        Some(format!("took {} ms", attempt.duration_ms)),
        github,
        is_odd.then_some(odd),
        attempt.possible_duplicate.then_some(twice),
        attempt.retry_after_capped.then_some(capped),
        run,
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How it ended, or what it waits for.
fn end(delivery: &DeliveryDetail) -> (Timestamp, String) {
    let next = delivery.next_attempt_at;
    match delivery.status {
        DeliveryStatus::Delivered => (delivery.updated_at, "delivered".to_owned()),
        DeliveryStatus::Discarded => (delivery.updated_at, "discarded".to_owned()),
        DeliveryStatus::Failed => {
            // The same request would be blocked again.
            let first = match delivery.last_outcome {
                Some(Outcome::Blocked) => {
                    "change the webhook's URL, or let deliveries go there with \
                     POSTRIDER_WEBHOOK_ALLOW_NETWORKS (addresses) or \
                     POSTRIDER_WEBHOOK_*_WHITELIST (schemes, methods, hosts); then"
                }
                _ => "send it again:",
            };
            let what =
                format!("failed; {first} `postrider deliveries replay {} --yes`", delivery.id);
            (delivery.updated_at, what)
        }
        DeliveryStatus::Held => (delivery.updated_at, format!("waits: {}", held_by(delivery))),
        DeliveryStatus::Retrying => {
            (next.unwrap_or(delivery.updated_at), "the next attempt".to_owned())
        }
        DeliveryStatus::Queued => (delivery.updated_at, "waits for its turn".to_owned()),
    }
}

/// The request of an attempt and its answer, as they went over the wire; a request that is the
/// same as the one before is not shown again.
fn exchange(attempt: &Attempt, before: Option<&Value>) -> Vec<String> {
    let mut lines = vec![format!("attempt {}", attempt.number)];
    let is_same = before == Some(&attempt.request) && !attempt.request.is_null();
    if is_same {
        lines.push("> the same request".to_owned());
    } else {
        lines.extend(request(&attempt.request).into_iter().map(|line| format!("> {line}")));
    }
    let note = attempt.request_note.as_deref();
    lines.extend(note.map(|note| format!("  {}", printable(note))));
    lines.extend(response(&attempt.response).into_iter().map(|line| format!("< {line}")));
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

fn request(request: &Value) -> Vec<String> {
    if !request.is_object() {
        return text(request, "nothing was sent, or it can't be shown");
    }
    let word = |key: &str| request[key].as_str().unwrap_or_default();
    let mut lines = vec![printable(&format!("{} {}", word("method"), word("url")))];
    lines.extend(head_and_body(request));
    lines
}

fn response(response: &Value) -> Vec<String> {
    if !response.is_object() {
        return text(response, "nothing came back");
    }
    let mut lines = match (&response["status"], response["error"].as_str()) {
        (_, Some(error)) => vec![printable(error)],
        (status, None) => vec![printable(&status.to_string())],
    };
    lines.extend(head_and_body(response));
    lines
}

fn text(value: &Value, nothing: &str) -> Vec<String> {
    vec![value.as_str().map_or_else(|| nothing.to_owned(), printable)]
}

/// Headers, an empty line, the body.
fn head_and_body(message: &Value) -> Vec<String> {
    let headers = message["headers"].as_object().into_iter().flatten();
    let mut lines: Vec<String> = headers
        .flat_map(|(name, value)| {
            let one = |value: &Value| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                printable(&format!("{name}: {value}"))
            };
            value.as_array().map_or_else(|| vec![one(value)], |all| all.iter().map(one).collect())
        })
        .collect();
    let body = match &message["body"] {
        Value::Null => String::new(),
        Value::String(body) => body.clone(),
        body => format!("{body:#}"),
    };
    if !body.is_empty() {
        lines.push(String::new());
        lines.extend(body.lines().map(printable));
    }
    if let Some(bytes) = message["body_bytes"].as_u64() {
        lines.push(format!("({bytes} bytes in all)"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(status: &str) -> DeliveryDetail {
        let id = "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e";
        let request = json!({
            "method": "POST", "url": "https://h/x", "headers": {"authorization": "**********"},
            "body": {"a": 1},
        });
        let attempt = |number: u32, at: &str, outcome: &str, code: u16, response: Value| {
            json!({
                "number": number, "started_at": at, "duration_ms": 500, "outcome": outcome,
                "status_code": code, "github_request_id": null, "possible_duplicate": number > 1,
                "retry_after_capped": false, "request": request, "request_origin": "stored",
                "request_bytes": null, "request_note": null, "response": response,
            })
        };
        let failed = json!({"status": 502, "headers": {}, "body": "bad\u{1b}[2J\ngateway"});
        serde_json::from_value(json!({
            "id": id, "event_id": id, "event_name": "contract_published", "broker": "default",
            "webhook_uuid": "0123456789abcdef", "consumer": "C", "provider": "P",
            "status": status, "lane": "h/c", "last_outcome": "accepted", "last_status_code": 204,
            "next_attempt_at": null, "created_at": "2026-11-29T09:00:00Z",
            "updated_at": "2026-11-29T09:00:14Z", "event": {},
            "attempts": [
                attempt(1, "2026-11-29T09:00:01Z", "server_error", 502, failed),
                attempt(2, "2026-11-29T09:00:13.5Z", "accepted", 204, json!({"status": 204})),
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_time_line_has_attempts_waits_and_the_end() {
        let steps = time_line(&delivery("delivered"));
        let told: Vec<(Option<f64>, &str)> =
            steps.iter().map(|step| (step.after, step.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (None, "accepted as contract_published"),
                (Some(1.0), "attempt 1: server_error 502, took 500 ms"),
                (
                    Some(12.0),
                    "attempt 2: accepted 204, took 500 ms, the target may have had it before"
                ),
                (None, "delivered"),
            ]
        );
        let mut odd = delivery("failed");
        (odd.attempts[1].outcome, odd.attempts[1].status_code) = (Outcome::Invalid, Some(200));
        let what = &time_line(&odd)[2].what;
        assert!(what.contains("invalid 200") && what.contains("look at who answered"), "{what}");
        let held = time_line(&delivery("held"));
        assert!(held.last().unwrap().what.contains("postrider incidents list"), "{held:?}");
        let mut blocked = delivery("failed");
        blocked.last_outcome = Some(Outcome::Blocked);
        let what = time_line(&blocked).pop().unwrap().what;
        assert!(what.contains("POSTRIDER_WEBHOOK_ALLOW_NETWORKS"), "{what}");
    }

    #[test]
    fn request_and_answer_are_shown_and_steer_no_terminal() {
        let delivery = delivery("delivered");
        let first = exchange(&delivery.attempts[0], None).join("\n");
        let expected = "attempt 1\n> POST https://h/x\n> authorization: **********\n>\n> {\n>   \
                        \"a\": 1\n> }\n< 502\n<\n< bad";
        assert!(first.starts_with(expected), "{first}");
        assert!(first.ends_with("< gateway") && !first.contains('\u{1b}'), "{first}");
        let second = exchange(&delivery.attempts[1], Some(&delivery.attempts[0].request));
        assert_eq!(second, ["attempt 2", "> the same request", "< 204"]);
    }
}
