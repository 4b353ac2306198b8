use std::time::Duration;

use jiff::Timestamp;
use postrider_http_client::Outbound;
use postrider_store::{AlertChannel, AlertStatus, Incident, IncidentKind, Severity};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::content::Alert;
use super::receiver::Receiver;
use super::{AlertConfig, SigningKey, alertmanager, slack, webhook};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn incident(kind: IncidentKind, subject: &str) -> Incident {
    Incident {
        id: Uuid::from_u128(7),
        kind,
        subject: subject.to_owned(),
        cause: "credential".to_owned(),
        severity: Severity::Critical,
        summary: "Lane <a> & b is held".to_owned(),
        next: "postrider secrets set `x` < new-token".to_owned(),
        opened_at: at("2026-11-22T10:00:00Z"),
        updated_at: at("2026-11-22T10:30:00Z"),
        acknowledged_at: None,
        resolved_at: None,
    }
}

fn base() -> Url {
    Url::parse("https://postrider.example/below/").unwrap()
}

fn held(status: AlertStatus) -> Alert {
    let mut incident = incident(IncidentKind::LaneHeld, "api.github.com/githubToken");
    if status == AlertStatus::Resolved {
        incident.resolved_at = Some(at("2026-11-22T11:00:00Z"));
    }
    Alert::new(&incident, status, Some(&base()))
}

#[test]
fn labels_name_what_it_is_about() {
    let labels = |kind, subject| {
        let labels = Alert::new(&incident(kind, subject), AlertStatus::Firing, None).labels;
        labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(
        labels(IncidentKind::LaneHeld, "api.github.com/githubToken"),
        [
            "alertname=PostriderLaneHeld",
            "kind=lane_held",
            "lane=api.github.com/githubToken",
            "severity=critical"
        ]
    );
    assert_eq!(
        labels(IncidentKind::VerificationStale, "default/check %2F out/Ord\"ers"),
        [
            "alertname=PostriderVerificationStale",
            "broker=default",
            "consumer=check / out",
            "kind=verification_stale",
            "provider=Ord\"ers",
            "severity=critical"
        ]
    );
    for (kind, name) in [
        (IncidentKind::SustainedFailures, "webhook=x"),
        (IncidentKind::Poison, "delivery=x"),
        (IncidentKind::BrokerUnreachable, "broker=x"),
        (IncidentKind::LocalTrouble, "worker=x"),
        (IncidentKind::CredentialExpiring, "credential=x"),
        (IncidentKind::LaneLate, "limit=x"),
        (IncidentKind::FirstContact, "broker=x"),
    ] {
        assert!(labels(kind, "x").contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn slack_is_told_in_words_that_it_does_not_interpret() {
    let firing = slack::message(&[held(AlertStatus::Firing)]);
    assert_eq!(firing["text"], "[FIRING, critical] Lane &lt;a&gt; &amp; b is held");
    assert_eq!(
        firing["blocks"][0],
        json!({"type": "section", "text": {"type": "mrkdwn", "text":
            "*PostriderLaneHeld*\n[FIRING, critical] Lane &lt;a&gt; &amp; b is held\n\
             Next: `postrider secrets set 'x' &lt; new-token`\n\
             <https://postrider.example/below/api/v1/incidents/00000000-0000-0000-0000-000000000007|incident>"
        }})
    );
    let both = slack::message(&[held(AlertStatus::Resolved), held(AlertStatus::Firing)]);
    assert!(both["text"].as_str().unwrap().starts_with("[RESOLVED after 1h] Lane"), "{both}");
    assert_eq!(both["blocks"].as_array().unwrap().len(), 2);
    let mut long = held(AlertStatus::Firing);
    long.annotations.insert("summary", "ü".repeat(5_000));
    let text = slack::message(&[long])["blocks"][0]["text"]["text"].to_string();
    assert!(text.chars().count() < 3_000 && text.contains('…'));
}

#[test]
fn a_reminder_says_for_how_long_and_which_it_is() {
    let now = at("2026-11-22T14:00:00Z");
    let opening = held(AlertStatus::Firing);
    let told = opening.clone().reminding(2, now);
    assert_eq!(
        slack::message(std::slice::from_ref(&told))["text"],
        "[STILL OPEN for 4h, critical] Lane &lt;a&gt; &amp; b is held"
    );
    assert_eq!(told.annotations["reminder"], "2");
    assert_eq!(told.labels, opening.labels, "the same alert");
    assert_eq!(opening.clone().reminding(0, now), opening);
    assert_eq!(held(AlertStatus::Resolved).annotations["lasted"], "1h");
}

#[test]
fn what_is_over_is_told_in_the_past() {
    let over = held(AlertStatus::Resolved).annotations;
    assert_eq!(over["summary"], "Lane api.github.com/githubToken was held for 1h");
    let expected = "Lane api.github.com/githubToken was held for 1h. What was last told of it: \
                    Lane <a> & b is held";
    assert_eq!(over["description"], expected);
    for kind in IncidentKind::ALL {
        let mut incident = incident(kind, "a/b/c");
        incident.resolved_at = Some(at("2026-11-22T11:00:00Z"));
        let over = Alert::new(&incident, AlertStatus::Resolved, None).annotations;
        let told = over["summary"].as_str();
        let is_past = [" was ", " were ", " failed ", " told ", " held ", " could not "];
        assert!(is_past.iter().any(|word| told.contains(word)), "{told}");
        assert!(told.ends_with("for 1h"), "{told}");
    }
}

#[test]
fn the_watchdog_is_an_alert_that_pages_nobody() {
    let since = at("2026-11-22T10:00:00Z");
    let now = at("2026-11-22T12:00:00Z");
    let body = alertmanager::alerts(&[Alert::watchdog(since)], now, Duration::from_mins(1));
    let labels = json!({"alertname": "PostriderWatchdog", "kind": "watchdog", "severity": "none"});
    assert_eq!(body[0]["labels"], labels);
    assert_eq!(body[0]["endsAt"], "2026-11-22T12:04:00Z", "it ends when nobody tells of it");
}

#[test]
fn only_who_hears_once_is_reminded() {
    for (channel, expected) in [
        (AlertChannel::Slack, true),
        (AlertChannel::Alertmanager, false),
        (AlertChannel::Webhook, true),
    ] {
        let reminded = config(channel, "http://127.0.0.1:1/").reminded();
        assert_eq!(reminded.contains(&channel), expected, "{channel:?}");
    }
}

#[test]
fn alertmanager_is_told_until_when() {
    let now = at("2026-11-22T12:00:00Z");
    let told = [held(AlertStatus::Firing), held(AlertStatus::Resolved)];
    let body = alertmanager::alerts(&told, now, Duration::from_mins(1));
    assert_eq!(body[0]["startsAt"], "2026-11-22T10:00:00Z");
    assert_eq!(body[0]["endsAt"], "2026-11-22T12:04:00Z");
    assert_eq!(body[1]["endsAt"], "2026-11-22T11:00:00Z");
    assert_eq!(body[0]["labels"]["lane"], "api.github.com/githubToken");
    assert_eq!(body[0]["annotations"]["next"], "postrider secrets set `x` < new-token");
    let link = body[0]["generatorURL"].as_str().unwrap();
    assert!(link.starts_with("https://postrider.example/below/api/v1/incidents/"), "{link}");
    assert_eq!(body[0]["labels"], body[1]["labels"], "the same alert");
}

#[test]
fn webhooks_get_alertmanagers_body() {
    let body = webhook::body(&held(AlertStatus::Firing), Some(&base()));
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "version",
            "groupKey",
            "truncatedAlerts",
            "status",
            "receiver",
            "groupLabels",
            "commonLabels",
            "commonAnnotations",
            "externalURL",
            "alerts"
        ]
    );
    assert_eq!((&body["version"], &body["status"]), (&json!("4"), &json!("firing")));
    let alert = &body["alerts"][0];
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    let over = webhook::body(&held(AlertStatus::Resolved), Some(&base()));
    assert_eq!(over["alerts"][0]["endsAt"], "2026-11-22T11:00:00Z");
    assert_eq!(over["groupKey"], body["groupKey"]);
    assert_eq!(over["alerts"][0]["fingerprint"], alert["fingerprint"]);
}

#[test]
fn a_body_is_signed_when_there_is_a_key() {
    let now = at("2026-11-22T12:00:00Z");
    let names = |key: Option<&SigningKey>| {
        let headers = webhook::headers("id", now, "{}", key);
        headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["webhook-id", "webhook-timestamp"]);
    let key = SigningKey::parse(&"secret".into()).unwrap();
    assert_eq!(names(Some(&key)), ["webhook-id", "webhook-timestamp", "webhook-signature"]);
}

fn config(channel: AlertChannel, url: &str) -> AlertConfig {
    let set = |this| (channel == this).then(|| SecretString::from(url));
    AlertConfig {
        slack: set(AlertChannel::Slack),
        alertmanager: set(AlertChannel::Alertmanager),
        webhook: set(AlertChannel::Webhook),
        signing_key: None,
        resend: Duration::from_mins(1),
        remind: Duration::from_hours(4),
        digest: None,
        watchdog: false,
        retry: Duration::from_millis(50),
        timeout: Duration::from_millis(300),
        base_url: None,
        outbound: Outbound::default(),
        user_agent: "postrider/test".to_owned(),
    }
}

#[test]
fn channels_are_those_with_a_url() {
    for channel in AlertChannel::ALL {
        let config = config(channel, "http://127.0.0.1:1/hunter2");
        assert_eq!(config.channels(), [channel]);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

/// A receiver that hangs, breaks off, or is not there at all.
#[tokio::test]
async fn failures_tell_neither_address_nor_secret() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = listener.local_addr().unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [hangs, gone] {
        let url = format!("http://user:hunter2@{address}/services/hunter2?token=hunter2");
        let config = config(AlertChannel::Slack, &url);
        let receiver = Receiver::new(&config, AlertChannel::Slack).unwrap().unwrap();
        let Receiver::Slack(post) = &receiver else { panic!("Slack") };
        let failed = post.json(&Value::Null).await.unwrap_err();
        assert!(!failed.what.contains("hunter2") && !failed.what.is_empty(), "{failed:?}");
        assert!(!format!("{receiver:?}").contains("hunter2"));
    }
    drop(listener);
}
