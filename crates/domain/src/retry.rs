//! When a delivery is tried again.
//!
//! | outcome of the attempt                                       | rule                                     |
//! |--------------------------------------------------------------|------------------------------------------|
//! | `accepted`                                                   | delivered                                |
//! | `server_error` `timeout` `connect_error` `unreadable` `lost` | every step of the schedule, then give up |
//! | `not_found` `permission`                                     | once, after the second step              |
//! | `rate_limited`                                               | the lane pauses, no step is used         |
//! | `credential` `secret_missing` `secret_unusable`              | held: lane or webhook, no step is used   |
//! | all others                                                   | give up                                  |
//!
//! A target that says how long to wait is not asked again earlier; the step's jitter comes on
//! top.
//!
//! `not_found` and `permission` get their one retry because a repository or a grant that has
//! just been made is not visible at once everywhere.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Outcome;
use crate::duration::{InvalidDuration, parse_duration, print_duration};

/// The waits between the attempts of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first attempt, after the second, and so on; may be empty. A
    /// delivery gets one attempt more than there are steps.
    pub schedule: Vec<Duration>,
}

/// Pact Broker's `webhook_retry_schedule` (Pact Broker 2.120).
impl Default for RetryPolicy {
    fn default() -> Self {
        Self { schedule: [10, 60, 120, 300, 600, 1200].map(Duration::from_secs).to_vec() }
    }
}

/// Durations separated by blanks or commas, bare numbers are seconds, as in the broker's
/// setting.
impl FromStr for RetryPolicy {
    type Err = InvalidDuration;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        Ok(Self { schedule: words.map(parse_duration).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |step: &Duration| {
            if step.subsec_nanos() == 0 {
                step.as_secs().to_string()
            } else {
                print_duration(*step)
            }
        };
        f.write_str(&self.schedule.iter().map(word).collect::<Vec<_>>().join(" "))
    }
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Final: delivered.
    Deliver,
    /// Due again after this wait; the next attempt has the next number.
    RetryAfter(Duration),
    /// Final: failed.
    GiveUp,
    /// The lane is held, or the webhook parked; the attempt is given back.
    Hold,
    /// The lane pauses; the attempt is given back.
    PauseLane,
}

/// What follows attempt number `attempt` (1 is the first) that came to `outcome`, with the wait
/// that the target `said`, if it did. `jitter` in `[0, 1)` lengthens the wait by up to a fifth of
/// the schedule's step, so that deliveries that failed together don't come back together.
pub fn decide(
    policy: &RetryPolicy,
    attempt: u32,
    outcome: Outcome,
    said: Option<Duration>,
    jitter: f64,
) -> Decision {
    match outcome {
        Outcome::Accepted => Decision::Deliver,
        Outcome::ServerError
        | Outcome::Timeout
        | Outcome::ConnectError
        | Outcome::Unreadable
        | Outcome::Lost => retry_after(step(policy, attempt), said, jitter),
        Outcome::NotFound | Outcome::Permission => {
            retry_after(only_step(policy, attempt), said, jitter)
        }
        Outcome::RateLimited => Decision::PauseLane,
        Outcome::Credential | Outcome::SecretMissing | Outcome::SecretUnusable => Decision::Hold,
        Outcome::Invalid
        | Outcome::Redirected
        | Outcome::Blocked
        | Outcome::RenderError
        | Outcome::Poison
        | Outcome::WebhookDeleted
        | Outcome::WebhookDisabled
        | Outcome::Withdrawn => Decision::GiveUp,
    }
}

fn step(policy: &RetryPolicy, attempt: u32) -> Option<Duration> {
    let index = usize::try_from(attempt.saturating_sub(1)).ok()?;
    policy.schedule.get(index).copied()
}

fn only_step(policy: &RetryPolicy, attempt: u32) -> Option<Duration> {
    if attempt > 1 {
        return None;
    }
    policy.schedule.get(1).or(policy.schedule.last()).copied()
}

fn retry_after(step: Option<Duration>, said: Option<Duration>, jitter: f64) -> Decision {
    step.map_or(Decision::GiveUp, |step| {
        let least = said.map_or(step, |said| said.max(step));
        Decision::RetryAfter(least.saturating_add(jitter_of(step, jitter)))
    })
}

fn jitter_of(step: Duration, jitter: f64) -> Duration {
    let fifth = step / 5;
    let share = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    let extra = Duration::try_from_secs_f64(fifth.as_secs_f64() * share).unwrap_or(fifth);
    extra.min(fifth)
}

#[cfg(test)]
mod tests;
