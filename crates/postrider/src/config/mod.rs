//! Settings: flag before environment before `postrider.toml` before default, each value with
//! its origin, all problems reported at once. Nothing else reads the environment.

pub(crate) mod environment;
pub(crate) mod wiring;

mod alerts;
mod brokers;
mod client;
mod freshness;
mod lanes;
mod parse;
mod problem;
mod reader;
mod sections;
mod settings;
mod show;
mod tables;
mod traces;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use client::ClientSettings;
pub(crate) use problem::Problems;
pub(crate) use reader::Sources;
pub(crate) use settings::{Mode, Settings};
pub(crate) use show::{check, show};
pub(crate) use value::without_newline;
