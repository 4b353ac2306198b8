//! The wire format of a message of the dispatch queue.
//!
//! The body is JSON with a version, the trace is a W3C `traceparent` in the headers:
//!
//! ```text
//! content-type: application/json   delivery-mode: 2   traceparent: 00-…
//! {"v":2,"deliveries":[["0190a8f0-…",7],["0190a8f1-…",7]],"wake":[9]}
//! ```
//!
//! `deliveries` are deliveries of one commit that are ready, each with its lane; `wake` names
//! lanes that got something to do, of which each has one worker that looks into the store.
//! Version 1 named one delivery: `{"v":1,"delivery_id":"0190a8f0-…","lane_id":7}`.
//!
//! Messages outlive the program that wrote them, so a version is read for ever once it was
//! written (`tests/golden`). Keys that are not known are ignored: a later program may add some.
//! Each version has queues of its own, for a program that does not know a version could only set
//! its messages aside.

use std::collections::HashSet;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use postrider_domain::{DeliveryId, LaneId};
use postrider_telemetry::{TRACEPARENT, TraceContext};
use serde::Deserialize;

/// The version that is written.
pub(crate) const VERSION: u64 = 2;
/// Deliveries of one message at most (measured: RabbitMQ takes 23 µs an id at one id a message,
/// 3.9 at 8, 1.4 at 32).
pub const MAX_DELIVERIES: usize = 32;
/// Lanes that one message wakes at most.
const MAX_WAKE: usize = 128;
/// Bytes. Three times what a full message of version 2 needs.
const MAX_BODY: usize = 16 * 1024;
/// AMQP 0-9-1: the message survives a restart of RabbitMQ.
const PERSISTENT: u8 = 2;

/// Deliveries that are ready, as they travel. Ids only: what is sent comes back with the claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The deliveries to claim, each with the lane it was in when it was published: a hint, the
    /// row decides.
    pub deliveries: Vec<(DeliveryId, LaneId)>,
    /// Lanes in whose rows something waits.
    pub wake: Vec<LaneId>,
    /// The spans of the calls that it was made for, each once. They don't travel, the span of the
    /// publishing does.
    pub calls: Vec<TraceContext>,
}

/// A delivery to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// Which.
    pub id: DeliveryId,
    /// Its lane.
    pub lane: LaneId,
    /// The span of the call that brought it.
    pub call: Option<TraceContext>,
}

/// A message was not understood. Its deliveries are left to the store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A later program wrote it.
    #[error("message of version {0}, this program reads versions up to {VERSION}")]
    Version(u64),
    /// Longer than any message of ours.
    #[error("message of {0} bytes, at most {MAX_BODY} are expected")]
    TooLong(usize),
    /// Not one of ours. Says where it stops making sense, never what it said.
    #[error("message is not understood at column {column}")]
    Malformed {
        /// Column of the JSON text, 0 when it is not known.
        column: usize,
    },
}

/// The keys of all versions.
#[derive(Deserialize)]
struct Body {
    v: u64,
    delivery_id: Option<DeliveryId>,
    lane_id: Option<LaneId>,
    deliveries: Option<Vec<(DeliveryId, LaneId)>>,
    wake: Option<Vec<LaneId>>,
}

#[derive(Deserialize)]
struct AnyVersion {
    v: u64,
}

/// Packs deliveries of one commit, in their order, and lanes to wake, each with the span of a call
/// that it is woken for, into as few messages as they fit in.
pub fn pack(fresh: &[Fresh], wake: &[(LaneId, Option<TraceContext>)]) -> Vec<Message> {
    let count = fresh.len().div_ceil(MAX_DELIVERIES).max(wake.len().div_ceil(MAX_WAKE));
    let message = |at: usize| {
        let fresh = fresh.chunks(MAX_DELIVERIES).nth(at).unwrap_or_default();
        let wake = wake.chunks(MAX_WAKE).nth(at).unwrap_or_default();
        Message::of(fresh, wake)
    };
    (0..count).map(message).collect()
}

impl Message {
    fn of(fresh: &[Fresh], wake: &[(LaneId, Option<TraceContext>)]) -> Self {
        let mut seen = HashSet::new();
        let calls = fresh.iter().map(|fresh| fresh.call).chain(wake.iter().map(|(_, call)| *call));
        Self {
            deliveries: fresh.iter().map(|fresh| (fresh.id, fresh.lane)).collect(),
            wake: wake.iter().map(|(lane, _)| *lane).collect(),
            calls: calls.flatten().filter(|call| seen.insert(*call)).collect(),
        }
    }

    /// The body of the message, in the newest version.
    pub fn to_body(&self) -> Vec<u8> {
        let deliveries =
            self.deliveries.iter().map(|(id, LaneId(lane))| format!(r#"["{id}",{lane}]"#));
        let deliveries: Vec<String> = deliveries.collect();
        let wake: Vec<String> = self.wake.iter().map(|LaneId(lane)| lane.to_string()).collect();
        let (deliveries, wake) = (deliveries.join(","), wake.join(","));
        format!(r#"{{"v":{VERSION},"deliveries":[{deliveries}],"wake":[{wake}]}}"#).into_bytes()
    }

    /// Reads a body of any version that was ever written.
    pub fn from_body(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MAX_BODY {
            return Err(MessageError::TooLong(body.len()));
        }
        let read: Body = serde_json::from_slice(body).map_err(|error| unread(body, &error))?;
        let (deliveries, wake) = match read {
            Body { v: 1, delivery_id: Some(id), lane_id: Some(lane), .. } => {
                (vec![(id, lane)], Vec::new())
            }
            Body { v: VERSION, deliveries: Some(deliveries), wake, .. } => {
                (deliveries, wake.unwrap_or_default())
            }
            Body { v: 1..=VERSION, .. } => return Err(MessageError::Malformed { column: 0 }),
            Body { v, .. } => return Err(MessageError::Version(v)),
        };
        Ok(Self { deliveries, wake, calls: Vec::new() })
    }
}

/// Keys of a later version may have our names and other values.
fn unread(body: &[u8], error: &serde_json::Error) -> MessageError {
    match serde_json::from_slice::<AnyVersion>(body) {
        Ok(AnyVersion { v }) if !(1..=VERSION).contains(&v) => MessageError::Version(v),
        Ok(AnyVersion { v: _ }) | Err(_) => MessageError::Malformed { column: error.column() },
    }
}

/// What goes along with a body.
pub(crate) fn properties(trace: Option<TraceContext>) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT);
    let Some(trace) = trace else {
        return properties;
    };
    let mut headers = FieldTable::default();
    let value = AMQPValue::LongString(trace.to_traceparent().into());
    headers.insert(TRACEPARENT.into(), value);
    properties.with_headers(headers)
}

/// A header that is no `traceparent` counts as none: the delivery matters more than its trace.
pub(crate) fn trace_of(properties: &BasicProperties) -> Option<TraceContext> {
    let headers = properties.headers().as_ref()?;
    let text = match headers.inner().get(TRACEPARENT)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?,
        AMQPValue::ShortString(text) => text.as_str(),
        _ => return None,
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests;
