//! Commands that speak HTTP to a running postrider, to a Pact Broker, or to both, and to nothing
//! else; how all commands write and fail.
//!
//! Each command is a module: its arguments and `run`, which gets what it needs handed over and
//! returns the exit code. What it decides is a pure function beside it.

mod api;
pub mod audit;
pub mod broker;
mod broker_webhooks;
pub mod check;
pub mod connect;
pub mod context;
pub mod deliveries;
pub mod doctor;
pub mod events;
mod exit;
mod flags;
mod follow;
pub mod freshness;
pub mod health;
mod import;
pub mod incidents;
pub mod lanes;
mod one_of;
mod output;
mod pages;
pub mod reconcile;
pub mod secrets;
mod time;
mod typed;
pub mod webhooks;

pub use api::Api;
pub(crate) use api::{Answer, Body};
pub use exit::{Exit, Failure};
pub use flags::{Connection, RoleFlags};
pub use output::{Format, Out, OutputArgs, Style, complain, printable};
pub(crate) use output::{cell, cell_of, seconds};
pub(crate) use time::{moment, moment_ahead};
