use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use postrider_domain::{FreshnessRules, HostWhitelist, LaneRules, QuietDays, Rate, RetryPolicy};
use postrider_store::MasterKey;

use super::*;
use postrider_http_server::Tokens;

fn config(base_url: Option<&str>) -> WebConfig {
    WebConfig {
        allowed_hosts: Vec::new(),
        redact_more: Vec::new(),
        api_rate: Rate::Unlimited,
        base_url: base_url.map(|url| url.parse().unwrap()),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        tokens: Tokens::default(),
        scheme_whitelist: Vec::new(),
        method_whitelist: Vec::new(),
        host_whitelist: HostWhitelist::default(),
        lane_rules: LaneRules::default(),
        retry: RetryPolicy::default(),
        machine_users: Vec::new(),
        master_key: MasterKey::generate(),
        request_timeout: Duration::from_secs(1),
        freshness: FreshnessRules {
            max_age: None,
            quiet: QuietDays::none(),
            pairs: Vec::new(),
            is_watched: false,
        },
        broker_patience: Duration::from_secs(1),
        brokers: BTreeMap::new(),
        doctor_patience: Duration::from_mins(10),
        execute_wait: Duration::from_secs(1),
        webhook_timeout: Duration::from_secs(1),
    }
}

fn bases(base_url: Option<&str>, peer: Option<&str>) -> Bases {
    let request = Request::get("/webhooks/?x=1")
        .header("host", "broker:9393")
        .header("x-forwarded-proto", "https, http")
        .header("x-forwarded-host", "public.example")
        .body(())
        .unwrap();
    let peer = peer.map(|peer| peer.parse().unwrap());
    Bases::of(&config(base_url), &request.into_parts().0, peer)
}

#[test]
fn the_request_is_the_base_without_a_setting() {
    let bases = bases(None, None);
    assert_eq!(bases.request, "http://broker:9393/webhooks");
    assert_eq!(bases.webhooks(), "http://broker:9393/webhooks");
}

#[test]
fn only_trusted_proxies_are_believed() {
    assert_eq!(bases(None, Some("10.1.1.1")).request, "https://public.example/webhooks");
    assert_eq!(bases(None, Some("192.0.2.1")).request, "http://broker:9393/webhooks");
}

#[test]
fn the_setting_wins_but_for_the_own_address() {
    let bases = bases(Some("https://pr.example/base/"), None);
    assert_eq!(bases.request, "http://broker:9393/webhooks");
    assert_eq!(
        bases.pair("A/b ~", "\u{fc}+"),
        "https://pr.example/base/webhooks/provider/A%2Fb%20~/consumer/%C3%BC%2B"
    );
    assert_eq!(bases.docs(), "https://pr.example/base/doc/webhooks-{rel}");
}
