//! Peers that hang, and what is said of the time that ran out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::Method;
use tokio::time::Instant;

use super::harness::{Act, Setup, Target, names, post, post_within, send, until};
use crate::reply::{Reply, Trouble};
use crate::resolve::Lookup;
use crate::{Limits, Within};

#[tokio::test]
async fn silence_is_a_timeout_and_ends_the_connection() {
    let target = Target::start(|_| Act::Silence).await;
    let client = Setup::default().client();
    let started = Instant::now();
    let reply = post_within(&client, &target.url("/x"), Duration::from_millis(500)).await;
    assert!(matches!(reply, Reply::TimedOut { sent: true }), "{reply:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
    until("it is closed", || target.seen.closed() == 1).await;
    assert_eq!(client.pool().open(Limits::default().connections), 0);
}

#[tokio::test]
async fn a_head_that_drips_is_a_timeout() {
    let target = Target::start(|_| Act::Answer(b"HTTP/1.1 200 OK\r\nX-Half: ".to_vec())).await;
    let client = Setup::default().client();
    let reply = post_within(&client, &target.url("/x"), Duration::from_millis(500)).await;
    assert!(matches!(reply, Reply::TimedOut { sent: true }), "{reply:?}");
}

/// TLS to something that accepts and says nothing.
#[tokio::test]
async fn connecting_has_a_time_of_its_own() {
    let target = Target::serve(|mut stream, _| async move {
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_or_default();
    })
    .await;
    let client = Setup::default().client();
    let within = Within { connect: Duration::from_millis(150), total: Duration::from_secs(9) };
    let started = Instant::now();
    let reply = send(&client, &Method::POST, &target.https("/x"), None, within).await;
    assert!(matches!(reply, Reply::TimedOut { sent: false }), "{reply:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    until("it is closed", || target.seen.closed() == 1).await;
}

fn never() -> Lookup {
    Arc::new(|_| std::future::pending().boxed())
}

fn failing() -> Lookup {
    let error = || std::io::Error::other("Temporary failure in name resolution");
    Arc::new(move |_| async move { Err(Arc::new(error())) }.boxed())
}

#[tokio::test]
async fn a_resolver_that_is_down_is_nobody_elses_fault() {
    for lookup in [never(), failing()] {
        let client = Setup { lookup, ..Setup::default() }.client();
        let soon = Duration::from_millis(50);
        let first = post_within(&client, "http://a.test/", soon).await;
        let is_theirs = matches!(first, Reply::ConnectFailed(_) | Reply::TimedOut { sent: false });
        assert!(is_theirs, "one name proves nothing: {first:?}");
        let second = post_within(&client, "http://b.test/", soon).await;
        assert!(matches!(second, Reply::LocalTrouble(Trouble::Resolver)), "{second:?}");
        let again = post_within(&client, "http://a.test/", soon).await;
        assert!(matches!(again, Reply::LocalTrouble(Trouble::Resolver)), "{again:?}");
    }
}

#[tokio::test]
async fn names_that_do_not_exist_are_their_webhooks_fault() {
    let client = Setup { lookup: names(&[]), ..Setup::default() }.client();
    for name in ["a.test", "b.test", "c.test"] {
        let reply = post(&client, &format!("http://{name}/")).await;
        let Reply::ConnectFailed(why) = reply else { panic!("{reply:?}") };
        assert_eq!(why, format!("{name} can't be resolved: Name or service not known"));
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_at_a_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    });
    let client = Setup { lookup, ..Setup::default() }.client();
    let waiting =
        (0..10).map(|_| post_within(&client, "http://a.test/", Duration::from_millis(50)));
    futures_util::future::join_all(waiting).await;
    post_within(&client, "http://a.test/", Duration::from_millis(50)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a lookup that hangs takes one thread, not many");
}

#[tokio::test]
async fn a_closed_port_is_a_failed_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reply = post(&Setup::default().client(), &format!("http://{address}/?token=s3cr3t")).await;
    let Reply::ConnectFailed(why) = reply else { panic!("{reply:?}") };
    assert!(why.contains("refused") && !why.contains("s3cr3t"), "{why}");
}

#[tokio::test]
async fn one_address_that_does_not_answer_does_not_stop_the_others() {
    let target = Target::start(|_| super::harness::answer(200, "")).await;
    let port = target.address.port();
    // Nothing listens on the first two.
    let known = names(&[("many.test", &["::1", "127.0.0.2", "127.0.0.1"])]);
    let client = Setup { lookup: known, ..Setup::default() }.client();
    let reply = post(&client, &format!("http://many.test:{port}/")).await;
    assert_eq!(super::harness::status(&reply), 200);
}
