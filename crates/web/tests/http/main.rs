//! The HTTP intake over a real SQLite store, called through its router.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene up has to fail")]

mod api;
mod audit;
mod churn;
mod contract;
mod credentials;
mod divergences;
mod harness;
mod idempotency;
mod lists;
mod malformed;
mod negotiation;
mod openapi;
mod queue_away;
mod random;
mod recorded;
mod recordings;
mod relay;
mod rules;
mod secrets;
mod stream;
mod triggered;
mod validation;
mod watched;
mod watching;
mod way_in;
mod webhooks;
