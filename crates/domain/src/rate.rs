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
    /// How late a send may be and still count as in its turn: timers have a millisecond, busy
    /// processes more. What a late wake-up missed may be made good within it, and the interval
    /// pays for that.
    pub const TOLERANCE: Duration = Duration::from_millis(5);

    /// The pause between two requests that go out singly (a burst of 1); `None` without a
    /// limit. See [`Rate::interval_with_burst`].
    pub fn interval(&self) -> Option<Duration> {
        self.interval_with_burst(1)
    }

    /// The pause after which one more request may go out, when up to `burst` may go out at
    /// once; `None` without a limit.
    ///
    /// It is `(W + J + τ) / (N − b + 1)` for `N` requests in each window `W` and a burst `b`.
    /// Requests don't arrive at the target as evenly as they leave here, and by how much is a
    /// time ([`Rate::jitter`], `J`), not a number of requests: measured, exact spacing let 181
    /// requests into a window of 180. Sends that keep this interval, each at most τ
    /// ([`Rate::TOLERANCE`]) before its turn, put at most `b + ⌊(W + τ) / T⌋ ≤ N` into a window,
    /// and still do when arrivals shift by less than `J` against each other.
    pub fn interval_with_burst(&self, burst: u32) -> Option<Duration> {
        let Self::Limited { count, per } = *self else {
            return None;
        };
        let window = per.saturating_add(jitter(per)).saturating_add(Self::TOLERANCE);
        let apart = count.max(1) - self.usable_burst(burst) + 1;
        Some(divided_up(window, apart))
    }

    /// How far arrivals at the target may shift against each other without a window being
    /// exceeded: a twentieth of the window, at least 50 ms and at most 1 s; zero without a
    /// limit.
    pub fn jitter(&self) -> Duration {
        match *self {
            Self::Unlimited => Duration::ZERO,
            Self::Limited { per, .. } => jitter(per),
        }
    }

    /// What of a wished burst the rate can grant: at least 1, and at most the count.
    pub fn usable_burst(&self, burst: u32) -> u32 {
        match *self {
            Self::Unlimited => burst.max(1),
            Self::Limited { count, .. } => burst.clamp(1, count.max(1)),
        }
    }
}

fn jitter(window: Duration) -> Duration {
    (window / 20).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

/// Rounded up, so that the intervals of a window are never shorter than the window.
fn divided_up(whole: Duration, parts: u32) -> Duration {
    let part = whole / parts;
    if part * parts < whole { part + Duration::from_nanos(1) } else { part }
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
