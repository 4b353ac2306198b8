//! The double over real sockets, seen by the HTTP client that postrider uses.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by a panic")]

mod answers;
mod faults;
mod harness;
mod outside;
mod watching;
