//! Events in, deliveries out.
//!
//! An event's way: `POST /events` is read ([`events`]), each event parsed ([`payload`]) and
//! handed to the committer ([`commit`]), which groups the events of concurrent requests into one
//! statement. The answer 202 is given after that statement is committed; only then are the
//! deliveries published ([`dispatch`]). Whatever the queue refuses is left to the store path.
//! Brokers that can send nothing but their own webhooks come in by the [`relay`].
//!
//! Who may call is judged outside: the program mounts [`Ingest::router`] where it serves HTTP.

mod app;
mod commit;
mod config;
mod dispatch;
mod events;
mod intake;
mod payload;
mod relay;
mod traced;
mod webhook_cache;

pub use config::IngestConfig;
pub use dispatch::{DispatchQueue, Offer, Wake};
pub use intake::Ingest;

/// What reads other people's texts, for the programs that fuzz it.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::events::fuzz::events;
    pub use crate::relay::fuzz::relay;
}
