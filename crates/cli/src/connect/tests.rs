//! The relay's document, and how it is recognised.

use postrider_domain::EventName;
use serde_json::{Value, json};

use super::events::Events;
use super::is_a_relay;
use super::relay::{Relay, broker_settings, name, remedy};

fn relay(public: &str, name: Option<&str>) -> Relay {
    Relay::new(&public.parse().unwrap(), name).unwrap()
}

fn webhook(url: &str) -> Value {
    json!({ "request": { "url": url } })
}

#[test]
fn all_documented_variables_are_in_the_query() {
    let events: Events = EventName::ALL.into_iter().collect();
    let relay = relay("https://p.example/base/", Some("two words"));
    let document = relay.document("0a1b", &events, None);
    let url = document["request"]["url"].as_str().unwrap();
    let (intake, query) = url.split_once('?').unwrap();
    assert_eq!(intake, "https://p.example/base/hooks/broker/two%20words");
    let pairs: Vec<&str> = query.split('&').collect();
    assert_eq!(pairs.len(), 20, "{query}");
    assert!(pairs.contains(&"eventName=${pactbroker.eventName}"), "{query}");
    assert!(!query.contains("currentlyDeployed"), "{query}");
    assert!(pairs.contains(&"relay=0a1b"), "{query}");
    for pair in pairs.into_iter().filter(|pair| !pair.starts_with("relay=")) {
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(value, format!("${{pactbroker.{name}}}"));
    }
    assert_eq!(document["events"].as_array().unwrap().len(), 6);
    assert!(document.get("consumer").is_none() && document.get("provider").is_none());
    assert!(document["request"].get("password").is_none());
    assert!(!document["request"]["body"].to_string().contains("${"), "no variable in the body");
}

#[test]
fn the_relay_is_recognised_by_where_it_goes() {
    let relay = relay("https://p.example", None);
    for url in [
        "https://p.example/hooks/broker?eventName=${pactbroker.eventName}",
        "https://p.example/hooks/broker",
        "https://p.example/hooks/broker/?x=1",
        "http://p.example/hooks/broker?eventName=x",
    ] {
        assert!(relay.is(&webhook(url)), "{url}");
    }
    for url in [
        "https://p.example/hooks/broker/other?eventName=x",
        "https://q.example/hooks/broker",
        "https://p.example:8443/hooks/broker",
        "https://p.example/hooks",
        "no url",
    ] {
        assert!(!relay.is(&webhook(url)), "{url}");
    }
}

#[test]
fn what_is_registered_is_a_relay() {
    assert!(is_a_relay(&relay("https://p.example", Some("a/b")).document(
        "u",
        &Events::new(),
        None
    )));
}

#[test]
fn settings_of_the_broker_are_named() {
    let variables = |public: &str| -> Vec<&str> {
        broker_settings(&relay(public, None)).iter().map(|setting| setting.variable).collect()
    };
    assert_eq!(variables("https://p.example"), ["PACT_BROKER_WEBHOOK_HOST_WHITELIST"]);
    assert_eq!(
        variables("http://p.example"),
        ["PACT_BROKER_WEBHOOK_SCHEME_WHITELIST", "PACT_BROKER_WEBHOOK_HOST_WHITELIST"]
    );
    let relay = relay("http://p.example", None);
    let remedy = |error: &str| remedy(&[error.to_owned()], &relay);
    // The first as recorded from Pact Broker 2.120.0.
    let scheme =
        "request.url scheme must be https. See /doc/webhooks#whitelist for more information.";
    assert!(remedy(scheme).contains("SCHEME_WHITELIST"));
    assert!(remedy("/request/url scheme must be https").contains("SCHEME_WHITELIST"));
    let host = "request.url host must be in the whitelist \"a\". See /doc/webhooks#whitelist for more information.";
    assert!(remedy(host).contains("p.example to PACT_BROKER_WEBHOOK_HOST_WHITELIST"));
    assert!(remedy("request.method must be PUT. See").contains("METHOD_WHITELIST"));
    assert!(remedy("events is missing").contains("--dry-run"));
}

#[test]
fn odd_urls_and_names_are_refused() {
    assert!(Relay::new(&"https://p.example/?a=b".parse().unwrap(), None).is_err());
    assert!(Relay::new(&"https://p.example/#a".parse().unwrap(), None).is_err());
    assert!(name("").is_err());
    assert!(name("a\nb").is_err());
    assert!(name(&"n".repeat(256)).is_err());
    assert_eq!(name("team a/b").unwrap(), "team a/b");
}
