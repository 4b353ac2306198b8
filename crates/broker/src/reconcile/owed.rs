//! What a pair owes at the broker, and what of it has a delivery here: pure decisions.

use jiff::Timestamp;
use postrider_domain::owed::{Debt, Due, Judged};
use postrider_domain::{DeliveryId, DeliveryStatus, Event, EventName, content_of};
use serde_json::{Value, json};

use crate::{Pair, PairView};

/// A provider version that owes a result for a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose contract it is.
    pub pair: Pair,
    /// What is owed.
    pub debt: Debt,
    /// Where the pact can be read; empty when the broker doesn't say.
    pub pact_url: String,
    /// Sha of its content; `None` when it is not known, or gone.
    pub content: Option<String>,
    /// Deliveries that were about it and failed.
    pub failed: Vec<DeliveryId>,
}

/// Debts of a pair that came to be since then, oldest first.
pub(super) fn owed(pair: &Pair, view: &PairView, since: Timestamp) -> Vec<Owed> {
    let url = |version: &str| {
        let row = view.rows.iter().find(|row| row.consumer_version == version);
        row.map(|row| row.pact_url.clone()).unwrap_or_default()
    };
    let debts = Judged::of(&view.contracts, &view.counts).owes;
    let recent = debts.into_iter().filter(|debt| debt.since >= since);
    recent
        .map(|debt| Owed {
            pact_url: url(&debt.consumer_version),
            pair: pair.clone(),
            debt,
            content: None,
            failed: Vec::new(),
        })
        .collect()
}

impl Owed {
    /// What of earlier events for it is of no use, as `document` wants it.
    pub(super) fn of_no_use(&self) -> Vec<String> {
        self.failed.iter().map(ToString::to_string).collect()
    }

    /// Whether the broker should have told of it.
    pub(super) fn is_published(&self) -> bool {
        self.debt.due == Due::Published
    }

    /// Whether a delivery's event, as the API shows it, names another content than the version has
    /// now.
    pub(super) fn is_of_another_content(&self, event: &Value) -> bool {
        let named = event.get("pact_url").and_then(Value::as_str).and_then(content_of);
        named.is_some() && self.content.as_deref().is_some_and(|sha| named != Some(sha))
    }

    /// Whether a delivery's event, as the API shows it, told somebody of its versions. One that names
    /// no provider version stands for all that counted then.
    pub(super) fn is_told_by(&self, event: &Value) -> bool {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let provider = text("/provider/version_number").unwrap_or_default();
        text("/consumer/version_number") == Some(self.debt.consumer_version.as_str())
            && (provider.is_empty() || provider == self.debt.provider.version)
    }
}

/// Whether a delivery of such an event at such a broker can be about a debt at this broker.
pub(super) fn is_candidate(event: EventName, of: &str, broker: &str) -> bool {
    event == EventName::ContractRequiringVerificationPublished && of == broker
}

/// Whether a delivery told somebody, or still may.
pub(super) fn covers(status: DeliveryStatus) -> bool {
    match status {
        DeliveryStatus::Queued
        | DeliveryStatus::Delivered
        | DeliveryStatus::Retrying
        | DeliveryStatus::Held => true,
        DeliveryStatus::Failed | DeliveryStatus::Discarded => false,
    }
}

/// The idempotency key of an event for a debt: equal for equal events, so that a second run does
/// nothing, but new once what came of the one before is of no use: deliveries that failed, events
/// that led to nothing.
fn key(event: &Event, of_no_use: &[String]) -> Result<String, serde_json::Error> {
    let content = serde_json::to_vec(&(event, of_no_use))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
    Ok(format!("reconcile-{}", hex::encode(digest)))
}

/// The event as the intake takes it, with its key; what of events for the same debt is of no use
/// makes it another one.
pub(super) fn document(event: &Event, of_no_use: &[String]) -> Result<Value, serde_json::Error> {
    let key = key(event, of_no_use)?;
    let mut document = serde_json::to_value(event)?;
    if let Some(document) = document.as_object_mut() {
        document.insert("id".to_owned(), json!(key));
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use postrider_domain::Pacticipant;
    use postrider_domain::owed::{Contract, Counted, Role};

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    fn counted(version: &str, since: i64) -> Counted {
        Counted {
            version: version.to_owned(),
            main_branch: Some("main".to_owned()),
            because: vec![(Role::Main, at(since))],
        }
    }

    fn view(published: i64, counts: Vec<Counted>) -> PairView {
        let contract = Contract {
            consumer_version: "1".to_owned(),
            lines: vec![Role::Main],
            published_at: at(published),
            placed_since: None,
            results: Vec::new(),
        };
        PairView { counts, contracts: vec![contract], ..PairView::default() }
    }

    fn pair() -> Pair {
        Pair { consumer: "C".to_owned(), provider: "P".to_owned() }
    }

    #[test]
    fn what_came_to_be_since_then_is_owed() {
        let found = owed(&pair(), &view(5, vec![counted("p1", 1)]), at(5));
        assert!(found.len() == 1 && found[0].is_published(), "{found:?}");
        assert_eq!(owed(&pair(), &view(5, vec![counted("p1", 1)]), at(6)), []);
        // An old contract, and a version that was built after it.
        let found = owed(&pair(), &view(1, vec![counted("p2", 5)]), at(5));
        assert!(found.len() == 1 && !found[0].is_published(), "{found:?}");
    }

    #[test]
    fn deliveries_are_compared_by_what_they_were_about() {
        let mut found = owed(&pair(), &view(5, vec![counted("p1", 1)]), at(0)).remove(0);
        let of_content =
            |found: &Owed, url: &str| !found.is_of_another_content(&json!({"pact_url": url}));
        let url = "https://b/pacts/provider/P/consumer/C/pact-version/aa/metadata/Y3Zu";
        assert!(of_content(&found, url));
        found.content = Some("aa".to_owned());
        assert!(of_content(&found, url) && of_content(&found, ""));
        found.content = Some("bb".to_owned());
        assert!(!of_content(&found, url) && of_content(&found, ""));
        let told = |consumer: &str, provider: &str| {
            found.is_told_by(&json!({
                "consumer": { "version_number": consumer },
                "provider": { "version_number": provider },
            }))
        };
        assert!(told("1", "p1") && told("1", ""));
        assert!(!told("2", "p1") && !told("1", "p0") && !found.is_told_by(&json!({})));
        let asks = EventName::ContractRequiringVerificationPublished;
        assert!(is_candidate(asks, "default", "default"));
        assert!(!is_candidate(asks, "other", "default"));
        assert!(!is_candidate(EventName::ContractPublished, "default", "default"));
        assert!(covers(DeliveryStatus::Held) && !covers(DeliveryStatus::Failed));
    }

    #[test]
    fn the_key_is_of_the_content() {
        let event = |version: &str| Event {
            event_name: EventName::ContractRequiringVerificationPublished,
            occurred_at: None,
            broker: "default".to_owned(),
            consumer: Pacticipant::default(),
            provider: Pacticipant { version_number: version.to_owned(), ..Pacticipant::default() },
            pact_url: String::new(),
            verification_result_url: String::new(),
            verification_success: None,
            build_url: String::new(),
            currently_deployed_provider_version_number: String::new(),
        };
        let one = key(&event("p1"), &[]).unwrap();
        assert_eq!(one, key(&event("p1"), &[]).unwrap());
        assert_ne!(one, key(&event("p2"), &[]).unwrap());
        assert_ne!(one, key(&event("p1"), &["a failed delivery".to_owned()]).unwrap());
        assert!(one.len() < 255);
    }
}
