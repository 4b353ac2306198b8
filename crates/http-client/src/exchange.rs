//! One request over one connection, and what is known of it afterwards.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, timeout_at};

use crate::packed::unpacked;
use crate::pool::{Body, Http1, Http2Stream};
use crate::reply::{Reply, chain};

/// Of an answer's body this much is read.
pub(crate) const BODY_READ_MAX: usize = 64 * 1024;

/// What came of an exchange.
#[derive(Debug)]
pub(crate) enum Exchanged {
    /// The request may have left: this is what came of it.
    Done(Reply),
    /// Nothing of it was written, or the target said that it did nothing with it: it may be sent
    /// again as if for the first time. Says why.
    NotSent(String),
}

/// Over HTTP/1. The connection comes back when it can be used again; else it is closed at once.
pub(crate) async fn over_http1(
    mut connection: Http1,
    request: http::Request<Body>,
    deadline: Instant,
) -> (Exchanged, Option<Http1>) {
    // The connection's task may still be busy with the end of the exchange before.
    match timeout_at(deadline, connection.sender.ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return (Exchanged::NotSent(chain(&error)), None),
        Err(_) => return (Exchanged::Done(Reply::TimedOut { sent: false }), None),
    }
    connection.wire.begin();
    let answer = timeout_at(deadline, connection.sender.try_send_request(request)).await;
    let wire = &connection.wire;
    match answer {
        Ok(Ok(response)) => {
            let (reply, is_complete) = read(response, deadline).await;
            (Exchanged::Done(reply), is_complete.then_some(connection))
        }
        Ok(Err(error)) if error.message().is_some() || !wire.give_up() => {
            (Exchanged::NotSent(chain(&error.into_error())), None)
        }
        Ok(Err(error)) => {
            let error = error.into_error();
            let (status, why) = (wire.status(), chain(&error));
            let is_unreadable = status.is_some() || error.is_parse();
            let reply =
                if is_unreadable { Reply::Unreadable { status, why } } else { Reply::Broken(why) };
            (Exchanged::Done(reply), None)
        }
        Err(_) => (Exchanged::Done(Reply::TimedOut { sent: wire.give_up() }), None),
    }
}

/// Over a stream of an HTTP/2 connection.
pub(crate) async fn over_http2(
    stream: &mut Http2Stream,
    request: http::Request<Body>,
    deadline: Instant,
) -> Exchanged {
    match timeout_at(deadline, stream.sender.try_send_request(request)).await {
        Ok(Ok(response)) => Exchanged::Done(read(response, deadline).await.0),
        Ok(Err(error)) => without_answer(stream, error),
        Err(_) => {
            // Whether the connection is dead, or the target slow, can't be told; others that use
            // it go on.
            stream.retire();
            Exchanged::Done(Reply::TimedOut { sent: true })
        }
    }
}

fn without_answer(stream: &Http2Stream, error: TrySendError<http::Request<Body>>) -> Exchanged {
    let is_untouched = error.message().is_some();
    let error = error.into_error();
    let fault = find::<h2::Error>(&error);
    if !fault.is_some_and(h2::Error::is_reset) {
        stream.retire();
    }
    if is_untouched || fault.is_some_and(was_not_processed) {
        Exchanged::NotSent(chain(&error))
    } else if fault.is_some_and(h2::Error::is_library) {
        Exchanged::Done(Reply::Unreadable { status: None, why: chain(&error) })
    } else {
        Exchanged::Done(Reply::Broken(chain(&error)))
    }
}

/// RFC 9113, section 8.7: a stream that is refused, or whose number is above the last one that a
/// GOAWAY names, was not processed in any way. Streams up to that number never end with the
/// GOAWAY of the other side, but with what they ended with.
fn was_not_processed(fault: &h2::Error) -> bool {
    let is_refused = fault.is_reset() && fault.reason() == Some(h2::Reason::REFUSED_STREAM);
    fault.is_remote() && (is_refused || fault.is_go_away())
}

fn find<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// Reads an answer; whether it was read to its end.
async fn read(response: Response<Incoming>, deadline: Instant) -> (Reply, bool) {
    let (head, mut incoming) = response.into_parts();
    let mut body = Collected::default();
    // The status is the answer: a body that breaks or drags on does not change its meaning.
    let is_complete = loop {
        if incoming.is_end_stream() {
            break true;
        }
        if body.len() >= BODY_READ_MAX {
            break false;
        }
        match timeout_at(deadline, incoming.frame()).await {
            Ok(Some(Ok(frame))) => body.push(frame.into_data().unwrap_or_default()),
            Ok(None) => break true,
            Ok(Some(Err(_))) | Err(_) => break false,
        }
    };
    let (status, headers) = (head.status, head.headers);
    let body = unpacked(&headers, body.cut(), BODY_READ_MAX);
    (Reply::Answered { status, headers, body }, is_complete)
}

/// A body as far as it came; copied only when it came in pieces.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn cut(self) -> Bytes {
        let mut body = if self.all.is_empty() { self.first } else { self.all.freeze() };
        body.truncate(BODY_READ_MAX);
        body
    }
}
