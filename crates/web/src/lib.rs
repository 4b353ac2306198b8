//! Both APIs over HTTP: webhooks in the Pact Broker's shape ([`broker_api`]), and the operations
//! API ([`api`]); and the page for people ([`page`]), which stands on them.
//!
//! The calls that bring events are those of the role `ingest`, which this one does not know: the
//! program mounts their router here, behind the same checks of hosts, sites and tokens, and hands
//! over a function that tells workers what there is to do.

mod announce;
mod api;
mod app;
mod broker_api;
mod config;
mod doctor;
mod openapi;
mod page;
mod relay_calls;
mod routes;
mod server;
mod shown;
mod stream;
mod test_delivery;
mod unwanted;
mod way_in;

pub use announce::{Announce, Announcement};
pub use config::WebConfig;
pub use server::Web;

/// What reads other people's texts, for the programs that fuzz it.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::broker_api::fuzz::webhook;
}
