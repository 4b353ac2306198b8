//! Refusals, outages, and brokers that would lead the credential astray.

use std::time::Duration;

use postrider_broker::{Broker, BrokerAuth, BrokerConfig, BrokerError};
use postrider_http_client::{Outbound, Proxy, ProxyRules};
use secrecy::SecretString;
use serde_json::json;

use crate::kit::{Script, ScriptedBroker};

const TOKEN: &str = "s3cr3t-t0ken";

fn with_token(broker: &ScriptedBroker) -> Broker {
    broker.client_with(|config| config.auth = BrokerAuth::Bearer(SecretString::from(TOKEN)))
}

#[tokio::test]
async fn refused_credentials() {
    for name in ["basic-auth-none", "basic-auth-wrong", "basic-auth-heartbeat-none"] {
        let broker = ScriptedBroker::start([Script::recorded(name)]).await;
        let error = with_token(&broker).heartbeat().await.unwrap_err();
        assert!(matches!(error, BrokerError::Credential { status: 401, .. }), "{name}: {error}");
        assert!(!format!("{error:?} {error}").contains(TOKEN));
        assert_eq!(broker.seen().len(), 1, "{name}: a refusal is not tried again");
    }
    let forbidden = json!({"error": {"message": "read only"}});
    let broker = ScriptedBroker::start([Script::json(403, &forbidden)]).await;
    let error = with_token(&broker).pairs().await.unwrap_err();
    assert!(error.to_string().ends_with("refused the credential (403): read only"), "{error}");
}

#[tokio::test]
async fn a_read_outlives_a_short_outage() {
    let scripts = [Script::status(502), Script::status(503), Script::recorded("integrations")];
    let broker = ScriptedBroker::start(scripts).await;
    assert_eq!(broker.client().pairs().await.unwrap().len(), 2);
    assert_eq!(broker.seen().len(), 3);
}

#[tokio::test]
async fn a_long_outage_is_away() {
    let broker = ScriptedBroker::start([Script::status(504)]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(matches!(error, BrokerError::Away { retry_after: None, .. }), "{error}");
    assert_eq!(broker.seen().len(), 3, "three tries");

    let broker = ScriptedBroker::start([Script::status(500)]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(matches!(error, BrokerError::Away { .. }), "{error}");
    assert_eq!(broker.seen().len(), 1, "an error of the broker's own is not tried again");
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let scripts = [Script::status(503).with("retry-after", "1"), Script::recorded("integrations")];
    let broker = ScriptedBroker::start(scripts).await;
    let asked = std::time::Instant::now();
    broker.client().pairs().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));

    let broker = ScriptedBroker::start([Script::status(503).with("retry-after", "60")]).await;
    let error = broker.client().pairs().await.unwrap_err();
    let minute = Some(Duration::from_mins(1));
    assert!(matches!(error, BrokerError::Away { retry_after, .. } if retry_after == minute));
    assert_eq!(broker.seen().len(), 1, "not before the minute is over");

    let broker = ScriptedBroker::start([Script::status(429).with("retry-after", "60")]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(matches!(error, BrokerError::RateLimited { retry_after, .. } if retry_after == minute));
    assert_eq!(broker.seen().len(), 1);
}

#[tokio::test]
async fn writes_are_never_repeated() {
    let broker = ScriptedBroker::start([Script::status(503)]).await;
    let client = broker.client();
    assert_eq!(client.post_json("/webhooks", &json!({})).await.unwrap().status, 503);
    assert_eq!(client.put_json("/webhooks/x", &json!({})).await.unwrap().status, 503);
    assert_eq!(client.delete("/webhooks/x").await.unwrap().status, 503);
    assert_eq!(broker.seen().len(), 3);
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let client = Broker::new(BrokerConfig::new(nobody.parse().unwrap())).unwrap();
    let error = client.pairs().await.unwrap_err();
    assert!(error.to_string().contains("onnection refused"), "{error}");

    let broker = ScriptedBroker::start([Script::Silence]).await;
    let client = broker.client_with(|config| config.timeout = Duration::from_millis(300));
    let error = client.pairs().await.unwrap_err();
    assert!(error.to_string().ends_with("no answer in time"), "{error}");
    assert_eq!(broker.seen().len(), 1, "a slow broker is not asked again");
}

#[tokio::test]
async fn answers_are_bounded() {
    let broker =
        ScriptedBroker::start([Script::Answer(200, Vec::new(), vec![b'1'; 9 << 20])]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(error.to_string().contains("more than 8388608 bytes"), "{error}");
}

#[tokio::test]
async fn redirects_stay_with_the_broker() {
    let moved = Script::status(302).with("location", "/pact/integrations");
    let broker = ScriptedBroker::start([moved, Script::recorded("integrations")]).await;
    assert_eq!(with_token(&broker).pairs().await.unwrap().len(), 2);
    assert_eq!(broker.seen()[1].target, "/pact/integrations");

    let thief = ScriptedBroker::start([Script::recorded("integrations")]).await;
    let away = Script::status(307).with("location", format!("{}/integrations", thief.url));
    let broker = ScriptedBroker::start([away]).await;
    let error = with_token(&broker).pairs().await.unwrap_err();
    assert!(error.to_string().contains("make it the base URL"), "{error}");
    let link = format!("{}/webhooks", thief.url);
    assert!(with_token(&broker).get_json(&link).await.is_err());
    assert!(with_token(&broker).post_json(&link, &json!({})).await.is_err());
    assert!(thief.seen().is_empty(), "{:?}", thief.seen());

    let ring = Script::status(302).with("location", "/again");
    let broker = ScriptedBroker::start([ring]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
}

#[tokio::test]
async fn nothing_shows_the_credential() {
    let mut config = BrokerConfig::new("http://127.0.0.1:1".parse().unwrap());
    config.auth =
        BrokerAuth::Basic { username: "ci".to_owned(), password: SecretString::from(TOKEN) };
    let proxy = Proxy::parse(&format!("http://u:{TOKEN}@proxy:3128")).unwrap();
    let proxies = ProxyRules::new(None, Some(proxy), None, None);
    config.outbound = Outbound::new(Vec::new(), proxies);
    let shown = format!("{config:?} {:?}", Broker::new(config.clone()).unwrap());
    assert!(!shown.contains(TOKEN), "{shown}");
    config.auth = BrokerAuth::Bearer(SecretString::from(format!("{TOKEN}\n")));
    let error = Broker::new(config).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(TOKEN), "{error}");
}
