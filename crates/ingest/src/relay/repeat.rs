//! How a call is known again.

use std::time::{Duration, Instant};

use postrider_domain::Event;
use postrider_http_server::Problem;
use postrider_store::{EventKey, KeyTerm};

/// Longest time that the content stands for its event. A broker calls at 0, 10, 60, 120, 300, 600
/// and 1200 s after the call before, each of which takes 15 s to connect and 15 s to read at most
/// (Pact Broker 2.120): 42 minutes in all.
const LONGEST: Duration = Duration::from_hours(1);

/// Under what the event is committed.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) key: Option<String>,
    pub(super) fingerprint: [u8; 16],
    pub(super) term: Option<KeyTerm>,
}

impl Identity {
    /// By what stays the same over a broker's repeats ([`EventKey`]): it renders tags, branches
    /// and labels anew for each. Where nothing tells a repeat from the next publication each call
    /// is an event: better one dispatch more than one less.
    pub(super) fn of(event: &Event, arrived: Instant) -> Result<Self, Problem> {
        let EventKey { text: key, fingerprint } = EventKey::of(event)?;
        let term = key.is_some().then_some(KeyTerm { arrived, longest: LONGEST });
        Ok(Self { key, fingerprint, term })
    }

    /// From now on it is as if the call had arrived just now: what was freed in between is free.
    pub(super) fn arrives_now(&mut self) {
        if let Some(term) = &mut self.term {
            term.arrived = Instant::now();
        }
    }
}
