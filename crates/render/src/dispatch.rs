//! What GitHub asks of a dispatch, checked before it is sent: GitHub's own answer would be a
//! 422 that doesn't say which rule was broken.

use std::borrow::Cow;
use std::fmt;

use postrider_domain::TargetKind;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use url::Url;

use crate::RenderError;

/// Largest body of a dispatch, in bytes (GitHub docs: events that trigger workflows).
pub const MAX_DISPATCH_BYTES: usize = 65_535;
/// Longest `event_type`, in characters (GitHub's `OpenAPI` description).
pub const MAX_EVENT_TYPE_CHARS: usize = 100;
/// Most top-level keys of `client_payload` (GitHub's `OpenAPI` description).
pub const MAX_PAYLOAD_KEYS: usize = 10;

/// What is missing or is no JSON at all is left to GitHub to refuse.
pub(crate) fn check(url: &Url, body: Option<&[u8]>) -> Result<(), RenderError> {
    let kind = TargetKind::of(url);
    let Some(body) = body.filter(|_| kind.is_github()) else {
        return Ok(());
    };
    if body.len() > MAX_DISPATCH_BYTES {
        return Err(RenderError::TooLarge { bytes: body.len(), limit: MAX_DISPATCH_BYTES });
    }
    match kind {
        TargetKind::RepositoryDispatch => {
            serde_json::from_slice::<RepositoryDispatch<'_>>(body).map_or(Ok(()), |d| d.check())
        }
        TargetKind::WorkflowDispatch | TargetKind::Other => Ok(()),
    }
}

#[derive(Deserialize)]
struct RepositoryDispatch<'a> {
    #[serde(borrow, default)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    client_payload: Option<&'a RawValue>,
}

impl RepositoryDispatch<'_> {
    fn check(&self) -> Result<(), RenderError> {
        let chars = self.event_type.and_then(|raw| string_chars(raw.get()));
        if let Some(chars) = chars.filter(|chars| !(1..=MAX_EVENT_TYPE_CHARS).contains(chars)) {
            return Err(RenderError::EventType { chars, limit: MAX_EVENT_TYPE_CHARS });
        }
        let keys = self.client_payload.and_then(|raw| object_keys(raw.get()));
        match keys.filter(|keys| *keys > MAX_PAYLOAD_KEYS) {
            Some(keys) => Err(RenderError::PayloadKeys { keys, limit: MAX_PAYLOAD_KEYS }),
            None => Ok(()),
        }
    }
}

fn string_chars(json: &str) -> Option<usize> {
    serde_json::from_str::<Cow<'_, str>>(json).ok().map(|text| text.chars().count())
}

fn object_keys(json: &str) -> Option<usize> {
    serde_json::from_str::<KeyCount>(json).ok().map(|count| count.0)
}

struct KeyCount(usize);

impl<'de> Deserialize<'de> for KeyCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(0))
    }
}

impl<'de> Visitor<'de> for KeyCount {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.0 += 1;
        }
        Ok(self)
    }
}
