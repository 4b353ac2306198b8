//! How times, spans, states and documents are put for people.

use jiff::{SignedDuration, Timestamp};
use postrider_api::LaneState;
use postrider_domain::{DeliveryStatus, FreshnessState, Outcome, Severity};
use serde_json::Value;
use url::Url;

/// A moment: exactly, and as seen from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) exact: String,
    pub(super) words: String,
}

impl Moment {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        let age = now.duration_since(at);
        let span = lasting(age.unsigned_abs().as_secs());
        let words = match age {
            age if age.unsigned_abs().as_secs() < 1 => "now".to_owned(),
            age if age > SignedDuration::ZERO => format!("{span} ago"),
            _ => format!("in {span}"),
        };
        Self { exact: format!("{at:.0}"), words }
    }

    pub(super) fn if_any(at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        at.map(|at| Self::of(at, now))
    }
}

/// A span in its two largest units.
pub(super) fn lasting(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut left = seconds;
    let parts = units.map(|(name, length)| {
        let count = left / length;
        left %= length;
        (count, name)
    });
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown = parts.iter().skip(first).take(2).enumerate();
    let shown = shown.filter(|(i, (count, _))| *i == 0 || *count > 0);
    shown.map(|(_, (count, name))| format!("{count} {name}")).collect::<Vec<_>>().join(" ")
}

/// How a thing fares, by colour; words always say it too.
pub(super) mod tone {
    pub(in crate::page) const GOOD: &str = "good";
    pub(in crate::page) const WARN: &str = "warn";
    pub(in crate::page) const BAD: &str = "bad";
    pub(in crate::page) const CALM: &str = "calm";
}

pub(super) fn of_delivery(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Delivered => tone::GOOD,
        DeliveryStatus::Failed => tone::BAD,
        DeliveryStatus::Retrying | DeliveryStatus::Held => tone::WARN,
        DeliveryStatus::Queued | DeliveryStatus::Discarded => tone::CALM,
    }
}

pub(super) fn of_outcome(outcome: Outcome) -> &'static str {
    if outcome == Outcome::Accepted { tone::GOOD } else { tone::BAD }
}

pub(super) fn of_lane(state: LaneState) -> &'static str {
    match state {
        LaneState::Open => tone::GOOD,
        LaneState::Held => tone::BAD,
        LaneState::Paused => tone::WARN,
    }
}

pub(super) fn of_severity(severity: Severity) -> &'static str {
    if severity == Severity::Critical { tone::BAD } else { tone::WARN }
}

pub(super) fn of_freshness(state: FreshnessState) -> &'static str {
    match state {
        FreshnessState::Failed | FreshnessState::Stale => tone::BAD,
        FreshnessState::Unguarded | FreshnessState::Silent | FreshnessState::Unknown => tone::WARN,
        FreshnessState::Owing => tone::CALM,
        FreshnessState::Fresh => tone::GOOD,
    }
}

/// A document, indented; a text as it is; nothing as nothing.
pub(super) fn document(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

/// An address that may stand in a link: what others wrote leads to web pages and nowhere else.
pub(super) fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    ["http", "https"].contains(&url.scheme()).then(|| url.into())
}

/// The command that sends a kept request again; starred values have to be filled in.
pub(super) fn curl(request: &Value) -> Option<String> {
    let (method, url) = (request["method"].as_str()?, request["url"].as_str()?);
    let mut words = vec![format!("curl -X {} {}", quoted(method), quoted(url))];
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        words.push(format!("-H {}", quoted(&format!("{name}: {}", document(value)))));
    }
    match &request["body"] {
        Value::Null => {}
        Value::String(text) => words.push(format!("--data-raw {}", quoted(text))),
        body => words.push(format!("--data-raw {}", quoted(&body.to_string()))),
    }
    Some(words.join(" \\\n  "))
}

/// A word of a shell's command.
pub(super) fn quoted(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_and_moments() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min 59 s"),
            (3_600, "1 h"),
            (3_605, "1 h"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(lasting(seconds), expected, "{seconds}");
        }
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let words = |at: &str| Moment::of(at.parse().unwrap(), now).words;
        assert_eq!(words("2026-11-22T11:58:00Z"), "2 min ago");
        assert_eq!(words("2026-11-22T12:00:30Z"), "in 30 s");
        assert_eq!(words("2026-11-22T12:00:00.3Z"), "now");
        assert_eq!(Moment::of(now, now).exact, "2026-11-22T12:00:00Z");
    }

    #[test]
    fn links_lead_to_web_pages_only() {
        assert_eq!(link("https://a.example/x?y").as_deref(), Some("https://a.example/x?y"));
        for bad in ["javascript:alert(1)", " javascript:x", "data:text/html,x", "/ui", "x", ""] {
            assert_eq!(link(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_request_as_a_command() {
        let request = json!({
            "method": "POST", "url": "https://a.example/b?c=d&e",
            "headers": {"X-A": "it's"}, "body": {"k": "v"},
        });
        let expected = "curl -X POST 'https://a.example/b?c=d&e' \\\n  -H 'X-A: it'\\''s' \\\n  \
                        --data-raw '{\"k\":\"v\"}'";
        assert_eq!(curl(&request).unwrap(), expected);
        assert_eq!(curl(&json!(null)), None);
    }
}
