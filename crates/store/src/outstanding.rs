//! Which steps are under way, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Deliveries wait for it.
    Hot,
    /// A person or background work waits for it.
    People,
}

/// Steps under way; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outstanding(Arc<Mutex<Steps>>);

/// In the order in which they began.
#[derive(Debug, Default)]
struct Steps {
    begun: u64,
    under_way: BTreeMap<u64, Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    name: &'static str,
    kind: StepKind,
    at: Instant,
}

/// Takes its step off the list when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Entry {
    number: u64,
    list: Outstanding,
}

impl Outstanding {
    /// A step that begins now.
    pub(crate) fn enter(&self, name: &'static str, kind: StepKind) -> Entry {
        let number = self.with(|steps| {
            steps.begun += 1;
            steps.under_way.insert(steps.begun, Begun { name, kind, at: Instant::now() });
            steps.begun
        });
        Entry { number, list: self.clone() }
    }

    /// Name and age of the step of this kind that has been under way for the longest time.
    pub(crate) fn oldest(&self, kind: StepKind) -> Option<(&'static str, Duration)> {
        self.with(|steps| {
            let oldest = steps.under_way.values().find(|begun| begun.kind == kind)?;
            Some((oldest.name, oldest.at.elapsed()))
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Steps) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.with(|steps| steps.under_way.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_its_kind_is_named_until_it_ends() {
        let list = Outstanding::default();
        let first = list.enter("claim", StepKind::Hot);
        let asked = list.enter("list", StepKind::People);
        let second = list.enter("record", StepKind::Hot);
        let name = |kind| list.oldest(kind).map(|(name, _)| name);
        assert_eq!((name(StepKind::Hot), name(StepKind::People)), (Some("claim"), Some("list")));
        drop(first);
        assert_eq!(name(StepKind::Hot), Some("record"));
        drop((asked, second));
        assert_eq!((name(StepKind::Hot), name(StepKind::People)), (None, None));
    }
}
