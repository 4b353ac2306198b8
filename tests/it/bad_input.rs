//! Malformed calls: the right 4xx that names what is wrong, and nothing stored.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Api, Mode, Plan, event, hook_webhook};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const CLOUD: &str = "application/cloudevents+json";
const CLOUD_BATCH: &str = "application/cloudevents-batch+json";

/// A call to `POST /events` and what it has to be answered.
struct Case {
    name: &'static str,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    /// Each has to be the pointer of an error, or else to occur in the answer's text.
    named: Vec<&'static str>,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, status: u16, named: &'static str) -> Case {
    let (content_type, headers) = (JSON, Vec::new());
    Case { name, content_type, headers, body: body.into(), status, named: vec![named] }
}

impl Case {
    fn of_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    fn and(mut self, named: &'static str) -> Self {
        self.named.push(named);
        self
    }
}

/// The good event with one member replaced.
fn with(pointer: &str, value: Value) -> String {
    let mut event = event(1, "billing");
    set(&mut event, pointer, Some(value));
    event.to_string()
}

/// The good event without one member.
fn without(pointer: &str) -> String {
    let mut event = event(1, "billing");
    set(&mut event, pointer, None);
    event.to_string()
}

fn set(event: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    if let Some(Value::Object(object)) = event.pointer_mut(parent) {
        object.remove(key);
        if let Some(value) = value {
            object.insert(key.to_owned(), value);
        }
    }
}

fn cloud(member: &str, value: Value) -> String {
    let mut cloud = json!({
        "specversion": "1.0", "id": "1", "source": "/ci",
        "type": "io.pact.contract_requiring_verification_published",
        "data": event(1, "billing"),
    });
    set(&mut cloud, &format!("/{member}"), (!value.is_null()).then_some(value));
    cloud.to_string()
}

/// The good event with one wrong member, which has to be named.
fn bad(pointer: &'static str, value: Value) -> Case {
    case(pointer, with(pointer, value), 400, pointer)
}

/// The good event without one member, which has to be named.
fn lacks(pointer: &'static str) -> Case {
    case(pointer, without(pointer), 400, pointer)
}

fn whole_events() -> Vec<Case> {
    let two = r#"{"event_name":"contract_published","consumer":{"name":""},"provider":{}}"#;
    let unknown = with("/event_name", json!("contract_publisht"));
    vec![
        case("a number", "7", 400, ""),
        case("a string", "\"x\"", 400, ""),
        case("null", "null", 400, ""),
        case("two faults", two, 400, "/consumer/name").and("/provider/name"),
        case("an unknown event", unknown, 422, "/event_name"),
        lacks("/event_name"),
        lacks("/consumer"),
        lacks("/consumer/name"),
        lacks("/provider"),
        lacks("/provider/name"),
    ]
}

fn types() -> Vec<Case> {
    vec![
        bad("/event_name", json!(7)),
        bad("/event_name", Value::Null),
        bad("/event_name", json!("")),
        bad("/consumer", json!("checkout")),
        bad("/consumer", Value::Null),
        bad("/consumer/name", json!("")),
        bad("/consumer/name", json!(["a"])),
        bad("/consumer/name", json!("n".repeat(256))),
        bad("/consumer/tags", json!("main")),
        bad("/consumer/version_number", json!(1.5)),
        case("a tag", with("/consumer/tags", json!(["a", 1])), 400, "/consumer/tags/1"),
        bad("/provider", json!([])),
        bad("/provider/name", json!(true)),
        // 256 bytes in 128 characters.
        bad("/provider/name", json!("é".repeat(128))),
        bad("/provider/labels", json!({})),
        bad("/provider/branch", json!(["main"])),
        bad("/provider/version_descriptions", json!("x")),
        bad("/pact_url", json!({})),
        bad("/build_url", json!(0)),
        bad("/verification_result_url", json!([])),
        bad("/occurred_at", json!("yesterday")),
        bad("/occurred_at", json!(1_700_000_000)),
        bad("/verification_success", json!("true")),
        bad("/broker", json!(1)),
        bad("/broker", json!("b".repeat(256))),
        bad("/id", json!(5)),
        bad("/id", json!("")),
        bad("/id", json!("k".repeat(256))),
    ]
}

fn texts() -> Vec<Case> {
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let deep_member = with("/x", json!(0)).replace(r#""x":0"#, &format!(r#""x":{deep}"#));
    let mut broken = with("/pact_url", json!("BROKEN")).into_bytes();
    if let Some(at) = broken.windows(6).position(|six| six == b"BROKEN") {
        broken[at] = 0xff;
    }
    vec![
        case("empty body", "", 400, ""),
        case("no JSON", "event_name=x", 400, ""),
        case("cut off", r#"{"event_name": "contr"#, 400, ""),
        case("trailing text", format!("{} x", event(1, "billing")), 400, ""),
        case("invalid UTF-8", broken, 400, "UTF-8"),
        case(
            "a lone surrogate",
            with("/pact_url", json!("S")).replace("\"S\"", r#""\ud800""#),
            400,
            "",
        ),
        case("U+0000 in a name", with("/consumer/name", json!("a\0b")), 400, "/consumer/name"),
        case(
            "U+0000 in a tag",
            with("/consumer/tags", json!(["a", "\0"])),
            400,
            "/consumer/tags/1",
        ),
        case(
            "U+0000 in an unknown member",
            with("/unknown", json!({"x": "\0"})),
            400,
            "/unknown/x",
        ),
        case(
            "a raw control character",
            with("/pact_url", json!("S")).replace("\"S\"", "\"a\u{1}b\""),
            400,
            "",
        ),
        case("2,000 levels", deep, 400, ""),
        case("2,000 levels in a member", deep_member, 400, ""),
        case("not a number", with("/x", json!(0)).replace(r#""x":0"#, r#""x":NaN"#), 400, ""),
        case("an empty array", "[]", 400, ""),
        case("no lines", "\n\n \n", 400, "").of_type(LINES),
        case("a broken line", "{\"event_name\":\n", 400, "/0").of_type(LINES),
    ]
}

fn sizes_and_headers() -> Vec<Case> {
    let good = || event(1, "billing").to_string();
    let large = with("/pact_url", json!("u".repeat(1024 * 1024)));
    let huge = with("/pact_url", json!("u".repeat(8 * 1024 * 1024)));
    let many = format!("[{}]", vec!["0"; 10_001].join(","));
    vec![
        case("an event above 1 MiB", large, 413, "1024 KiB"),
        case("a call above 8 MiB", huge, 413, ""),
        case("10,001 events", many, 413, "10000"),
        case("no content type", good(), 415, "Content-Type").of_type(""),
        case("text", good(), 415, "Content-Type").of_type("text/plain"),
        case("a form", "event_name=x", 415, "Content-Type")
            .of_type("application/x-www-form-urlencoded"),
        case("XML", "<event/>", 415, "Content-Type").of_type("application/xml"),
        case("another charset", good(), 415, "utf-8").of_type("application/json; charset=latin1"),
        case("an empty key", good(), 400, "Idempotency-Key").with("Idempotency-Key", ""),
        case("a long key", good(), 400, "Idempotency-Key").with("Idempotency-Key", "k".repeat(256)),
        case("two keys", good(), 400, "Idempotency-Key")
            .with("Idempotency-Key", "a")
            .with("Idempotency-Key", "b"),
    ]
}

fn cloud_events() -> Vec<Case> {
    let of = |name, member: &str, value, status, named| {
        case(name, cloud(member, value), status, named).of_type(CLOUD)
    };
    vec![
        of("no specversion", "specversion", Value::Null, 400, "/specversion"),
        of("another specversion", "specversion", json!("0.3"), 400, "/specversion"),
        of("no source", "source", Value::Null, 400, "/source"),
        of("no id", "id", Value::Null, 400, "/id"),
        of("an unknown type", "type", json!("com.example.push"), 422, "/type"),
        of("a time that is none", "time", json!("noon"), 400, "/time"),
        of("no data", "data", Value::Null, 400, "/data"),
        of(
            "data without consumer",
            "data",
            json!({"provider": {"name": "p"}}),
            400,
            "/data/consumer",
        ),
        of("data_base64 that is none", "data", Value::Null, 400, "/data"),
        case("a batch that is an object", cloud("id", json!("2")), 400, "").of_type(CLOUD_BATCH),
        case("binary mode without id", event(1, "billing").to_string(), 400, "ce-id")
            .with("ce-specversion", "1.0")
            .with("ce-source", "/ci")
            .with("ce-type", "contract_published"),
    ]
}

async fn send(api: &Api, case: &Case) -> Result<(u16, HeaderMap, String)> {
    let mut call = api.call("POST", "/events")?.body(case.body.clone());
    if !case.content_type.is_empty() {
        call = call.header("Content-Type", case.content_type);
    }
    for (name, value) in &case.headers {
        call = call.header(*name, value);
    }
    let answer = api.send(call).await.with_context(|| case.name.to_owned())?;
    Ok((answer.status, answer.headers, answer.text))
}

async fn check(api: &Api, case: &Case) -> Result<()> {
    let (status, headers, text) = send(api, case).await?;
    let shown: String = text.chars().take(600).collect();
    ensure!(status == case.status, "{}: {status} {shown}", case.name);
    let problem: Value =
        serde_json::from_str(&text).with_context(|| format!("{}: {shown}", case.name))?;
    // A call of several events is answered with an array of problems.
    let (problem, many) = match &problem {
        Value::Array(all) => (all.first().context("an element")?, true),
        one => (one, false),
    };
    let kind = headers.get("content-type").map_or("", |value| value.to_str().unwrap_or(""));
    ensure!(many || kind.starts_with("application/problem+json"), "{}: {kind}", case.name);
    ensure!(problem["status"] == status && problem["title"].is_string(), "{}: {shown}", case.name);
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(!detail.is_empty(), "{}: {shown}", case.name);
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .map(|errors| errors.iter().filter_map(|error| error["pointer"].as_str()).collect())
        .unwrap_or_default();
    for named in &case.named {
        let is_named =
            if named.starts_with('/') { pointers.contains(named) } else { detail.contains(named) };
        ensure!(is_named, "{}: {named} is not named in {shown}", case.name);
    }
    Ok(())
}

async fn nothing_bad_is_stored(mode: Mode) -> Result<()> {
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    // A target that nothing may reach.
    api.create_webhook(&hook_webhook("http://127.0.0.1:9", "none", "billing")).await?;
    let before = crate::smoke::sum(
        &cluster.admin(api_process(mode))?.get("/metrics").await?.text,
        "postrider_events_received_total",
    );
    let cases: Vec<Case> = [whole_events(), types(), texts(), sizes_and_headers(), cloud_events()]
        .into_iter()
        .flatten()
        .collect();
    ensure!(cases.len() >= 40, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(error) = check(&api, case).await {
            wrong.push(format!("{error:#}"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let metrics = cluster.admin(api_process(mode))?.get("/metrics").await?.text;
    let after = crate::smoke::sum(&metrics, "postrider_events_received_total");
    ensure!((after - before).abs() < 0.5, "{} events were taken", after - before);
    ensure!(api.deliveries("").await?.is_empty(), "deliveries were made");
    mixed_batch(&api).await?;
    same_key_other_content(&api).await?;
    cluster.finish().await
}

fn api_process(mode: Mode) -> &'static str {
    match mode {
        Mode::Embedded => "serve",
        Mode::Distributed => "ingest-2",
    }
}

/// The good events of a mixed call are taken, the bad ones named each in its place.
async fn mixed_batch(api: &Api) -> Result<()> {
    let events =
        json!([event(1, "x"), {"event_name": 1}, event(2, "x"), {"event_name": "nonsense"}]);
    let answer = api.with_json("POST", "/events", &events).await?;
    let elements = answer.ok()?;
    let statuses: Vec<Option<u64>> = elements
        .as_array()
        .context("an array")?
        .iter()
        .map(|element| element["status"].as_u64())
        .collect();
    ensure!(statuses == [Some(202), Some(400), Some(202), Some(400)], "{elements}");
    ensure!(elements[1]["errors"][0]["pointer"] == "/1/event_name", "{elements}");
    Ok(())
}

async fn same_key_other_content(api: &Api) -> Result<()> {
    let keyed = |number: usize| {
        let mut event = event(number, "x");
        event["id"] = json!("one key");
        event
    };
    api.publish(&keyed(1)).await?;
    let answer = api.with_json("POST", "/events", &keyed(2)).await?;
    ensure!(answer.status == 422, "{}: {}", answer.status, answer.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(nothing_bad_is_stored(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(nothing_bad_is_stored(Mode::Distributed)).await
}
