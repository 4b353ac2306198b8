//! What reads the inputs, and what has to hold whatever they are.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use postrider_config::{Flags, Settings, Sources};
use postrider_domain::{
    AddressPolicy, Body, BodyMode, DeliveryId, Event, HostPatterns, HostWhitelist, LaneRules,
    RequestTemplate, Target, TargetKind, classify,
};
use postrider_http_client::{Proxy, ProxyRules};
use postrider_queue::Message;
use postrider_render::{
    CompiledRequest, Redactor, Variables, describe_request, describe_response, render_again,
};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

/// Every target by its name, which is also the name of its seeds' folder.
pub(crate) const ALL: [(&str, fn(&[u8])); 9] = [
    ("template", template),
    ("events", events),
    ("relay", relay),
    ("cloudevents", cloudevents),
    ("webhook", webhook),
    ("github", github),
    ("message", message),
    ("address", address),
    ("settings", settings),
];

const SECRET: &str = "s3cret-of-the-fuzzer";

fn secrets() -> BTreeMap<String, SecretString> {
    BTreeMap::from([("a".to_owned(), SECRET.into())])
}

/// A first line, and the rest.
fn split(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let line = std::str::from_utf8(&data[..end]).unwrap_or_default();
    (line, data.get(end + 1..).unwrap_or_default())
}

/// An event whose values are the input.
fn event_of(value: &str) -> Event {
    let text = serde_json::json!({
        "event_name": "contract_published",
        "consumer": {"name": value, "version_number": value, "branch": value, "tags": [value]},
        "provider": {"name": value, "version_number": value},
        "pact_url": value,
        "broker": "default",
    });
    let mut found = postrider_ingest::fuzzing::events(&json_headers(), text.to_string().as_bytes());
    found.pop().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| fixed_event())
}

fn fixed_event() -> Event {
    let text = br#"{"event_name":"contract_published","consumer":{"name":"c"},"provider":{"name":"p"}}"#;
    let found = postrider_ingest::fuzzing::events(&json_headers(), text).pop();
    serde_json::from_str(&found.expect("an event")).expect("a stored event")
}

fn json_headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)])
}

/// What is rendered holds the secret only where it is sent, shows none, and can be shown again.
fn rendered(request: &RequestTemplate, value: &str) {
    let event = event_of(value);
    let delivery_id = DeliveryId(Uuid::from_u128(7));
    let variables = Variables { event: &event, event_name: "contract_published", delivery_id };
    let secrets = secrets();
    let redactor = Redactor::for_request(request, &secrets, &[]);
    let Ok(sent) = CompiledRequest::compile(request).render(&variables, &secrets, "fuzz") else {
        return;
    };
    let shown = describe_request(&sent, &redactor);
    serde_json::from_str::<Value>(&shown).expect("what is shown is JSON");
    let fixed = request_text(request).contains(SECRET) || value.contains(SECRET);
    assert!(fixed || !shown.contains(SECRET), "a secret is shown: {shown}");
    for name in sent.headers.values() {
        assert!(!name.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
    }
    if let Some(body) = sent.body.as_deref().filter(|_| sent.body_is_json) {
        serde_json::from_slice::<Value>(body).expect("a JSON body stays JSON");
    }
    render_again(request, &variables, "fuzz", None, &[]).ok();
}

fn request_text(request: &RequestTemplate) -> String {
    let body = match &request.body {
        Some(Body::Text(text)) => text.clone(),
        Some(Body::Json(value)) => value.to_string(),
        None => String::new(),
    };
    let headers: Vec<String> = request.headers.iter().map(|(_, value)| value.clone()).collect();
    format!("{}{}{body}", request.url, headers.concat())
}

/// First line: the event's value. Second: the URL. Third: a header. Rest: the body.
fn template(data: &[u8]) {
    let (value, rest) = split(data);
    let (url, rest) = split(rest);
    let (header, rest) = split(rest);
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let json = serde_json::from_str(text).ok().filter(|value: &Value| !value.is_string());
    let body = json.map_or_else(|| Body::Text(text.to_owned()), Body::Json);
    for body_mode in [BodyMode::Json, BodyMode::Raw] {
        let request = RequestTemplate {
            method: "POST".to_owned(),
            url: format!("https://example.com/{url}"),
            headers: vec![("x-fuzz".to_owned(), header.to_owned())],
            body: Some(body.clone()),
            body_mode,
            username: None,
            password: None,
        };
        rendered(&request, value);
        LaneRules::default().lane(&request, &|_| "00000000".to_owned()).ok();
    }
}

fn taken(found: &[String]) {
    for text in found {
        let event: Event = serde_json::from_str(text).expect("a stored event is read again");
        assert!(!event.consumer.name.is_empty() && !event.provider.name.is_empty());
        assert!(!text.contains('\0'));
    }
}

/// First byte: the form. Rest: the body.
fn events(data: &[u8]) {
    let Some((form, body)) = data.split_first() else { return };
    let form = if form % 2 == 0 { "application/json" } else { "application/x-ndjson" };
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(form));
    taken(&postrider_ingest::fuzzing::events(&headers, body));
}

/// First line: the query. Rest: the body.
fn relay(data: &[u8]) {
    let (query, body) = split(data);
    taken(postrider_ingest::fuzzing::relayed(query, body).as_slice());
}

/// First byte: structured, batch or binary. Then headers, one a line, of the binary form; an empty
/// line; the body.
fn cloudevents(data: &[u8]) {
    let Some((form, mut rest)) = data.split_first() else { return };
    let mut headers = HeaderMap::new();
    let form = match form % 3 {
        0 => "application/cloudevents+json",
        1 => "application/cloudevents-batch+json",
        _ => {
            headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
            "application/json"
        }
    };
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(form));
    loop {
        let (line, after) = split(rest);
        let Some((name, value)) = line.split_once(':') else { break };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            headers.insert(name, value);
        }
        rest = after;
    }
    taken(&postrider_ingest::fuzzing::events(&headers, rest));
}

/// A document; what it describes is rendered.
fn webhook(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let Some(webhook) = postrider_web::fuzzing::webhook(&document) else { return };
    assert!(!webhook.events.is_empty());
    rendered(&webhook.request, "x");
    LaneRules::default().lane(&webhook.request, &|_| "00000000".to_owned()).expect("a lane");
}

/// First line: the status. Then headers, one a line; an empty line; the body.
fn github(data: &[u8]) {
    let (status, mut rest) = split(data);
    let status = status.parse::<u16>().unwrap_or(200).clamp(100, 999);
    let mut headers = HeaderMap::new();
    loop {
        let (line, after) = split(rest);
        rest = after;
        let Some((name, value)) = line.split_once(':') else { break };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    let now = Timestamp::from_second(1_795_000_000).expect("a time");
    let day = std::time::Duration::from_hours(24);
    let paths = ["repos/o/r/dispatches", "repos/o/r/actions/workflows/w/dispatches", "repos/o/r/x"];
    for path in paths {
        let url = Url::parse(&format!("https://api.github.com/{path}")).expect("a URL");
        let target = Target::of(&url, &HostPatterns::github(), true);
        let answer = postrider_github::answer(target, status, &headers, rest, now);
        let classified = classify(target.kind, &answer, &[200, 201]);
        assert!(classified.wait.is_none_or(|wait| wait <= day + day / 100), "{classified:?}");
        postrider_github::asks_too_long(target, status, &headers, now);
        if let Some(run) = postrider_github::started_run(TargetKind::WorkflowDispatch, status, rest) {
            assert!(run.url.is_ascii());
        }
    }
    postrider_github::read_probe(status, &headers, rest, now);
    postrider_github::read_token(status, &headers, rest, now).ok();
    postrider_github::read_installation(status, &headers, rest, now).ok();
    postrider_github::token_expiry(&headers);
    postrider_github::request_id(&headers);
    let redactor = Redactor::new(secrets().values());
    let code = http::StatusCode::from_u16(status).expect("a status");
    let shown = describe_response(code, &headers, rest, &redactor);
    serde_json::from_str::<Value>(&shown).expect("what is shown is JSON");
    assert!(!shown.contains(SECRET) && !shown.contains("\\u0000"), "{shown}");
}

/// What is read is written as it was read.
fn message(data: &[u8]) {
    if let Ok(message) = Message::from_body(data) {
        // Ids are written longer than they may be read.
        let body = message.to_body();
        let again = (body.len() <= 16 * 1024).then(|| Message::from_body(&body));
        assert!(again.is_none_or(|again| again.as_ref() == Ok(&message)));
    }
    postrider_github::check_token(&String::from_utf8_lossy(data));
}

/// A host as somebody writes it: an address that is refused stays so however it is written, by a
/// proxy or without.
fn address(data: &[u8]) {
    let (host, rest) = split(data);
    let policy = AddressPolicy::default();
    if let Ok(url) = Url::parse(&format!("http://{host}/")) {
        let direct = policy.check_url(&url);
        assert!(direct.is_ok() || policy.check_proxied(&url).is_err(), "{url}");
        let address = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        if let Some(address @ (IpAddr::V4(_) | IpAddr::V6(_))) = address {
            assert_eq!(policy.check(address).is_ok(), direct.is_ok(), "{url}");
            let is_local = address.to_canonical().is_loopback() || address.is_unspecified();
            assert!(!is_local || direct.is_err(), "{url}");
        }
        let text = String::from_utf8_lossy(rest);
        if let Ok(whitelist) = HostWhitelist::parse(&text) {
            whitelist.allows(&url);
        }
        let rules = ProxyRules::new(Proxy::parse(&text).ok(), None, None, Some(&text));
        rules.route(&url);
        text.parse::<HostPatterns>().map(|patterns| patterns.matches(host)).ok();
    }
}

/// A settings file, or variables one a line when it begins with `#env`.
fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut env = BTreeMap::new();
    let path = Path::new("postrider.toml");
    let file = match text.strip_prefix("#env\n") {
        Some(lines) => {
            let pairs = lines.lines().filter_map(|line| line.split_once('='));
            env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            None
        }
        None => Some((path, text)),
    };
    let read = |_: &Path| -> io::Result<String> { Ok(SECRET.to_owned()) };
    let sources = Sources { env: &env, file, flags: &Flags::new(), read: &read };
    match Settings::resolve(&sources) {
        Ok(settings) => assert!(!settings.effective.is_empty()),
        Err(problems) => assert!(problems.lines().all(|line| !line.contains(SECRET))),
    }
}
