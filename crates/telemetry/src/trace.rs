//! Trace context that travels: W3C `traceparent` in HTTP and AMQP headers.
//!
//! Source: W3C Recommendation "Trace Context" of 23 November 2021, section 3.2. Only version 00
//! is written and read: a header of another version or shape starts a new trace instead.

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use serde::{Deserialize, Serialize};

/// The name of the header, in HTTP and in AMQP messages.
pub const TRACEPARENT: &str = "traceparent";

const TEXT_LEN: usize = 55;

/// One span of one trace. Its text is the value of the header `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

/// The text is no `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent of version 00")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// The first span of a new trace, sampled, made from 24 random bytes.
    pub fn root(random: [u8; 24]) -> Self {
        let mut trace_id = [0; 16];
        let mut span_id = [0; 8];
        trace_id.copy_from_slice(&random[..16]);
        span_id.copy_from_slice(&random[16..]);
        Self { trace_id: never_zero(trace_id), span_id: never_zero(span_id), sampled: true }
    }

    /// The first span of a new trace, of fresh random bytes.
    pub fn new_root() -> Self {
        Self::root(rand::random())
    }

    /// Another span of the same trace, made from 8 random bytes.
    #[must_use]
    pub fn child_of(&self, random: [u8; 8]) -> Self {
        Self { span_id: never_zero(random), ..*self }
    }

    /// Another span of the same trace, of fresh random bytes.
    #[must_use]
    pub fn child(&self) -> Self {
        self.child_of(rand::random())
    }

    /// The same span, with another flag.
    pub(crate) fn with_sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    /// As the OpenTelemetry SDK knows it; `remote` when another process made it.
    pub(crate) fn to_span_context(self, remote: bool) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id),
            SpanId::from_bytes(self.span_id),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
            remote,
            TraceState::NONE,
        )
    }

    /// The span's id.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Whether the trace is recorded (flag 01).
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    /// The trace's id: 32 lower-case hex digits.
    pub fn trace_id_hex(&self) -> String {
        hex::encode(self.trace_id)
    }

    /// The span's id: 16 lower-case hex digits.
    pub fn span_id_hex(&self) -> String {
        hex::encode(self.span_id)
    }

    /// The value of the header `traceparent`.
    pub fn to_traceparent(&self) -> String {
        self.to_string()
    }
}

/// All zero is no id (section 3.2.2.3).
fn never_zero<const N: usize>(mut id: [u8; N]) -> [u8; N] {
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0_u8; 48];
        let (trace, span) = digits.split_at_mut(32);
        hex::encode_to_slice(self.trace_id, trace).map_err(|_| fmt::Error)?;
        hex::encode_to_slice(self.span_id, span).map_err(|_| fmt::Error)?;
        let trace = std::str::from_utf8(trace).map_err(|_| fmt::Error)?;
        let span = std::str::from_utf8(span).map_err(|_| fmt::Error)?;
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: &[u8; TEXT_LEN] = text.as_bytes().try_into().map_err(|_| InvalidTraceparent)?;
        let dashed = bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        if !dashed || !bytes.starts_with(b"00") {
            return Err(InvalidTraceparent);
        }
        let [flags] = lower_hex(&bytes[53..])?;
        let (trace_id, span_id) = (lower_hex(&bytes[3..35])?, lower_hex(&bytes[36..52])?);
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

fn lower_hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], InvalidTraceparent> {
    let mut id = [0; N];
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(InvalidTraceparent);
    }
    hex::decode_to_slice(digits, &mut id).map_err(|_| InvalidTraceparent)?;
    Ok(id)
}

impl Serialize for TraceContext {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
