//! Commands that speak HTTP to a running postrider, to a Pact Broker, or to both.

mod api;
pub(crate) mod broker;
mod broker_webhooks;
pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod health;
mod import;
pub(crate) mod incidents;
pub(crate) mod lanes;
mod pages;
pub(crate) mod reconcile;
pub(crate) mod secrets;
pub(crate) mod webhooks;

pub(crate) use api::{Answer, Api, Body};
