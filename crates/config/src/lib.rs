//! Settings: flag before environment before `postrider.toml` before default, each value with its
//! origin, all problems reported at once. Nothing else reads the environment.
//!
//! A setting is declared once, as the field that holds its value (`settings!`): its comment is the
//! meaning, and behind the `=` stand name, type, example, readers and default. Parsing, flags, keys of
//! the settings file, suggestions for misspelt names, `config show` and `docs/settings.md` are
//! made of that. A new one is one field more in the file of its section.

mod access;
mod alerts;
mod brokers;
mod client;
mod command;
mod contexts;
mod credentials;
mod declaration;
mod environment;
mod freshness;
mod kinds;
mod lanes;
mod log;
mod mode;
mod monitor;
mod parse;
mod problem;
mod proxies;
mod reader;
mod reference;
mod section;
mod settings;
mod store;
mod tables;
mod traces;
mod value;
mod webhook;
mod worker;

#[cfg(test)]
mod tests;

pub use access::{AccessSettings, ListenSettings, WayInSettings};
pub use alerts::{AlertReceiver, AlertSettings};
pub use brokers::BrokerSettings;
pub use client::ClientSettings;
pub use contexts::{Context, Contexts, is_context_name};
pub use credentials::CredentialSettings;
pub use declaration::{Declaration, Role, Unset};
pub use environment::{Input, Unreadable, read_text};
pub use freshness::time_zone;
pub use log::{LogSettings, TestSettings};
pub use mode::Mode;
pub use monitor::MonitorSettings;
pub use problem::{Problem, Problems};
pub use proxies::{PROXY_FIX, proxies_of_environment};
pub use reader::{Effective, Flags, Sources};
pub use reference::{declarations, reference, tables};
pub use settings::Settings;
pub use store::{QueueSettings, RelaySettings, StoreSettings};
pub use tables::{TableDeclaration, TableKey};
pub use traces::TraceSettings;
pub use value::{Origin, without_newline};
pub use webhook::WebhookSettings;
pub use worker::WorkerSettings;
