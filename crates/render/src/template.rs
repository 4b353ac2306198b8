//! The template language: text with placeholders, parsed once, filled in many times.
//!
//! A placeholder is exactly `${pactbroker.NAME}` with one of the 20 names, `${user.NAME}` with
//! `[A-Za-z0-9_-]{1,64}`, or `${postrider.deliveryId}`. There is no escape, no default, no
//! space and no nesting, as in Pact Broker 2.120; whatever else looks like a placeholder stays
//! literally, and of `$${…}` the first `$` stays in front of the value. A filter may follow the
//! name, `${pactbroker.NAME|xml}` (module `filter`); it comes before the place's own encoding. Unlike the broker, which
//! replaces one variable after the other, values are filled in in one pass: a value that holds a
//! placeholder comes out as itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::encode::{self, Encoding};
use crate::filter::Filter;
use crate::{BrokerVar, RenderError, Variables};

const MAX_SECRET_NAME: usize = 64;

/// What stands in a template for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placeholder {
    Broker(BrokerVar),
    Secret(String),
    DeliveryId,
}

impl Placeholder {
    /// Reads what stands between `${` and `}`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name.split_once('.')? {
            ("pactbroker", var) => BrokerVar::from_name(var).map(Self::Broker),
            ("user", secret) if is_secret_name(secret) => Some(Self::Secret(secret.to_owned())),
            ("postrider", "deliveryId") => Some(Self::DeliveryId),
            _ => None,
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=MAX_SECRET_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// A placeholder and the filter behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    placeholder: Placeholder,
    filter: Option<Filter>,
}

/// Whether `${text}` is filled in.
pub(crate) fn is_placeholder(text: &str) -> bool {
    Slot::read(text).is_some()
}

impl Slot {
    /// Reads what stands between `${` and `}`.
    fn read(text: &str) -> Option<Self> {
        let (name, filter) = match text.split_once('|') {
            None => (text, None),
            Some((name, filter)) => (name, Some(Filter::from_name(filter)?)),
        };
        Some(Self { placeholder: Placeholder::from_name(name)?, filter })
    }

    fn push(&self, out: &mut String, value: Cow<'_, str>, place: Encoding) {
        match self.filter {
            None => encode::push(out, &value, place),
            Some(filter) => encode::push(out, &filter.apply(value), filter.then(place)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Slot(Slot),
}

/// A parsed text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
}

impl Template {
    /// Never fails: what is no placeholder is text. Linear in the length of `text`, because a
    /// name is read at most once and holds no `$`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parsed = Self { segments: Vec::new() };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            parsed.literal(before);
            let end = after.find(|c| !is_name_char(c)).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            rest = if let Some((behind, slot)) = tail.strip_prefix('}').zip(Slot::read(name)) {
                parsed.segments.push(Segment::Slot(slot));
                behind
            } else {
                parsed.literal("${");
                parsed.literal(name);
                tail
            };
        }
        parsed.literal(rest);
        parsed
    }

    fn literal(&mut self, text: &str) {
        match self.segments.last_mut() {
            _ if text.is_empty() => {}
            Some(Segment::Literal(last)) => last.push_str(text),
            Some(Segment::Slot(_)) | None => self.segments.push(Segment::Literal(text.to_owned())),
        }
    }

    /// The placeholders, in order.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Slot(slot) => Some(&slot.placeholder),
            Segment::Literal(_) => None,
        })
    }

    /// Whether a value of any shape is put in that none of these filters writes. The delivery's id
    /// can't break anything.
    pub(crate) fn has_value_without(&self, filters: &[Filter]) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Slot(slot) => {
                slot.placeholder != Placeholder::DeliveryId
                    && slot.filter.is_none_or(|filter| !filters.contains(&filter))
            }
            Segment::Literal(_) => false,
        })
    }

    pub(crate) fn is_fixed(&self) -> bool {
        self.placeholders().next().is_none()
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.placeholders().any(|placeholder| matches!(placeholder, Placeholder::Secret(_)))
    }

    /// The first secret in it whose value is such; its name.
    pub(crate) fn secret_that<'t>(
        &'t self,
        values: &Values<'_>,
        is_such: impl Fn(&str) -> bool,
    ) -> Option<&'t str> {
        self.placeholders().find_map(|placeholder| match placeholder {
            Placeholder::Secret(name) => {
                values.secret(name).is_ok_and(&is_such).then_some(name.as_str())
            }
            Placeholder::Broker(_) | Placeholder::DeliveryId => None,
        })
    }

    /// The text with the same stand-in for each placeholder.
    pub(crate) fn with_stand_in(&self, stand_in: &str) -> String {
        let text = |segment| match segment {
            Segment::Literal(text) => text,
            Segment::Slot(_) => stand_in.to_owned(),
        };
        self.segments.iter().cloned().map(text).collect()
    }

    /// The text with its values. What is built stays within 36 times `limit` bytes, whatever
    /// the values hold.
    pub(crate) fn fill(
        &self,
        values: &Values<'_>,
        encoding: Encoding,
        limit: usize,
    ) -> Result<Filled, RenderError> {
        let mut out = String::new();
        for segment in &self.segments {
            let value = match segment {
                Segment::Literal(text) => Cow::Borrowed(text.as_str()),
                Segment::Slot(slot) => values.get(&slot.placeholder)?,
            };
            // Neither filters nor encodings make a value shorter.
            let at_least = out.len().saturating_add(value.len());
            if at_least > limit {
                return Ok(Filled::TooLong(at_least));
            }
            match segment {
                Segment::Literal(text) => out.push_str(text),
                Segment::Slot(slot) => slot.push(&mut out, value, encoding),
            }
        }
        Ok(if out.len() > limit { Filled::TooLong(out.len()) } else { Filled::Text(out) })
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '|')
}

/// What came of filling in a template.
pub(crate) enum Filled {
    Text(String),
    /// Its size, or a lower bound of it.
    TooLong(usize),
}

/// Everything that a placeholder can stand for.
pub(crate) struct Values<'a> {
    pub(crate) vars: &'a Variables<'a>,
    pub(crate) secrets: &'a BTreeMap<String, SecretString>,
}

impl Values<'_> {
    fn get(&self, placeholder: &Placeholder) -> Result<Cow<'_, str>, RenderError> {
        match placeholder {
            Placeholder::Broker(var) => Ok(self.vars.value(*var)),
            Placeholder::DeliveryId => Ok(Cow::Owned(self.vars.delivery_id.to_string())),
            Placeholder::Secret(name) => self.secret(name).map(Cow::Borrowed),
        }
    }

    /// An empty value is no value: nobody means `Bearer ` and nothing behind it.
    pub(crate) fn secret(&self, name: &str) -> Result<&str, RenderError> {
        self.secrets
            .get(name)
            .map(ExposeSecret::expose_secret)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| RenderError::SecretMissing { name: name.to_owned() })
    }
}
