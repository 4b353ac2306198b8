//! Secret values never reach a log line.
//!
//! Thousands of values may be known and a line is written for each delivery, so a text is
//! searched once for all of them: a filter over the first four bytes tells nearly every place
//! where none begins.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

/// Values that are known at most; after that the oldest are forgotten.
const MAX_VALUES: usize = 10_000;
/// Bytes. Shorter values would star half of what is written.
const PREFIX: usize = 4;
const STARS: &str = "********";

type Prefix = [u8; PREFIX];

static GUARD: RwLock<Option<Arc<Guard>>> = RwLock::new(None);

/// From now on these values are written as `********` wherever they occur in a log line, also
/// as they look inside quoted text. Values under four bytes are ignored; of more than 10,000 the
/// oldest are forgotten.
pub fn guard_secrets<S: AsRef<str>>(values: impl IntoIterator<Item = S>) {
    let mut slot = GUARD.write().unwrap_or_else(PoisonError::into_inner);
    let mut guard = slot.as_deref().cloned().unwrap_or_default();
    let mut changed = false;
    for value in values {
        changed |= guard.add(value.as_ref());
    }
    if changed {
        guard.index();
        *slot = Some(Arc::new(guard));
    }
}

/// What is guarded now; `None` as long as nothing is.
pub(crate) fn guard() -> Option<Arc<Guard>> {
    GUARD.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The text with guarded values replaced.
pub fn redact(text: &str) -> Cow<'_, str> {
    match guard() {
        None => Cow::Borrowed(text),
        Some(guard) => guard.redact(text),
    }
}

/// Values and how to find them.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    /// In the order in which they came.
    values: VecDeque<Arc<str>>,
    known: HashSet<Arc<str>>,
    /// Everything to look for by its first bytes, the longest first.
    by_prefix: HashMap<Prefix, Vec<Box<[u8]>>>,
    /// One bit for each hash of a first four bytes.
    filter: Vec<u64>,
}

const FILTER_BITS: u32 = 16;

impl Guard {
    /// Adds a value. Returns whether it is new.
    pub(crate) fn add(&mut self, value: &str) -> bool {
        if value.len() < PREFIX || self.known.contains(value) {
            return false;
        }
        if self.values.len() >= MAX_VALUES
            && let Some(oldest) = self.values.pop_front()
        {
            self.known.remove(&oldest);
        }
        let value: Arc<str> = value.into();
        self.known.insert(Arc::clone(&value));
        self.values.push_back(value);
        true
    }

    /// Makes what was added findable.
    pub(crate) fn index(&mut self) {
        self.by_prefix.clear();
        self.filter = vec![0; 1 << (FILTER_BITS - 6)];
        for form in self.values.iter().flat_map(|value| forms(value)) {
            let Some(prefix) = form.first_chunk::<PREFIX>().copied() else {
                continue;
            };
            let (word, bit) = place(prefix);
            if let Some(word) = self.filter.get_mut(word) {
                *word |= bit;
            }
            self.by_prefix.entry(prefix).or_default().push(form.into());
        }
        for forms in self.by_prefix.values_mut() {
            forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
            forms.dedup();
        }
    }

    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let bytes = text.as_bytes();
        let mut kept = 0;
        let mut clean = Vec::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= PREFIX) {
            match self.found_at(rest) {
                None => at += 1,
                Some(length) => {
                    clean.extend_from_slice(&bytes[kept..at]);
                    clean.extend_from_slice(STARS.as_bytes());
                    at += length;
                    kept = at;
                }
            }
        }
        if kept == 0 {
            return Cow::Borrowed(text);
        }
        clean.extend_from_slice(&bytes[kept..]);
        // Whole texts were taken out, so this is UTF-8 still.
        Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
    }

    /// The length of the longest value that `rest` begins with.
    fn found_at(&self, rest: &[u8]) -> Option<usize> {
        let prefix = *rest.first_chunk::<PREFIX>()?;
        let (word, bit) = place(prefix);
        if self.filter.get(word).is_none_or(|word| word & bit == 0) {
            return None;
        }
        let forms = self.by_prefix.get(&prefix)?;
        forms.iter().find(|form| rest.starts_with(form)).map(|form| form.len())
    }
}

/// A value as it is, inside a JSON text, and inside the debug form of a text.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let json = serde_json::Value::from(value).to_string();
    let debug = format!("{value:?}");
    let mut forms = vec![value.as_bytes().to_vec(), unquoted(&json), unquoted(&debug)];
    forms.dedup();
    forms
}

fn unquoted(text: &str) -> Vec<u8> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text).as_bytes().to_vec()
}

/// Where the filter keeps a prefix: index of the word, and the bit.
fn place(prefix: Prefix) -> (usize, u64) {
    // Knuth's multiplicative hash: the high bits are the mixed ones.
    let hash = u32::from_le_bytes(prefix).wrapping_mul(2_654_435_769) >> (32 - FILTER_BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}
