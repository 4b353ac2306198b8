use jiff::Timestamp;

use super::{distance, unwanted, wants};
use crate::{
    Body, BodyMode, Event, EventName, Extensions, Pacticipant, RequestTemplate, Selector, Webhook,
};

fn webhook(consumer: Option<Selector>, provider: Option<Selector>) -> Webhook {
    Webhook {
        uuid: "dCGCl-Ba3PqEFJ_iE9mJkQ".parse().unwrap(),
        description: None,
        consumer,
        provider,
        enabled: true,
        events: vec![EventName::ContractRequiringVerificationPublished],
        request: RequestTemplate {
            method: "POST".to_owned(),
            url: "https://example.org/".to_owned(),
            headers: Vec::new(),
            body: Some(Body::Text(String::new())),
            body_mode: BodyMode::Json,
            username: None,
            password: None,
        },
        team_uuid: None,
        extensions: Extensions::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn event(name: EventName) -> Event {
    let side = |name: &str, label: &str| Pacticipant {
        name: name.to_owned(),
        labels: vec!["other".to_owned(), label.to_owned()],
        ..Pacticipant::default()
    };
    Event {
        event_name: name,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("Shop", "web"),
        provider: side("Stock", "core"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

fn name(text: &str) -> Selector {
    Selector::Name(text.to_owned())
}

fn label(text: &str) -> Selector {
    Selector::Label(text.to_owned())
}

#[test]
fn both_sides_have_to_match() {
    let table = [
        (None, None, true),
        (Some(name("Shop")), None, true),
        (Some(name("shop")), None, false),
        (Some(name("Stock")), None, false),
        (Some(name("web")), None, false),
        (None, Some(name("Stock")), true),
        (None, Some(name("Shop")), false),
        (Some(name("Shop")), Some(name("Stock")), true),
        (Some(name("Shop")), Some(name("Till")), false),
        (Some(name("Till")), Some(name("Stock")), false),
        (Some(label("web")), None, true),
        (Some(label("other")), None, true),
        (Some(label("Web")), None, false),
        (Some(label("core")), None, false),
        (Some(label("Shop")), None, false),
        (None, Some(label("core")), true),
        (Some(label("web")), Some(label("core")), true),
        (Some(label("web")), Some(label("web")), false),
        (Some(name("Shop")), Some(label("core")), true),
        (Some(label("web")), Some(name("Stock")), true),
        (Some(label("core")), Some(name("Stock")), false),
    ];
    let event = event(EventName::ContractRequiringVerificationPublished);
    for (consumer, provider, expected) in table {
        let webhook = webhook(consumer, provider);
        assert_eq!(
            wants(&webhook, &event),
            expected,
            "consumer {:?}, provider {:?}",
            webhook.consumer,
            webhook.provider
        );
    }
}

#[test]
fn only_subscribed_events_count() {
    let mut webhook = webhook(None, None);
    webhook.events = vec![EventName::ContractContentChanged, EventName::ProviderVerificationFailed];
    let wanted: Vec<EventName> =
        EventName::ALL.into_iter().filter(|name| wants(&webhook, &event(*name))).collect();
    assert_eq!(wanted, webhook.events);
}

#[test]
fn a_disabled_webhook_wants_nothing() {
    let mut webhook = webhook(None, None);
    webhook.enabled = false;
    assert!(!wants(&webhook, &event(EventName::ContractRequiringVerificationPublished)));
}

#[test]
fn whoever_is_not_told_is_told_why() {
    let event = event(EventName::ContractRequiringVerificationPublished);
    let reason = |webhook: &Webhook| unwanted(webhook, &event).map(|why| why.to_string());
    assert_eq!(reason(&webhook(None, None)), None);
    let mut other = webhook(None, Some(name("Till")));
    assert_eq!(reason(&other).unwrap(), "provider.name is \"Till\", not \"Stock\"");
    let of_another = distance(&other, &event);
    other.events = vec![EventName::ContractPublished];
    let why = "events names contract_published, not contract_requiring_verification_published";
    assert_eq!(reason(&other).unwrap(), why);
    other.enabled = false;
    assert_eq!(reason(&other).unwrap(), "enabled is false");
    assert!(distance(&other, &event) > of_another);
    let labelled = webhook(Some(label("core")), None);
    let why = "consumer.label is \"core\", which is none of the labels \"other, web\"";
    assert_eq!(reason(&labelled).unwrap(), why);
    let when = serde_json::json!({"when": {"consumerBranches": ["main"]}});
    let mut kept = webhook(None, None);
    kept.extensions = Extensions::read(&when).unwrap();
    assert_eq!(reason(&kept).unwrap(), "postrider.when.consumerBranches does not match \"\"");
    // Meant for this pair, and everything else of it is wrong.
    kept.events = vec![EventName::ContractPublished];
    kept.enabled = false;
    assert!(distance(&kept, &event) < of_another);
}

#[test]
fn a_reason_is_there_exactly_where_nothing_is_wanted() {
    let all = [EventName::ContractPublished, EventName::ContractRequiringVerificationPublished];
    let sides = [None, Some(name("Shop")), Some(name("Till")), Some(label("core"))];
    for event_name in all {
        let event = event(event_name);
        for (consumer, provider) in
            sides.iter().flat_map(|one| sides.iter().map(move |two| (one, two)))
        {
            let webhook = webhook(consumer.clone(), provider.clone());
            assert_eq!(wants(&webhook, &event), unwanted(&webhook, &event).is_none());
            assert_eq!(wants(&webhook, &event), distance(&webhook, &event) == 0);
        }
    }
}
