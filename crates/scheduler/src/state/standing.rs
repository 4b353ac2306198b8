//! How a lane's targets behave, and how much the lane may have under way for it.

use std::time::Duration;

use crate::Millis;

/// How a lane's targets behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// Its last attempt was answered, however long ago and whatever the answer.
    Proven,
    /// Not answered since the process began.
    New,
    /// It takes longer than it used to, or its last attempt got no answer.
    Slow,
}

impl Class {
    /// In the order in which they are served.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Proven, Self::New, Self::Slow];
    pub(crate) const COUNT: usize = 3;

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Proven => 0,
            Self::New => 1,
            Self::Slow => 2,
        }
    }
}

/// The least time without an answer after which a lane is slow.
const PATIENCE_MIN: Duration = Duration::from_secs(2);
/// And that many times what its answers take.
const PATIENCE_TIMES: u32 = 3;
/// After so long without an attempt a lane feels its way anew.
const IDLE: Duration = Duration::from_mins(1);

/// A lane's class and window: how many requests it may have under way.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    class: Class,
    window: u32,
    /// What answers take, a moving average over about eight of them.
    latency: Duration,
    /// When the first request left that no answer of the lane followed.
    unanswered_since: Option<Millis>,
    last_ended: Millis,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            class: Class::New,
            window: 1,
            latency: Duration::ZERO,
            unanswered_since: None,
            last_ended: Millis::default(),
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Requests that may be under way.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// A lane that has nothing under way wants to start something.
    pub(crate) fn wakes(&mut self, now: Millis) {
        if now.since(self.last_ended) >= IDLE {
            self.window = 1;
        }
    }

    /// A request leaves. When to [`check`](Self::check), if nothing was unanswered before.
    pub(crate) fn started(&mut self, now: Millis) -> Option<Millis> {
        if self.unanswered_since.is_some() {
            return None;
        }
        self.unanswered_since = Some(now);
        Some(now.after(self.patience()))
    }

    /// An answer came after `took`; the window grows up to `most`.
    pub(crate) fn answered(&mut self, now: Millis, took: Duration, most: u32) {
        self.latency = if self.class == Class::New { took } else { (self.latency * 7 + took) / 8 };
        self.class = Class::Proven;
        self.window = self.window.saturating_add(1).min(most.max(1));
        self.unanswered_since = None;
        self.last_ended = now;
    }

    /// An attempt ended without an answer.
    pub(crate) fn silent(&mut self, now: Millis) {
        self.slows_down();
        self.last_ended = now;
    }

    /// Nothing is under way any more, so nothing is unanswered.
    pub(crate) fn rests(&mut self) {
        self.unanswered_since = None;
    }

    /// Whether no answer came for too long; it is asked again when the returned instant comes.
    pub(crate) fn check(&mut self, now: Millis) -> Option<Millis> {
        let since = self.unanswered_since?;
        let patience = self.patience();
        if now < since.after(patience) {
            return Some(since.after(patience));
        }
        self.slows_down();
        // The next such period begins.
        self.unanswered_since = Some(now);
        Some(now.after(patience))
    }

    fn slows_down(&mut self) {
        self.class = Class::Slow;
        self.window = (self.window / 2).max(1);
    }

    fn patience(&self) -> Duration {
        PATIENCE_MIN.max(self.latency * PATIENCE_TIMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(10);

    fn proven(answers: u32) -> Standing {
        let mut standing = Standing::new();
        for _ in 0..answers {
            standing.answered(Millis(0), FAST, 64);
        }
        standing
    }

    #[test]
    fn a_new_lane_has_one_request_under_way() {
        assert_eq!((Standing::new().class(), Standing::new().window()), (Class::New, 1));
    }

    #[test]
    fn each_answer_widens_the_window_up_to_the_concurrency() {
        assert_eq!(proven(1).window(), 2);
        assert_eq!(proven(5).window(), 6);
        assert_eq!(proven(500).window(), 64);
    }

    #[test]
    fn two_seconds_without_an_answer_make_it_slow_and_each_more_period_halves_again() {
        let mut standing = proven(20);
        assert_eq!(standing.started(Millis(1_000)), Some(Millis(3_000)));
        assert_eq!(standing.check(Millis(2_999)), Some(Millis(3_000)));
        assert_eq!((standing.class(), standing.window()), (Class::Proven, 21));
        assert_eq!(standing.check(Millis(3_000)), Some(Millis(5_000)));
        assert_eq!((standing.class(), standing.window()), (Class::Slow, 10));
        standing.check(Millis(5_000));
        assert_eq!(standing.window(), 5);
    }

    #[test]
    fn patience_grows_with_what_answers_take() {
        let mut standing = Standing::new();
        standing.answered(Millis(0), Duration::from_secs(4), 64);
        assert_eq!(standing.started(Millis(0)), Some(Millis(12_000)));
    }

    #[test]
    fn one_request_that_hangs_among_answered_ones_is_no_slowness() {
        let mut standing = proven(3);
        standing.started(Millis(0));
        standing.answered(Millis(1_900), FAST, 64);
        assert_eq!(standing.check(Millis(2_000)), None);
        assert_eq!(standing.started(Millis(5_000)), Some(Millis(7_000)), "counts from later ones");
    }

    #[test]
    fn silence_halves_and_an_answer_proves() {
        let mut standing = proven(9);
        standing.silent(Millis(0));
        assert_eq!((standing.class(), standing.window()), (Class::Slow, 5));
        standing.answered(Millis(0), FAST, 64);
        assert_eq!((standing.class(), standing.window()), (Class::Proven, 6));
    }

    #[test]
    fn after_a_minute_of_rest_it_feels_its_way_anew_and_stays_proven() {
        let mut standing = proven(30);
        standing.wakes(Millis(59_999));
        assert_eq!(standing.window(), 31);
        standing.wakes(Millis(60_000));
        assert_eq!((standing.class(), standing.window()), (Class::Proven, 1));
    }
}
