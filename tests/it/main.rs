//! Whole-system tests: they drive the real program as child processes, with real services, a
//! stand-in for GitHub, lines that can be cut, and `kill -9`.
//!
//! `tests/run` gives them Postgres and RabbitMQ. Tests of embedded mode need neither.

mod alerts;
mod answers;
mod backup;
mod bad_input;
mod browser;
mod canary;
mod check;
mod churn;
mod cli;
mod compat;
mod connect;
mod crashes;
mod dashboards;
mod dependencies;
mod deploy;
mod descriptors;
mod doctor;
mod events;
mod execute;
mod freshness;
mod github_app;
mod github_workflows;
mod harness;
mod hold;
mod idempotency;
mod import;
mod isolation;
mod lanes;
mod limit;
mod lint;
mod metrics;
mod owed;
mod page;
mod readme;
mod real_clients;
mod reconcile;
mod relay;
mod replay;
mod rotate;
mod rules;
mod silence;
mod smoke;
mod store_refuses;
mod structure;
mod terminal;
mod test_command;
mod traces;
mod waits;
mod watch;
mod way_in;
mod webhook_broker;
mod workers;
mod workflow_dispatch;
