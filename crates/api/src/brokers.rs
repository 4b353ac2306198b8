//! Brokers that are asked what happened there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::page::list;

/// Whether a broker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broker {
    /// Its name here.
    pub name: String,
    /// When it last answered everything.
    #[schema(required)]
    pub answered_at: Option<Timestamp>,
    /// Since when it does not; null while it does.
    #[schema(required)]
    pub failing_since: Option<Timestamp>,
    /// The class of what is wrong: `away`, `credential`, `rate_limited`, `unexpected`.
    #[schema(required)]
    pub cause: Option<String>,
    /// What is wrong, in words.
    #[schema(required)]
    pub detail: Option<String>,
}

list! {
    /// A page of brokers that are asked, by name.
    pub struct BrokerList {
        /// The brokers.
        brokers: Broker,
        /// How many there are.
        total,
    }
}
