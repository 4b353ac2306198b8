//! `connect`: the one relay webhook at a broker, registered once whatever happens.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Canaries, Mode, Plan, Receiver, hook_webhook, run, run_with};
use crate::webhook_broker::{Behaviour, WebhookBroker};

const PUBLIC: &str = "https://postrider.example/base";

/// What every relay asks for.
const ASKED: &str = "contract_requiring_verification_published";
const VERIFIED: &str = "provider_verification_published";

/// Runs `connect` with a token that may show nowhere.
struct Connecting {
    broker: WebhookBroker,
    token: String,
    credential: Vec<(String, String)>,
    /// Where postrider is; by default nowhere.
    postrider: String,
    canaries: Canaries,
}

impl Connecting {
    async fn to(behaviour: Behaviour) -> Result<Self> {
        let mut canaries = Canaries::new();
        let token = canaries.make("the ingest token");
        let broker = WebhookBroker::start(behaviour).await?;
        let postrider = "http://127.0.0.1:9".to_owned();
        Ok(Self { broker, token, credential: Vec::new(), postrider, canaries })
    }

    async fn run(&mut self, args: &[&str]) -> Result<Output> {
        let token = ("POSTRIDER_INGEST_TOKEN".to_owned(), self.token.clone());
        let variables = [&[token][..], &self.credential].concat();
        let places = ["connect", "--broker", self.broker.url(), "--url", &self.postrider];
        let whole = [&places, args].concat();
        let output = run_with(&whole, &variables, "").await?;
        self.canaries.look("standard output", &output.stdout)?;
        self.canaries.look("standard error", &output.stderr)?;
        Ok(output)
    }

    /// Runs it to the exit code, and returns what it printed.
    async fn expect(&mut self, code: i32, args: &[&str]) -> Result<(String, String)> {
        let output = self.run(args).await?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes);
        let (out, err) = (text(output.stdout)?, text(output.stderr)?);
        ensure!(output.status.code() == Some(code), "{args:?}: {}\n{out}\n{err}", output.status);
        Ok((out, err))
    }

    fn one_webhook(&self) -> Result<Value> {
        let webhooks = self.broker.webhooks();
        ensure!(webhooks.len() == 1, "one relay: {webhooks:#?}");
        Ok(webhooks[0].clone())
    }
}

#[tokio::test]
async fn the_relay_is_registered_once() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("connected: "), "{out}");
    let relay = connecting.one_webhook()?;
    let request = &relay["request"];
    let url = request["url"].as_str().context("a URL")?;
    let start = "https://postrider.example/base/hooks/broker?";
    let query = url.strip_prefix(start).with_context(|| url.to_owned())?;
    let names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    ensure!(names.len() == 20 && names.contains(&"eventName"), "{names:?}");
    let uuid = relay["uuid"].as_str().context("a uuid")?;
    ensure!(query.ends_with(&format!("&relay={uuid}")), "its own uuid is in it: {query}");
    ensure!(query.contains("consumerName=${pactbroker.consumerName}"), "{query}");
    ensure!(!query.contains("currentlyDeployed"), "{query}");
    ensure!(request["method"] == "POST", "{request}");
    ensure!(request["headers"] == json!({ "Content-Type": "application/json" }), "{request}");
    ensure!(request["username"] == "postrider" && request["password"] == connecting.token);
    ensure!(relay.get("consumer").is_none() && relay.get("provider").is_none(), "{relay}");
    ensure!(relay["events"] == json!([{"name": ASKED}, {"name": VERIFIED}]), "{relay}");

    let puts = connecting.broker.take_writes();
    ensure!(puts.len() == 1 && puts[0].method == Method::PUT, "the uuid is ours: {puts:?}");
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("already connected"), "{out}");
    ensure!(connecting.broker.take_writes().is_empty(), "the second time changes nothing");
    connecting.one_webhook()?;
    Ok(())
}

#[tokio::test]
async fn an_edited_relay_is_found_and_mended() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    connecting.broker.change(|behaviour| {
        let relay = &mut behaviour.webhooks[0];
        relay["description"] = json!("our bridge, please keep");
        relay["enabled"] = json!(false);
        relay["events"] = json!([{ "name": "contract_published" }]);
        relay["teamUuid"] = json!("team-of-ours");
    });
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("updated: ") && out.contains("enabled: false -> true"), "{out}");
    let writes = connecting.broker.take_writes();
    let put = writes.last().context("a write")?;
    ensure!(put.method == Method::PUT, "{put:?}");
    ensure!(put.body["request"]["password"] == "**********", "the token is not sent again");
    let relay = connecting.one_webhook()?;
    ensure!(relay["request"]["password"] == connecting.token, "the broker keeps the token");
    ensure!(relay["description"] == "our bridge, please keep", "{relay}");
    ensure!(relay["teamUuid"] == "team-of-ours", "{relay}");
    ensure!(relay["enabled"] == true, "{relay}");
    let by_hand = json!([{ "name": "contract_published" }]);
    ensure!(relay["events"] == by_hand, "what somebody chose stays: {relay}");
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("already connected"), "{out}");
    Ok(())
}

#[tokio::test]
async fn a_new_token_is_sent_only_when_asked() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    let old = connecting.token.clone();
    connecting.token = connecting.canaries.make("the new token");
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("already connected"), "{out}");
    ensure!(connecting.one_webhook()?["request"]["password"] == old);
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC, "--rotate-token"]).await?;
    ensure!(out.contains("request.password"), "{out}");
    ensure!(connecting.one_webhook()?["request"]["password"] == connecting.token);
    Ok(())
}

#[tokio::test]
async fn http_needs_consent_here_and_there() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    let public = "http://postrider.example:9393";
    let (_, err) = connecting.expect(2, &["--public-url", public]).await?;
    ensure!(err.contains("--insecure-http"), "{err}");
    ensure!(connecting.broker.take_calls().is_empty(), "nothing was asked");
    let insecure = ["--public-url", public, "--insecure-http"];
    let (_, err) = connecting.expect(1, &insecure).await?;
    ensure!(err.contains("scheme must be https"), "the broker's own words: {err}");
    ensure!(err.contains("PACT_BROKER_WEBHOOK_SCHEME_WHITELIST"), "{err}");
    ensure!(connecting.broker.webhooks().is_empty());
    connecting.broker.change(|behaviour| behaviour.takes_http = true);
    connecting.expect(0, &insecure).await?;
    connecting.one_webhook()?;
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_second_relay_to_one_place_is_told_and_deleted_with_yes() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    let own = connecting.one_webhook()?["uuid"].clone();
    connecting.broker.change(|behaviour| {
        let mut second = behaviour.webhooks[0].clone();
        second["uuid"] = json!("second-relay-0001");
        behaviour.webhooks.insert(0, second);
    });
    connecting.broker.take_calls();
    let (_, err) = connecting.expect(1, &["--public-url", PUBLIC]).await?;
    let offers = format!("--yes to keep {} and delete second-relay-0001", text(&own));
    ensure!(err.contains(&offers), "{err}");
    let dry = ["--public-url", PUBLIC, "--dry-run", "--output", "json"];
    let (out, _) = connecting.expect(0, &dry).await?;
    let out: Value = serde_json::from_str(&out)?;
    ensure!(out["would_remove"] == json!(["second-relay-0001"]), "{out}");
    ensure!(connecting.broker.take_writes().is_empty(), "nothing is changed");
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC, "--yes"]).await?;
    ensure!(out.contains("deleted second-relay-0001"), "{out}");
    ensure!(connecting.one_webhook()?["uuid"] == own, "the one that names itself stays");
    let (_, err) = connecting.expect(0, &["--public-url", PUBLIC, "--name", "other"]).await?;
    ensure!(err.contains("relays to another address or name"), "{err}");
    ensure!(connecting.broker.webhooks().len() == 2, "another name is another relay");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_shows_all() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC, "--dry-run"]).await?;
    ensure!(connecting.broker.take_writes().is_empty(), "nothing is changed");
    ensure!(out.contains("at the broker it would be created"), "{out}");
    ensure!(out.contains("/hooks/broker?") && out.contains("${pactbroker.eventName}"), "{out}");
    ensure!(out.contains("PACT_BROKER_WEBHOOK_HOST_WHITELIST=\"postrider.example\""), "{out}");
    ensure!(!out.contains("SCHEME_WHITELIST"), "https needs no setting: {out}");
    let http = ["--public-url", "http://h", "--insecure-http", "--dry-run", "--output", "json"];
    let (out, _) = connecting.expect(0, &http).await?;
    let out: Value = serde_json::from_str(&out)?;
    ensure!(out["webhook"]["request"]["password"] == "**********", "{out}");
    let settings = out["broker_settings"].to_string();
    ensure!(settings.contains("PACT_BROKER_WEBHOOK_SCHEME_WHITELIST"), "{settings}");
    ensure!(out["would"] == "created", "{out}");

    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    connecting.broker.take_calls();
    let dry = ["--public-url", PUBLIC, "--dry-run", "--output", "json"];
    let (out, _) = connecting.expect(0, &dry).await?;
    ensure!(serde_json::from_str::<Value>(&out)?["would"] == "unchanged", "{out}");
    let (out, _) = connecting.expect(0, &[&dry[..], &["--events", "all"]].concat()).await?;
    let out: Value = serde_json::from_str(&out)?;
    ensure!(out["would"] == "updated" && out["changed"] == json!(["events"]), "{out}");
    ensure!(connecting.broker.take_writes().is_empty(), "nothing is changed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_asks_for_what_webhooks_want() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    connecting.postrider = api.base().to_owned();
    let target = Receiver::start(&[]).await?;
    let mut webhook = hook_webhook(target.url(), "a", "billing");
    webhook["events"] = json!([{ "name": "contract_content_changed" }]);
    api.create_webhook(&webhook).await?;
    let names = |connecting: &Connecting| -> Result<Vec<String>> {
        let relay = connecting.one_webhook()?;
        let events = relay["events"].as_array().context("events")?;
        let mut names: Vec<String> =
            events.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    };
    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(names(&connecting)? == ["contract_content_changed", ASKED, VERIFIED]);
    webhook["events"] = json!([{ "name": "contract_published" }]);
    api.create_webhook(&webhook).await?;
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(out.contains("updated: ") && out.contains("events"), "{out}");
    let wider = ["contract_content_changed", "contract_published", ASKED, VERIFIED];
    ensure!(names(&connecting)? == wider, "{:?}", names(&connecting)?);
    let one = ["--public-url", PUBLIC, "--events", VERIFIED];
    connecting.expect(0, &one).await?;
    ensure!(names(&connecting)? == [VERIFIED]);
    connecting.expect(0, &["--public-url", PUBLIC, "--events", "all"]).await?;
    ensure!(names(&connecting)?.len() == 6);
    let (_, err) = connecting.expect(0, &["--public-url", PUBLIC]).await?;
    ensure!(names(&connecting)?.len() == 6, "what somebody chose stays");
    ensure!(err.contains("no webhook here wants provider_verification_succeeded"), "{err}");
    connecting.expect(0, &["--public-url", PUBLIC, "--events", "wanted"]).await?;
    ensure!(names(&connecting)? == wider, "{:?}", names(&connecting)?);
    let (_, err) = connecting.expect(2, &["--public-url", PUBLIC, "--events", "nonsense"]).await?;
    ensure!(err.contains("is no event"), "{err}");
    cluster.finish().await
}

/// No token goes to what is no broker.
#[tokio::test]
async fn what_is_no_broker_gets_no_token() -> Result<()> {
    let stranger = Receiver::start(&[]).await?;
    let variables = [
        ("POSTRIDER_INGEST_TOKEN".to_owned(), "a-token-of-some-length".to_owned()),
        ("PACT_BROKER_TOKEN".to_owned(), "the-brokers-token".to_owned()),
        ("POSTRIDER_URL".to_owned(), "http://127.0.0.1:9".to_owned()),
    ];
    let args = ["connect", "--broker", stranger.url(), "--public-url", PUBLIC];
    let output = run_with(&args, &variables, "").await?;
    let errors = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(3), "{}: {errors}", output.status);
    ensure!(errors.contains("is no Pact Broker: it answered 200"), "{errors}");
    let received = stranger.received();
    ensure!(received.len() == 1, "{received:?}");
    ensure!(received[0].headers.get("authorization").is_none(), "{received:?}");
    Ok(())
}

#[tokio::test]
async fn the_broker_tests_the_relay() -> Result<()> {
    let mut connecting = Connecting::to(Behaviour::default()).await?;
    let (out, _) = connecting.expect(0, &["--public-url", PUBLIC, "--test"]).await?;
    ensure!(out.contains("HTTP/1.1 204") && out.contains("the test arrived"), "{out}");
    ensure!(out.contains("the receiver quotes ********"), "the token is starred: {out}");
    connecting.broker.change(|behaviour| behaviour.test_fails = true);
    let (out, _) = connecting.expect(1, &["--public-url", PUBLIC, "--test"]).await?;
    ensure!(out.contains("the test did not arrive"), "{out}");
    Ok(())
}

#[tokio::test]
async fn pactflow_keeps_the_token_as_a_secret() -> Result<()> {
    let behaviour = Behaviour { secrets: Some(Vec::new()), ..Behaviour::default() };
    let mut connecting = Connecting::to(behaviour).await?;
    let args = ["--public-url", PUBLIC, "--pactflow-secret", "postriderToken"];
    connecting.expect(0, &args).await?;
    let secrets = connecting.broker.secrets();
    ensure!(secrets.len() == 1 && secrets[0]["value"] == connecting.token, "made once");
    let relay = connecting.one_webhook()?;
    ensure!(relay["request"]["password"] == "${user.postriderToken}", "{relay}");
    connecting.token = connecting.canaries.make("the new token");
    connecting.expect(0, &args).await?;
    ensure!(connecting.broker.secrets()[0]["value"] != connecting.token, "kept");
    connecting.expect(0, &[&args[..], &["--rotate-token"]].concat()).await?;
    ensure!(connecting.broker.secrets()[0]["value"] == connecting.token, "rotated");
    connecting.broker.change(|behaviour| behaviour.secrets = None);
    let (_, err) = connecting.expect(1, &args).await?;
    ensure!(err.contains("only PactFlow has"), "{err}");
    Ok(())
}

#[tokio::test]
async fn trouble_with_the_broker_has_its_exit_codes() -> Result<()> {
    let basic = Some(("u".to_owned(), "p".to_owned()));
    let mut connecting = Connecting::to(Behaviour { basic, ..Behaviour::default() }).await?;
    let (_, err) = connecting.expect(4, &["--public-url", PUBLIC]).await?;
    ensure!(err.contains("PACT_BROKER_TOKEN"), "{err}");
    for (name, value) in [("PACT_BROKER_USERNAME", "u"), ("PACT_BROKER_PASSWORD", "p")] {
        connecting.credential.push((name.to_owned(), value.to_owned()));
    }
    connecting.expect(0, &["--public-url", PUBLIC]).await?;
    let away = ["connect", "--broker", "http://127.0.0.1:9", "--public-url", PUBLIC];
    ensure!(run(&away, &[], "").await?.status.code() == Some(3));
    for wrong in
        [&["connect"][..], &["connect", "--public-url", PUBLIC], &["connect", "--public-url", "x"]]
    {
        ensure!(run(wrong, &[], "").await?.status.code() == Some(2), "{wrong:?}");
    }
    Ok(())
}
