//! The monitor: judges facts, keeps incidents true, tells who has to know, shows figures,
//! forgets what is old.
//!
//! Any number of processes may run it; the one that holds the lease is active. What it judges
//! are facts read from the store one by one; how it judges is [`evaluate`], a pure function.
//! Facts of pairs are folded together from events and from the brokers' matrix ([`fold`]);
//! alerts are written with the incident and sent afterwards ([`alert`]).

mod alert;
mod brokers;
mod debts;
mod digest;
mod facts;
mod failed_runs;
pub mod fold;
mod pairs;
mod remind;
mod rules;
mod run;
mod samples;
mod tally;
mod tasks;
mod upkeep;
mod watch;
mod words;

pub use alert::{AlertConfig, AlertError, InvalidSigningKey, SigningKey, send_test};
pub use brokers::NamedBroker;
pub use debts::DebtFact;
pub use rules::{Facts, MonitorFacts, RelayFacts, Rules, broker_patience, evaluate};
pub use run::{Monitor, MonitorConfig, MonitorError};
pub use tally::Tally;
