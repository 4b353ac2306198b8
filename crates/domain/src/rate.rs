//! Rates: how they are written, and the pace that keeps them at the target.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration::{parse_duration, print_duration};

/// The longest window of a rate.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// Windows that are written by a word; the first word of each is the one printed.
const WINDOWS: [(&str, u64); 7] =
    [("s", 1), ("sec", 1), ("min", 60), ("m", 60), ("h", 3_600), ("hour", 3_600), ("d", 86_400)];

/// How fast a lane may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// No limit: any number of workers send for it.
    Unlimited,
    /// `count` requests each `per`, evenly spaced; one worker at a time sends for it.
    Limited {
        /// Requests, at least 1.
        count: u32,
        /// Window, longer than zero.
        per: Duration,
    },
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rate: use a whole number from 1 and a window up to 1d, such as 3/s, 75/min, \
     500/h, 180/6s, or unlimited"
)]
pub struct InvalidRate(pub String);

impl Rate {
    /// The pause between two requests that go out singly (a burst of 1); `None` without a
    /// limit. See [`Rate::interval_with_burst`].
    pub fn interval(&self) -> Option<Duration> {
        self.interval_with_burst(1)
    }

    /// The pause after which one more request may go out, when up to `burst` may go out at
    /// once; `None` without a limit.
    ///
    /// It is longer than `per / count`. Requests don't arrive at the target as evenly as they
    /// leave here: measured, exact spacing let 181 requests into a window of 180, and spacing
    /// as for 175 kept 176. So the pace is that of a count which is smaller by a margin of a
    /// twentieth, rounded up, at least 1 and at most 5 (180 goes as 175, 75 as 71), and a
    /// window holds at most `burst + paced count`, which must not exceed the count (rule
    /// `EMPTY_START`): a burst larger than the margin takes the margin's place. A count of 1 has
    /// nothing to give; its window is stretched by a fiftieth instead.
    pub fn interval_with_burst(&self, burst: u32) -> Option<Duration> {
        let Self::Limited { count, per } = *self else {
            return None;
        };
        if count <= 1 {
            return Some(per.saturating_add(per / 50));
        }
        let margin = count.div_ceil(20).clamp(1, 5);
        let burst = self.usable_burst(burst);
        Some(divided_up(per, count - margin.max(burst)))
    }

    /// What of a wished burst the rate can grant: at least 1, and below the count, or there
    /// would be no pace left that keeps the window.
    pub fn usable_burst(&self, burst: u32) -> u32 {
        match *self {
            Self::Unlimited => burst.max(1),
            Self::Limited { count, .. } => burst.clamp(1, count.saturating_sub(1).max(1)),
        }
    }
}

/// Rounded up, so that the intervals of a window are never shorter than the window.
fn divided_up(per: Duration, parts: u32) -> Duration {
    let part = per / parts;
    if part * parts < per { part + Duration::from_nanos(1) } else { part }
}

impl FromStr for Rate {
    type Err = InvalidRate;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim()).ok_or_else(|| InvalidRate(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Rate> {
    if text == "unlimited" {
        return Some(Rate::Unlimited);
    }
    let (count, window) = text.split_once('/')?;
    let (count, window) = (count.trim(), window.trim());
    let named = WINDOWS.into_iter().find(|(word, _)| *word == window);
    let per = match named {
        Some((_, seconds)) => Duration::from_secs(seconds),
        None => parse_duration(window).ok()?,
    };
    let count = count.parse().ok().filter(|count| *count > 0)?;
    (!per.is_zero() && per <= LONGEST_WINDOW).then_some(Rate::Limited { count, per })
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Limited { count, per } = self else {
            return f.write_str("unlimited");
        };
        match WINDOWS.into_iter().find(|(_, seconds)| *per == Duration::from_secs(*seconds)) {
            Some((word, _)) => write!(f, "{count}/{word}"),
            None => write!(f, "{count}/{}", print_duration(*per)),
        }
    }
}

#[cfg(test)]
mod tests;
