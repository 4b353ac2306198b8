//! Commands that speak HTTP: to a running postrider, or to a broker.

mod api;
mod broker_webhooks;
pub(crate) mod connect;
pub(crate) mod deliveries;
pub(crate) mod events;
mod import;
pub(crate) mod incidents;
pub(crate) mod lanes;
pub(crate) mod secrets;
pub(crate) mod webhooks;

pub(crate) use api::{Answer, Api, Body};
