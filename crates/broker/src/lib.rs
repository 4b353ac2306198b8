//! Client of a Pact Broker's or PactFlow's API: the matrix, integrations, versions, environments,
//! and any other resource by path. [`Survey`] reads what the rule of `postrider_domain::owed`
//! needs to know of a pair.
//!
//! What every call keeps to:
//! * the credential goes to the broker's own origin and nowhere else: neither a link nor a
//!   redirect takes it along;
//! * it is bounded: one time-out a request, 8 MiB an answer, three tries, and only reads are
//!   tried again;
//! * an error says which broker and what to do, and never a credential or a URL's user info.

mod answer;
mod client;
mod config;
mod environments;
mod error;
mod listing;
mod matrix;
mod pact;
pub mod reconcile;
mod survey;
mod told;
mod versions;

pub use answer::{Answer, error_list, error_text, retry_after};
pub use client::{Broker, path};
pub use config::{BrokerAuth, BrokerConfig};
pub use environments::{Environment, InEnvironment, Presence};
pub use error::BrokerError;
pub use listing::{Pair, PairsPage};
pub use matrix::{MatrixRow, Verification};
pub use pact::{LatestResult, PublishedPact};
pub use survey::{LineChoice, PairView, Places, Scope, SideChoice, Survey, VersionFound};
pub use told::{RelayWebhook, TriggeredCall, is_a_relay};
pub use versions::{Pacticipant, Version};
