//! The monitor: judges facts, keeps incidents true, shows figures, forgets what is old.
//!
//! Any number of processes may run it; the one that holds the lease is active. What it judges
//! are facts read from the store in one go; how it judges is [`evaluate`], a pure function.

mod rules;
mod run;

pub use rules::{Rules, evaluate};
pub use run::{Monitor, MonitorConfig};
