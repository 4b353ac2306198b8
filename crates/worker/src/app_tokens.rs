//! Installation tokens of GitHub Apps, one for each secret and installation.
//!
//! A token is minted when a request needs one and kept in memory until shortly before its end; all
//! that wait for it share the one that mints. What can't be had is told to all of them, and is
//! remembered for a moment, so that a refusal or an outage is not asked for once a delivery.

mod equip;
mod kept;
mod mint;
mod wanted;

pub(crate) use equip::{Equipped, Unequipped, equip};
pub(crate) use kept::{AppTokens, InUse};
pub(crate) use mint::Minter;
