//! What happened, line by line.

use std::fmt;

/// Lines that are kept, the last ones.
const KEPT: usize = 100_000;

/// A trace that is written or not.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    is_on: bool,
    lines: std::collections::VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on, lines: std::collections::VecDeque::new() }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn line(&mut self, now: u64, what: fmt::Arguments<'_>) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{now:>9} {what}"));
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// Writes a line of the trace, if it is written at all.
macro_rules! told {
    ($world:expr, $($what:tt)*) => {
        if $world.trace.is_on() {
            let now = $world.now;
            $world.trace.line(now, format_args!($($what)*));
        }
    };
}
pub(crate) use told;
