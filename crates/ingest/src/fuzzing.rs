//! What the fuzzer calls: everything that is made of a body before the store has a part in it.

use http::HeaderMap;

use crate::{events, relay};

/// Reads a call of `POST /events`; the events that would be committed, as the store keeps them.
pub fn events(headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    events::read_all(headers, body).unwrap_or_default()
}

/// Reads a call of `POST /hooks/broker`; the event that would be committed, as the store keeps it.
pub fn relayed(query: &str, body: &[u8]) -> Option<String> {
    relay::read_all(query, body).ok()
}
