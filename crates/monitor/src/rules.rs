//! When a condition is an incident.
//!
//! | kind | opens when | ends when |
//! |---|---|---|
//! | `sustained_failures` | a webhook failed `POSTRIDER_SUSTAINED_FAILURES` times since its last success; the streak never expires, so that a webhook used once a day alarms on its third day | it succeeds once |
//! | `lane_held` | a lane is held, whatever the cause | it is open |
//! | `poison` | a delivery's claims were lost five times | seven days later, or when it is replayed |

use jiff::{SpanRound, Timestamp, Unit};
use postrider_domain::HoldCause;
use postrider_store::{IncidentFinding, IncidentKind, MonitorFacts, StreakFact};

/// Thresholds, from settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that open an incident, at least 1.
    pub sustained_failures: u64,
}

/// All conditions that hold now.
pub fn evaluate(rules: Rules, facts: &MonitorFacts, now: Timestamp) -> Vec<IncidentFinding> {
    let streaks = facts
        .streaks
        .iter()
        .filter(|streak| streak.failures >= rules.sustained_failures.max(1))
        .map(|streak| sustained(streak, now));
    let held = facts
        .held
        .iter()
        .map(|(lane, cause, since, backlog)| lane_held(lane, *cause, *since, *backlog, now));
    let poisoned = facts.poisoned.iter().map(|(delivery, webhook)| IncidentFinding {
        kind: IncidentKind::Poison,
        subject: delivery.to_string(),
        summary: format!(
            "Delivery {delivery} of webhook {webhook} was claimed five times by workers that \
             were not heard of again; it is set aside"
        ),
        next: format!("postrider deliveries show {delivery}"),
    });
    streaks.chain(held).chain(poisoned).collect()
}

fn sustained(streak: &StreakFact, now: Timestamp) -> IncidentFinding {
    let cause = match (streak.last_status_code, streak.last_outcome) {
        (Some(status), Some(outcome)) => format!("last: {status}, {outcome}"),
        (None, Some(outcome)) => format!("last: {outcome}"),
        (_, None) => "no answer seen".to_owned(),
    };
    let success = streak
        .last_success_at
        .map_or_else(|| "never succeeded".to_owned(), |at| format!("last success {at}"));
    let since = streak.since.map_or_else(String::new, |at| format!(" for {}", age(at, now)));
    IncidentFinding {
        kind: IncidentKind::SustainedFailures,
        subject: streak.webhook.to_string(),
        summary: format!(
            "Webhook \"{}\" has failed {} times in a row{since} ({cause}; {success}; lane {})",
            streak.description, streak.failures, streak.lane
        ),
        next: format!("postrider deliveries list --webhook {} --limit 5", streak.webhook),
    }
}

fn lane_held(
    lane: &str,
    cause: HoldCause,
    since: Timestamp,
    backlog: u64,
    now: Timestamp,
) -> IncidentFinding {
    let credential = lane.rsplit_once('/').map_or(lane, |(_, credential)| credential);
    let (why, next) = match cause {
        HoldCause::Credential => (
            "its target refused the credential",
            format!("postrider secrets set {credential} < new-token"),
        ),
        HoldCause::SecretMissing => {
            ("a secret has no value", format!("postrider secrets set {credential} < token"))
        }
        HoldCause::Manual => ("an operator held it", format!("postrider lanes release {lane}")),
    };
    IncidentFinding {
        kind: IncidentKind::LaneHeld,
        subject: lane.to_owned(),
        summary: format!(
            "Lane {lane} is held for {}: {why}; {backlog} deliveries wait, none is dropped",
            age(since, now)
        ),
        next,
    }
}

/// Time passed, in whole minutes from the first minute on.
fn age(since: Timestamp, now: Timestamp) -> String {
    let span = now.duration_since(since);
    let unit = if span.as_secs() < 60 { Unit::Second } else { Unit::Minute };
    let rounded = jiff::Span::try_from(span)
        .and_then(|span| span.round(SpanRound::new().largest(Unit::Hour).smallest(unit)));
    rounded.map_or_else(|_| "a long time".to_owned(), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests;
