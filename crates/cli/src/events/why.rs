//! Why no webhook wants an event.

use postrider_domain::Pattern;
use serde_json::Value;

/// Webhooks that are told of one by one.
const TOLD: usize = 20;

/// A line for each webhook: what it is, and what keeps it from wanting the event.
pub(super) fn lines(webhooks: &[Value], event: &Value) -> Vec<String> {
    if webhooks.is_empty() {
        return vec!["there are no webhooks: `postrider webhooks apply` makes one".to_owned()];
    }
    let line = |webhook: &Value| {
        let text = |key: &str| webhook[key].as_str().unwrap_or_default();
        let name = if text("description").is_empty() { "webhook" } else { text("description") };
        format!("{name} ({}) {}", text("uuid"), reason(webhook, event))
    };
    let mut lines: Vec<String> = webhooks.iter().take(TOLD).map(line).collect();
    if webhooks.len() > TOLD {
        lines.push(format!("and {} more webhooks", webhooks.len() - TOLD));
    }
    lines
}

fn reason(webhook: &Value, event: &Value) -> String {
    if webhook["enabled"] == false {
        return "is disabled".to_owned();
    }
    let name = event_name(event);
    let wanted = webhook["events"].as_array().into_iter().flatten();
    let wanted: Vec<&str> = wanted.filter_map(|event| event["name"].as_str()).collect();
    if !wanted.contains(&name) {
        return format!("wants {}, this is {name}", wanted.join(", "));
    }
    let event = event.get("data").filter(|data| data.is_object()).unwrap_or(event);
    let mut sides = ["consumer", "provider"].into_iter();
    let side = sides.find_map(|side| other_side(side, &webhook[side], &event[side]));
    side.or_else(|| kept_out(&webhook["postrider"]["when"], event))
        .unwrap_or_else(|| "wants it by now".to_owned())
}

/// Of a CloudEvent the end of its type.
fn event_name(event: &Value) -> &str {
    let name = event["event_name"].as_str().or_else(|| event["type"].as_str());
    name.and_then(|name| name.rsplit('.').next()).unwrap_or_default()
}

fn other_side(side: &str, selector: &Value, is: &Value) -> Option<String> {
    if let Some(label) = selector["label"].as_str() {
        let labels = is["labels"].as_array().into_iter().flatten();
        let has = labels.filter_map(Value::as_str).any(|one| one == label);
        return (!has).then(|| format!("is for {side}s with the label {label}"));
    }
    let (name, is) = (selector["name"].as_str()?, is["name"].as_str().unwrap_or_default());
    (name != is).then(|| format!("is for the {side} {name}, this is {is}"))
}

/// The first key of `when` that no value of the event fits.
fn kept_out(when: &Value, event: &Value) -> Option<String> {
    when.as_object()?.iter().find_map(|(key, patterns)| {
        let patterns: Vec<&str> = patterns.as_array()?.iter().filter_map(Value::as_str).collect();
        let values = values(key, event);
        let fits = |pattern: &&str| {
            *pattern == "*" || values.iter().any(|value| Pattern::parse(pattern).matches(value))
        };
        let said = values.join(", ");
        (!patterns.iter().any(fits)).then(|| {
            format!("has postrider.when.{key} {}, this says {said:?}", patterns.join(", "))
        })
    })
}

fn values<'a>(key: &str, event: &'a Value) -> Vec<&'a str> {
    let (side, member) = match key {
        "consumers" => ("consumer", "name"),
        "providers" => ("provider", "name"),
        "consumerBranches" => ("consumer", "branch"),
        "consumerTags" => ("consumer", "tags"),
        _ => ("provider", "branch"),
    };
    let value = &event[side][member];
    let list = value.as_array().into_iter().flatten().chain(Some(value));
    list.filter_map(Value::as_str).filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_reason_is_told() {
        let event = json!({
            "event_name": "contract_published",
            "consumer": {"name": "web", "branch": "feat/x", "tags": ["a"]},
            "provider": {"name": "billing"},
        });
        let published = json!([{"name": "contract_published"}]);
        for (webhook, told) in [
            (json!({"enabled": false}), "is disabled"),
            (
                json!({"events": [{"name": "contract_content_changed"}]}),
                "wants contract_content_changed, this is contract_published",
            ),
            (
                json!({"events": published, "provider": {"name": "orders"}}),
                "is for the provider orders, this is billing",
            ),
            (
                json!({"events": published, "consumer": {"label": "ui"}}),
                "is for consumers with the label ui",
            ),
            (
                json!({
                    "events": published,
                    "postrider": {"when": {"consumerTags": ["a"], "consumerBranches": ["main"]}},
                }),
                "has postrider.when.consumerBranches main, this says \"feat/x\"",
            ),
            (json!({"events": published}), "wants it by now"),
        ] {
            assert_eq!(reason(&webhook, &event), told);
        }
        assert!(lines(&[], &event)[0].starts_with("there are no webhooks"));
        let cloud = json!({"type": "org.pact.contract_published", "data": event});
        assert_eq!(reason(&json!({"events": published}), &cloud), "wants it by now");
    }
}
