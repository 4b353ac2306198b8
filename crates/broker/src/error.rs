//! What can go wrong with a broker, by what the caller should do about it.

use std::error::Error;
use std::time::Duration;

/// Why there is no answer to build on. No message holds a credential, a query or user info.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The client's own settings are wrong; nothing was sent.
    #[error("{what}")]
    Setup {
        /// What is wrong with them.
        what: String,
    },
    /// It can't be reached, doesn't answer in time, or is in trouble itself (5xx). What it knows
    /// is unknown.
    #[error("cannot reach the broker at {broker}: {what}")]
    Away {
        /// Its address.
        broker: String,
        /// What happened.
        what: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It refused the credential (401), or the credential may not do this (403).
    #[error("the broker at {broker} refused the credential ({status}){}{}", given(from.as_deref()), detailed(detail))]
    Credential {
        /// Its address.
        broker: String,
        /// Where the credential was given, where that is known.
        from: Option<String>,
        /// 401 or 403.
        status: u16,
        /// What it said; may be empty.
        detail: String,
    },
    /// Too many requests (429).
    #[error("the broker at {broker} limits the rate{}", after(retry_after.as_ref()))]
    RateLimited {
        /// Its address.
        broker: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It knows no such pacticipant.
    #[error("the broker at {broker} knows no pacticipant named {}", quoted(names))]
    UnknownName {
        /// Its address.
        broker: String,
        /// The names that it doesn't know, of those that were asked for.
        names: Vec<String>,
    },
    /// An answer that makes no sense here.
    #[error("unexpected answer of the broker at {broker}: {what}")]
    Unexpected {
        /// Its address.
        broker: String,
        /// What is unexpected, and what it may mean.
        what: String,
    },
}

/// `, given as PACT_BROKER_TOKEN`, or nothing.
fn given(from: Option<&str>) -> String {
    from.map(|from| format!(", given as {from}")).unwrap_or_default()
}

fn detailed(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

fn after(retry_after: Option<&Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!("; try again in {} s", wait.as_secs()))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// What is at the bottom of an error; the layers above it only say that a request failed.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
