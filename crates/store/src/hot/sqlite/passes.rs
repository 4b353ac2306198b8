//! Which claims the janitor has to look at for their end.

/// How far behind the last complete pass the next one begins.
const OVERLAP: i64 = 60_000_000;
/// How often a pass begins at the very beginning.
const WHOLE_EVERY: i64 = 600_000_000;

/// How far expired claims were looked for. A claim that runs out enters the due index at that
/// instant, so what lies before the last complete pass needs no second look.
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// Instant of the last pass that found less than it could take.
    complete: i64,
    /// Instant of the last one from the beginning.
    whole: i64,
}

impl Passes {
    /// Where the next pass begins; a clock that was set back begins anew.
    pub(super) fn begin(&self, now: i64) -> i64 {
        let whole_is_due = now < self.complete || now.saturating_sub(self.whole) >= WHOLE_EVERY;
        if whole_is_due { 0 } else { self.complete - OVERLAP }
    }

    /// Notes that a pass found less than it could take.
    pub(super) fn completed(&mut self, began: i64, now: i64) {
        self.complete = now;
        if began == 0 {
            self.whole = now;
        }
    }
}
