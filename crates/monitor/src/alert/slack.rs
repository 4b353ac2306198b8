//! Slack's incoming webhooks: one message for all that is to be told at this moment.

use postrider_store::AlertStatus;
use serde_json::{Value, json};

use super::content::Alert;

/// Incidents in one message; Slack takes 50 blocks.
pub(super) const BATCH: u32 = 20;
/// Characters of a block's text; Slack takes 3,000.
const LONGEST: usize = 2_900;

pub(super) fn message(alerts: &[Alert]) -> Value {
    let titles: Vec<String> = alerts.iter().map(title).collect();
    let blocks: Vec<Value> = alerts.iter().map(block).collect();
    json!({ "text": shortened(&titles.join("\n")), "blocks": blocks })
}

fn title(alert: &Alert) -> String {
    let severity = alert.labels.get("severity").map_or("", String::as_str);
    let (open_for, lasted) = (alert.annotations.get("open_for"), alert.annotations.get("lasted"));
    let state = match (alert.status, open_for, lasted) {
        (AlertStatus::Firing, None, _) => format!("FIRING, {severity}"),
        (AlertStatus::Firing, Some(age), _) => format!("STILL OPEN for {age}, {severity}"),
        (AlertStatus::Resolved, _, None) => "RESOLVED".to_owned(),
        (AlertStatus::Resolved, _, Some(age)) => format!("RESOLVED after {age}"),
    };
    format!("[{state}] {}", summary(alert))
}

fn summary(alert: &Alert) -> String {
    escaped(alert.annotations.get("summary").map_or("", String::as_str))
}

fn block(alert: &Alert) -> Value {
    let mut text =
        format!("*{}*\n{}", alert.labels.get("alertname").map_or("", String::as_str), title(alert));
    if alert.status == AlertStatus::Firing {
        let next = escaped(alert.annotations.get("next").map_or("", String::as_str));
        text.extend(["\nNext: `", &next.replace('`', "'"), "`"]);
    }
    if let Some(link) = &alert.link {
        text.extend(["\n<", &escaped(link), "|incident>"]);
    }
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": shortened(&text) } })
}

/// The three characters that mean something to Slack.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As much as a block of text may hold.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
