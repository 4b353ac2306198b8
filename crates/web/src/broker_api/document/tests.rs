use postrider_domain::{EventName, Extensions};

use super::*;

fn example() -> Webhook {
    Webhook {
        uuid: "2LCteR1tS9v0HLxPmpkNaA".parse().unwrap(),
        description: None,
        consumer: Some(Selector::Name("Example App".to_owned())),
        provider: Some(Selector::Name("Example API".to_owned())),
        enabled: true,
        events: vec![EventName::ContractContentChanged],
        request: RequestTemplate {
            method: "POST".to_owned(),
            url: "https://127.0.0.1/x".to_owned(),
            headers: vec![
                ("authorization".to_owned(), "Basic zzz".to_owned()),
                ("x-token".to_owned(), "t".to_owned()),
            ],
            body: Some(Body::Text("plain ${pactbroker.consumerName}".to_owned())),
            body_mode: BodyMode::Json,
            username: Some("u".to_owned()),
            password: Some("pw".to_owned()),
        },
        team_uuid: None,
        extensions: Extensions::default(),
        created_at: "2026-11-21T23:57:48Z".parse().unwrap(),
        updated_at: "2026-11-21T23:57:48Z".parse().unwrap(),
    }
}

fn bases() -> Bases {
    let base = "http://127.0.0.1:9292".to_owned();
    Bases { request: format!("{base}/webhooks"), base }
}

fn shown(webhook: &Webhook) -> Value {
    super::webhook(webhook, &[], &bases(), &[])
}

/// As Pact Broker 2.120.0 answered the creation of this webhook (recorded).
#[test]
fn as_the_broker_shows_it() {
    let expected = concat!(
        r#"{"uuid":"2LCteR1tS9v0HLxPmpkNaA","description":"POST 127.0.0.1","#,
        r#""consumer":{"name":"Example App"},"provider":{"name":"Example API"},"enabled":true,"#,
        r#""request":{"method":"POST","url":"https://127.0.0.1/x","#,
        r#""headers":{"authorization":"**********","x-token":"**********"},"#,
        r#""body":"plain ${pactbroker.consumerName}","username":"u","password":"**********"},"#,
        r#""events":[{"name":"contract_content_changed"}],"#,
        r#""createdAt":"2026-11-21T23:57:48+00:00","#,
        r#""_links":{"self":{"title":"POST 127.0.0.1","#,
        r#""href":"http://127.0.0.1:9292/webhooks/2LCteR1tS9v0HLxPmpkNaA"},"#,
        r#""pb:execute":{"title":"Test the execution of the webhook with the latest matching "#,
        r#"pact or verification by sending a POST request to this URL","#,
        r#""href":"http://127.0.0.1:9292/webhooks/2LCteR1tS9v0HLxPmpkNaA/execute"},"#,
        r#""pb:consumer":{"title":"Consumer","name":"Example App","#,
        r#""href":"http://127.0.0.1:9292/pacticipants/Example%20App"},"#,
        r#""pb:provider":{"title":"Provider","name":"Example API","#,
        r#""href":"http://127.0.0.1:9292/pacticipants/Example%20API"},"#,
        r#""pb:pact-webhooks":{"title":"All webhooks for consumer Example App and provider "#,
        r#"Example API","href":"http://127.0.0.1:9292/webhooks/provider/Example%20API/consumer/"#,
        r#"Example%20App"},"#,
        r#""pb:webhooks":{"title":"All webhooks","href":"http://127.0.0.1:9292/webhooks"}}}"#,
    );
    assert_eq!(shown(&example()).to_string(), expected);
}

#[test]
fn labels_and_what_is_left_out() {
    let mut webhook = example();
    webhook.consumer = None;
    webhook.provider = Some(Selector::Label("team-a".to_owned()));
    webhook.request.headers.clear();
    webhook.request.body = None;
    webhook.request.username = None;
    webhook.request.password = None;
    let document = shown(&webhook);
    assert_eq!(document["provider"], json!({"label": "team-a"}));
    assert_eq!(
        document["_links"]["pb:providers"],
        json!({
            "title": "Providers by label", "name": "team-a",
            "href": "http://127.0.0.1:9292/pacticipants/label/team-a",
        })
    );
    assert_eq!(document.get("consumer"), None);
    assert_eq!(document["_links"].get("pb:pact-webhooks"), None);
    let request = json!({"method": "POST", "url": "https://127.0.0.1/x"});
    assert_eq!(document["request"], request);
}

#[test]
fn redaction() {
    let mut webhook = example();
    webhook.request.url = "https://u:p@h/?token=t".to_owned();
    webhook.request.password = Some("${pactbroker.consumerName}".to_owned());
    webhook.request.headers = [
        ("authorization", "Bearer ${user.githubToken}"),
        ("x-auth-token-2", "a"),
        ("x-authorization", "x ${pactbroker.buildUrl}"),
        ("x-api-key", "k"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let request = &shown(&webhook)["request"];
    assert_eq!(request["url"], "https://**********@h/?token=**********");
    assert_eq!(request["password"], "${pactbroker.consumerName}");
    assert_eq!(
        request["headers"],
        json!({
            "authorization": "**********", "x-auth-token-2": "**********",
            "x-authorization": "x ${pactbroker.buildUrl}", "x-api-key": "**********",
        })
    );
}

#[test]
fn extras_only_when_there_are_some() {
    let mut webhook = example();
    webhook.updated_at = "2026-11-22T00:00:00.5Z".parse().unwrap();
    webhook.team_uuid = Some("t".to_owned());
    webhook.request.body_mode = BodyMode::Raw;
    let document = super::webhook(&webhook, &["w".to_owned()], &bases(), &[]);
    assert_eq!(document["updatedAt"], "2026-11-22T00:00:00+00:00");
    assert_eq!(document["teamUuid"], "t");
    assert_eq!(document["request"]["bodyMode"], "raw");
    assert_eq!(document["warnings"], json!(["w"]));
}

#[test]
fn collections_describe_scopes() {
    let label = |text: &str| Some(Selector::Label(text.to_owned()));
    let name = |text: &str| Some(Selector::Name(text.to_owned()));
    for (consumer, provider, expected) in [
        (None, None, "A webhook for all pacts"),
        (name("C"), name("P"), "A webhook for the pact between C and P"),
        (None, name("P"), "A webhook for all pacts with provider P"),
        (label("l"), None, "A webhook for all pacts with consumer labeled 'l'"),
        (
            label("l"),
            label("m"),
            "A webhook for the pact between consumers labeled 'l' and providers labeled 'm'",
        ),
    ] {
        let mut webhook = example();
        (webhook.consumer, webhook.provider) = (consumer, provider);
        let links = collection("Webhooks", &[&webhook], &bases());
        assert_eq!(links["_links"]["pb:webhooks"][0]["title"], expected);
    }
}
