//! HTTP in: the intake of events, webhooks in the Pact Broker's shape, the operations API.
//!
//! An event's way: `POST /events` is read ([`events`]), each event parsed ([`payload`]) and
//! handed to the committer ([`commit`]), which groups the events of concurrent requests into one
//! statement. The answer 202 is given after that statement is committed; only then are the
//! deliveries put on the road ([`road`]). Whatever the road refuses is left to the store path.
//! Brokers that can send nothing but their own webhooks come in by the [`relay`].

mod api;
mod auth;
mod body;
mod commit;
mod config;
mod events;
mod execution;
mod hooks;
mod json;
mod openapi;
mod payload;
mod problem;
mod query;
mod relay;
mod road;
mod routes;
mod server;
mod table;
mod traced;

use postrider_domain::near;

pub use auth::{Role, Tokens};
pub use config::IngestConfig;
pub use openapi::OPENAPI;
pub use road::{Road, Wake};
pub use server::Ingest;
