//! Webhooks that fail again and again: what each class of failure means, and what to do.

use jiff::Timestamp;
use postrider_domain::{Outcome, counted};
use postrider_store::{IncidentFinding, IncidentKind, Severity, StreakFact};

use super::mend::Mend;
use crate::words::age;

pub(super) fn sustained(streak: &StreakFact, mend: Mend<'_>, now: Timestamp) -> IncidentFinding {
    let last = match (streak.last_status_code, streak.last_outcome) {
        (Some(status), Some(outcome)) => format!("last: {status}, {outcome}"),
        (None, Some(outcome)) => format!("last: {outcome}"),
        (_, None) => "no answer seen".to_owned(),
    };
    let success = streak
        .last_success_at
        .map_or_else(|| "never succeeded".to_owned(), |at| format!("last success {at}"));
    let since = streak.since.map_or_else(String::new, |at| format!(" for {}", age(at, now)));
    let (meaning, next) = advice(streak, mend);
    IncidentFinding {
        kind: IncidentKind::SustainedFailures,
        subject: streak.webhook.to_string(),
        cause: streak.last_outcome.map_or("unknown", Outcome::as_str),
        severity: Severity::Warning,
        summary: format!(
            "Webhook \"{}\" has failed {} in a row{since}: {meaning} ({last}; {success}; lane {})",
            streak.description,
            counted(streak.failures, "time", "times"),
            streak.lane
        ),
        next,
    }
}

/// What the newest failure means, and the command to run next.
fn advice(streak: &StreakFact, mend: Mend<'_>) -> (&'static str, String) {
    let webhook = &streak.webhook;
    let look_at_webhook = || format!("postrider webhooks show {webhook}");
    let look_at_deliveries = || format!("postrider deliveries list --webhook {webhook} --limit 5");
    match streak.last_outcome {
        Some(Outcome::Credential) => {
            ("the target refuses the credential", mend.secret(&streak.lane, "new-token"))
        }
        Some(Outcome::SecretMissing) => {
            ("a secret that it uses has no value", mend.secret(&streak.lane, "token"))
        }
        Some(Outcome::SecretUnusable) => {
            ("the value of a secret that it uses can't be sent", mend.secret(&streak.lane, "token"))
        }
        Some(Outcome::NotFound) => (
            "the target does not exist or is hidden from the credential: check the URL, whether \
             the repository was renamed or deleted, and whether the token can see it",
            look_at_webhook(),
        ),
        Some(Outcome::Permission) => (
            "the credential is alive but may not do this: on GitHub it needs contents: write for \
             a repository dispatch, actions: write for a workflow",
            look_at_deliveries(),
        ),
        Some(Outcome::Invalid) => {
            ("the target will never take this request as it is", look_at_deliveries())
        }
        Some(Outcome::Redirected) => {
            ("the target has moved: put its new URL into the webhook", look_at_webhook())
        }
        Some(Outcome::Blocked) => (
            "settings forbid the target: its address, which POSTRIDER_WEBHOOK_ALLOW_NETWORKS can \
             allow, or its URL's scheme, method or host, which POSTRIDER_WEBHOOK_*_WHITELIST can",
            look_at_webhook(),
        ),
        Some(Outcome::RenderError) => {
            ("its template can't be rendered, or comes out too large", look_at_webhook())
        }
        Some(Outcome::ServerError) => ("the target has errors of its own", look_at_deliveries()),
        Some(Outcome::Timeout) => ("the target does not answer in time", look_at_deliveries()),
        Some(Outcome::ConnectError) => ("the target can't be connected to", look_at_deliveries()),
        Some(Outcome::Unreadable) => {
            ("the target takes requests but does not answer in HTTP", look_at_deliveries())
        }
        Some(
            Outcome::Accepted
            | Outcome::RateLimited
            | Outcome::Lost
            | Outcome::Poison
            | Outcome::WebhookDeleted
            | Outcome::WebhookDisabled
            | Outcome::Withdrawn,
        )
        | None => ("what went wrong differs", look_at_deliveries()),
    }
}
