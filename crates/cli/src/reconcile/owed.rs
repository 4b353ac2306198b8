//! What a pair owes at the broker, and what of it has a delivery here: pure decisions.

use std::collections::HashMap;

use jiff::Timestamp;
use postrider_broker::{MatrixRow, Pair};
use postrider_domain::EventName;
use serde_json::{Value, json};

/// A contract that nobody has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) pair: Pair,
    pub(super) consumer_version: String,
    /// The branch that this is the newest contract of.
    pub(super) branch: Option<String>,
    pub(super) published_at: Timestamp,
    pub(super) pact_url: String,
}

/// The newest contract of each of the consumer's branches, if it was published since then and
/// has no result of any provider version. An older contract of a branch is nobody's question any
/// more, and a failed result is a result: verifying again would not change it.
pub(super) fn owed(pair: &Pair, rows: &[MatrixRow], since: Timestamp) -> Vec<Owed> {
    let mut heads: HashMap<Option<&str>, &MatrixRow> = HashMap::new();
    for row in rows {
        let head = heads.entry(row.consumer_branch.as_deref()).or_insert(row);
        if row.published_at > head.published_at {
            *head = row;
        }
    }
    let verified = |version: &str| {
        rows.iter().any(|row| row.consumer_version == version && row.verification.is_some())
    };
    let mut owed: Vec<Owed> = heads
        .into_values()
        .filter(|row| row.published_at >= since && !verified(&row.consumer_version))
        .map(|row| Owed {
            pair: pair.clone(),
            consumer_version: row.consumer_version.clone(),
            branch: row.consumer_branch.clone(),
            published_at: row.published_at,
            pact_url: row.pact_url.clone(),
        })
        .collect();
    owed.sort_by(|a, b| {
        (a.published_at, &a.consumer_version).cmp(&(b.published_at, &b.consumer_version))
    });
    owed
}

/// Whether a delivery's event, as the API shows it, told somebody of this contract.
pub(super) fn is_about(event: &Value, owed: &Owed) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let version = text("/consumer/version_number");
    version == Some(owed.consumer_version.as_str())
        || (!owed.pact_url.is_empty() && text("/pact_url") == Some(owed.pact_url.as_str()))
}

/// Whether a delivery of such an event at such a broker can be about a contract of this broker:
/// results are no reason to verify.
pub(super) fn is_candidate(event: EventName, of: &str, broker: &str) -> bool {
    let asks = match event {
        EventName::ContractPublished
        | EventName::ContractContentChanged
        | EventName::ContractRequiringVerificationPublished => true,
        EventName::ProviderVerificationPublished
        | EventName::ProviderVerificationSucceeded
        | EventName::ProviderVerificationFailed
        | EventName::Test => false,
    };
    asks && of == broker
}

/// The event that was lost. Equal for equal contracts, so that a key made of it recognises a
/// repeat.
pub(super) fn event(owed: &Owed, broker: &str) -> Value {
    json!({
        "event_name": EventName::ContractRequiringVerificationPublished,
        "occurred_at": owed.published_at,
        "broker": broker,
        "consumer": {
            "name": owed.pair.consumer,
            "version_number": owed.consumer_version,
            "branch": owed.branch.as_deref().unwrap_or_default(),
        },
        "provider": { "name": owed.pair.provider },
        "pact_url": owed.pact_url,
    })
}

/// The idempotency key of such an event.
pub(super) fn key(event: &Value) -> String {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, event.to_string().as_bytes());
    format!("reconcile-{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use postrider_broker::Verification;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    fn row(version: &str, branch: Option<&str>, hour: i64, verified: Option<bool>) -> MatrixRow {
        MatrixRow {
            consumer_version: version.to_owned(),
            consumer_branch: branch.map(str::to_owned),
            provider_version: verified.map(|_| "p".to_owned()),
            provider_branch: None,
            published_at: at(hour),
            pact_url: format!("https://broker/{version}"),
            verification: verified.map(|success| Verification {
                success,
                verified_at: at(hour),
                number: None,
                url: String::new(),
            }),
        }
    }

    fn versions(rows: &[MatrixRow], since: Timestamp) -> Vec<String> {
        let pair = Pair { consumer: "C".to_owned(), provider: "P".to_owned() };
        owed(&pair, rows, since).into_iter().map(|owed| owed.consumer_version).collect()
    }

    #[test]
    fn each_branch_owes_its_newest_contract_only() {
        let rows = [
            row("main-3", Some("main"), 5, None),
            row("feat-2", Some("feat"), 4, Some(true)),
            row("feat-1", Some("feat"), 3, None),
            row("main-2", Some("main"), 2, None),
            row("bare", None, 1, None),
        ];
        assert_eq!(versions(&rows, at(0)), ["bare", "main-3"]);
        assert_eq!(versions(&rows, at(2)), ["main-3"], "published since then");
        assert_eq!(versions(&rows, at(6)), [""; 0]);
    }

    #[test]
    fn a_failed_result_is_a_result() {
        assert_eq!(versions(&[row("1", Some("main"), 1, Some(false))], at(0)), [""; 0]);
        let one_of_two = [row("1", Some("main"), 1, None), row("1", Some("main"), 1, Some(true))];
        assert_eq!(versions(&one_of_two, at(0)), [""; 0]);
    }

    #[test]
    fn deliveries_are_compared_by_what_they_were_about() {
        let pair = Pair { consumer: "C".to_owned(), provider: "P".to_owned() };
        let owed = owed(&pair, &[row("1", None, 1, None)], at(0)).remove(0);
        let about = |event: Value| is_about(&event, &owed);
        assert!(about(json!({"consumer": {"version_number": "1"}})));
        assert!(about(json!({"consumer": {}, "pact_url": "https://broker/1"})));
        assert!(!about(json!({"consumer": {"version_number": "2"}, "pact_url": ""})));

        let listed = |event, broker: &str| is_candidate(event, broker, "default");
        assert!(listed(EventName::ContractContentChanged, "default"));
        assert!(!listed(EventName::ContractContentChanged, "other"));
        assert!(!listed(EventName::ProviderVerificationPublished, "default"));
    }

    #[test]
    fn the_key_is_of_the_content() {
        let pair = Pair { consumer: "C".to_owned(), provider: "P".to_owned() };
        let owed = owed(&pair, &[row("1", None, 1, None)], at(0)).remove(0);
        let one = key(&event(&owed, "default"));
        assert_eq!(one, key(&event(&owed.clone(), "default")));
        assert_ne!(one, key(&event(&owed, "other")));
        assert!(one.len() < 255);
    }
}
