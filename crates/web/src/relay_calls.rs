//! Calls that bring events and are refused for their token: all are counted, told once a minute,
//! and those of a broker's relay are written down, for the monitor. So is that a relay's call was
//! taken, which also wakes the watch of its broker.
//!
//! Whoever has no token can make any number of calls, under any names: what is written is bounded
//! by the second and by the number of names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use percent_encoding::percent_decode_str;
use postrider_domain::WebhookUuid;
use postrider_store::Store;
use tokio_util::task::TaskTracker;

/// Where a broker's relay calls; its name may follow.
const PATH: &str = "/hooks/broker";
/// What a relay's call says for certain.
const SAYS: &str = "eventName=";
/// Where a relay says which it is.
const RELAY: &str = "relay=";
/// The broker that calls without a name.
const DEFAULT: &str = "default";
/// Bytes of a broker's name.
const NAME_MOST: usize = 256;
/// Relays that are told apart.
const NAMES: usize = 100;
/// How often a relay's calls are written down.
const WRITTEN: Duration = Duration::from_secs(1);
/// How often refused calls are told.
const TOLD: Duration = Duration::from_mins(1);

/// What a request is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IntakeCall {
    /// Events, from whoever has them.
    Events,
    /// A call of a relay of a broker.
    Relay {
        /// The broker's name.
        broker: String,
        /// The relay's uuid, as `connect` writes it into the URL; empty where there is none.
        relay: String,
    },
}

impl IntakeCall {
    /// What a request to the intake is; `None` where it is none, or no call that a broker's
    /// webhook makes.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        if path == "/events" {
            return Some(Self::Events);
        }
        let name = path.strip_prefix(PATH)?.trim_matches('/');
        let query = request.uri().query().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        // The intake takes no such name, whatever the token.
        if name.len() > NAME_MOST || name.contains(char::is_control) {
            return None;
        }
        let broker = if name.is_empty() { DEFAULT.to_owned() } else { name };
        query.contains(SAYS).then(|| Self::Relay { broker, relay: relay_in(query) })
    }

    fn route(&self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Relay { .. } => "relay",
        }
    }

    fn names(&self) -> (&str, &str) {
        match self {
            Self::Events => ("", ""),
            Self::Relay { broker, relay } => (broker, relay),
        }
    }
}

/// Which relay calls; whoever makes a name up gets no room for it.
fn relay_in(query: &str) -> String {
    let named = query.split('&').find_map(|pair| pair.strip_prefix(RELAY));
    let uuid = named.and_then(|uuid| uuid.parse::<WebhookUuid>().ok());
    uuid.map(|uuid| uuid.to_string()).unwrap_or_default()
}

/// Counts them.
#[derive(Debug)]
pub(crate) struct RelayCalls {
    store: Store,
    tracker: TaskTracker,
    counts: Mutex<BTreeMap<IntakeCall, Count>>,
}

/// Calls of one kind.
#[derive(Debug, Default)]
struct Count {
    untold: u64,
    told_at: Option<Instant>,
    unwritten: u32,
    written_at: Option<Instant>,
    taken_at: Option<Instant>,
    /// Some were refused since one was taken.
    is_refused: bool,
}

impl Count {
    /// One was refused: how many are to be told now, and how many to be written down.
    fn refused(&mut self, now: Instant) -> (Option<u64>, Option<u32>) {
        self.is_refused = true;
        self.untold += 1;
        self.unwritten = self.unwritten.saturating_add(1);
        let told = is_time(&mut self.told_at, TOLD, now).then(|| std::mem::take(&mut self.untold));
        let written = is_time(&mut self.written_at, WRITTEN, now)
            .then(|| std::mem::take(&mut self.unwritten));
        (told, written)
    }

    /// One was taken: whether that is to be written down now.
    fn taken(&mut self, now: Instant) -> bool {
        let was_refused = std::mem::take(&mut self.is_refused);
        self.unwritten = 0;
        let is_time = is_time(&mut self.taken_at, WRITTEN, now);
        if was_refused {
            (self.taken_at, self.written_at) = (Some(now), None);
        }
        is_time || was_refused
    }
}

fn is_time(last: &mut Option<Instant>, every: Duration, now: Instant) -> bool {
    let is_time = last.is_none_or(|last| now.saturating_duration_since(last) >= every);
    if is_time {
        *last = Some(now);
    }
    is_time
}

impl RelayCalls {
    pub(crate) fn new(store: Store, tracker: TaskTracker) -> Self {
        Self { store, tracker, counts: Mutex::default() }
    }

    /// A call was refused for its token.
    pub(crate) fn refused(&self, call: &IntakeCall) {
        let Some((told, written)) = self.count(call, |count| count.refused(Instant::now())) else {
            return;
        };
        let (broker, relay) = call.names();
        if let Some(count) = told {
            let (route, fix) = (call.route(), "give the caller a token of role ingest");
            tracing::warn!(route, broker, relay, count, fix, "intake.refused");
        }
        if let (Some(count), IntakeCall::Relay { .. }) = (written, call) {
            let store = self.store.clone();
            let (broker, relay) = (broker.to_owned(), relay.to_owned());
            self.tracker.spawn(async move {
                if let Err(error) = store.relay_refused(&broker, &relay, count).await {
                    tracing::warn!(broker, %error, "relay.call_not_noted");
                }
            });
        }
    }

    /// A call was taken.
    pub(crate) fn taken(&self, call: &IntakeCall) {
        let IntakeCall::Relay { broker, relay } = call else { return };
        if self.count(call, |count| count.taken(Instant::now())) == Some(true) {
            let (store, broker, relay) = (self.store.clone(), broker.clone(), relay.clone());
            self.tracker.spawn(async move {
                if let Err(error) = store.relay_taken(&broker, &relay).await {
                    tracing::warn!(broker, %error, "relay.call_not_noted");
                }
            });
        }
    }

    /// Counts; `None` where there are too many names.
    fn count<T>(&self, call: &IntakeCall, count: impl FnOnce(&mut Count) -> T) -> Option<T> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= NAMES && !counts.contains_key(call) {
            return None;
        }
        Some(count(counts.entry(call.clone()).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn call(uri: &str) -> Option<IntakeCall> {
        IntakeCall::of(&Request::builder().uri(uri).body(Body::empty()).unwrap())
    }

    #[test]
    fn calls_are_told_apart() {
        let of = |broker: &str, relay: &str| {
            Some(IntakeCall::Relay { broker: broker.to_owned(), relay: relay.to_owned() })
        };
        let relay = |broker| of(broker, "");
        for (uri, expected) in [
            ("/events", Some(IntakeCall::Events)),
            ("/hooks/broker?eventName=test", relay("default")),
            ("/hooks/broker/?a=b&eventName=x", relay("default")),
            ("/hooks/broker/team%20a/?eventName=x", relay("team a")),
            ("/hooks/broker?eventName=x&relay=0123456789abcdef", of("default", "0123456789abcdef")),
            ("/hooks/broker?eventName=x&relay=short", relay("default")),
            // Whoever tries doors.
            ("/hooks/broker", None),
            ("/hooks/broker/a%FF?eventName=x", None),
            ("/hooks/broker/a%00?eventName=x", None),
            ("/webhooks?eventName=x", None),
        ] {
            assert_eq!(call(uri), expected, "{uri}");
        }
    }

    #[test]
    fn refused_calls_are_told_once_a_minute_and_written_once_a_second() {
        let (mut count, start) = (Count::default(), Instant::now());
        let mut at = |millis: u64| count.refused(start + Duration::from_millis(millis));
        assert_eq!(at(0), (Some(1), Some(1)));
        assert_eq!(at(10), (None, None));
        assert_eq!(at(20), (None, None));
        assert_eq!(at(1_000), (None, Some(3)));
        assert_eq!(at(60_000), (Some(4), Some(1)));
    }

    #[test]
    fn what_is_taken_ends_what_was_refused_at_once() {
        let (mut count, start) = (Count::default(), Instant::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert!(count.taken(at(0)));
        assert!(!count.taken(at(10)));
        assert_eq!(count.refused(at(20)).1, Some(1));
        assert_eq!(count.refused(at(30)).1, None);
        assert!(count.taken(at(40)), "it ends what was refused");
        assert!(!count.taken(at(50)));
        assert_eq!(count.refused(at(60)).1, Some(1), "refused anew");
    }
}
