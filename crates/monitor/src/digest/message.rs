//! The digest as Slack takes it: one line when nothing is wrong, and never long.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{DigestFacts, WebhookFailures};
use crate::alert::slack::{escaped, shortened};

/// Lines of one part; what does not fit is counted.
const LINES: usize = 10;
/// Characters of one line.
const WIDTH: usize = 240;

/// A part for each thing that a person may have to look at.
pub(super) fn message(facts: &DigestFacts, day: Date, now: Timestamp) -> Value {
    let title = title(facts, day);
    let parts = [failures(facts), incidents(facts), pairs(facts), expiring(facts, now)];
    let texts = std::iter::once(title.clone()).chain(parts.into_iter().flatten());
    let block = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": shortened(&text) } });
    json!({ "text": shortened(&title), "blocks": texts.map(block).collect::<Vec<_>>() })
}

/// `postrider on 2026-11-30: 120 deliveries in 24 hours, 118 delivered, 2 failed; 1 incident open`.
fn title(facts: &DigestFacts, day: Date) -> String {
    let DigestFacts { delivered, failed, open, .. } = facts;
    let many = delivered + failed + open;
    let least = if facts.is_exact { "" } else { "at least " };
    let deliveries = if many == 0 {
        "no deliveries in 24 hours".to_owned()
    } else {
        let waiting = if *open == 0 { String::new() } else { format!(", {open} on the way") };
        format!(
            "{least}{} in 24 hours, {delivered} delivered, {failed} failed{waiting}",
            counted(many, "delivery", "deliveries")
        )
    };
    let is_well = facts.open_incidents == 0 && facts.bad_pairs.is_empty();
    let state = if is_well && facts.owing == 0 && facts.expiring.is_empty() {
        "nothing is open, owed or about to expire".to_owned()
    } else {
        format!(
            "{} open, {} owing, {} late or failed, {} about to expire",
            counted(facts.open_incidents, "incident", "incidents"),
            counted(facts.owing, "pair", "pairs"),
            facts.bad_pairs.len(),
            counted(facts.expiring.len() as u64, "credential", "credentials"),
        )
    };
    format!("*postrider* on {day}: {deliveries}; {state}")
}

fn counted(many: u64, one: &str, more: &str) -> String {
    format!("{many} {}", if many == 1 { one } else { more })
}

/// `None` when there is nothing to tell.
fn part(head: &str, all: u64, lines: impl Iterator<Item = String>) -> Option<String> {
    let mut shown: Vec<String> = lines.take(LINES).map(|line| cut(&line)).collect();
    if shown.is_empty() {
        return None;
    }
    let left = all.saturating_sub(shown.len() as u64);
    if left > 0 {
        shown.push(format!("… and {left} more"));
    }
    Some(format!("*{head}*\n{}", shown.join("\n")))
}

fn cut(line: &str) -> String {
    let text: String = line.chars().take(WIDTH).collect();
    format!("• {}", escaped(&text))
}

fn failures(facts: &DigestFacts) -> Option<String> {
    let line = |one: &WebhookFailures| {
        let WebhookFailures { webhook, description, count, outcome } = one;
        let outcome = outcome.map_or("unknown", |outcome| outcome.as_str());
        let times = counted(*count, "delivery", "deliveries");
        format!("{description} ({webhook}): {times}, the newest {outcome}")
    };
    let head = "Failed for good, without an incident";
    part(head, facts.failures.len() as u64, facts.failures.iter().map(line))
}

fn incidents(facts: &DigestFacts) -> Option<String> {
    let lines = facts.incidents.iter().map(|incident| {
        let seen = if incident.acknowledged_at.is_some() { ", acknowledged" } else { "" };
        let kind = incident.kind.as_str();
        format!("{kind} since {:.0}{seen}: {}", incident.opened_at, incident.summary)
    });
    part("Open incidents", facts.open_incidents, lines)
}

fn pairs(facts: &DigestFacts) -> Option<String> {
    let lines = facts.bad_pairs.iter().map(|(key, state)| {
        format!("{state}: {} and {} at {}", key.consumer, key.provider, key.broker)
    });
    part(
        "Verifications that are late, failed or asked of nobody",
        facts.bad_pairs.len() as u64,
        lines,
    )
}

fn expiring(facts: &DigestFacts, now: Timestamp) -> Option<String> {
    let lines = facts.expiring.iter().map(|(name, at)| {
        let verb = if *at <= now { "expired" } else { "expires" };
        format!("{name} {verb} at {at:.0}")
    });
    part("Credentials", facts.expiring.len() as u64, lines)
}

#[cfg(test)]
mod tests {
    use postrider_domain::PairKey;

    use super::*;

    fn told(facts: &DigestFacts) -> Value {
        let now: Timestamp = "2026-11-30T09:00:00Z".parse().unwrap();
        message(facts, "2026-11-30".parse().unwrap(), now)
    }

    fn quiet() -> DigestFacts {
        DigestFacts { is_exact: true, ..DigestFacts::default() }
    }

    #[test]
    fn a_day_on_which_nothing_happened_is_one_line() {
        let told = told(&quiet());
        let line = "*postrider* on 2026-11-30: no deliveries in 24 hours; nothing is open, owed or \
                    about to expire";
        assert_eq!(told["text"], line);
        assert_eq!(told["blocks"].as_array().unwrap().len(), 1);
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_day_tells_what_a_person_may_have_to_look_at() {
        let failures = WebhookFailures {
            webhook: "w-1".to_owned(),
            description: "Notify <orders>".to_owned(),
            count: 2,
            outcome: Some(postrider_domain::Outcome::NotFound),
        };
        let key = PairKey {
            broker: "default".to_owned(),
            consumer: "web".to_owned(),
            provider: "orders".to_owned(),
        };
        let facts = DigestFacts {
            delivered: 118,
            failed: 2,
            open: 1,
            failures: vec![failures],
            owing: 3,
            bad_pairs: vec![(key, "stale")],
            expiring: vec![("githubToken".to_owned(), "2026-12-04T00:00:00Z".parse().unwrap())],
            ..quiet()
        };
        let told = told(&facts);
        assert_eq!(
            told["text"],
            "*postrider* on 2026-11-30: 121 deliveries in 24 hours, 118 delivered, 2 failed, 1 on \
             the way; 0 incidents open, 3 pairs owing, 1 late or failed, 1 credential about to \
             expire"
        );
        let texts: Vec<&str> = told["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .skip(1)
            .map(|block| block["text"]["text"].as_str().unwrap())
            .collect();
        assert_eq!(
            texts,
            [
                "*Failed for good, without an incident*\n• Notify &lt;orders&gt; (w-1): 2 \
                 deliveries, the newest not_found",
                "*Verifications that are late, failed or asked of nobody*\n• stale: web and orders \
                 at default",
                "*Credentials*\n• githubToken expires at 2026-12-04T00:00:00Z",
            ]
        );
    }

    #[test]
    fn a_bad_day_has_a_bounded_digest() {
        let failures = |number: usize| WebhookFailures {
            webhook: format!("w-{number}"),
            description: "<&>".repeat(500),
            count: 1,
            outcome: None,
        };
        let facts = DigestFacts { failures: (0..5_000).map(failures).collect(), ..quiet() };
        let told = told(&facts);
        let text = told["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() < 3_000 && text.lines().count() <= 12, "{}", text.len());
        let few = DigestFacts { failures: (0..12).map(failures).collect(), ..quiet() };
        let few: Vec<WebhookFailures> = few
            .failures
            .into_iter()
            .map(|one| WebhookFailures { description: "d".to_owned(), ..one })
            .collect();
        let told = self::told(&DigestFacts { failures: few, ..quiet() });
        let text = told["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(text.ends_with("… and 2 more"), "{text}");
    }
}
