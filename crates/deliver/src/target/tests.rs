use http::Method;
use ipnet::IpNet;
use postrider_domain::{HostWhitelist, RetryPolicy};
use postrider_github_double::{Double, Options, Play};

use super::*;

fn config(allowed: &[&str], timeout_ms: u64) -> WorkerConfig {
    let networks: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
    WorkerConfig {
        timeout: Duration::from_millis(timeout_ms),
        claim_margin: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        poll: Duration::from_secs(1),
        janitor: Duration::from_secs(1),
        probe: Duration::from_secs(1),
        grace: Duration::from_secs(1),
        concurrency: 1,
        retry: RetryPolicy::default(),
        success_codes: vec![200],
        schemes: vec!["http".to_owned()],
        methods: vec!["POST".to_owned()],
        hosts: HostWhitelist::parse("").unwrap(),
        addresses: AddressPolicy::new(networks),
        certificates: Vec::new(),
        proxy: None,
        no_proxy: None,
        user_agent: "postrider/test".to_owned(),
    }
}

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];

fn request(url: &str) -> RenderedRequest {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", "postrider/test".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    RenderedRequest {
        method: Method::POST,
        url: url.parse().unwrap(),
        headers,
        body: Some(b"{\"a\":1}".to_vec()),
    }
}

async fn send(allowed: &[&str], timeout_ms: u64, url: &str) -> Reply {
    Client::new(&config(allowed, timeout_ms)).unwrap().send(&request(url)).await
}

/// Sends to a hook of the double that plays `plays`; the answer, and how many requests came.
async fn played(plays: Vec<Play>, timeout_ms: u64) -> (Reply, u64) {
    let double = Double::start(Options::default()).await.unwrap();
    double.script("target", plays).unwrap();
    let url = format!("{}/hook/target", double.base_url());
    let reply = send(LOOPBACK, timeout_ms, &url).await;
    (reply, double.counts().requests)
}

fn status(reply: &Reply) -> u16 {
    match reply {
        Reply::Answered { status, .. } => status.as_u16(),
        other => panic!("no answer: {other:?}"),
    }
}

fn redirect(status: u16, location: &str) -> Play {
    Play::Redirect { status, location: location.to_owned() }
}

#[tokio::test]
async fn one_307_or_308_to_the_same_origin_is_followed_with_its_body() {
    for code in [307, 308] {
        let double = Double::start(Options::default()).await.unwrap();
        double.script("old", vec![redirect(code, "/hook/new")]).unwrap();
        let reply = send(LOOPBACK, 5_000, &format!("{}/hook/old", double.base_url())).await;
        assert_eq!(status(&reply), 200);
        let journal = double.journal();
        assert_eq!(journal.len(), 2);
        assert_eq!(journal[1].method, "POST");
        assert_eq!(journal[1].body.as_deref(), Some("{\"a\":1}"));
    }
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let double = Double::start(Options::default()).await.unwrap();
    double.script("a", vec![redirect(307, "/hook/b")]).unwrap();
    double.script("b", vec![redirect(307, "/hook/c")]).unwrap();
    let reply = send(LOOPBACK, 5_000, &format!("{}/hook/a", double.base_url())).await;
    assert_eq!(status(&reply), 307);
    assert_eq!(double.counts().requests, 2);
}

#[tokio::test]
async fn other_redirects_are_answers() {
    for code in [301, 302, 303] {
        let (reply, requests) = played(vec![redirect(code, "/hook/elsewhere")], 5_000).await;
        assert_eq!((status(&reply), requests), (code, 1));
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    let other = Double::start(Options::default()).await.unwrap();
    let away = format!("{}/hook/target", other.base_url());
    for location in [away.as_str(), "https://127.0.0.1/hook/target", "mailto:a@b"] {
        let (reply, requests) = played(vec![redirect(307, location)], 5_000).await;
        assert_eq!((status(&reply), requests), (307, 1), "{location}");
    }
    assert_eq!(other.counts().requests, 0);
}

#[tokio::test]
async fn a_huge_body_is_cut_and_the_status_counts() {
    let (reply, _) = played(vec![Play::HugeBody { status: 200, bytes: 50_000_000 }], 10_000).await;
    let Reply::Answered { body, .. } = reply else { panic!("no answer") };
    assert_eq!(body.len(), BODY_READ_MAX);
}

#[tokio::test]
async fn a_body_that_drags_on_does_not_change_the_answer() {
    let drip = Play::SlowBody {
        status: 204,
        body: "x".repeat(1_000),
        chunk: 1,
        every: Duration::from_millis(100),
    };
    let (reply, _) = played(vec![drip], 600).await;
    assert_eq!(status(&reply), 204);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let started = Instant::now();
    let (reply, _) = played(vec![Play::HalfOpen], 300).await;
    assert!(matches!(reply, Reply::TimedOut { sent: true }), "{reply:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_reset_after_the_request_is_broken_not_unconnected() {
    let (reply, requests) = played(vec![Play::Reset], 5_000).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    assert_eq!(requests, 1, "the client must not send again by itself");
}

#[tokio::test]
async fn a_closed_port_is_a_failed_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reply = send(LOOPBACK, 5_000, &format!("http://{address}/hook/x")).await;
    assert!(matches!(reply, Reply::ConnectFailed(_)), "{reply:?}");
}

#[tokio::test]
async fn forbidden_addresses_are_never_connected_to() {
    let double = Double::start(Options::default()).await.unwrap();
    let port = double.addr().port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254"]
    {
        let reply = send(&[], 2_000, &format!("http://{host}:{port}/hook/x")).await;
        assert!(matches!(reply, Reply::Blocked(_)), "{host}: {reply:?}");
    }
    assert_eq!(double.counts().requests, 0);
}

#[tokio::test]
async fn a_name_is_judged_by_the_address_it_resolves_to() {
    let double = Double::start(Options::default()).await.unwrap();
    let url = format!("http://localhost:{}/hook/x", double.addr().port());
    assert_eq!(status(&send(LOOPBACK, 2_000, &url).await), 200);
}

#[tokio::test]
async fn no_error_tells_the_url() {
    let reply = send(LOOPBACK, 500, "http://127.0.0.1:1/hook/x?token=s3cr3t-value").await;
    assert!(!format!("{reply:?}").contains("s3cr3t-value"), "{reply:?}");
}

#[test]
fn a_bundle_that_is_no_pem_is_refused() {
    let mut config = config(&[], 100);
    config.certificates = vec![b"not a certificate".to_vec()];
    assert!(matches!(Client::new(&config), Err(ClientError::Certificate(0, _))));
}
