//! Which steps are under way, and since when; which ones the database refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A step that failed and was not tried again for so long may go well by now.
const RECENT: Duration = Duration::from_secs(10);

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
    /// What failed each time since it last went well.
    failing: BTreeMap<&'static str, Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    kind: StepKind,
    first: Instant,
    last: Instant,
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
    /// `None`: it was given up before it ended.
    went_well: Option<bool>,
}

impl Entry {
    /// The step ended: either the database did what was asked, or it could not.
    pub(crate) fn ended(mut self, went_well: bool) {
        self.went_well = Some(went_well);
    }
}

impl Outstanding {
    /// A step that begins now.
    pub(crate) fn enter(&self, name: &'static str, kind: StepKind) -> Entry {
        let number = self.with(|steps| {
            steps.begun += 1;
            steps.under_way.insert(steps.begun, Begun { name, kind, at: Instant::now() });
            steps.begun
        });
        Entry { number, list: self.clone(), went_well: None }
    }

    /// The step of this kind that has failed each time for longest, and for how long; only such
    /// as failed lately.
    pub(crate) fn failing(&self, kind: StepKind) -> Option<(&'static str, Duration)> {
        self.with(|steps| {
            let failing = steps.failing.iter();
            let lately = failing.filter(|(_, of)| of.kind == kind && of.last.elapsed() <= RECENT);
            let longest = lately.min_by_key(|(_, of)| of.first);
            longest.map(|(name, of)| (*name, of.last.duration_since(of.first)))
        })
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
        let went_well = self.went_well;
        self.list.with(|steps| {
            let Some(Begun { name, kind, .. }) = steps.under_way.remove(&self.number) else {
                return;
            };
            match went_well {
                None => {}
                Some(true) => {
                    steps.failing.remove(name);
                }
                Some(false) => {
                    let now = Instant::now();
                    let first = Failing { kind, first: now, last: now };
                    steps.failing.entry(name).or_insert(first).last = now;
                }
            }
        });
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

    #[test]
    fn a_step_fails_from_its_first_failure_until_it_goes_well() {
        let list = Outstanding::default();
        let failing = || list.failing(StepKind::Hot).map(|(name, _)| name);
        list.enter("record", StepKind::Hot).ended(true);
        drop(list.enter("record", StepKind::Hot));
        list.enter("list", StepKind::People).ended(false);
        assert_eq!(failing(), None);
        list.enter("claim", StepKind::Hot).ended(false);
        list.enter("record", StepKind::Hot).ended(false);
        list.enter("claim", StepKind::Hot).ended(false);
        assert_eq!(failing(), Some("claim"));
        assert!(list.failing(StepKind::Hot).unwrap().1 > Duration::ZERO);
        list.enter("claim", StepKind::Hot).ended(true);
        assert_eq!(list.failing(StepKind::Hot), Some(("record", Duration::ZERO)));
    }
}
