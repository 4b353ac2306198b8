use std::convert::Infallible;
use std::sync::Mutex;

use postrider_domain::{EventName, Pacticipant};
use serde_json::json;

use super::*;

/// An intake that knows events by their keys, and webhooks that may want them by now.
#[derive(Default)]
struct Intake {
    keys: Mutex<Vec<String>>,
    /// Events that were taken before and led to nothing.
    old: usize,
    wanted_now: bool,
    refuses: bool,
}

impl Intake {
    fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }
}

impl Here for Intake {
    type Fault = Infallible;

    async fn deliveries(&self, _query: &[(&str, String)]) -> Result<DeliveryList, Infallible> {
        unreachable!("nothing is compared")
    }

    async fn delivery(&self, _id: DeliveryId) -> Result<DeliveryDetail, Infallible> {
        unreachable!("nothing is compared")
    }

    async fn event(&self, id: EventId) -> Result<EventDetail, Infallible> {
        let reason = if self.wanted_now { Value::Null } else { json!("/events names others") };
        let webhook = json!({
            "webhook_uuid": "0123456789abcdef", "description": "d", "reason": reason,
        });
        let detail = json!({
            "id": id, "source": "reconcile", "received_at": "2026-11-30T09:00:00Z", "event": {},
            "deliveries": [], "unwanted_by": [webhook], "webhooks": 1, "merged": null,
        });
        Ok(serde_json::from_value(detail).unwrap())
    }

    async fn take(&self, event: &Value) -> Result<Taken, Infallible> {
        if self.refuses {
            return Ok(Taken::Refused("it is too long".to_owned()));
        }
        let mut keys = self.keys.lock().unwrap();
        keys.push(event["id"].as_str().unwrap().to_owned());
        let is_old = keys.len() <= self.old;
        let delivery = json!({
            "id": "01a2015a-0000-7000-8000-000000000001", "webhook_uuid": "0123456789abcdef",
        });
        let accepted = json!({
            "event_id": format!("01a2015a-0000-7000-8000-{:012}", keys.len()),
            "deliveries": if is_old { json!([]) } else { json!([delivery]) },
            "duplicate": is_old,
        });
        Ok(Taken::Accepted(serde_json::from_value(accepted).unwrap()))
    }
}

fn event() -> Event {
    Event {
        event_name: EventName::ContractRequiringVerificationPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: Pacticipant::default(),
        provider: Pacticipant::default(),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

async fn sent(intake: &Intake) -> State {
    send(intake, &event(), vec!["a failed delivery".to_owned()]).await.unwrap()
}

#[tokio::test]
async fn what_led_to_nothing_is_sent_anew_where_somebody_wants_it_now() {
    let intake = Intake { old: 2, wanted_now: true, ..Intake::default() };
    assert_eq!(sent(&intake).await, State::Dispatched(1));
    let keys = intake.keys();
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!((keys.len(), distinct.len()), (3, 3), "each is another event: {keys:?}");
}

#[tokio::test]
async fn it_is_sent_once_where_nobody_wants_it_and_never_for_ever() {
    let nobody = Intake { old: 9, ..Intake::default() };
    assert_eq!(sent(&nobody).await, State::Dispatched(0));
    assert_eq!(nobody.keys().len(), 1);
    let always_old = Intake { old: 99, wanted_now: true, ..Intake::default() };
    assert_eq!(sent(&always_old).await, State::Dispatched(0));
    assert_eq!(always_old.keys().len(), SENT_ANEW);
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let intake = Intake { refuses: true, ..Intake::default() };
    assert_eq!(sent(&intake).await, State::Refused("it is too long".to_owned()));
}
