use jiff::Timestamp;
use postrider_domain::{Body, BodyMode, Extensions, RequestTemplate, Selector, Webhook};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::MasterKey;

fn webhook(url: &str, header: &str, secret: &str) -> Webhook {
    Webhook {
        uuid: "0123456789abcdef".parse().unwrap(),
        description: Some("Notify".to_owned()),
        consumer: Some(Selector::Label("team-a".to_owned())),
        provider: Some(Selector::Name("P".to_owned())),
        enabled: true,
        events: EventName::ALL.to_vec(),
        request: RequestTemplate {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![
                ("accept".to_owned(), "text/plain".to_owned()),
                (header.to_owned(), secret.to_owned()),
            ],
            body: Some(Body::Json(json!({"b": 1, "a": [null, "x"]}))),
            body_mode: BodyMode::Raw,
            username: Some("jane".to_owned()),
            password: Some(secret.to_owned()),
        },
        team_uuid: None,
        extensions: Extensions::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn round_trip(webhook: &Webhook, key: &MasterKey) -> (String, Webhook) {
    let text = seal_webhook(webhook, key).unwrap();
    let back =
        open_webhook(&text, webhook.uuid.clone(), webhook.created_at, webhook.updated_at, key);
    (text, back.unwrap())
}

#[test]
fn credentials_in_a_document_are_sealed() {
    let key = MasterKey::generate();
    for header in ["authorization", "Proxy-Authorization", "x-auth-TOKEN", "private-token"] {
        let original = webhook("https://me:s3cr3t-value@host/x", header, "s3cr3t-value");
        let (text, back) = round_trip(&original, &key);
        assert!(!text.contains("s3cr3t-value"), "{header}");
        assert_eq!(back, original);
    }
    for (url, header) in [
        ("https://host/x", "X-Api-Key"),
        ("https://host/x", "x-apikey"),
        ("https://host/x", "X-Secret"),
        ("https://host/x?a=b&token=s3cr3t-value", "accept"),
    ] {
        let value = if header == "accept" { "v" } else { "s3cr3t-value" };
        let original = webhook(url, header, value);
        let (text, back) = round_trip(&original, &key);
        assert!(!text.contains("s3cr3t-value"), "{url} {header}");
        assert_eq!(back, original);
    }
}

#[test]
fn what_a_webhook_asks_for_is_kept_as_it_was_given() {
    let key = MasterKey::generate();
    let mut original = webhook("https://host/", "accept", "v");
    let (text, _) = round_trip(&original, &key);
    assert!(!text.contains("postrider"), "as versions before wrote it");
    let given = json!({"timeout": 30, "success": {"codes": [200]}, "retrySchedule": "1 2"});
    original.extensions = Extensions::read(&given).unwrap();
    let (_, back) = round_trip(&original, &key);
    assert_eq!(back, original);
    assert_eq!(json!(back.extensions.document()), given);
}

#[test]
fn what_is_no_credential_stays_readable() {
    let key = MasterKey::generate();
    let (text, _) = round_trip(&webhook("https://host/a@b?c=d@e", "x-plain", "v4lue"), &key);
    assert!(text.contains("https://host/a@b?c=d@e"));
    assert!(text.contains("v4lue"), "the header is not a secret one");
}

#[test]
fn a_sealed_field_opens_only_for_its_webhook() {
    let key = MasterKey::generate();
    let original = webhook("https://host/", "authorization", "x");
    let text = seal_webhook(&original, &key).unwrap();
    let other = "another-webhook-uuid".parse().unwrap();
    let moved = open_webhook(&text, other, original.created_at, original.updated_at, &key);
    assert!(matches!(moved, Err(StoreError::Corrupt(_))));
}

#[test]
fn user_info_is_found_however_the_url_is_written() {
    let key = MasterKey::generate();
    for url in
        ["https://u:pwpw@h", "https:u:pwpw@h/", "https:\\\\u:pwpw@h\\x", "${x}://u:pwpw@h?y#z"]
    {
        assert!(!round_trip(&webhook(url, "accept", "v"), &key).0.contains("pwpw"), "{url}");
    }
}

proptest! {
    #[test]
    fn documents_survive(url in ".{0,40}", header in "[a-z-]{1,20}", secret in ".{0,40}") {
        let original = webhook(&url, &header, &secret);
        prop_assert_eq!(round_trip(&original, &MasterKey::generate()).1, original);
    }

    #[test]
    fn limits_survive(rate in proptest::option::of((1u32.., 1u64..1_000_000)),
                      burst in 1u32.., concurrency in 1u32.., per_hour: Option<u32>) {
        let rate = rate.map_or(Rate::Unlimited, |(count, per)| Rate::Limited {
            count,
            per: Duration::from_millis(per),
        });
        let limits = LaneLimits { rate, burst, concurrency, per_hour };
        let columns = LimitColumns::from(limits);
        prop_assert_eq!(columns.limited, limits.is_limited());
        prop_assert_eq!(columns.limits().unwrap(), limits);
    }
}

#[test]
fn every_stored_word_is_read_back() {
    for each in Outcome::ALL {
        assert_eq!(outcome(each.as_str()).unwrap(), each);
    }
    for each in ["waiting", "sending", "delivered", "failed", "discarded"] {
        assert_eq!(stored_status(each).unwrap().as_str(), each);
    }
    for each in ["enabled", "disabled", "deleted"] {
        assert_eq!(webhook_state(each).unwrap().as_str(), each);
    }
    assert_eq!(lane_state(None).unwrap(), LaneState::Open);
    assert_eq!(lane_state(Some("manual")).unwrap(), LaneState::Held(HoldCause::Manual));
    for each in IncidentKind::ALL {
        assert_eq!(incident_kind(each.as_str()).unwrap(), each);
    }
    assert!(matches!(outcome("splendid"), Err(StoreError::Corrupt(_))));
}

#[test]
fn a_webhook_without_description_is_called_by_method_and_host() {
    let mut nameless = webhook("https://me:pwpw@host.example:8443/x?y", "accept", "v");
    assert_eq!(shown_name(&nameless), "Notify");
    nameless.description = Some("  ".to_owned());
    assert_eq!(shown_name(&nameless), "POST host.example:8443");
}
