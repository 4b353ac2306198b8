//! The watch of a broker: what changed there is read every few seconds, and verifications that are
//! owed and nobody told of become events.
//!
//! A look is a walk over the pairs, newest change first, until nothing changed any more
//! ([`order`]), and a few consumers of a slow sweep over all ([`sweep`]). Deployments, releases and
//! heads move no pair: those that they concern are looked at soon ([`stirred`]). What a look reads it writes at once, events too, because their
//! key makes that safe; what it remembers ([`memory`]) it remembers at its end, so that a broker
//! that is killed in the middle costs no contract.

mod again;
mod closely;
mod error;
mod examine;
mod list;
mod memory;
mod order;
mod stirred;
mod sweep;
mod tell;
mod took;
mod walk;

pub(crate) use again::{Healer, Healing};
pub(crate) use error::WatchError;
pub(crate) use memory::Memory;
pub(crate) use tell::Teller;
pub(crate) use walk::{Walk, Walked};
