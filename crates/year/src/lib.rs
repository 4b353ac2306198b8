//! A year of traffic in virtual time over the real rules: how late faults are found, and how often
//! there is an alarm for nothing. See `docs/year.md`.
//!
//! Only the world is made up: consumers that publish, providers that build, runs that take their
//! time, faults. What is judged is judged by the rules that the program runs: what is owed and
//! since when ([`owed`](postrider_domain::owed)), what is kept of it
//! ([`Ledger`](postrider_monitor::fold::Ledger)), what is learned of providers
//! ([`ResultTimes`](postrider_domain::ResultTimes)), streaks, holds of lanes, retries, quiet days,
//! and when something is an incident ([`evaluate`](postrider_monitor::evaluate),
//! [`Tally`](postrider_monitor::Tally)).
//!
//! One seed decides everything. One thread, one heap of what happens when, no clock.
//!
//! It is a crate of its own and no part of `postrider-sim`: that one drives the scheduler over a
//! store in memory and knows no role, this one stands on the monitor, and on what the monitor
//! stands on.
//!
//! | concern | file |
//! |---|---|
//! | when people work | `calendar.rs`, `time.rs` |
//! | what there is, and what happens | `world.rs`, `parts.rs`, `happening.rs` |
//! | publications, builds, deployments | `traffic.rs` |
//! | deliveries, runs, results | `delivery.rs` |
//! | what a look at a pair makes of it | `look.rs` |
//! | what is judged, and when | `judging.rs` |
//! | what an alarm was worth | `alarms.rs`, `counts.rs` |
//! | faults | `plan.rs`, `faults.rs` |
//! | rules that must fail | `control.rs`, `controlled.rs` |
//! | what it came to | `report.rs`, `table.rs` |

mod alarms;
mod calendar;
mod chance;
mod control;
mod controlled;
mod counts;
mod delivery;
mod faults;
mod happening;
mod judging;
mod look;
mod parts;
mod plan;
mod report;
mod run;
mod table;
mod time;
mod traffic;
mod world;

#[cfg(test)]
mod tests;

pub use counts::{Alarm, Worth};
pub use plan::{FaultKind, Plan};
pub use report::{Fate, FaultReport, OfControl, OfFault, OfKind, Report, Summary, summary};
pub use run::run;
pub use table::tables;
pub use time::Millis;
