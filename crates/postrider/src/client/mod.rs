//! Commands that speak HTTP to a running postrider.

mod api;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod incidents;
pub(crate) mod lanes;
mod pages;
pub(crate) mod secrets;
pub(crate) mod webhooks;

pub(crate) use api::{Answer, Api, Body};
