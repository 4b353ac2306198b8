//! Our own troubles: a store that does not answer, a machine that is out of something.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Millis;

/// How long the store is left alone after a step that failed; doubles while they fail.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Messages are taken no more once no step has succeeded for this long.
const AWAY_AFTER: Duration = Duration::from_secs(2);

/// Whether the store answers.
#[derive(Debug, Default)]
pub(crate) struct StoreWatch {
    wait: Duration,
    retry_at: Millis,
    open: u32,
    /// Since when a step was asked for and none succeeded.
    unanswered_since: Option<Millis>,
    /// Messages are not taken.
    pub(crate) is_paused: bool,
}

impl StoreWatch {
    /// Whether steps may be asked for.
    pub(crate) fn may_ask(&self, now: Millis) -> bool {
        now >= self.retry_at
    }

    pub(crate) fn asked(&mut self, now: Millis) {
        self.open += 1;
        self.unanswered_since.get_or_insert(now);
    }

    pub(crate) fn answered(&mut self, now: Millis) {
        self.open = self.open.saturating_sub(1);
        self.unanswered_since = (self.open > 0).then_some(now);
        self.wait = Duration::ZERO;
        self.retry_at = now;
    }

    /// When steps may be asked for again.
    pub(crate) fn failed(&mut self, now: Millis) -> Millis {
        self.open = self.open.saturating_sub(1);
        if now >= self.retry_at {
            self.wait = (self.wait * 2).clamp(RETRY_MIN, RETRY_MAX);
            self.retry_at = now.after(self.wait);
        }
        self.retry_at
    }

    pub(crate) fn away_at(&self) -> Option<Millis> {
        self.unanswered_since.map(|since| since.after(AWAY_AFTER))
    }
}

/// The first pause of starts; doubles while trouble goes on.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Attempts that may always be under way.
const ATTEMPTS_MIN: u32 = 4;

/// Who has claims that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stalled {
    Lane(usize),
    Limit(usize),
}

/// Whether this machine can make requests at all.
#[derive(Debug)]
pub(crate) struct LocalTrouble {
    pause: Duration,
    until: Millis,
    /// What it seems able to have under way: halved by trouble, one more with each answer.
    most: u32,
    permits: u32,
    /// Lanes and limits whose claims wait for the pause's end.
    stalled: BTreeSet<Stalled>,
}

impl LocalTrouble {
    pub(crate) fn new(permits: u32) -> Self {
        Self {
            pause: Duration::ZERO,
            until: Millis::default(),
            most: permits,
            permits,
            stalled: BTreeSet::new(),
        }
    }

    pub(crate) fn is_paused(&self, now: Millis) -> bool {
        now < self.until
    }

    /// How long starts are, or were last, paused.
    pub(crate) fn pause(&self) -> Duration {
        self.pause.max(PAUSE_MIN)
    }

    /// Attempts that may be under way at most.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// An attempt met trouble with so many under way. Until when nothing is started, if that
    /// is new: what was started before the pause tells nothing more.
    pub(crate) fn reported(&mut self, now: Millis, under_way: u32) -> Option<Millis> {
        if self.is_paused(now) {
            return None;
        }
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.until = now.after(self.pause);
        self.most = (under_way / 2).clamp(ATTEMPTS_MIN.min(self.permits), self.permits);
        Some(self.until)
    }

    /// A request was made and answered.
    pub(crate) fn answered(&mut self, now: Millis) {
        if !self.is_paused(now) {
            self.pause = Duration::ZERO;
            self.most = self.most.saturating_add(1).min(self.permits);
        }
    }

    pub(crate) fn stall(&mut self, who: Stalled) {
        self.stalled.insert(who);
    }

    pub(crate) fn stalled(&mut self) -> BTreeSet<Stalled> {
        std::mem::take(&mut self.stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_left_alone_longer_and_longer_and_asked_at_once_after_an_answer() {
        let mut store = StoreWatch::default();
        assert_eq!(store.failed(Millis(0)), Millis(50));
        assert!(!store.may_ask(Millis(49)) && store.may_ask(Millis(50)));
        assert_eq!(store.failed(Millis(50)), Millis(150));
        assert_eq!(store.failed(Millis(60)), Millis(150), "two steps of one failure");
        for at in [1_000, 2_000, 3_000, 4_000, 5_000] {
            store.failed(Millis(at));
        }
        assert_eq!(store.failed(Millis(10_000)), Millis(11_000));
        store.answered(Millis(10_100));
        assert!(store.may_ask(Millis(10_100)));
    }

    #[test]
    fn it_is_away_once_nothing_asked_for_was_answered() {
        let mut store = StoreWatch::default();
        store.asked(Millis(1_000));
        store.failed(Millis(1_100));
        store.asked(Millis(1_200));
        assert_eq!(store.away_at(), Some(Millis(3_000)));
        store.answered(Millis(2_900));
        assert_eq!(store.away_at(), None);
        store.asked(Millis(9_000));
        assert_eq!(store.away_at(), Some(Millis(11_000)));
    }

    #[test]
    fn trouble_pauses_longer_and_longer_and_halves_what_may_be_under_way() {
        let mut trouble = LocalTrouble::new(1_024);
        assert_eq!(trouble.reported(Millis(0), 600), Some(Millis(5_000)));
        assert_eq!(trouble.most(), 300);
        assert_eq!(trouble.reported(Millis(10), 600), None, "of the same moment");
        trouble.answered(Millis(20));
        assert_eq!(trouble.most(), 300, "sent before the pause");
        assert_eq!(trouble.reported(Millis(5_000), 300), Some(Millis(15_000)));
        for _ in 0..9 {
            trouble.reported(trouble.until, 300);
        }
        assert_eq!(trouble.pause(), Duration::from_mins(1));
        trouble.answered(trouble.until);
        assert_eq!(trouble.most(), 151);
        assert_eq!(trouble.reported(trouble.until, 2), Some(trouble.until));
        assert_eq!((trouble.pause(), trouble.most()), (Duration::from_secs(5), 4));
    }
}
