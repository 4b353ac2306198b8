//! What the client makes of a broker's answers.

use postrider_broker::{BrokerAuth, BrokerError, Pair, path};
use secrecy::SecretString;
use serde_json::json;

use crate::kit::{Script, ScriptedBroker, recording};

fn pair(consumer: &str, provider: &str) -> Pair {
    Pair { consumer: consumer.to_owned(), provider: provider.to_owned() }
}

#[tokio::test]
async fn the_recorded_matrix() {
    let broker = ScriptedBroker::start([Script::recorded("matrix-pair")]).await;
    let rows = broker.client().matrix(&pair("Con Sumer", "Pro/vider")).await.unwrap();

    let asked = recording("matrix-pair")["request"]["path"].as_str().unwrap().to_owned();
    assert_eq!(broker.seen()[0].target, format!("{asked}&limit=500"), "as the broker was asked");
    let versions: Vec<_> = rows
        .iter()
        .map(|row| (row.consumer_version.as_str(), row.provider_version.as_deref()))
        .collect();
    assert_eq!(
        versions,
        [
            ("cd1", None),
            ("c3", None),
            ("c2", Some("p1")),
            ("c1", Some("p1")),
            ("2-rust", None),
            ("1-rust", None),
            ("1-ruby", None),
        ]
    );
    assert_eq!(rows[0].published_at, "2026-11-22T00:24:41Z".parse().unwrap());
    assert!(rows[0].pact_url.ends_with("/consumer/Con%20Sumer/version/cd1"), "{:?}", rows[0]);
    assert_eq!(rows[0].verification, None);
    assert_eq!(rows[1].consumer_branch.as_deref(), Some("main"));
    let result = rows[2].verification.as_ref().unwrap();
    assert!(!result.success);
    assert_eq!(result.verified_at, "2026-11-22T00:02:04Z".parse().unwrap());
    assert_eq!(result.number, Some(201));
    assert!(result.url.ends_with("/verification-results/201"), "{result:?}");
    assert_eq!(rows[2].provider_branch.as_deref(), Some("main"));
}

#[tokio::test]
async fn the_recorded_integrations() {
    let broker = ScriptedBroker::start([Script::recorded("integrations")]).await;
    let pairs = broker.client().pairs().await.unwrap();
    assert_eq!(pairs, [pair("Con Sumer", "Other"), pair("Con Sumer", "Pro/vider")]);
}

#[tokio::test]
async fn the_recorded_index() {
    let broker = ScriptedBroker::start([Script::recorded("index")]).await;
    let index = broker.client().index().await.unwrap();
    assert!(index.pointer("/_links/pb:webhooks/href").is_some());
    assert_eq!(broker.seen()[0].target, "/");
}

#[tokio::test]
async fn pacticipants_by_name() {
    let list = json!({"_embedded": {"pacticipants": [{"name": "a", "labels": []}, {"name": "b"}]}});
    let broker = ScriptedBroker::start([Script::json(200, &list)]).await;
    assert_eq!(broker.client().pacticipants().await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_broker_may_be_mounted_below_a_path() {
    let broker = ScriptedBroker::start([Script::recorded("integrations")]).await;
    let client = broker.client_with(|config| config.base_url.set_path("/pact/"));
    client.pairs().await.unwrap();
    client.get_json(&path(&["pacticipants", "a/b c"])).await.unwrap();
    let targets: Vec<_> = broker.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/pact/integrations", "/pact/pacticipants/a%2Fb%20c"]);
}

#[tokio::test]
async fn the_client_says_who_it_is() {
    let broker = ScriptedBroker::start([Script::recorded("basic-auth-ok")]).await;
    let basic = BrokerAuth::Basic { username: "u".to_owned(), password: SecretString::from("p") };
    broker.client_with(|config| config.auth = basic).get_json("/webhooks").await.unwrap();
    let bearer = BrokerAuth::Bearer(SecretString::from("t0ken"));
    broker.client_with(|config| config.auth = bearer).get_json("/webhooks").await.unwrap();
    broker.client().get_json("/webhooks").await.unwrap();

    let sent: Vec<_> = broker.seen().into_iter().map(|seen| seen.authorization).collect();
    let recorded = recording("basic-auth-ok")["request"]["headers"]["Authorization"].clone();
    assert_eq!(sent[0].as_deref(), recorded.as_str());
    assert_eq!(sent[1].as_deref(), Some("Bearer t0ken"));
    assert_eq!(sent[2], None);
    let agent = format!("postrider/{}", env!("CARGO_PKG_VERSION"));
    assert!(broker.seen().iter().all(|seen| seen.user_agent == agent));
}

#[tokio::test]
async fn names_that_the_broker_does_not_know() {
    let errors = json!({"errors": ["Pacticipant chekout not found"]});
    let broker = ScriptedBroker::start([Script::json(400, &errors)]).await;
    let error = broker.client().matrix(&pair("chekout", "billing")).await.unwrap_err();
    let BrokerError::UnknownName { names, .. } = error else { panic!("{error}") };
    assert_eq!(names, ["chekout"]);

    let elsewhere = json!({"error": "No provider with name 'billng' found"});
    let broker = ScriptedBroker::start([Script::json(404, &elsewhere)]).await;
    let error = broker.client().matrix(&pair("checkout", "billng")).await.unwrap_err();
    assert!(matches!(error, BrokerError::UnknownName { names, .. } if names == ["billng"]));

    let other = json!({"errors": ["Please specify the pacticipant name"]});
    let broker = ScriptedBroker::start([Script::json(400, &other)]).await;
    let error = broker.client().matrix(&pair("", "billing")).await.unwrap_err();
    assert!(error.to_string().contains("400: Please specify the pacticipant name"), "{error}");
}

#[tokio::test]
async fn a_page_that_is_no_broker() {
    let page = Script::Answer(200, Vec::new(), b"<html>Log in</html>".to_vec());
    let broker = ScriptedBroker::start([page]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(error.to_string().contains("is this the address of a Pact Broker?"), "{error}");
    let broker = ScriptedBroker::start([Script::json(200, &json!({"hello": 1}))]).await;
    let error = broker.client().pairs().await.unwrap_err();
    assert!(error.to_string().contains("no _embedded.integrations"), "{error}");
}

#[tokio::test]
async fn writes_carry_json() {
    let broker = ScriptedBroker::start([Script::status(204)]).await;
    let client = broker.client();
    let document = json!({"a": 1});
    assert_eq!(client.post_json("/webhooks", &document).await.unwrap().status, 204);
    client.put_json("/webhooks/x", &document).await.unwrap();
    client.delete("/webhooks/x").await.unwrap();
    let methods: Vec<_> = broker.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
}
