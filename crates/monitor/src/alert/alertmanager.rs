//! `POST /api/v2/alerts` of Prometheus Alertmanager.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::content::Alert;

/// Alerts in one request.
pub(super) const BATCH: u32 = 200;

/// An open alert ends by itself unless it is told again: after four times the interval, as
/// Prometheus does it.
const INTERVALS: u32 = 4;

pub(super) fn alerts(alerts: &[Alert], now: Timestamp, resend: Duration) -> Value {
    let open_until = SignedDuration::try_from(resend.saturating_mul(INTERVALS))
        .ok()
        .and_then(|ahead| now.checked_add(ahead).ok())
        .unwrap_or(now);
    alerts.iter().map(|alert| document(alert, open_until)).collect()
}

fn document(alert: &Alert, open_until: Timestamp) -> Value {
    let mut document = Map::new();
    document.insert("labels".to_owned(), json!(alert.labels));
    document.insert("annotations".to_owned(), json!(alert.annotations));
    document.insert("startsAt".to_owned(), json!(alert.starts_at));
    document.insert("endsAt".to_owned(), json!(alert.ends_at.unwrap_or(open_until)));
    if let Some(link) = &alert.link {
        document.insert("generatorURL".to_owned(), json!(link));
    }
    Value::Object(document)
}
