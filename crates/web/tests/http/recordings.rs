//! Replays what Pact Broker 2.120.0 was recorded to answer. Status, headers and body agree, but
//! for values that are new each time and for rows of the table of divergences.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use postrider_domain::Outcome;
use postrider_store::Transition;
use serde_json::{Value, json};

use crate::divergences::divergence;
use crate::harness::{Answer, Harness};
use crate::triggered::{answered, claims, publication, record, target};

/// Headers that clients look at. `date` and `server` differ, and the length of a body follows
/// from the body.
const HEADERS: [&str; 9] = [
    "content-type",
    "vary",
    "cache-control",
    "allow",
    "access-control-allow-methods",
    "location",
    "www-authenticate",
    "x-pact-broker-version",
    "x-content-type-options",
];

/// What there is before the call.
#[derive(Clone, Copy)]
enum Scene {
    Empty,
    /// The webhook of `webhook-create` under this uuid.
    Saved,
    /// The webhook of `webhook-create-for-consumer-provider` under its uuid.
    OfPair,
    Tokens,
    /// One delivery, taken with this status and body, from this path.
    Delivered(u16, &'static str, &'static str),
    /// Nine webhooks, three of them taken and six failed at the fourth attempt.
    Nine,
}

const SAVED: &str = "arqvHhuNAgQ68n0WOEC7dw";
const OF_PAIR: &str = "2LCteR1tS9v0HLxPmpkNaA";

/// Each recording, its scene, and the rows of the table by which the answer differs.
const REPLAYED: &[(&str, Scene, &[&str])] = &[
    ("basic-auth-heartbeat-none", Scene::Tokens, &[]),
    ("basic-auth-none", Scene::Tokens, &[]),
    ("basic-auth-ok", Scene::Tokens, &[]),
    ("basic-auth-read-only-get", Scene::Tokens, &[]),
    ("basic-auth-read-only-post", Scene::Tokens, &[]),
    ("basic-auth-wrong", Scene::Tokens, &[]),
    ("index", Scene::Empty, &["index"]),
    ("pact-webhooks", Scene::OfPair, &[]),
    ("pact-webhooks-status", Scene::Nine, &[]),
    ("triggered-webhook-logs-204", Scene::Delivered(204, "", "/204/f"), &[]),
    (
        "triggered-webhook-logs-accept-hal",
        Scene::Delivered(200, r#"{"ok":true}"#, "/200/f"),
        &["reason phrase"],
    ),
    ("triggered-webhook-logs-not-found", Scene::Empty, &[]),
    ("webhook-create", Scene::Empty, &[]),
    ("webhook-create-for-consumer-provider", Scene::Empty, &[]),
    ("webhook-create-label", Scene::Empty, &[]),
    ("webhook-create-no-events", Scene::Empty, &[]),
    ("webhook-delete", Scene::Saved, &[]),
    ("webhook-error-blank-url", Scene::Empty, &[]),
    ("webhook-error-http-scheme", Scene::Empty, &[]),
    ("webhook-error-invalid-json", Scene::Empty, &[]),
    ("webhook-error-problem-json-accept", Scene::Empty, &[]),
    ("webhook-error-unknown-event", Scene::Empty, &[]),
    ("webhook-execute-not-found", Scene::Empty, &[]),
    ("webhook-get", Scene::Saved, &[]),
    ("webhook-get-not-found", Scene::Empty, &[]),
    ("webhook-method-not-allowed", Scene::Saved, &[]),
    ("webhook-options", Scene::Saved, &[]),
    ("webhook-put-create-new-uuid", Scene::Empty, &[]),
    ("webhook-put-update", Scene::Saved, &[]),
    ("webhooks-list-empty", Scene::Empty, &[]),
    ("webhooks-list-one", Scene::Saved, &[]),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/broker")
}

fn recording(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_recording_is_replayed() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let recorded: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let replayed = REPLAYED.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(recorded, replayed);
}

#[tokio::test]
async fn answers_agree_with_the_recordings() {
    for (name, scene, differences) in REPLAYED {
        let recording = recording(name);
        let (harness, delivery) = set(*scene).await;
        let answer = replay(&harness, &recording, delivery.as_deref()).await;
        let rows: Vec<&str> = differences.iter().map(|row| divergence(row).name).collect();
        Compared { name, recorded: &recording["response"], answer, rows }.agree();
    }
}

/// Makes the scene; the id of the delivery in it, if there is one.
async fn set(scene: Scene) -> (Harness, Option<String>) {
    let tokens = match scene {
        Scene::Tokens => "operate:p read:rp",
        _ => "",
    };
    let harness = Harness::with_tokens(tokens).await;
    let mut delivery = None;
    match scene {
        Scene::Empty | Scene::Tokens => {}
        Scene::Saved => {
            put(&harness, SAVED, &recording("webhook-create")["request"]["body"]).await;
        }
        Scene::OfPair => {
            let mut document =
                recording("webhook-create-for-consumer-provider")["request"]["body"].clone();
            document["consumer"] = json!({"name": "Example App"});
            document["provider"] = json!({"name": "Example API"});
            put(&harness, OF_PAIR, &document).await;
        }
        Scene::Delivered(status, body, path) => {
            put(&harness, "bbbbbbbb-0000-4000-8000-000000000000", &target()).await;
            let accepted = harness.event(&publication()).await.json();
            delivery = accepted["deliveries"][0]["id"].as_str().map(str::to_owned);
            let claim = claims(&harness.store).await.remove(0);
            let taken = answered(path, status, body);
            let done = Transition::Delivered;
            record(&harness.store, &claim, done, Outcome::Accepted, taken).await;
        }
        Scene::Nine => nine(&harness).await,
    }
    (harness, delivery)
}

async fn put(harness: &Harness, uuid: &str, document: &Value) {
    let answer = harness.json("PUT", &format!("/webhooks/{uuid}"), document).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn nine(harness: &Harness) {
    let recorded = recording("pact-webhooks-status");
    let items = recorded["response"]["body"]["_embedded"]["triggeredWebhooks"].clone();
    let items = items.as_array().unwrap();
    for item in items {
        let link = item["_links"]["pb:webhook"]["href"].as_str().unwrap();
        put(harness, link.rsplit('/').next().unwrap(), &target()).await;
    }
    harness.event(&publication()).await;
    let again = Transition::Retry { after: Duration::ZERO, uncertain: false };
    for round in 1..=4 {
        for claim in claims(&harness.store).await {
            let index = usize::try_from(claim.webhook_id.0 - 1).unwrap();
            let (transition, outcome, status) = match (&items[index]["status"], round) {
                (status, _) if status == "success" => {
                    (Transition::Delivered, Outcome::Accepted, 200)
                }
                (_, 4) => (Transition::Failed { uncertain: false }, Outcome::ServerError, 500),
                _ => (again, Outcome::ServerError, 500),
            };
            let kept = answered("/x", status, "");
            record(&harness.store, &claim, transition, outcome, kept).await;
        }
    }
}

async fn replay(harness: &Harness, recording: &Value, delivery: Option<&str>) -> Answer {
    let request = &recording["request"];
    let mut path = request["path"].as_str().unwrap().to_owned();
    if let Some(delivery) = delivery {
        path = format!("/triggered-webhooks/{delivery}/logs");
    }
    let mut headers = vec![("host", host(recording))];
    for (name, value) in request["headers"].as_object().unwrap() {
        headers.push((name.as_str(), value.as_str().unwrap().to_owned()));
    }
    let body = match &request["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        document => document.to_string(),
    };
    let mut call = http::Request::builder().method(request["method"].as_str().unwrap()).uri(path);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    harness.send(call.body(body.into()).unwrap()).await
}

/// Where the recorded broker was, which its links say.
fn host(recording: &Value) -> String {
    let text = recording["response"].to_string();
    let host = after(&text, "http://", "127.0.0.1:9292".len()).into_iter().next();
    host.filter(|host| host.starts_with("127.0.0.1:92"))
        .unwrap_or_else(|| "127.0.0.1:9292".to_owned())
}

struct Compared<'a> {
    name: &'a str,
    recorded: &'a Value,
    answer: Answer,
    rows: Vec<&'a str>,
}

impl Compared<'_> {
    fn agree(&self) {
        let name = self.name;
        assert_eq!(self.answer.status.as_u16(), self.recorded["status"], "{name}: {self:?}");
        let recorded = self.recorded["headers"].as_object().unwrap();
        for header in HEADERS {
            let wanted = recorded.get(header).and_then(Value::as_str).unwrap_or_default();
            let found = self.answer.header(header);
            assert_eq!(self.masked(found), self.masked(wanted), "{name}: {header}");
        }
        let body = match &self.recorded["body"] {
            Value::String(text) => text.clone(),
            document => document.to_string(),
        };
        let (mut wanted, mut found) = (self.masked(&body), self.masked(&self.answer.text));
        for row in &self.rows {
            (wanted, found) = reconciled(row, &wanted, &found);
        }
        assert_eq!(found, wanted, "{name}");
        let length = recorded.get("Content-Length").and_then(Value::as_str).unwrap_or("0");
        if self.rows.is_empty() {
            assert_eq!(self.answer.text.len().to_string(), length, "{name}: the length");
        }
    }

    /// New uuids and instants are masked by what is as long.
    fn masked(&self, text: &str) -> String {
        let mut text = mask_times(text);
        for uuid in self.new_uuids() {
            text = text.replace(&uuid, &"u".repeat(uuid.len()));
        }
        text
    }

    /// Uuids that were made up: of a created webhook, and of what it triggered.
    fn new_uuids(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if !self.answer.header("location").is_empty() {
            let recorded = self.recorded["headers"]["location"].as_str().unwrap_or_default();
            for link in [self.answer.header("location"), recorded] {
                texts.extend(link.rsplit('/').next().map(str::to_owned));
            }
        }
        let recorded = self.recorded["body"].to_string();
        for text in [&self.answer.text, &recorded] {
            texts.extend(after(text, "/triggered-webhooks/", 36));
        }
        texts
    }
}

impl std::fmt::Debug for Compared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} but recorded {}", self.answer, self.recorded)
    }
}

/// So many characters after each `mark`.
fn after(text: &str, mark: &str, length: usize) -> Vec<String> {
    text.split(mark).skip(1).filter_map(|rest| rest.get(..length)).map(str::to_owned).collect()
}

/// Instants of the two forms: `2026-11-22T00:03:22` and what follows.
fn mask_times(text: &str) -> String {
    let is_time = |bytes: &[u8]| {
        bytes.iter().zip(b"0000-00-00T00:00:00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        })
    };
    let mut out = text.to_owned();
    let times = (0..text.len()).filter_map(|at| text.get(at..at + 19));
    for time in times.filter(|time| is_time(time.as_bytes())) {
        out = out.replace(time, "the-instant-is-here");
    }
    out
}

/// Takes a difference out of both sides, and fails where there is none.
fn reconciled(row: &str, wanted: &str, found: &str) -> (String, String) {
    match row {
        "reason phrase" => {
            assert!(wanted.contains(" 200 Status") && found.contains(" 200 OK"));
            (wanted.replace(" 200 Status", " 200 OK"), found.to_owned())
        }
        "index" => {
            let (mut broker, here) = (json(wanted), json(found));
            let relations = here["_links"].as_object().unwrap().clone();
            broker["_links"].as_object_mut().unwrap().retain(|rel, _| relations.contains_key(rel));
            let curies = broker["_links"]["curies"].as_array_mut().unwrap();
            curies.retain(|curie| curie["name"] == "pb");
            (broker.to_string(), found.to_owned())
        }
        other => panic!("{other} can't be reconciled"),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
