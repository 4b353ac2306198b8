//! Which events a webhook is for, by what they say of branches, tags and names.

use std::fmt;

use serde_json::Value;

use super::read::Reader;
use crate::Event;

/// Patterns of one key, and bytes of one pattern.
const MAX_PATTERNS: usize = 50;
const MAX_BYTES: usize = 255;

/// What a key is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenKey {
    /// The consumer's name.
    Consumers,
    /// The provider's name.
    Providers,
    /// The consumer version's branch.
    ConsumerBranches,
    /// The consumer version's tags, of which one suffices.
    ConsumerTags,
    /// The provider version's branch.
    ProviderBranches,
}

impl WhenKey {
    const ALL: [Self; 5] = [
        Self::Consumers,
        Self::Providers,
        Self::ConsumerBranches,
        Self::ConsumerTags,
        Self::ProviderBranches,
    ];

    /// As the document calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumers => "consumers",
            Self::Providers => "providers",
            Self::ConsumerBranches => "consumerBranches",
            Self::ConsumerTags => "consumerTags",
            Self::ProviderBranches => "providerBranches",
        }
    }

    fn values(self, event: &Event) -> Vec<&str> {
        match self {
            Self::Consumers => vec![&event.consumer.name],
            Self::Providers => vec![&event.provider.name],
            Self::ConsumerBranches => vec![&event.consumer.branch],
            Self::ConsumerTags => event.consumer.tags.iter().map(String::as_str).collect(),
            Self::ProviderBranches => vec![&event.provider.branch],
        }
    }
}

/// Patterns by key: all keys must match, of each one pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When(Vec<(WhenKey, Vec<Pattern>)>);

/// Why an event is not for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// The key that did not match.
    pub key: WhenKey,
    /// What the event says there, `, ` between several; empty when nothing.
    pub value: String,
}

impl fmt::Display for KeptOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value } = self;
        write!(f, "postrider.when.{} does not match {value:?}", key.as_str())
    }
}

impl When {
    /// The first key that keeps an event out; `None` when the event is wanted.
    pub fn kept_out(&self, event: &Event) -> Option<KeptOut> {
        let (key, _) =
            self.0.iter().find(|(key, patterns)| !matches(patterns, &key.values(event)))?;
        Some(KeptOut { key: *key, value: key.values(event).join(", ") })
    }
}

/// Nothing said matches `*` alone: who asks for a branch does not want events without one.
fn matches(patterns: &[Pattern], values: &[&str]) -> bool {
    let said = || values.iter().filter(|value| !value.is_empty());
    let takes_all = patterns.iter().any(|pattern| pattern.0 == ["", ""]);
    takes_all || said().any(|value| patterns.iter().any(|pattern| pattern.matches(value)))
}

/// A text in which `*` stands for any run of characters, none included, and `\*` and `\\` for
/// these characters: kept as the texts between the stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Any text is one; a backslash before another character stands for itself.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => {
                    let escaped = chars.next_if(|next| matches!(next, '*' | '\\'));
                    part.push(escaped.unwrap_or('\\'));
                }
                other => part.push(other),
            }
        }
        parts.push(part);
        Self(parts)
    }

    /// Whether the whole value fits, case-sensitively.
    pub fn matches(&self, value: &str) -> bool {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return false };
        if self.0.len() == 1 {
            return value == first;
        }
        let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
        for part in self.0.get(1..self.0.len() - 1).unwrap_or_default() {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }
}

pub(super) fn read(reader: &mut Reader, value: &Value) -> Option<When> {
    let key = "postrider.when";
    let object = reader.object(key, value)?;
    reader.known(key, object, &WhenKey::ALL.map(WhenKey::as_str));
    let mut when = When::default();
    for name in WhenKey::ALL {
        let Some(value) = object.get(name.as_str()).filter(|value| !value.is_null()) else {
            continue;
        };
        let key = format!("{key}.{}", name.as_str());
        let Some(items) = reader.list(&key, value, MAX_PATTERNS) else { continue };
        let patterns = items.iter().filter_map(|item| pattern(reader, &key, item)).collect();
        when.0.push((name, patterns));
    }
    Some(when).filter(|when| !when.0.is_empty())
}

fn pattern(reader: &mut Reader, key: &str, item: &Value) -> Option<Pattern> {
    let text = reader.text(key, item)?;
    if (1..=MAX_BYTES).contains(&text.len()) {
        Some(Pattern::parse(text))
    } else {
        reader.fault(key, format!("must hold texts of 1 to {MAX_BYTES} bytes"))
    }
}
