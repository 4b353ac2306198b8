//! Alerts: what is told of an incident, and to whom.
//!
//! An incident's opening and its resolution are written into the store together with one
//! notification for each channel. The active monitor sends them, each channel on its own, so
//! that one that hangs holds nothing else up; what fails is tried again with growing waits.
//! Receivers are set by whoever runs the program: no address policy applies to them, and plain
//! http is allowed, because an Alertmanager is often next door.

mod alertmanager;
mod config;
mod content;
mod post;
mod receiver;
mod retry;
mod send;
pub(crate) mod slack;
mod webhook;

pub use config::AlertConfig;
pub use post::AlertError;
pub use postrider_render::{InvalidSigningKey, SigningKey};
pub use receiver::send_test;

pub(crate) use post::Post;
pub(crate) use retry::wait_after;
pub(crate) use send::Sender;

#[cfg(test)]
mod tests;
