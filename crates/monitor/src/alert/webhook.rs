//! The body that Alertmanager's webhook receivers take (version 4), with the headers of
//! Standard Webhooks.

use jiff::Timestamp;
use postrider_render::SigningKey;
use postrider_store::AlertStatus;
use serde_json::{Value, json};
use url::Url;

use super::content::Alert;

/// What Alertmanager writes for an alert that has not ended.
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";

/// One alert in a group of its own.
pub(super) fn body(alert: &Alert, base: Option<&Url>) -> Value {
    let status = alert.status.as_str();
    let name = alert.labels.get("alertname");
    let ends_at = match (alert.status, alert.ends_at) {
        (AlertStatus::Resolved, Some(at)) => json!(at),
        (AlertStatus::Firing | AlertStatus::Resolved, _) => json!(NOT_ENDED),
    };
    json!({
        "version": "4",
        "groupKey": group_key(alert),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "postrider",
        "groupLabels": { "alertname": name },
        "commonLabels": alert.labels,
        "commonAnnotations": alert.annotations,
        "externalURL": base.map_or("", Url::as_str),
        "alerts": [{
            "status": status,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": alert.starts_at,
            "endsAt": ends_at,
            "generatorURL": alert.link.as_deref().unwrap_or_default(),
            "fingerprint": alert.fingerprint(),
        }],
    })
}

/// The same for opening and resolution, another one for each incident that comes later.
fn group_key(alert: &Alert) -> String {
    let labels: Vec<String> =
        alert.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

/// `webhook-id` stays the same over all tries; without a key nothing is signed.
pub(super) fn headers(
    id: &str,
    now: Timestamp,
    body: &str,
    key: Option<&SigningKey>,
) -> Vec<(&'static str, String)> {
    let seconds = now.as_second();
    let mut headers =
        vec![("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string())];
    if let Some(key) = key {
        headers.push(("webhook-signature", key.sign(id, seconds, body.as_bytes())));
    }
    headers
}
