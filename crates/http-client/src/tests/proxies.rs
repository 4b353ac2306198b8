//! Through proxies, and past them.

use std::time::Duration;

use super::harness::{
    Act, Setup, Target, acceptor, answer, last, names, post, post_within, proxy, status, until,
};
use crate::CallerOptions;
use crate::outbound::Outbound;
use crate::proxy::{Proxy, ProxyRules};
use crate::reply::Reply;

/// A proxy that is asked with credentials.
fn with_credentials(proxy: &Target) -> String {
    format!("http://me:p%40ss@{}", proxy.address)
}

#[tokio::test]
async fn an_https_target_is_reached_through_a_tunnel() {
    let target = Target::start_tls(|_| answer(201, "")).await;
    let proxy = proxy(target.address, false).await;
    let setup = Setup { allowed: &[], https: Some(with_credentials(&proxy)), ..Setup::default() };
    let client = setup.client();
    for _ in 0..2 {
        assert_eq!(status(&post(&client, "https://target.test:8443/x?y=1").await), 201);
    }
    let [asked] = proxy.seen.requests().try_into().unwrap();
    assert_eq!(
        asked,
        "CONNECT target.test:8443 HTTP/1.1\r\nHost: target.test:8443\r\nProxy-Authorization: \
         Basic bWU6cEBzcw==\r\n\r\n"
    );
    let requests = target.seen.requests();
    assert_eq!(requests.len(), 2, "over one tunnel");
    assert!(requests[0].starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{requests:?}");
    assert!(!requests.concat().contains("Proxy-"), "{requests:?}");
}

#[tokio::test]
async fn an_http_target_is_asked_for_at_the_proxy() {
    let proxy = proxy("127.0.0.1:1".parse().unwrap(), false).await;
    let setup = Setup { allowed: &[], http: Some(with_credentials(&proxy)), ..Setup::default() };
    assert_eq!(status(&post(&setup.client(), "http://target.test/x?y=1").await), 203);
    let [asked] = proxy.seen.requests().try_into().unwrap();
    assert!(asked.starts_with("POST http://target.test/x?y=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nHost: target.test\r\n"), "{asked}");
    assert!(asked.contains("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{asked}");
}

/// The address of the proxy is the operator's choice: that it is an internal one, by a name or
/// not, is what proxies are for.
#[tokio::test]
async fn a_proxy_with_an_internal_name_works() {
    let target = Target::start_tls(|_| answer(201, "")).await;
    let proxy = proxy(target.address, false).await;
    let setup = Setup {
        allowed: &[],
        https: Some(format!("http://proxy.test:{}", proxy.address.port())),
        lookup: names(&[("proxy.test", &["127.0.0.1"])]),
        ..Setup::default()
    };
    assert_eq!(status(&post(&setup.client(), "https://target.test/x").await), 201);
}

#[tokio::test]
async fn a_proxy_may_itself_be_spoken_to_over_tls() {
    let target = Target::start_tls(|_| answer(201, "")).await;
    let proxy = proxy(target.address, true).await;
    let at = format!("https://me:p%40ss@{}", proxy.address);
    let setup = Setup { http: Some(at.clone()), https: Some(at), ..Setup::default() };
    let client = setup.client();
    assert_eq!(status(&post(&client, "https://target.test/x").await), 201);
    assert_eq!(status(&post(&client, "http://target.test/x").await), 203);
    assert_eq!(proxy.seen.requests().len(), 2);
}

#[tokio::test]
async fn a_literal_is_judged_although_a_proxy_leads_to_it() {
    let target = Target::start(|_| answer(200, "")).await;
    let proxy = proxy(target.address, false).await;
    let client = Setup {
        allowed: &[],
        http: Some(with_credentials(&proxy)),
        https: Some(with_credentials(&proxy)),
        ..Setup::default()
    }
    .client();
    for host in ["127.0.0.1", "0x7f.1", "169.254.169.254", "[::ffff:10.0.0.1]", "localhost"] {
        for scheme in ["http", "https"] {
            let reply = post(&client, &format!("{scheme}://{host}/")).await;
            assert!(matches!(reply, Reply::Blocked(_)), "{scheme}://{host}: {reply:?}");
        }
    }
    assert_eq!((proxy.seen.opened(), target.seen.opened()), (0, 0));
}

/// What goes past the proxy is judged like anything else.
#[tokio::test]
async fn what_no_proxy_sends_direct_is_judged() {
    let target = Target::start(|_| answer(200, "")).await;
    let proxy = proxy(target.address, false).await;
    let port = target.address.port();
    for (no_proxy, host) in [
        ("127.0.0.0/8", "127.0.0.1"),
        ("*", "127.0.0.1"),
        ("internal.test", "internal.test"),
        (".test", "deep.internal.test"),
    ] {
        let reach = |allowed| {
            let known =
                names(&[("internal.test", &["127.0.0.1"]), ("deep.internal.test", &["127.0.0.1"])]);
            let http = Some(with_credentials(&proxy));
            Setup { allowed, http, no_proxy: Some(no_proxy), lookup: known, ..Setup::default() }
        };
        let url = format!("http://{host}:{port}/");
        let refused = post(&reach(&[]).client(), &url).await;
        assert!(matches!(refused, Reply::Blocked(_)), "{host}: {refused:?}");
        let allowed = post(&reach(super::harness::LOOPBACK).client(), &url).await;
        assert_eq!(status(&allowed), 200, "{host}");
    }
    assert_eq!((proxy.seen.opened(), target.seen.requests().len()), (0, 4));
}

#[tokio::test]
async fn a_proxy_for_https_is_not_asked_for_http() {
    let target = Target::start(|_| answer(200, "")).await;
    let proxy = proxy(target.address, false).await;
    let client = Setup { https: Some(with_credentials(&proxy)), ..Setup::default() }.client();
    assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
    assert_eq!(proxy.seen.opened(), 0);
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_there_was_sent_nothing() {
    let lines = [
        ("HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n", "it wants other credentials (407)"),
        ("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n", "it answered CONNECT with 403"),
        ("nonsense\r\n\r\n", "its answer to CONNECT is no HTTP"),
        ("HTTP/1.1 200", "unexpected end of file"),
    ];
    for (line, expected) in lines {
        let proxy = Target::start(move |_| last(line)).await;
        let client = Setup { https: Some(with_credentials(&proxy)), ..Setup::default() }.client();
        let reply = post(&client, "https://target.test/x").await;
        let Reply::ConnectFailed(why) = reply else { panic!("{reply:?}") };
        assert!(why.contains(expected) && !why.contains("p@ss"), "{why}");
    }
    let wants_others = "HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n";
    let proxy = Target::start(move |_| last(wants_others)).await;
    let client = Setup { http: Some(with_credentials(&proxy)), ..Setup::default() }.client();
    let reply = post(&client, "http://target.test/x").await;
    assert!(matches!(&reply, Reply::ConnectFailed(why) if why.contains("407")), "{reply:?}");
    let proxy = Target::start(|_| Act::Silence).await;
    let client = Setup { https: Some(with_credentials(&proxy)), ..Setup::default() }.client();
    let reply = post_within(&client, "https://target.test/x", Duration::from_millis(200)).await;
    assert!(matches!(reply, Reply::TimedOut { sent: false }), "{reply:?}");
    until("it is closed", || proxy.seen.closed() == 1).await;
}

#[tokio::test]
async fn a_certificate_nobody_trusts_is_a_failed_connection() {
    let target = Target::start_tls(|_| answer(200, "")).await;
    let client = Setup { trusted: false, ..Setup::default() }.client();
    let reply = post(&client, &target.https("/x")).await;
    let Reply::ConnectFailed(why) = reply else { panic!("{reply:?}") };
    assert!(why.starts_with("TLS: ") && why.contains("certificate"), "{why}");

    let known = names(&[("unnamed.test", &["127.0.0.1"])]);
    let client = Setup { lookup: known, ..Setup::default() }.client();
    let reply = post(&client, &target.https("/x").replace("127.0.0.1", "unnamed.test")).await;
    assert!(matches!(reply, Reply::ConnectFailed(_)), "{reply:?}");
    assert!(target.seen.requests().is_empty());
}

/// The ordinary clients of a process go the same ways.
#[tokio::test]
async fn an_ordinary_client_has_the_same_certificates_and_proxies() {
    let target = Target::start_tls(|_| answer(201, "")).await;
    let proxy = proxy(target.address, false).await;
    let rules = |no_proxy| {
        let through = Proxy::parse(&with_credentials(&proxy)).unwrap();
        ProxyRules::new(None, Some(through), None, no_proxy)
    };
    let certificate = include_bytes!("certificate.pem").to_vec();
    let options = |direct| CallerOptions {
        user_agent: "postrider/test",
        connect: Duration::from_secs(5),
        total: Duration::from_secs(5),
        direct,
    };
    let url = format!("https://127.0.0.1:{}/x", target.address.port());
    let through = Outbound::new(vec![certificate.clone()], rules(None));
    for (outbound, direct, asked) in [
        (through.clone(), true, 0),
        (Outbound::new(vec![certificate], rules(Some("127.0.0.1"))), false, 0),
        (through, false, 1),
    ] {
        let client = outbound.caller(options(direct)).unwrap();
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201);
        assert_eq!(proxy.seen.requests().len(), asked);
    }
    let [asked] = proxy.seen.requests().try_into().unwrap();
    assert!(asked.to_lowercase().contains("proxy-authorization: basic bwu6cebzcw=="), "{asked}");
    let untrusting = Outbound::default().caller(options(true)).unwrap();
    assert!(untrusting.get(&url).send().await.is_err());
}

#[tokio::test]
async fn http1_is_spoken_where_the_target_chooses_nothing() {
    let target = Target::serve(|stream, seen| async move {
        if let Ok(mut stream) = acceptor(&[]).accept(stream).await
            && super::harness::read_request(&mut stream).await.is_some()
        {
            drop(seen);
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        }
    })
    .await;
    assert_eq!(status(&post(&Setup::default().client(), &target.https("/x")).await), 204);
}
