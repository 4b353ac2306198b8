use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    Body, BodyMode, DeliveryStatus, EventName, Outcome, Pacticipant, WebhookId,
};
use postrider_store::{AttemptRow, DeliveryRow};
use serde_json::{Value, json};

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn rendition() -> Rendition {
    Rendition { webhook_rev: 3, span_id: [0xab; 8], renderer: RENDERER, body_bytes: 11 }
}

fn template() -> RequestTemplate {
    RequestTemplate {
        method: "POST".to_owned(),
        url: "https://h/${user.token}".to_owned(),
        headers: vec![("authorization".to_owned(), "********".to_owned())],
        body: Some(Body::Json(json!({"c": "${pactbroker.consumerName}"}))),
        body_mode: BodyMode::Json,
        username: None,
        password: None,
    }
}

fn view() -> DeliveryView {
    let id = "01930000-0000-7000-8000-000000000000";
    let side = |name: &str| Pacticipant { name: name.to_owned(), ..Pacticipant::default() };
    let event = Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("Zoo"),
        provider: side("P"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    };
    let row = DeliveryRow {
        id: id.parse().unwrap(),
        event_id: id.parse().unwrap(),
        event_name: EventName::ContractPublished,
        broker: "default".to_owned(),
        webhook_uuid: "2LCteR1tS9v0HLxPmpkNaA".parse().unwrap(),
        consumer: "Zoo".to_owned(),
        provider: "P".to_owned(),
        consumer_version: String::new(),
        status: DeliveryStatus::Delivered,
        lane: "h/token".to_owned(),
        attempts: 1,
        last_outcome: Some(Outcome::Accepted),
        last_status_code: Some(204),
        next_attempt_at: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    DeliveryView {
        row,
        webhook_id: WebhookId(1),
        event: serde_json::to_string(&event).unwrap(),
        traceparent: Some(TRACE.to_owned()),
        attempts: vec![AttemptRow {
            number: 1,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            outcome: Outcome::Accepted,
            status_code: Some(204),
            github_request_id: None,
            possible_duplicate: false,
            retry_after_capped: false,
            request: KeptRequest::Rendition(rendition()),
            response: String::new(),
        }],
    }
}

#[test]
fn a_request_is_rendered_with_stars_and_its_trace() {
    let shown = rendered(Some(&template()), &view(), &rendition(), &[]);
    assert_eq!((shown.origin, shown.body_bytes), (Some(RequestOrigin::Rendered), Some(11)));
    assert_eq!(shown.note, None);
    let request: Value = serde_json::from_str(&shown.text).unwrap();
    let expected = json!({
        "method": "POST",
        "url": "https://h/********",
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "authorization": "**********",
            "user-agent": USER_AGENT,
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-abababababababab-01",
        },
        "body": {"c": "Zoo"},
    });
    assert_eq!(request, expected);
}

#[test]
fn what_is_not_what_was_sent_says_so() {
    let note = |template: Option<RequestTemplate>, view: &DeliveryView, rendition: Rendition| {
        let shown = rendered(template.as_ref(), view, &rendition, &[]);
        assert_eq!(shown.text.is_empty(), shown.origin.is_none());
        shown.note.unwrap_or_default()
    };
    let gone = note(None, &view(), rendition());
    assert_eq!(gone, "the webhook's revision 3 is not kept any more");
    let older = Rendition { renderer: RENDERER + 1, ..rendition() };
    assert!(note(Some(template()), &view(), older).contains("rendered differently"));
    let longer = Rendition { body_bytes: 13, ..rendition() };
    assert!(note(Some(template()), &view(), longer).contains("13 bytes"));
    let broken = RequestTemplate { url: "ftp://h/".to_owned(), ..template() };
    assert!(note(Some(broken), &view(), rendition()).contains("can't be rendered"));
    let unread = DeliveryView { event: "{".to_owned(), ..view() };
    assert!(note(Some(template()), &unread, rendition()).starts_with("the event: "));
}

#[test]
fn a_text_that_was_kept_is_shown_as_it_is() {
    let shown = ShownRequest::kept(&KeptRequest::Text("{}".to_owned()));
    assert_eq!((shown.text.as_str(), shown.origin), ("{}", Some(RequestOrigin::Stored)));
    assert_eq!(ShownRequest::kept(&KeptRequest::Nothing), ShownRequest::default());
}
