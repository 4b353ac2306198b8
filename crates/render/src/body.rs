//! The request's body.
//!
//! A JSON body is kept as its compact text. In JSON text a placeholder can only stand inside a
//! string (of a value or a key), and serialising neither makes nor breaks one, because no
//! character of `${user.name}` is ever escaped. Filling in values escaped for the inside of a
//! JSON string therefore is the same as rendering each value and key by itself, at the price of
//! copying text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use postrider_domain::{Body, BodyMode, RequestTemplate};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::RenderError;
use crate::encode::Encoding;
use crate::template::{Filled, Template, Values};

/// Largest body sent to any target, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct BodyTemplate {
    template: Template,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// Values can make two keys equal, so the outcome is looked at.
    JsonWithVariableKeys,
    Text,
}

impl BodyTemplate {
    /// A body that is JSON `null` is none: Pact Broker sends these four letters, but only
    /// because it serialises what is missing.
    pub(crate) fn parse(request: &RequestTemplate) -> Option<Self> {
        let body = request.body.as_ref()?;
        let text = body_text(body)?;
        let template = Template::parse(&text);
        let form = match request.body_mode {
            BodyMode::Raw => Form::Text,
            BodyMode::Json => Form::of(body, &text, &template),
        };
        Some(Self { template, form })
    }

    /// Sent unless the webhook has its own. The broker's client says the second of every body
    /// (Ruby's `net/http`); JSON is called JSON here, since nothing relies on a wrong name.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.form {
            Form::Json | Form::JsonWithVariableKeys => "application/json",
            Form::Text => "application/x-www-form-urlencoded",
        }
    }

    /// Whatever the values are, the outcome is JSON.
    pub(crate) fn is_json(&self) -> bool {
        match self.form {
            Form::Json | Form::JsonWithVariableKeys => true,
            Form::Text => false,
        }
    }

    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<Vec<u8>, RenderError> {
        let encoding = match self.form {
            Form::Json | Form::JsonWithVariableKeys => Encoding::Json,
            Form::Text => Encoding::Raw,
        };
        let text = match self.template.fill(values, encoding, MAX_BODY_BYTES)? {
            Filled::Text(text) => text,
            Filled::TooLong(bytes) => {
                return Err(RenderError::TooLarge { bytes, limit: MAX_BODY_BYTES });
            }
        };
        if self.form == Form::JsonWithVariableKeys && has_duplicate_keys(&text) {
            return Err(RenderError::DuplicateKey);
        }
        Ok(text.into_bytes())
    }
}

impl Form {
    fn of(body: &Body, text: &str, template: &Template) -> Self {
        let value = match body {
            Body::Json(value) => Cow::Borrowed(value),
            Body::Text(_) if template.is_fixed() => {
                let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
                return if json { Self::Json } else { Self::Text };
            }
            Body::Text(_) => match serde_json::from_str(text) {
                Ok(value) => Cow::Owned(value),
                Err(_) => return Self::Text,
            },
        };
        if has_variable_key(&value) { Self::JsonWithVariableKeys } else { Self::Json }
    }
}

/// The text that holds the body's placeholders.
pub(crate) fn body_text(body: &Body) -> Option<Cow<'_, str>> {
    match body {
        Body::Json(Value::Null) => None,
        Body::Json(value) => Some(Cow::Owned(value.to_string())),
        Body::Text(text) => Some(Cow::Borrowed(text)),
    }
}

fn has_variable_key(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, inner)| !Template::parse(key).is_fixed() || has_variable_key(inner)),
        Value::Array(list) => list.iter().any(has_variable_key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn has_duplicate_keys(text: &str) -> bool {
    serde_json::from_str::<UniqueKeys>(text).is_err()
}

/// Any JSON whose objects have no key twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }
    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("duplicate key"));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}
