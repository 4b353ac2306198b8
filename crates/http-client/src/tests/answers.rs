//! How answers over HTTP/1 are read, and how requests look on the wire.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;

use super::harness::{
    Act, Setup, Target, answer, last, post, post_within, send, status, unreadable,
};
use crate::Within;
use crate::exchange::BODY_READ_MAX;
use crate::reply::Reply;

/// What comes of these raw bytes; the request is never made twice.
async fn read(bytes: impl Into<Vec<u8>>) -> Reply {
    let bytes = bytes.into();
    let target = Target::start(move |_| last(bytes.clone())).await;
    let reply = post(&Setup::default().client(), &target.url("/x")).await;
    assert_eq!(target.seen.requests().len(), 1);
    reply
}

#[tokio::test]
async fn a_folded_header_is_understood() {
    let reply = read(
        "HTTP/1.1 201 Created\r\nContent-Security-Policy: default-src 'self';\r\n  script-src \
         'self'\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let Reply::Answered { status, headers, body } = reply else { panic!("{reply:?}") };
    assert_eq!((status.as_u16(), &body[..]), (201, &b"ok"[..]));
    assert_eq!(headers["content-security-policy"], "default-src 'self'; script-src 'self'");
}

#[tokio::test]
async fn sloppy_headers_do_not_hide_the_others() {
    let reply = read(
        "HTTP/1.1 503 x\r\nno colon here\r\nBad Name: x\r\nRetry-After : 7\r\nX-\u{e4}: y\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;
    let Reply::Answered { status, headers, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((status.as_u16(), headers["retry-after"].to_str().unwrap()), (503, "7"));
}

fn with_headers(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|n| format!("X-Number-{n}: {n}\r\n")).collect();
    format!("HTTP/1.1 201 Created\r\n{}Content-Length: 2\r\n\r\nok", lines.concat())
}

#[tokio::test]
async fn more_than_a_hundred_headers_are_understood_and_too_many_leave_the_status() {
    for count in [0, 99, 101, 200] {
        assert_eq!(status(&read(with_headers(count)).await), 201, "{count} headers");
    }
    assert_eq!(unreadable(&read(with_headers(2_000)).await), Some(201));
}

#[tokio::test]
async fn the_status_line_counts_where_the_rest_can_not_be_read() {
    for (bytes, expected) in [
        ("HTTP/1.1 201 Created\r\nContent-Length: a lot\r\n\r\n", Some(201)),
        ("HTTP/1.1 503 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Some(503)),
        ("HTTP/1.1 204 No Content\r\nX-Cut: o", Some(204)),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-Cut: o", Some(200)),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nnonsense\r\n\r\n", None),
        ("<html>It works</html>\r\n\r\n", None),
        ("HTTP/1.1 9999 x\r\n\r\n", None),
        ("SSH-2.0-OpenSSH_9.6\r\n", None),
    ] {
        assert_eq!(unreadable(&read(bytes).await), expected, "{bytes:?}");
    }
    let huge = format!("HTTP/1.1 202 x\r\nX-Huge: {}\r\n\r\n", "y".repeat(4_000_000));
    assert_eq!(unreadable(&read(huge).await), Some(202));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_status_is_broken() {
    for bytes in ["", "HTTP/1.1 2"] {
        let reply = read(bytes).await;
        assert!(matches!(reply, Reply::Broken(_)), "{bytes:?}: {reply:?}");
    }
    let target = Target::start(|_| Act::Close).await;
    let reply = post(&Setup::default().client(), &target.url("/x")).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    assert_eq!(target.seen.requests().len(), 1, "it may have been taken");
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let reply = read(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 \
         No Content\r\n\r\n",
    )
    .await;
    assert_eq!(status(&reply), 204);
}

#[tokio::test]
async fn a_body_is_cut_and_its_end_does_not_matter() {
    let long = "x".repeat(BODY_READ_MAX + 1_000);
    for head in [
        format!("Content-Length: {}", long.len()),
        "Connection: close".to_owned(),
        "Content-Length: 9999999".to_owned(),
    ] {
        let reply = read(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{long}")).await;
        let Reply::Answered { body, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(body.len(), BODY_READ_MAX, "{head}");
    }
    let reply = read("HTTP/1.1 201 X\r\nContent-Length: 100\r\n\r\nonly this").await;
    let Reply::Answered { status, body, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((status.as_u16(), &body[..]), (201, &b"only this"[..]));
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let Reply::Answered { body, .. } = read(chunks).await else { panic!("no answer") };
    assert_eq!(&body[..], b"abcde");
}

/// Nobody asked for it, and some do it all the same.
#[tokio::test]
async fn a_packed_body_is_read() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(br#"{"ok":true}"#).unwrap();
    let gzip = gzip.finish().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length";
    let answer = [format!("{head}: {}\r\n\r\n", gzip.len()).into_bytes(), gzip].concat();
    let Reply::Answered { body, .. } = read(answer).await else { panic!("no answer") };
    assert_eq!(&body[..], br#"{"ok":true}"#);
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_change_the_answer() {
    let head = "HTTP/1.1 202 X\r\nContent-Length: 10\r\n\r\nabc";
    let target = Target::start(move |_| Act::Answer(head.into())).await;
    let client = Setup::default().client();
    let reply = post_within(&client, &target.url("/x"), Duration::from_millis(500)).await;
    let Reply::Answered { status, body, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((status.as_u16(), &body[..]), (202, &b"abc"[..]));
    until_closed(&target).await;
}

async fn until_closed(target: &Target) {
    super::harness::until("the connection is closed", || target.seen.closed() == 1).await;
}

#[tokio::test]
async fn names_are_in_title_case_and_an_empty_body_has_a_length() {
    let target = Target::start(|_| answer(200, "")).await;
    let client = Setup::default().client();
    let within = Within { connect: Duration::from_secs(5), total: Duration::from_secs(5) };
    for (method, body) in [(Method::POST, None), (Method::POST, Some("{}")), (Method::GET, None)] {
        let reply = send(&client, &method, &target.url("/a?b=c"), body, within).await;
        assert_eq!(status(&reply), 200);
    }
    let requests = target.seen.requests();
    let [empty, full, get] = requests.as_slice() else { panic!("{requests:?}") };
    let host = format!("Host: {}\r\n", target.address);
    for line in ["POST /a?b=c HTTP/1.1\r\n", &host, "X-Request-Source: test\r\n"] {
        assert!(empty.contains(line) && full.contains(line), "{line:?} in {empty:?}");
    }
    assert!(empty.contains("\r\nContent-Length: 0\r\n"), "{empty}");
    assert!(full.contains("\r\nContent-Length: 2\r\n") && full.ends_with("\r\n\r\n{}"), "{full}");
    assert!(!get.contains("Content-Length"), "{get}");
    assert!(!requests.concat().to_lowercase().contains("accept-encoding"), "{requests:?}");
}
