//! The wire format of a message on the road.
//!
//! The body is JSON with a version, the trace is a W3C `traceparent` in the headers:
//!
//! ```text
//! content-type: application/json   delivery-mode: 2   traceparent: 00-…
//! {"v":1,"delivery_id":"0190a8f0-…","lane_id":7}
//! ```
//!
//! Messages outlive the program that wrote them, so a version is read for ever once it was
//! written (`tests/golden`). Keys that are not known are ignored: a later program may add some.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use postrider_domain::{DeliveryId, LaneId};
use postrider_telemetry::{TRACEPARENT, TraceContext};
use serde::{Deserialize, Serialize};

/// The version that is written.
const VERSION: u64 = 1;
/// Bytes. Ten times what version 1 needs.
const MAX_BODY: usize = 1024;
/// AMQP 0-9-1: the message survives a restart of RabbitMQ.
const PERSISTENT: u8 = 2;

/// One delivery that is ready, as it travels. Ids only: what is sent comes back with the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The delivery to claim.
    pub delivery_id: DeliveryId,
    /// The lane it was in when it was published; a hint, the row decides.
    pub lane_id: LaneId,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
}

/// A message was not understood. Its delivery is left to the store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A later program wrote it.
    #[error("message of version {0}, this program reads version {VERSION}")]
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

#[derive(Serialize, Deserialize)]
struct V1 {
    v: u64,
    delivery_id: DeliveryId,
    lane_id: LaneId,
}

#[derive(Deserialize)]
struct AnyVersion {
    v: u64,
}

impl Message {
    /// The body of the message, in the newest version.
    pub fn to_body(&self) -> Vec<u8> {
        let Self { delivery_id, lane_id: LaneId(lane), trace: _ } = self;
        format!(r#"{{"v":{VERSION},"delivery_id":"{delivery_id}","lane_id":{lane}}}"#).into_bytes()
    }

    /// Reads a body of any version that was ever written. The trace is not in the body.
    pub fn from_body(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MAX_BODY {
            return Err(MessageError::TooLong(body.len()));
        }
        match serde_json::from_slice::<V1>(body) {
            Ok(V1 { v: VERSION, delivery_id, lane_id }) => {
                Ok(Self { delivery_id, lane_id, trace: None })
            }
            Ok(V1 { v, .. }) => Err(MessageError::Version(v)),
            Err(error) => Err(not_version_1(body, &error)),
        }
    }

    pub(crate) fn properties(&self) -> BasicProperties {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT);
        let Some(trace) = self.trace else {
            return properties;
        };
        let mut headers = FieldTable::default();
        let value = AMQPValue::LongString(trace.to_traceparent().into());
        headers.insert(TRACEPARENT.into(), value);
        properties.with_headers(headers)
    }

    pub(crate) fn read(body: &[u8], properties: &BasicProperties) -> Result<Self, MessageError> {
        let message = Self::from_body(body)?;
        Ok(Self { trace: trace_of(properties), ..message })
    }
}

fn not_version_1(body: &[u8], error: &serde_json::Error) -> MessageError {
    match serde_json::from_slice::<AnyVersion>(body) {
        Ok(AnyVersion { v }) if v != VERSION => MessageError::Version(v),
        Ok(AnyVersion { v: _ }) | Err(_) => MessageError::Malformed { column: error.column() },
    }
}

/// A header that is no `traceparent` counts as none: the delivery matters more than its trace.
fn trace_of(properties: &BasicProperties) -> Option<TraceContext> {
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
