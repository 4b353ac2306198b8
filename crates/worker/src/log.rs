//! One line and one set of figures for each attempt. No secret, no body.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{Event, Outcome, WebhookUuid};
use postrider_store::{Claim, Transition};
use postrider_telemetry::{Metrics, TraceContext};

use crate::cache::Prepared;

/// An attempt as it is told.
pub(crate) struct Attempted<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) event: &'a Event,
    pub(crate) webhook: &'a WebhookUuid,
    pub(crate) lane: &'a str,
    pub(crate) trace: &'a TraceContext,
    pub(crate) outcome: Outcome,
    pub(crate) transition: &'a Transition,
    pub(crate) status_code: Option<u16>,
    pub(crate) github_request_id: Option<&'a str>,
    pub(crate) duration: Duration,
}

/// Whether it will be tried again, and in how many milliseconds when that is known. A test is
/// made once.
pub(crate) fn next_try(told: &Attempted<'_>) -> (bool, Option<u64>) {
    if told.claim.execution {
        return (false, None);
    }
    let ms = |wait: &Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    match told.transition {
        Transition::Delivered | Transition::Failed { .. } => (false, None),
        Transition::Retry { after, .. } => (true, Some(ms(after))),
        Transition::Limited { pause } => (true, pause.as_ref().map(ms)),
        Transition::Released { after } => (true, (!after.is_zero()).then(|| ms(after))),
        Transition::CredentialRejected { .. } | Transition::Lost { .. } => (true, None),
    }
}

/// The line that a SIEM takes.
pub(crate) fn attempted(told: &Attempted<'_>) {
    let (will_retry, retry_in_ms) = next_try(told);
    tracing::info!(
        trace_id = %told.trace.trace_id_hex(),
        span_id = %told.trace.span_id_hex(),
        delivery_id = %told.claim.id,
        event_id = %told.claim.event_id,
        event_name = %told.event.event_name,
        webhook_uuid = %told.webhook,
        consumer = %told.event.consumer.name,
        provider = %told.event.provider.name,
        lane = told.lane,
        attempt = told.claim.number,
        outcome = %told.outcome,
        status_code = told.status_code,
        github_request_id = told.github_request_id,
        possible_duplicate = told.claim.maybe_sent,
        duration_ms = u64::try_from(told.duration.as_millis()).unwrap_or(u64::MAX),
        retry_in_ms,
        will_retry,
        "delivery.attempted"
    );
}

/// What GitHub's answer says of the budget.
pub(crate) fn measure_github(metrics: &Metrics, prepared: &Prepared, headers: &HeaderMap) {
    if let Some(remaining) = postrider_github::rate_remaining(headers) {
        metrics.set_github_ratelimit_remaining(&prepared.lane, remaining);
    }
}

/// The figures. Tests are not among them: nobody should be woken by one.
pub(crate) fn measure(metrics: &Metrics, told: &Attempted<'_>) {
    if told.claim.execution {
        return;
    }
    metrics.attempted(told.lane, told.outcome.as_str());
    metrics.attempt_took(told.duration);
    if matches!(told.transition, Transition::Failed { .. }) {
        metrics.finished("failed", 1);
    }
    if matches!(told.transition, Transition::Delivered) {
        metrics.finished("delivered", 1);
        let age = Timestamp::now().duration_since(told.claim.created_at);
        metrics.delivered_after(Duration::try_from(age).unwrap_or_default());
    }
}
