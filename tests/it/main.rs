//! Whole-system tests: they drive the real program as child processes, with real services, a
//! stand-in for GitHub, lines that can be cut, and `kill -9`.
//!
//! `tests/run` gives them Postgres and RabbitMQ. Tests of embedded mode need neither.

mod bad_input;
mod canary;
mod cli;
mod compat;
mod crashes;
mod execute;
mod harness;
mod hold;
mod idempotency;
mod isolation;
mod limit;
mod readme;
mod smoke;
mod structure;
