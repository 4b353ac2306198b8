//! Who is let in, how often, and with which bodies.

use std::io::Write as _;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, StatusCode};
use serde_json::json;

use crate::harness::{Answer, Harness, Setting, event, hook};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn with_host(harness: &Harness, host: Option<&str>) -> Answer {
    let mut request = Request::builder().uri("/webhooks");
    if let Some(host) = host {
        request = request.header("host", host);
    }
    harness.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_tokens_only_own_hosts_are_answered_for() {
    let harness = Harness::start().await;
    for host in [
        "localhost",
        "LOCALHOST:9393",
        "a.localhost",
        "127.0.0.1:9393",
        "127.9.9.9",
        "[::1]:9393",
        "localhost.",
        "pr.test:1",
    ] {
        let answer = with_host(&harness, Some(host)).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}: {answer:?}");
    }
    for host in ["evil.example", "pr.test.evil.example", "10.0.0.1", "xlocalhost", "[::2]", ""] {
        let answer = with_host(&harness, Some(host)).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}: {answer:?}");
        assert!(answer.text.contains("POSTRIDER_ALLOWED_HOSTS"), "{answer:?}");
    }
    assert_eq!(with_host(&harness, None).await.status, StatusCode::MISDIRECTED_REQUEST);
    let harness = Harness::with_tokens("read:0123456789abcdef").await;
    let stranger = with_host(&harness, Some("evil.example")).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "a token is asked for instead");
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let harness = Harness::start().await;
    let body = hook().to_string();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let headers = [JSON, (name, value)];
        let refused = harness.call("POST", "/webhooks", &headers, body.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}: {value}: {refused:?}");
        let read = harness.call("GET", "/webhooks", &headers, "").await;
        assert_eq!(read.status, StatusCode::OK, "{name}: {value}");
    }
    let none = harness.get("/webhooks").await.json();
    assert_eq!(none["_links"]["pb:webhooks"], json!([]));
    for headers in [
        vec![JSON],
        vec![JSON, ("origin", "http://pr.test")],
        vec![JSON, ("sec-fetch-site", "same-origin")],
        vec![JSON, ("sec-fetch-site", "none")],
    ] {
        let created = harness.call("POST", "/webhooks", &headers, body.clone()).await;
        assert_eq!(created.status, StatusCode::CREATED, "{headers:?}: {created:?}");
    }
}

#[tokio::test]
async fn the_relay_takes_a_slash_at_its_end() {
    let harness = Harness::start().await;
    for path in ["/hooks/broker/", "/hooks/broker/eu/"] {
        let answer = harness.call("POST", &format!("{path}?eventName=test"), &[], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_packed_and_marked() {
    let harness = Harness::start().await;
    let text = event().to_string();
    let gzip = |encoding: &'static str| [JSON, ("content-encoding", encoding)];
    for encoding in ["gzip", "X-GZIP", "identity, gzip"] {
        let taken = harness.call("POST", "/events", &gzip(encoding), packed(&text)).await;
        assert_eq!(taken.status, StatusCode::ACCEPTED, "{encoding}: {taken:?}");
    }
    for encoding in ["br", "deflate", "gzip, gzip", "gzip, br"] {
        let refused = harness.call("POST", "/events", &gzip(encoding), packed(&text)).await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}: {refused:?}");
        assert_eq!(refused.header("accept-encoding"), "gzip");
    }
    let broken = harness.call("POST", "/events", &gzip("gzip"), text.clone()).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST, "{broken:?}");
    let bomb = packed(&" ".repeat(64 * 1024 * 1024));
    let refused = harness.call("POST", "/events", &gzip("gzip"), bomb).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{refused:?}");

    let marked = format!("\u{feff}{text}");
    let lines = [("content-type", "application/x-ndjson")];
    for headers in [[JSON], lines] {
        let taken = harness.call("POST", "/events", &headers, marked.clone()).await;
        assert_eq!(taken.status, StatusCode::ACCEPTED, "{taken:?}");
    }
    let webhook = format!("\u{feff}{}", hook());
    let created = harness.call("POST", "/webhooks", &[JSON], webhook).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
}

#[tokio::test]
async fn lists_of_an_event_are_bounded() {
    let harness = Harness::start().await;
    let with_tags = |count: usize| {
        let mut event = event();
        event["consumer"]["tags"] = json!(vec!["t"; count]);
        event
    };
    assert_eq!(harness.event(&with_tags(1_000)).await.status, StatusCode::ACCEPTED);
    let refused = harness.event(&with_tags(1_001)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/consumer/tags");
}

/// Large calls are taken in parts; each event is answered in its place.
#[tokio::test]
async fn a_large_call_is_answered_in_order() {
    let harness = Harness::start().await;
    let mut events: Vec<_> = (0..1_203)
        .map(|number| {
            let mut event = event();
            event["id"] = json!(format!("e{number}"));
            event
        })
        .collect();
    events[700] = json!({"event_name": "odd"});
    let body = json!(events).to_string();
    let send = async || harness.call("POST", "/events", &[JSON], body.clone()).await;
    let first = send().await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let (first, again) = (first.json(), send().await.json());
    let (first, again) = (first.as_array().unwrap(), again.as_array().unwrap());
    assert_eq!(first.len(), 1_203);
    for (number, (one, two)) in first.iter().zip(again).enumerate() {
        if number == 700 {
            assert_eq!((&one["status"], &two["status"]), (&json!(400), &json!(400)));
        } else {
            assert_eq!((&one["event_id"], &two["duplicate"]), (&two["event_id"], &json!(true)));
        }
    }
}

#[tokio::test]
async fn callers_are_limited_each_by_itself() {
    let tokens = "operate:operate-token-1 ingest:ingest-token-1 ingest:ingest-token-2";
    let setting = Setting { api_rate: "2/h", intake_rate: "3/h", ..Setting::default() };
    let harness = Harness::with(tokens, setting).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (operate, one, two) =
        (bearer("operate-token-1"), bearer("ingest-token-1"), bearer("ingest-token-2"));
    let read =
        async || harness.call("GET", "/api/v1/stats", &[("authorization", &operate)], "").await;
    assert_eq!(read().await.status, StatusCode::OK);
    let limited = read().await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS, "{limited:?}");
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=1_800).contains(&wait), "{wait}");

    let send = async |token: &str, events: usize| {
        let body = json!(vec![event(); events]).to_string();
        harness.call("POST", "/events", &[JSON, ("authorization", token)], body).await.status
    };
    assert_eq!(send(&one, 9).await, StatusCode::ACCEPTED, "a full bucket lets any batch through");
    assert_eq!(send(&one, 1).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(send(&two, 1).await, StatusCode::ACCEPTED);
    assert_eq!(harness.delivery_count().await, 0);
    let headers = [("authorization", one.as_str())];
    let relay = harness.call("POST", "/hooks/broker?eventName=test", &headers, "").await;
    assert_eq!(relay.status, StatusCode::OK, "a broker is never limited");
    let metrics = harness.metrics.render().unwrap();
    assert!(
        metrics.contains(r#"postrider_http_limited_total{route="api",token="operate#"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"route="events",token="ingest#"#), "{metrics}");
    assert!(!metrics.contains("token-1"), "{metrics}");
}
