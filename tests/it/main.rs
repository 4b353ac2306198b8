//! Whole-system tests: they drive the real program as child processes, with real services, a
//! stand-in for GitHub, lines that can be cut, and `kill -9`.
//!
//! `tests/run` gives them Postgres and RabbitMQ. Tests of embedded mode need neither.

mod alerts;
mod bad_input;
mod canary;
mod check;
mod cli;
mod compat;
mod connect;
mod crashes;
mod deploy;
mod execute;
mod freshness;
mod github_workflows;
mod harness;
mod hold;
mod idempotency;
mod import;
mod isolation;
mod limit;
mod lint;
mod metrics;
mod readme;
mod real_clients;
mod reconcile;
mod relay;
mod smoke;
mod structure;
mod test_command;
mod traces;
mod webhook_broker;
