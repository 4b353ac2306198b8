//! Credentials, and the way from one value to the next, as far as no worker is needed.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use postrider_domain::{ProbeVerdict, RepositoryAccess, WhichValue};
use postrider_store::{CredentialNews, GithubFacts, ProbeFindings, ProbedRepository};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{Harness, hook};

const OLD: &str = "the-old-value-of-the-token";
const NEW: &str = "the-new-value-of-the-token";

async fn with_secret() -> Harness {
    let harness = Harness::start().await;
    harness.webhook(&hook()).await;
    set(&harness, "", OLD, 201).await;
    harness
}

async fn set(harness: &Harness, end: &str, value: &str, status: u16) -> Value {
    let path = format!("/api/v1/secrets/githubToken{end}");
    let answer = harness.json("PUT", &path, &json!({"value": value})).await;
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    answer.json()
}

async fn switch(harness: &Harness, body: &Value, status: u16) -> Value {
    let answer = harness.json("POST", "/api/v1/secrets/githubToken/switch", body).await;
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    answer.json()
}

/// What the webhook is sent with.
async fn value(harness: &Harness) -> String {
    let names = BTreeSet::from(["githubToken".to_owned()]);
    let values = harness.store.secret_values(&names, None).await.unwrap().values;
    values["githubToken"].expose_secret().to_owned()
}

async fn ask(harness: &Harness, which: &str, status: u16) -> Value {
    let path = "/api/v1/secrets/githubToken/probe";
    let answer = harness.json("POST", path, &json!({"which": which})).await;
    assert_eq!(answer.status.as_u16(), status, "{which}: {answer:?}");
    answer.json()
}

/// Does what a worker does with the probe that is asked for.
async fn make_probe(harness: &Harness, expected: &str, verdict: ProbeVerdict) {
    let task = harness.store.take_probe(Duration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!(task.value.expose_secret(), expected);
    assert_eq!((task.webhooks.len(), task.is_whole), (1, true));
    let repository = ProbedRepository {
        url: "https://api.github.com/repos/o/r".to_owned(),
        access: RepositoryAccess::Writable,
        status_code: Some(200),
        webhooks: vec![task.webhooks[0].webhook.uuid.clone()],
    };
    let found = ProbeFindings {
        owner: Some("pactflow-octo".to_owned()),
        repositories: vec![repository],
        not_probed: vec![(task.webhooks[0].webhook.uuid.clone(), "no".to_owned())],
        ..ProbeFindings::default()
    };
    harness.store.finish_probe(&task, verdict, &found).await.unwrap();
}

async fn credential(harness: &Harness, name: &str) -> Value {
    let all = harness.get("/api/v1/credentials").await.json();
    let all = all["credentials"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or(&Value::Null).clone()
}

#[tokio::test]
async fn a_value_takes_anothers_place_once_it_was_found_good() {
    let harness = with_secret().await;
    switch(&harness, &json!({}), 409).await;
    let pending = set(&harness, "/pending", NEW, 200).await;
    assert!(pending["pending_since"].is_string(), "{pending}");
    assert_eq!(set(&harness, "/pending", NEW, 200).await, pending, "the same is the same");
    assert_eq!(value(&harness).await, OLD, "the old one goes on");
    let refused = switch(&harness, &json!({}), 409).await;
    assert!(refused["detail"].as_str().unwrap().contains("nobody has tried"), "{refused}");
    let asked = ask(&harness, "pending", 202).await;
    assert_eq!((&asked["no"], &asked["verdict"]), (&json!(1), &Value::Null));
    make_probe(&harness, NEW, ProbeVerdict::Insufficient).await;
    let refused = switch(&harness, &json!({"force": false}), 409).await;
    assert!(refused["detail"].as_str().unwrap().contains("insufficient"), "{refused}");
    ask(&harness, "pending", 202).await;
    make_probe(&harness, NEW, ProbeVerdict::Ok).await;
    let shown = harness.get("/api/v1/secrets/githubToken/probe?which=pending").await.json();
    assert_eq!((&shown["no"], &shown["verdict"]), (&json!(2), &json!("ok")));
    assert_eq!(shown["found"]["owner"], "pactflow-octo");
    assert_eq!(shown["found"]["repositories"][0]["access"], "writable");
    // Another value was not tried.
    set(&harness, "/pending", "a-third-value-of-the-token", 200).await;
    switch(&harness, &json!({}), 409).await;
    set(&harness, "/pending", NEW, 200).await;
    ask(&harness, "pending", 202).await;
    make_probe(&harness, NEW, ProbeVerdict::Ok).await;
    let done = switch(&harness, &json!({"reason": "it expires"}), 200).await;
    assert_eq!(done["rev"], 2);
    assert_eq!(value(&harness).await, NEW);
    assert_eq!(credential(&harness, "githubToken").await["pending"], Value::Null);
    // The old one is kept until it is seen refused.
    ask(&harness, "previous", 202).await;
    make_probe(&harness, OLD, ProbeVerdict::Refused).await;
    ask(&harness, "previous", 404).await;
    let in_use = set(&harness, "/pending", NEW, 200).await;
    assert_eq!(in_use["pending_since"], Value::Null, "it is in use already");
    let audit = harness.get("/api/v1/audit?object=githubToken").await;
    assert!(audit.text.contains(": it expires"), "{audit:?}");
    let credentials = harness.get("/api/v1/credentials").await;
    for said in [&audit.text, &credentials.text] {
        assert!(!said.contains(OLD) && !said.contains(NEW), "{said}");
    }
}

#[tokio::test]
async fn a_switch_can_be_forced_and_a_pending_value_forgotten() {
    let harness = with_secret().await;
    set(&harness, "/pending", NEW, 200).await;
    let own = "/api/v1/secrets/githubToken/pending";
    for _ in 0..2 {
        assert_eq!(harness.call("DELETE", own, &[], "").await.status, StatusCode::NO_CONTENT);
    }
    switch(&harness, &json!({"force": true}), 409).await;
    set(&harness, "/pending", NEW, 200).await;
    switch(&harness, &json!({"force": true}), 200).await;
    assert_eq!(value(&harness).await, NEW);
    // A value that is set by hand is the one that counts.
    set(&harness, "/pending", OLD, 200).await;
    set(&harness, "", "a-third-value", 200).await;
    switch(&harness, &json!({"force": true}), 409).await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let harness = with_secret().await;
    let root = "/api/v1/secrets";
    for (method, path, body, status) in [
        ("PUT", "/unknown/pending", json!({"value": "x"}), 404),
        ("PUT", "/githubToken/pending", json!({"value": "a\nb"}), 422),
        ("PUT", "/githubToken/pending", json!({"value": ""}), 400),
        ("POST", "/unknown/probe", json!({}), 404),
        ("POST", "/githubToken/probe", json!({"which": "next"}), 400),
        ("POST", "/githubToken/probe", json!({"which": "pending"}), 404),
        ("POST", "/unknown/switch", json!({}), 404),
        ("POST", "/githubToken/switch", json!({"reason": "x".repeat(201)}), 400),
        ("POST", "/githubToken/switch", json!({"force": "yes"}), 400),
    ] {
        let headers = [("content-type", "application/json")];
        let path = format!("{root}{path}");
        let answer = harness.call(method, &path, &headers, body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}");
    }
    let shown = harness.get("/api/v1/secrets/githubToken/probe").await.json();
    assert_eq!((&shown["no"], &shown["found"]), (&Value::Null, &Value::Null), "there was none");
}

#[tokio::test]
async fn credentials_are_told_with_what_is_known_and_warned_of() {
    let harness = with_secret().await;
    let mut inline = hook();
    inline["request"]["headers"]["Authorization"] = "Bearer ghp_0123456789012345678901".into();
    harness.webhook(&inline).await;
    let known = credential(&harness, "githubToken").await;
    assert_eq!((&known["kind"], &known["owner"]), (&json!("other"), &Value::Null));
    assert_eq!(known["used_by"]["lanes"], json!(["api.github.com/githubToken"]));
    assert_eq!(known["used_by"]["webhooks"].as_array().map(Vec::len), Some(1));
    assert_eq!(known["warnings"], json!([]));
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(6 * 24);
    let news = CredentialNews {
        name: "githubToken".to_owned(),
        github: Some(GithubFacts {
            owner: Some("jane".to_owned()),
            scopes: Some(vec!["gist".to_owned(), "admin:org".to_owned()]),
            expires_at: Some(soon),
        }),
        succeeded: Some(Duration::from_mins(1)),
        refused: None,
    };
    let nobody = CredentialNews { name: "unknown".to_owned(), ..news.clone() };
    harness.store.save_credential_news(&[news.clone(), nobody]).await.unwrap();
    let told = credential(&harness, "githubToken").await;
    assert_eq!((&told["kind"], &told["owner"]), (&json!("token"), &json!("jane")));
    assert!(told["last_success_at"].is_string() && told["last_refusal_at"].is_null(), "{told}");
    let codes: Vec<_> =
        told["warnings"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["expires", "scope_missing", "scope_too_wide", "owner"]);
    // What says nothing of the token leaves what is known of it.
    let refused = CredentialNews {
        name: "githubToken".to_owned(),
        refused: Some(Duration::ZERO),
        ..CredentialNews::default()
    };
    harness.store.save_credential_news(&[refused]).await.unwrap();
    let told = credential(&harness, "githubToken").await;
    assert_eq!(told["owner"], "jane");
    assert!(told["last_success_at"].is_string() && told["last_refusal_at"].is_string(), "{told}");
    // Of a new value none of it is known.
    set(&harness, "", NEW, 200).await;
    let told = credential(&harness, "githubToken").await;
    assert_eq!((&told["owner"], &told["warnings"]), (&Value::Null, &json!([])));
    let all = harness.get("/api/v1/credentials").await.json();
    assert_eq!((&all["total"], &all["total_is_exact"]), (&json!(2), &json!(true)));
    let inline =
        all["credentials"].as_array().unwrap().iter().find(|one| one["name"] != "githubToken");
    let inline = inline.unwrap();
    assert!(inline["name"].as_str().unwrap().starts_with("inline-"), "{inline}");
    assert_eq!(inline["warnings"][0]["code"], "inline");
}

#[tokio::test]
async fn a_probe_is_made_by_one_and_due_ones_ask_only_whose_it_is() {
    let harness = with_secret().await;
    ask(&harness, "current", 202).await;
    let length = Duration::from_mins(1);
    let first = harness.store.take_probe(length).await.unwrap().unwrap();
    assert_eq!(first.which, WhichValue::Current);
    assert!(harness.store.take_probe(length).await.unwrap().is_none(), "somebody is at it");
    // Asked for again, it is another one: what the first finds is of no interest.
    ask(&harness, "current", 202).await;
    let found = ProbeFindings::default();
    harness.store.finish_probe(&first, ProbeVerdict::Refused, &found).await.unwrap();
    let shown = harness.get("/api/v1/secrets/githubToken/probe").await.json();
    assert_eq!((&shown["no"], &shown["verdict"]), (&json!(2), &Value::Null));
    make_probe(&harness, OLD, ProbeVerdict::Ok).await;
    let day = Duration::from_hours(24);
    assert_eq!(harness.store.ask_due_probes(day).await.unwrap(), 0, "it was asked lately");
    assert_eq!(harness.store.ask_due_probes(Duration::ZERO).await.unwrap(), 1);
    let due = harness.store.take_probe(length).await.unwrap().unwrap();
    assert!(!due.is_whole);
}
