//! What was written to and read from an HTTP/1 connection, beside hyper: whether a request may
//! have left, and the status line of an answer that can't be read.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Nothing was written yet.
const UNSENT: u8 = 0;
/// Something was written, or is being written right now.
const SENT: u8 = 1;
/// Nothing was written, and nothing may be any more.
const GIVEN_UP: u8 = 2;

/// What is known of the exchange under way.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// How far the request is: [`UNSENT`], [`SENT`] or [`GIVEN_UP`]. Whoever writes and whoever
    /// runs out of time do so on threads of their own, so each step is one exchange of this value:
    /// a request is either known as sent or can never be.
    progress: AtomicU8,
    /// Set when the status line is known, or never will be; the rest is not looked at.
    is_settled: AtomicBool,
    line: Mutex<StatusLine>,
}

impl Wire {
    /// A new exchange begins; the connection must be idle.
    pub(crate) fn begin(&self) {
        self.progress.store(UNSENT, Ordering::Release);
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = StatusLine::default();
        self.is_settled.store(false, Ordering::Release);
    }

    /// Ends the exchange where nothing of the request was written: nothing will be, whatever the
    /// connection's task is about to do. Whether something may have been written before.
    pub(crate) fn give_up(&self) -> bool {
        self.step(UNSENT, GIVEN_UP).is_err_and(|progress| progress == SENT)
    }

    fn step(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.progress.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Makes a write known before it is made, and takes that back when nothing was written.
    fn writes(&self, write: impl FnOnce() -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let is_first = match self.step(UNSENT, SENT) {
            Ok(_) => true,
            Err(GIVEN_UP) => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            Err(_) => false,
        };
        let written = write();
        if is_first && !matches!(written, Poll::Ready(Ok(1..))) {
            // Nobody gives up what is noted as sent, so this is still ours to take back.
            self.progress.store(UNSENT, Ordering::Release);
        }
        written
    }

    /// The status of the answer, once its first line is complete.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).status()
    }

    fn read(&self, bytes: &[u8]) {
        if !bytes.is_empty() && !self.is_settled.load(Ordering::Acquire) {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.feed(bytes);
            self.is_settled.store(line.is_settled(), Ordering::Release);
        }
    }
}

/// Longest status line that is looked at.
const LONGEST_LINE: usize = 512;
/// Version and status are within so many bytes of it.
const KEPT: usize = 24;

/// Finds the status line of an answer, past interim answers (1xx).
#[derive(Debug, Default)]
struct StatusLine {
    start: [u8; KEPT],
    length: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within the first line.
    #[default]
    Line,
    /// Within the headers of an interim answer; at the start of a line or not.
    Interim { is_line_start: bool },
    /// The line is complete.
    Known(StatusCode),
    /// No answer begins like this.
    None,
}

impl StatusLine {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = match self.state {
                State::Line if *byte == b'\n' => self.complete(),
                State::Line if self.length >= LONGEST_LINE => State::None,
                State::Line => {
                    if let Some(place) = self.start.get_mut(self.length) {
                        *place = *byte;
                    }
                    self.length += 1;
                    State::Line
                }
                State::Interim { is_line_start: true } if *byte == b'\n' => State::Line,
                State::Interim { .. } if *byte == b'\n' => State::Interim { is_line_start: true },
                State::Interim { is_line_start } if *byte == b'\r' => {
                    State::Interim { is_line_start }
                }
                State::Interim { .. } => State::Interim { is_line_start: false },
                State::Known(_) | State::None => return,
            };
        }
    }

    fn complete(&mut self) -> State {
        let length = std::mem::take(&mut self.length);
        match status_of(self.start.get(..length).unwrap_or(&self.start)) {
            None => State::None,
            Some(StatusCode::SWITCHING_PROTOCOLS) => State::Known(StatusCode::SWITCHING_PROTOCOLS),
            Some(status) if status.is_informational() => State::Interim { is_line_start: true },
            Some(status) => State::Known(status),
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self.state, State::Known(_) | State::None)
    }

    fn status(&self) -> Option<StatusCode> {
        match self.state {
            State::Known(status) => Some(status),
            State::Line | State::Interim { .. } | State::None => None,
        }
    }
}

/// `HTTP/1.1 201 Created`, the reason optional.
fn status_of(line: &[u8]) -> Option<StatusCode> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let version = words.next()?;
    if !version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return None;
    }
    StatusCode::from_bytes(words.next()?).ok()
}

/// A stream whose traffic is noted.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    wire: Arc<Wire>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, wire: Arc<Wire>) -> Self {
        Self { stream, wire }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.wire.read(buf.filled().get(before..).unwrap_or_default());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, wire } = self.get_mut();
        wire.writes(|| Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, wire } = self.get_mut();
        wire.writes(|| Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8], step: usize) -> (Option<u16>, bool) {
        let wire = Wire::default();
        for chunk in bytes.chunks(step) {
            wire.read(chunk);
        }
        (wire.status().map(|status| status.as_u16()), wire.is_settled.load(Ordering::Acquire))
    }

    #[test]
    fn the_status_line_is_found_however_it_arrives() {
        let long = [b"HTTP/1.1 200 ".as_slice(), &[b'x'; 600], b"\r\n"].concat();
        let table: &[(&[u8], Option<u16>, bool)] = &[
            (b"HTTP/1.1 201 Created\r\nX: y\r\n", Some(201), true),
            (b"HTTP/1.1 204\r\n", Some(204), true),
            (b"HTTP/1.0 500 \n", Some(500), true),
            (b"HTTP/2 200\r\n", Some(200), true),
            (b"HTTP/1.1 201 Created", None, false),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 x\r\n", Some(202), true),
            (b"HTTP/1.1 103 Early\r\nLink: a\r\nB: c\r\n\r\nHTTP/1.1 204 x\r\n", Some(204), true),
            (b"HTTP/1.1 103 Early\nLink: a\n\nHTTP/1.1 204 x\n", Some(204), true),
            (b"HTTP/1.1 103 Early\r\nHTTP/1.1 200 a header\r\n", None, false),
            (b"HTTP/1.1 101 Switching\r\n", Some(101), true),
            (b"<html>\r\nHTTP/1.1 200 OK\r\n", None, true),
            (b"HTTP/x 200 OK\r\n", None, true),
            (b"HTTP/1.1 2000 OK\r\n", None, true),
            (b"\x00\x00\x12\x04\n", None, true),
            (&long, None, true),
        ];
        for (bytes, status, is_settled) in table {
            for step in [1, 7, bytes.len()] {
                let text = String::from_utf8_lossy(bytes);
                assert_eq!(seen(bytes, step), (*status, *is_settled), "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn each_exchange_begins_anew() {
        let wire = Wire::default();
        wire.read(b"HTTP/1.1 200 OK\r\n");
        assert!(wire.writes(|| Poll::Ready(Ok(9))).is_ready() && wire.give_up());
        wire.begin();
        assert_eq!((wire.give_up(), wire.status()), (false, None));
        wire.read(b"HTTP/1.1 503 x\r\n");
        assert_eq!(wire.status().map(|status| status.as_u16()), Some(503));
    }

    /// A deadline that ends on another thread right after the bytes have left must not take the
    /// request for unsent.
    #[test]
    fn what_is_being_written_counts_as_sent() {
        let wire = Wire::default();
        let written = wire.writes(|| {
            assert!(wire.give_up());
            Poll::Ready(Ok(9))
        });
        assert!(matches!(written, Poll::Ready(Ok(9))));
        assert!(wire.give_up());
    }

    #[test]
    fn nothing_is_written_once_given_up() {
        let wire = Wire::default();
        assert!(!wire.give_up());
        let written = wire.writes(|| panic!("nothing may be written any more"));
        assert!(matches!(written, Poll::Ready(Err(_))));
    }

    #[test]
    fn a_write_that_wrote_nothing_is_taken_back() {
        let nothing: [fn() -> Poll<io::Result<usize>>; 3] = [
            || Poll::Pending,
            || Poll::Ready(Ok(0)),
            || Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        ];
        for write in nothing {
            let wire = Wire::default();
            drop(wire.writes(write));
            assert!(!wire.give_up());
        }
        let wire = Wire::default();
        drop(wire.writes(|| Poll::Ready(Ok(9))));
        drop(wire.writes(|| Poll::Pending));
        assert!(wire.give_up(), "its start was written");
    }
}
