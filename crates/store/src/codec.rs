//! How values stand in rows, the same in both backends.

mod document;

use std::time::Duration;

use aws_lc_rs::digest;
use postrider_domain::{
    AuditAction, AuditKind, Event, EventName, EventSource, HoldCause, LaneLimits, LaneState,
    MergedBecause, Outcome, ProbeVerdict, Rate, StoredStatus, WebhookId, WebhookState, WebhookUuid,
    WhichValue,
};

use crate::{AlertStatus, BrokerTrouble, IncidentKind, Severity, StoreError};

/// Deliveries of parked webhooks stand aside from here on, microseconds since the epoch: the
/// beginning of the year 3000.
pub(crate) const ASIDE: i64 = 32_503_680_000_000_000;

/// Where the waiting deliveries of a parked webhook stand: at one instant of their own, where no
/// claim looks.
pub(crate) fn aside(webhook: WebhookId) -> i64 {
    ASIDE.saturating_add(webhook.0)
}

pub(crate) use document::{clear_webhook, open_webhook, seal_webhook, shown_name};

/// A lane's limits as columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitColumns {
    pub(crate) limited: bool,
    /// Requests in each window; none: no rate limit.
    pub(crate) rate_count: Option<i64>,
    /// The window in milliseconds.
    pub(crate) rate_per_ms: Option<i64>,
    pub(crate) burst: i64,
    pub(crate) concurrency: i64,
    pub(crate) per_hour: Option<i64>,
}

impl From<LaneLimits> for LimitColumns {
    fn from(limits: LaneLimits) -> Self {
        let (rate_count, rate_per_ms) = match limits.rate {
            Rate::Unlimited => (None, None),
            Rate::Limited { count, per } => (Some(i64::from(count)), Some(millis(per))),
        };
        Self {
            limited: limits.is_limited(),
            rate_count,
            rate_per_ms,
            burst: i64::from(limits.burst),
            concurrency: i64::from(limits.concurrency),
            per_hour: limits.per_hour.map(i64::from),
        }
    }
}

impl LimitColumns {
    /// The limits that these columns say.
    pub(crate) fn limits(self) -> Result<LaneLimits, StoreError> {
        let rate = match (self.rate_count, self.rate_per_ms) {
            (Some(count), Some(per)) => {
                Rate::Limited { count: count_of(count)?, per: from_millis(per) }
            }
            (None, None) => Rate::Unlimited,
            (Some(_), None) | (None, Some(_)) => return Err(unreadable("rate", "half of one")),
        };
        Ok(LaneLimits {
            rate,
            burst: count_of(self.burst)?,
            concurrency: count_of(self.concurrency)?,
            per_hour: self.per_hour.map(count_of).transpose()?,
        })
    }
}

/// Milliseconds, as rows and statements count durations; at most about 292 million years.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Microseconds of a duration; longer than 292,000 years is cut.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The duration that a count of milliseconds is; nothing below zero.
pub(crate) fn from_millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A count of this program's, kept in a wider column.
pub(crate) fn count_of(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| unreadable("count", &number.to_string()))
}

/// A count of this program's for a narrower column; what is too large is cut.
pub(crate) fn narrow(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// An HTTP status as kept.
pub(crate) fn status_code(number: i64) -> Result<u16, StoreError> {
    u16::try_from(number).map_err(|_| unreadable("HTTP status", &number.to_string()))
}

/// The event's text in `events.body` and in a claim.
pub(crate) fn event_text(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event)
        .map_err(|error| StoreError::Unusable(format!("the event can't be written: {error}")))
}

/// What events of one pair have in common, in one column: the first eight bytes of a hash of
/// broker, consumer and provider. Two pairs may share it, so names are compared as well.
pub(crate) fn pair_hash(broker: &str, consumer: &str, provider: &str) -> i64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    for name in [broker, consumer, provider] {
        hash.update(name.as_bytes());
        // No name holds it.
        hash.update(b"\0");
    }
    let first = hash.finish().as_ref().first_chunk().copied().unwrap_or_default();
    i64::from_be_bytes(first)
}

/// The hash of an event's pair.
pub(crate) fn event_pair_hash(event: &Event) -> i64 {
    pair_hash(&event.broker, &event.consumer.name, &event.provider.name)
}

/// A fingerprint as kept.
pub(crate) fn fingerprint(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| unreadable("fingerprint", &format!("{} bytes", bytes.len())))
}

/// The outcome that a stored word says.
pub(crate) fn outcome(text: &str) -> Result<Outcome, StoreError> {
    text.parse().map_err(|_| unreadable("outcome", text))
}

/// The event that a kept text is.
pub(crate) fn event(text: &str) -> Result<Event, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable("event", &error.to_string()))
}

/// The event name that a stored word says.
pub(crate) fn event_name(text: &str) -> Result<EventName, StoreError> {
    if text == EventName::Test.as_str() {
        return Ok(EventName::Test);
    }
    text.parse().map_err(|_| unreadable("event name", text))
}

/// How an event came in, as a stored word says.
pub(crate) fn event_source(text: &str) -> Result<EventSource, StoreError> {
    text.parse().map_err(|_| unreadable("source of an event", text))
}

pub(crate) fn merged_because(text: &str) -> Result<MergedBecause, StoreError> {
    let mut all = MergedBecause::ALL.into_iter();
    all.find(|why| why.as_str() == text).ok_or_else(|| unreadable("reason of a merged call", text))
}

/// The webhook uuid that a stored text says.
pub(crate) fn webhook_uuid(text: &str) -> Result<WebhookUuid, StoreError> {
    text.parse().map_err(|_| unreadable("webhook uuid", text))
}

/// The status that a stored word says.
pub(crate) fn stored_status(text: &str) -> Result<StoredStatus, StoreError> {
    [
        StoredStatus::Waiting,
        StoredStatus::Sending,
        StoredStatus::Delivered,
        StoredStatus::Failed,
        StoredStatus::Discarded,
    ]
    .into_iter()
    .find(|status| status.as_str() == text)
    .ok_or_else(|| unreadable("delivery status", text))
}

/// The webhook state that a stored word says.
pub(crate) fn webhook_state(text: &str) -> Result<WebhookState, StoreError> {
    [WebhookState::Enabled, WebhookState::Disabled, WebhookState::Deleted]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| unreadable("webhook state", text))
}

/// The hold cause that a stored word says.
pub(crate) fn hold_cause(text: &str) -> Result<HoldCause, StoreError> {
    HoldCause::ALL
        .into_iter()
        .find(|cause| cause.as_str() == text)
        .ok_or_else(|| unreadable("hold cause", text))
}

/// A lane's state; the column `hold_cause` is null while the lane is open.
pub(crate) fn lane_state(cause: Option<&str>) -> Result<LaneState, StoreError> {
    cause.map_or(Ok(LaneState::Open), |text| hold_cause(text).map(LaneState::Held))
}

/// The kind of thing that a stored word of the audit log says.
pub(crate) fn audit_kind(text: &str) -> Result<AuditKind, StoreError> {
    text.parse().map_err(|_| unreadable("kind of change", text))
}

/// What a stored word of the audit log says was done.
pub(crate) fn audit_action(text: &str) -> Result<AuditAction, StoreError> {
    text.parse().map_err(|_| unreadable("change", text))
}

/// Which value of a secret a stored word says.
pub(crate) fn which_value(text: &str) -> Result<WhichValue, StoreError> {
    text.parse().map_err(|_| unreadable("value of a secret", text))
}

/// What a stored word says that a probe found.
pub(crate) fn probe_verdict(text: &str) -> Result<ProbeVerdict, StoreError> {
    text.parse().map_err(|_| unreadable("finding of a probe", text))
}

/// The incident kind that a stored word says.
pub(crate) fn incident_kind(text: &str) -> Result<IncidentKind, StoreError> {
    text.parse().map_err(|_| unreadable("incident kind", text))
}

/// The severity that a stored word says.
pub(crate) fn severity(text: &str) -> Result<Severity, StoreError> {
    [Severity::Critical, Severity::Warning]
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| unreadable("severity", text))
}

/// The alert's status that a stored word says.
pub(crate) fn alert_status(text: &str) -> Result<AlertStatus, StoreError> {
    [AlertStatus::Firing, AlertStatus::Resolved]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| unreadable("alert status", text))
}

/// The broker's trouble that a stored word says.
pub(crate) fn broker_trouble(text: &str) -> Result<BrokerTrouble, StoreError> {
    BrokerTrouble::ALL
        .into_iter()
        .find(|trouble| trouble.as_str() == text)
        .ok_or_else(|| unreadable("broker trouble", text))
}

/// A list as kept in one column.
pub(crate) fn list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable("list", &error.to_string()))
}

/// A list for one column.
pub(crate) fn list_text<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list)
        .map_err(|error| StoreError::Unusable(format!("a list can't be written: {error}")))
}

fn unreadable(what: &str, found: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} {found:?}"))
}

#[cfg(test)]
mod tests;
