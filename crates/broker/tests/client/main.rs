//! The client against a scripted broker on a real socket, with recorded answers where there are.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by a panic")]

mod kit;
mod reading;
mod survey;
mod trouble;
