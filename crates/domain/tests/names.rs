//! The names that rows, JSON, logs and command lines use: each reads back, and JSON agrees.

use postrider_domain::{DeliveryStatus, EventName, Outcome, StoredStatus};

#[test]
fn event_names_read_back_and_are_those_of_json() {
    for name in EventName::ALL {
        assert_eq!(name.as_str().parse(), Ok(name));
        assert_eq!(serde_json::json!(name), name.as_str());
    }
    assert!("contract_content_unchanged".parse::<EventName>().is_err());
}

#[test]
fn outcomes_read_back_and_are_those_of_json() {
    for outcome in Outcome::ALL {
        assert_eq!(outcome.as_str().parse(), Ok(outcome));
        assert_eq!(serde_json::json!(outcome), outcome.as_str());
    }
}

#[test]
fn statuses_read_back_and_are_those_of_json() {
    for status in DeliveryStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(serde_json::json!(status), status.as_str());
    }
    let error = "sending".parse::<DeliveryStatus>().unwrap_err();
    assert!(error.contains("queued, delivered, retrying, held, failed, discarded"), "{error}");
}

#[test]
fn held_wins_over_queued_and_retrying_and_over_nothing_else() {
    let table = [
        (StoredStatus::Waiting, false, 0, DeliveryStatus::Queued),
        (StoredStatus::Waiting, false, 1, DeliveryStatus::Retrying),
        (StoredStatus::Waiting, true, 0, DeliveryStatus::Held),
        (StoredStatus::Waiting, true, 3, DeliveryStatus::Held),
        (StoredStatus::Sending, true, 0, DeliveryStatus::Queued),
        (StoredStatus::Sending, true, 1, DeliveryStatus::Retrying),
        (StoredStatus::Delivered, true, 1, DeliveryStatus::Delivered),
        (StoredStatus::Failed, true, 1, DeliveryStatus::Failed),
        (StoredStatus::Discarded, true, 0, DeliveryStatus::Discarded),
    ];
    for (stored, lane_held, attempts, shown) in table {
        assert_eq!(DeliveryStatus::shown(stored, lane_held, attempts), shown, "{stored:?}");
    }
}
