//! HTTP/2: streams that are refused, connections that go away, peers that hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Method, Request as HttpRequest, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use url::Url;

use super::harness::{Setup, Target, acceptor, post, post_within, status, unreadable, until};
use crate::reply::Reply;
use crate::request::Request;
use crate::{Limits, Within};

/// What to do with one stream, counted from 0 over all connections.
#[derive(Clone, Copy)]
enum Stream {
    Answer(u16),
    Reset(h2::Reason),
    Silence,
}

/// A target that speaks HTTP/2 alone, and how many streams it saw.
async fn target(play: fn(usize) -> Stream) -> (Target, Arc<AtomicUsize>) {
    let streams = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&streams);
    let target = Target::serve(move |stream, _| {
        let count = Arc::clone(&count);
        async move {
            let Ok(stream) = acceptor(&[b"h2"]).accept(stream).await else { return };
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            let mut silent = Vec::new();
            while let Some(Ok((request, respond))) = connection.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                silent.extend(answered(play(number), request, respond));
            }
        }
    })
    .await;
    (target, streams)
}

/// What is kept so that a stream stays open.
type Open = (HttpRequest<h2::RecvStream>, SendResponse<Bytes>);

fn answered(
    act: Stream,
    request: HttpRequest<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Option<Open> {
    match act {
        Stream::Answer(status) => {
            let authority = request.uri().authority().map(ToString::to_string);
            let answer = Response::builder()
                .status(status)
                .header("x-authority", authority.unwrap_or_default())
                .header("x-has-host", request.headers().contains_key("host").to_string())
                .body(());
            respond.send_response(answer.unwrap(), true).unwrap();
            None
        }
        Stream::Reset(reason) => {
            respond.send_reset(reason);
            None
        }
        Stream::Silence => Some((request, respond)),
    }
}

#[tokio::test]
async fn requests_share_one_connection() {
    let (target, streams) = target(|_| Stream::Answer(204)).await;
    let client = Setup::default().client();
    let url = target.https("/x");
    assert_eq!(status(&post(&client, &url).await), 204);
    let all = (0..50).map(|_| post(&client, &url));
    for reply in futures_util::future::join_all(all).await {
        assert_eq!(status(&reply), 204);
    }
    assert_eq!((target.seen.opened(), streams.load(Ordering::SeqCst)), (1, 51));
}

#[tokio::test]
async fn whoever_connects_at_once_ends_up_on_one_connection() {
    let (target, streams) = target(|_| Stream::Answer(204)).await;
    let client = Setup::default().client();
    let url = target.https("/x");
    let all = (0..10).map(|_| post(&client, &url));
    for reply in futures_util::future::join_all(all).await {
        assert_eq!(status(&reply), 204);
    }
    assert_eq!(streams.load(Ordering::SeqCst), 10);
    until("one is left", || client.pool().open(Limits::default().connections) == 1).await;
}

#[tokio::test]
async fn a_refused_stream_was_not_sent_and_is_sent_again_at_once() {
    let every_second = |number| match number % 2 {
        0 => Stream::Reset(h2::Reason::REFUSED_STREAM),
        _ => Stream::Answer(204),
    };
    let (target, streams) = target(every_second).await;
    let client = Setup::default().client();
    for _ in 0..3 {
        assert_eq!(status(&post(&client, &target.https("/x")).await), 204);
    }
    assert_eq!((streams.load(Ordering::SeqCst), target.seen.opened()), (6, 1));
}

#[tokio::test]
async fn a_target_that_refuses_every_stream_is_asked_a_bounded_number_of_times() {
    let (target, streams) = target(|_| Stream::Reset(h2::Reason::REFUSED_STREAM)).await;
    let reply = post(&Setup::default().client(), &target.https("/x")).await;
    let Reply::ConnectFailed(why) = reply else { panic!("{reply:?}") };
    assert!(why.starts_with("not taken, 4 times: "), "{why}");
    assert_eq!(streams.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn another_reset_may_have_been_processed() {
    for (play, expected) in [
        ((|_| Stream::Reset(h2::Reason::INTERNAL_ERROR)) as fn(usize) -> Stream, "internal"),
        (|_| Stream::Reset(h2::Reason::CANCEL), "no longer needed"),
    ] {
        let (target, streams) = target(play).await;
        let reply = post(&Setup::default().client(), &target.https("/x")).await;
        let Reply::Broken(why) = reply else { panic!("{reply:?}") };
        assert!(why.contains(expected), "{why}");
        assert_eq!(streams.load(Ordering::SeqCst), 1, "it must not be sent again by itself");
    }
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_not_used_again() {
    let first_is_silent = |number| if number == 0 { Stream::Silence } else { Stream::Answer(204) };
    let (target, streams) = target(first_is_silent).await;
    let client = Setup::default().client();
    let reply = post_within(&client, &target.https("/x"), Duration::from_millis(1_500)).await;
    assert!(matches!(reply, Reply::TimedOut { sent: true }), "{reply:?}");
    assert_eq!(streams.load(Ordering::SeqCst), 1);
    until("it is closed", || target.seen.closed() == 1).await;
    assert_eq!(status(&post(&client, &target.https("/x")).await), 204);
    assert_eq!(target.seen.opened(), 2);
}

#[tokio::test]
async fn the_webhooks_host_is_the_authority() {
    let (target, _) = target(|_| Stream::Answer(204)).await;
    let url: Url = target.https("/x").parse().unwrap();
    let mut headers = HeaderMap::new();
    let within = Within { connect: Duration::from_secs(5), total: Duration::from_secs(5) };
    for own in [None, Some("other.test")] {
        if let Some(own) = own {
            headers.insert("host", own.parse().unwrap());
        }
        let request = Request { method: &Method::POST, url: &url, headers: &headers, body: None };
        let reply = Setup::default().client().send(&request, within).await;
        let Reply::Answered { headers, .. } = reply else { panic!("{reply:?}") };
        let expected = own.map_or_else(|| target.address.to_string(), ToOwned::to_owned);
        assert_eq!(headers["x-authority"], expected);
        assert_eq!(headers["x-has-host"], "false");
    }
}

/// Frames by hand: what the other side does between its SETTINGS and the end.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: u8 = 1;

/// GOAWAY without an error, with the last stream that was or will be processed.
fn go_away(last_stream: u8) -> Vec<u8> {
    vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last_stream, 0, 0, 0, 0]
}

/// `:status: 204` on stream 1, and its end.
const NO_CONTENT: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x89];

/// Answers the first request of each connection with the frames that `play` gives for it, then
/// closes.
async fn by_hand(play: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Target {
    let play = Arc::new(play);
    let connections = Arc::new(AtomicUsize::new(0));
    Target::serve(move |stream, _| {
        let (play, number) = (Arc::clone(&play), connections.fetch_add(1, Ordering::SeqCst));
        async move {
            if let Ok(mut stream) = acceptor(&[b"h2"]).accept(stream).await {
                stream.write_all(SETTINGS).await.unwrap();
                if until_headers(&mut stream).await.is_some() {
                    stream.write_all(&play(number)).await.unwrap();
                    stream.flush().await.unwrap();
                    stream.shutdown().await.unwrap_or_default();
                    // The rest is read, so that closing does not reset what was written.
                    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_or_default();
                }
            }
        }
    })
    .await
}

async fn until_headers(stream: &mut TlsStream<TcpStream>) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, ..] = head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        stream.read_exact(&mut vec![0; length]).await.ok()?;
        if kind == HEADERS {
            return Some(());
        }
    }
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_was_not_sent() {
    let first_goes_away = |number| if number == 0 { go_away(0) } else { NO_CONTENT.to_vec() };
    let target = by_hand(first_goes_away).await;
    assert_eq!(status(&post(&Setup::default().client(), &target.https("/x")).await), 204);
    assert_eq!(target.seen.opened(), 2);

    let target = by_hand(|_| go_away(0)).await;
    let reply = post(&Setup::default().client(), &target.https("/x")).await;
    assert!(matches!(reply, Reply::ConnectFailed(_)), "{reply:?}");
    assert_eq!(target.seen.opened(), 4, "a bounded number of times");
}

#[tokio::test]
async fn a_stream_that_a_goaway_covers_may_have_been_processed() {
    let target = by_hand(|_| go_away(1)).await;
    let reply = post(&Setup::default().client(), &target.https("/x")).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    assert_eq!(target.seen.opened(), 1, "it must not be sent again by itself");

    let target = by_hand(|_| [go_away(1), NO_CONTENT.to_vec()].concat()).await;
    assert_eq!(status(&post(&Setup::default().client(), &target.https("/x")).await), 204);
}

#[tokio::test]
async fn frames_that_make_no_sense_are_unreadable() {
    for frames in [
        // DATA on a stream that was never opened, a frame of a length that its kind can't have.
        vec![0, 0, 1, 0, 0, 0, 0, 0, 9, 0],
        vec![0, 0, 3, 4, 0, 0, 0, 0, 0, 1, 2, 3],
    ] {
        let frames_of = frames.clone();
        let target = by_hand(move |_| frames_of.clone()).await;
        let reply = post(&Setup::default().client(), &target.https("/x")).await;
        assert_eq!(unreadable(&reply), None, "{frames:?}");
        assert_eq!(target.seen.opened(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_broken() {
    let target = by_hand(|_| Vec::new()).await;
    let reply = post(&Setup::default().client(), &target.https("/x")).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    assert_eq!(target.seen.opened(), 1);
}
