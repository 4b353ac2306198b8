//! A pair's way from its event over dispatch and verification to an alert that it is late, and
//! back; with what brokers tell, and with brokers that tell nothing.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options};
use postrider_testkit::broker::{Row, ScriptedBroker, row};
use serde_json::{Value, json};

use crate::harness::{
    Alertmanager, Api, Cluster, Looking, Mode, Plan, Received, Receiver, Reply, SOON, event, run,
    run_with, setting, wait_until, webhook,
};

const TOKEN: &str = "token-of-the-provider-s-repository";

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// A verification of `checkout`'s contract, published now.
fn verification(provider: &str, success: bool) -> Value {
    let mut event = event(1, provider);
    event["event_name"] = "provider_verification_published".into();
    event["verification_success"] = success.into();
    event["verification_result_url"] = "https://broker.example/results/1".into();
    event
}

/// An event of an hour that is past.
fn dated(mut event: Value, minutes: i64) -> Value {
    event["occurred_at"] = json!(ago(minutes));
    event
}

async fn pair(api: &Api, query: &str) -> Result<Option<Value>> {
    let answer = api.get(&format!("/api/v1/freshness?{query}")).await?.ok()?;
    Ok(answer["pairs"].as_array().context("pairs")?.first().cloned())
}

/// Waits until the pair is as wanted.
async fn pair_is(api: &Api, query: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_until(&format!("the pair {query}"), SOON, async || {
        Ok(match pair(api, query).await? {
            Some(pair) if wanted(&pair) => Looking::Found(pair),
            found => Looking::NotYet(format!("{found:?}")),
        })
    })
    .await
}

async fn incident(api: &Api, kind: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_until(&format!("an incident {kind}"), SOON, async || {
        let answer = api.get(&format!("/api/v1/incidents?kind={kind}")).await?.ok()?;
        let found = answer["incidents"].as_array().context("incidents")?.iter().find(|i| wanted(i));
        Ok(found.map_or_else(|| Looking::NotYet(answer.to_string()), |i| Looking::Found(i.clone())))
    })
    .await
}

fn is_open(incident: &Value) -> bool {
    incident["resolved_at"].is_null()
}

/// Waits until Alertmanager says so many alerts of this name fire.
async fn firing(alertmanager: &Alertmanager, name: &str, count: usize) -> Result<Vec<Value>> {
    wait_until(&format!("{count} alerts {name}"), SOON, async || {
        let mut alerts = alertmanager.firing()?;
        alerts.retain(|alert| alert["labels"]["alertname"] == name);
        let is_so = alerts.len() == count;
        let so_far = format!("{alerts:?}");
        Ok(if is_so { Looking::Found(alerts) } else { Looking::NotYet(so_far) })
    })
    .await
}

async fn from_event_to_alert_and_back(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default().with_tokens([TOKEN])).await?;
    let alertmanager = Alertmanager::start().await?;
    let receiver = Receiver::start(&[Reply::Status(200)]).await?;
    let plan = Plan::new(mode)
        .set("GITHUB_HOSTS", double.addr())
        .set("LANE_RATE", "500/s")
        .set("FRESHNESS", "1h")
        .set("QUIET_DAYS", "none")
        .set("ALERT_ALERTMANAGER_URL", alertmanager.url())
        .set("ALERT_RESEND", "500ms")
        .set("ALERT_WEBHOOK_URL", receiver.url());
    let cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", TOKEN).await?;
    let seed = webhook(&double.base_url(), "acme/orders", "Orders", "githubToken");
    api.create_webhook(&seed).await?;

    // Event, dispatch, verification: fresh.
    api.publish(&event(1, "Orders")).await?;
    let waiting =
        pair_is(&api, "provider=Orders", |pair| pair["last_dispatch"].is_string()).await?;
    ensure!(waiting["state"] == "owing" && waiting["owed_since"].is_string(), "{waiting}");
    ensure!(waiting["last_verification"].is_null(), "{waiting}");
    api.publish(&verification("Orders", false)).await?;
    let fresh = pair_is(&api, "provider=Orders", |pair| pair["owed_since"].is_null()).await?;
    ensure!(fresh["state"] == "fresh", "{fresh}");
    ensure!(fresh["last_verification_success"] == false, "freshness is not success: {fresh}");

    // No verification in two hours: stale, told to the real Alertmanager.
    api.publish(&dated(event(2, "Bill/ing \"ü\""), 120)).await?;
    let open = incident(&api, "verification_stale", is_open).await?;
    ensure!(open["cause"] == "not_dispatched", "{open}");
    ensure!(open["subject"] == "default/checkout/Bill%2Fing \"ü\"", "{open}");
    let alerts = firing(&alertmanager, "PostriderVerificationStale", 1).await?;
    let labels = &alerts[0]["labels"];
    ensure!(labels["provider"] == "Bill/ing \"ü\"" && labels["consumer"] == "checkout", "{labels}");
    ensure!(alerts[0]["annotations"]["summary"].as_str() == open["summary"].as_str(), "{alerts:?}");
    let told = first_told(&receiver).await?;
    ensure!(told["status"] == "firing" && told["version"] == "4", "{told}");
    let fingerprint = &told["alerts"][0]["fingerprint"];
    ensure!(*fingerprint == alerts[0]["fingerprint"], "ours is {fingerprint}: {alerts:?}");
    acknowledge(&cluster, &open).await?;

    // The verification arrives: resolved everywhere.
    api.publish(&verification("Bill/ing \"ü\"", true)).await?;
    let over = incident(&api, "verification_stale", |incident| !is_open(incident)).await?;
    ensure!(over["id"] == open["id"] && over["acknowledged_at"].is_string(), "{over}");
    firing(&alertmanager, "PostriderVerificationStale", 0).await?;
    wait_until("the webhook to hear that it is over", SOON, async || {
        let told: Vec<Value> =
            receiver.received().iter().map(Received::json).collect::<Result<_>>()?;
        let statuses: Vec<_> = told.iter().map(|body| body["status"].clone()).collect();
        Ok(Looking::when(statuses == ["firing", "resolved"], || format!("{statuses:?}")))
    })
    .await?;
    look_at_metrics(&cluster).await?;
    cluster.finish().await
}

/// What the webhook was told first.
async fn first_told(receiver: &Receiver) -> Result<Value> {
    wait_until("the webhook to be told", SOON, async || {
        let told = receiver.received().first().map(Received::json).transpose()?;
        Ok(told.map_or_else(|| Looking::NotYet("nothing".to_owned()), Looking::Found))
    })
    .await
}

/// By the command line: seen, but not over.
async fn acknowledge(cluster: &Cluster, open: &Value) -> Result<()> {
    let settings = [setting("URL", cluster.api()?.base())];
    let id = open["id"].as_str().context("an id")?;
    let output = run(&["incidents", "ack", id, "-o", "json"], &settings, "").await?;
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success() && shown["acknowledged_at"].is_string(), "{output:?}");
    ensure!(is_open(&shown), "{shown}");
    let listed = run(&["incidents", "list", "--open", "--json"], &settings, "").await?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    let ids = listed["incidents"].as_array().context("incidents")?;
    ensure!(ids.iter().any(|one| one["id"] == id && one["acknowledged_at"].is_string()));
    let shown = run(&["incidents", "show", id], &settings, "").await?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(text.contains("not_dispatched") && text.contains("next "), "{text}");
    Ok(())
}

async fn look_at_metrics(cluster: &Cluster) -> Result<()> {
    let name = if cluster.mode() == Mode::Embedded { "serve" } else { "monitor" };
    let admin = cluster.admin(name)?;
    let age = r#"postrider_verification_age_seconds{consumer="checkout",provider="Orders"} "#;
    let none = r#"postrider_incidents_open{kind="verification_stale"} 0"#;
    wait_until("the figures of pairs", SOON, async || {
        let text = admin.get("/metrics").await?.text;
        Ok(Looking::when(text.contains(age) && text.contains(none), || text))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_from_event_to_alert_and_back() -> Result<()> {
    from_event_to_alert_and_back(Mode::Embedded).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_from_event_to_alert_and_back() -> Result<()> {
    from_event_to_alert_and_back(Mode::Distributed).await
}

/// In earnest: two seconds pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_alone_makes_a_pair_stale_and_a_verified_one_stays_fresh() -> Result<()> {
    let plan = Plan::new(Mode::Embedded).set("FRESHNESS", "2s").set("QUIET_DAYS", "none");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    api.publish(&event(1, "Orders")).await?;
    pair_is(&api, "state=stale", |_| true).await?;
    incident(&api, "verification_stale", is_open).await?;
    api.publish(&verification("Orders", true)).await?;
    incident(&api, "verification_stale", |incident| !is_open(incident)).await?;
    let old = |pair: &Value| pair["age_seconds"].as_u64().is_some_and(|age| age > 2);
    let fresh = pair_is(&api, "provider=Orders", old).await?;
    ensure!(fresh["state"] == "fresh" && fresh["threshold_seconds"] == 2, "{fresh}");
    ensure!(fresh["owed_since"].is_null() && fresh["basis"] == "relay", "{fresh}");
    cluster.finish().await
}

/// Contract 11 is owed for two hours, an older one was verified.
fn owing() -> [Row; 2] {
    [row("11", ago(120), None), row("10", ago(300), Some((true, ago(290))))]
}

/// Nothing was relayed: the matrix alone tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brokers_matrix_tells_what_nobody_relayed() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.ask_for("token-of-the-broker");
    let [_, older] = owing();
    broker.set("checkout", "Orders", std::slice::from_ref(&older));
    broker.set("checkout", "Stock", &[row("11", ago(120), Some((true, ago(5))))]);
    let plan = Plan::new(Mode::Embedded)
        .set("FRESHNESS", "3s")
        .set("QUIET_DAYS", "none")
        .set("BROKER_INTERVAL", "300ms")
        .set("PACT_BROKER_BASE_URL", broker.url())
        .set("PACT_BROKER_TOKEN", "token-of-the-broker");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    pair_is(&api, "provider=Orders", |pair| pair["state"] == "fresh").await?;
    broker.set("checkout", "Orders", &[row("11", Timestamp::now(), None), older.clone()]);
    let stale = incident(&api, "verification_stale", is_open).await?;
    ensure!(stale["subject"] == "default/checkout/Orders", "{stale}");
    let verified = pair_is(&api, "provider=Stock", |pair| pair["state"] == "fresh").await?;
    ensure!(verified["last_verification_success"] == true, "{verified}");

    // The token is withdrawn: what was late stays so, nothing else becomes it. It is judged as of
    // the broker's last answer, which lies a moment back.
    pair_is(&api, "provider=Orders", |pair| pair["age_seconds"].as_u64() >= Some(6)).await?;
    broker.trouble(Some((401, None, "{}")));
    let away = incident(&api, "broker_unreachable", is_open).await?;
    ensure!(away["cause"] == "credential" && away["subject"] == "default", "{away}");
    ensure!(!away["summary"].as_str().unwrap_or_default().contains("token-of"), "{away}");
    let orders = pair(&api, "provider=Orders").await?.context("the pair")?;
    ensure!(orders["state"] == "stale", "it was so when the broker last answered: {orders}");

    // It answers again, and there is a result.
    let verified = row("11", ago(120), Some((true, Timestamp::now())));
    broker.set("checkout", "Orders", &[verified, older]);
    broker.trouble(None);
    incident(&api, "broker_unreachable", |incident| !is_open(incident)).await?;
    incident(&api, "verification_stale", |incident| !is_open(incident)).await?;
    pair_is(&api, "provider=Orders", |pair| pair["state"] == "fresh").await?;
    let told = cluster.lines("broker.away");
    ensure!(told.len() == 1 && cluster.lines("broker.answers").len() == 1, "{told:?}");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_makes_nothing_late() -> Result<()> {
    let broker = ScriptedBroker::start().await?;
    broker.trouble(Some((503, None, "{}")));
    let plan = Plan::new(Mode::Embedded)
        .set("FRESHNESS", "1h")
        .set("QUIET_DAYS", "none")
        .set("BROKER_INTERVAL", "300ms")
        .set("PACT_BROKER_BASE_URL", broker.url());
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    api.publish(&dated(event(1, "Orders"), 120)).await?;
    let away = incident(&api, "broker_unreachable", is_open).await?;
    ensure!(away["cause"] == "away", "{away}");
    let unknown = pair_is(&api, "provider=Orders", |pair| pair["owed_since"].is_string()).await?;
    ensure!(unknown["state"] == "unknown", "{unknown}");
    let stale = api.get("/api/v1/incidents?kind=verification_stale").await?.ok()?;
    ensure!(stale["incidents"] == json!([]), "{stale}");
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_names_at_two_brokers_never_mix() -> Result<()> {
    let (verified, late) = (ScriptedBroker::start().await?, ScriptedBroker::start().await?);
    verified.set("checkout", "Orders", &[row("1", ago(120), Some((true, ago(5))))]);
    late.set("checkout", "Orders", &owing());
    let file = format!(
        "[[broker]]\nname = \"one\"\nbase_url = \"{}\"\n[[broker]]\nname = \"two\"\nbase_url = \"{}\"\n\
         [[pair]]\nbroker = \"two\"\nconsumer = \"checkout\"\nprovider = \"Orders\"\nmax_age = \"90m\"\n\
         critical = true\n",
        verified.url(),
        late.url()
    );
    let plan = Plan::new(Mode::Embedded)
        .file(&file)
        .set("FRESHNESS", "1h")
        .set("QUIET_DAYS", "none")
        .set("BROKER_INTERVAL", "300ms");
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    let one = pair_is(&api, "broker=one", |pair| pair["state"] == "fresh").await?;
    let two = pair_is(&api, "broker=two", |pair| pair["state"] == "stale").await?;
    ensure!(one["state"] == "fresh" && one["critical"] == false, "{one}");
    ensure!(two["last_verification"].is_null() && two["critical"] == true, "{two}");
    ensure!((&one["threshold_seconds"], &two["threshold_seconds"]) == (&json!(3600), &json!(5400)));
    // A relayed event of a third one with the same names is a pair of its own.
    let mut relayed = verification("Orders", true);
    relayed["broker"] = "three".into();
    api.publish(&relayed).await?;
    pair_is(&api, "broker=three", |pair| pair["state"] == "fresh").await?;
    let stale = incident(&api, "verification_stale", is_open).await?;
    ensure!(
        stale["subject"] == "two/checkout/Orders" && stale["severity"] == "critical",
        "{stale}"
    );
    cluster.finish().await
}

/// A pair for each state; all are of one contract that is three hours old.
async fn a_pair_for_each_state() -> Result<ScriptedBroker> {
    let broker = ScriptedBroker::start().await?;
    broker.model(|model| {
        model.main_branch("web", Some("main"), ago(900)).build_on("web", "1", "main", ago(180));
        for provider in ["Fresh", "Failed", "Late", "Trouble", "Young"] {
            model.main_branch(provider, Some("main"), ago(900));
            model.build_on(provider, "p1", "main", ago(800));
            model.publish("web", "1", provider, "one", ago(180));
            model.verify(provider, "p1", "web", "1", provider != "Failed", ago(170));
        }
        model.publish("web", "1", "Unguarded", "one", ago(180));
        model.build("Late", "p0", ago(700)).deploy("Late", "p0", "prod", None, ago(600));
        model.build_on("Young", "p2", "main", ago(5));
    });
    broker.answer_of("[pacticipant]=Trouble", Some((500, "oops")));
    Ok(broker)
}

/// What the monitor says of a pair is what `check verification` says, and one pair that the broker
/// can't tell of leaves the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freshness_and_check_agree_and_one_pair_in_trouble_is_unknown() -> Result<()> {
    let broker = a_pair_for_each_state().await?;
    let plan = Plan::new(Mode::Embedded)
        .set("FRESHNESS", "1h")
        .set("QUIET_DAYS", "none")
        .set("BROKER_INTERVAL", "300ms")
        .set("PACT_BROKER_BASE_URL", broker.url());
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    let variables = [("PACT_BROKER_BASE_URL".to_owned(), broker.url().to_owned())];
    for (provider, state, owes) in [
        ("Fresh", "fresh", None),
        ("Failed", "failed", None),
        ("Late", "stale", Some(("p0", "deployed:prod"))),
        ("Unguarded", "unguarded", None),
        ("Young", "owing", Some(("p2", "main"))),
    ] {
        let query = format!("provider={provider}");
        let pair = pair_is(&api, &query, |pair| pair["state"] == state).await?;
        ensure!(pair["basis"] == "broker" && pair["trouble"].is_null(), "{pair}");
        let owed = pair["owes"].as_array().context("owes")?.first();
        let owed = owed.map(|owed| (owed["provider_version"].clone(), owed["because"].clone()));
        let expected = owes.map(|(version, because)| (json!(version), json!([because])));
        ensure!(owed == expected, "{pair}");
        let check = ["check", "verification", "--consumer", "web", "--provider", provider];
        let args = [&check[..], &["--max-age", "1h", "-o", "json"]].concat();
        let output = run_with(&args, &variables, "").await?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(report["pairs"][0]["state"] == state, "{report}");
    }
    let trouble = pair_is(&api, "provider=Trouble", |pair| pair["trouble"].is_string()).await?;
    ensure!(trouble["state"] == "unknown", "{trouble}");
    worst_first(&api).await?;
    broker.answer_of("[pacticipant]=Trouble", None);
    pair_is(&api, "provider=Trouble", |pair| pair["state"] == "fresh").await?;
    cluster.finish().await
}

/// By the command line.
async fn worst_first(api: &Api) -> Result<()> {
    let settings = [setting("URL", api.base())];
    let output = run(&["freshness", "--consumer", "web", "--json"], &settings, "").await?;
    let listed: Value = serde_json::from_slice(&output.stdout)?;
    let pairs = listed["pairs"].as_array().context("pairs")?;
    let states: Vec<&str> = pairs.iter().filter_map(|pair| pair["state"].as_str()).collect();
    ensure!(states == ["failed", "stale", "unguarded", "unknown", "owing", "fresh"], "{states:?}");
    let output = run(&["freshness", "--state", "stale"], &settings, "").await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("p0 (deployed:prod)") && !text.contains("Young"), "{text}");
    let output = run(&["freshness", "--consumer", "web", "--limit", "2"], &settings, "").await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.ends_with("2 of 6 shown, more: --limit 6\n"), "what is cut off is told: {text}");
    let wrong = run(&["freshness", "--state", "rotten"], &settings, "").await?;
    ensure!(wrong.status.code() == Some(2), "{wrong:?}");
    Ok(())
}
