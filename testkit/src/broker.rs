//! A Pact Broker for tests: a real HTTP server on loopback that answers from a small model of
//! what was published, built, deployed, released and verified, in the words of Pact Broker 2.120.
//!
//! The model keeps the broker's own rule by itself, so that the product's can be held against it.

mod answers;
mod matrix;
mod model;
mod server;
mod webhooks;

pub use model::{At, Facts, Model, Required};
pub use server::{Row, ScriptedBroker, Seen, row};
pub use webhooks::{Trigger, TriggerStatus};
