//! What came of a request.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rustix::io::Errno;

/// What came back, or why nothing did. No text in it holds the URL.
#[derive(Debug)]
pub enum Reply {
    /// An answer, its body cut at 64 KiB.
    Answered {
        /// Status.
        status: StatusCode,
        /// Headers.
        headers: HeaderMap,
        /// First 64 KiB of the body, unpacked where it came packed by gzip or deflate; less when it
        /// broke off or dragged on.
        body: Bytes,
    },
    /// No answer in time.
    TimedOut {
        /// Whether the first byte of the request may have been written.
        sent: bool,
    },
    /// No connection, or none that took the request: it was not sent.
    ConnectFailed(String),
    /// The connection broke after the request may have left.
    Broken(String),
    /// The address policy forbids where the URL leads; nothing was sent.
    Blocked(String),
    /// The request was taken, but the answer is no HTTP that could be read.
    Unreadable {
        /// Status of its first line, if that can be read.
        status: Option<StatusCode>,
        /// What is wrong with it.
        why: String,
    },
    /// This machine could not make the request, whatever the target; nothing was sent.
    LocalTrouble(Trouble),
}

/// What this machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// This process, or the machine, has no file descriptor left (EMFILE, ENFILE).
    FileDescriptors,
    /// The network stack has no buffers left (ENOBUFS).
    NetworkBuffers,
    /// All local ports are taken (EADDRNOTAVAIL).
    Ports,
    /// No memory (ENOMEM).
    Memory,
    /// The resolver answers for no name.
    Resolver,
}

impl Trouble {
    /// In words, for logs and incidents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileDescriptors => "no file descriptors are left",
            Self::NetworkBuffers => "no network buffers are left",
            Self::Ports => "no local ports are left",
            Self::Memory => "no memory is left",
            Self::Resolver => "names can't be resolved",
        }
    }

    /// Reads the error of a socket that was to connect to `peer`. An IPv6 address that can't be
    /// assigned means that this machine has no IPv6, which is between it and this target.
    pub(crate) fn of_socket(error: &io::Error, peer: SocketAddr) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::FileDescriptors),
            Errno::NOBUFS => Some(Self::NetworkBuffers),
            Errno::NOMEM => Some(Self::Memory),
            Errno::ADDRNOTAVAIL if peer.is_ipv4() => Some(Self::Ports),
            _ => None,
        }
    }

    /// Reads the error of a lookup.
    pub(crate) fn of_lookup(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::FileDescriptors),
            Errno::NOBUFS => Some(Self::NetworkBuffers),
            Errno::NOMEM => Some(Self::Memory),
            _ => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_machine_lacks_is_local_trouble() {
        let v4: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        let of = |errno: Errno, peer| Trouble::of_socket(&io::Error::from(errno), peer);
        for peer in [v4, v6] {
            assert_eq!(of(Errno::MFILE, peer), Some(Trouble::FileDescriptors));
            assert_eq!(of(Errno::NFILE, peer), Some(Trouble::FileDescriptors));
            assert_eq!(of(Errno::NOBUFS, peer), Some(Trouble::NetworkBuffers));
            assert_eq!(of(Errno::NOMEM, peer), Some(Trouble::Memory));
            for of_the_target in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
                assert_eq!(of(of_the_target, peer), None);
            }
        }
        assert_eq!(of(Errno::ADDRNOTAVAIL, v4), Some(Trouble::Ports));
        assert_eq!(of(Errno::ADDRNOTAVAIL, v6), None, "a machine without IPv6 lacks no ports");
        assert_eq!(Trouble::of_socket(&io::Error::other("x"), v4), None);
        assert_eq!(
            Trouble::of_lookup(&io::Error::from(Errno::MFILE)),
            Some(Trouble::FileDescriptors)
        );
        assert_eq!(Trouble::of_lookup(&io::Error::other("no such name")), None);
    }
}
