//! How a call is known again.

use postrider_domain::Event;
use postrider_http_server::Problem;
use postrider_store::KeyTerm;
use std::time::{Duration, Instant};

use crate::events::fingerprint;

/// Longest time that the content stands for its event. A broker calls at 0, 10, 60, 120, 300, 600
/// and 1200 s after the call before, each of which takes 15 s to connect and 15 s to read at most
/// (Pact Broker 2.120): 42 minutes in all.
const LONGEST: Duration = Duration::from_hours(1);

/// Under what the event is committed.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: Option<String>,
    pub(super) fingerprint: [u8; 16],
    pub(super) term: Option<KeyTerm>,
}

impl Identity {
    /// By what stays the same over a broker's repeats: it renders tags, branches and labels anew
    /// for each. Without a pact's URL or a consumer version nothing tells a repeat from the next
    /// publication, and each call is an event: better one dispatch more than one less.
    pub(super) fn of(event: &Event, arrived: Instant) -> Result<Self, Problem> {
        let (consumer, provider) = (&event.consumer, &event.provider);
        let content = serde_json::to_vec(&(
            event.event_name,
            &event.broker,
            [&consumer.name, &consumer.version_number],
            [&provider.name, &provider.version_number],
            [&event.pact_url, &event.verification_result_url],
        ));
        let fingerprint = fingerprint(&content.map_err(|_| Problem::internal())?);
        if event.pact_url.is_empty() && consumer.version_number.is_empty() {
            return Ok(Self { key: None, fingerprint, term: None });
        }
        Ok(Self {
            key: Some(format!("relay:{}", hex::encode(fingerprint))),
            fingerprint,
            term: Some(KeyTerm { arrived, longest: LONGEST }),
        })
    }
}
