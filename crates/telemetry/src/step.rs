//! The named steps of an event's way, in the order of their effects.
//!
//! Between any two of them a process may die. Tests make it die right after a step by the
//! setting `POSTRIDER_CRASH_AT=<step>:<n>`: the n-th time the step is reached the process kills
//! itself as `kill -9` would, without a destructor or a flush.

use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A step whose effect has just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Event and deliveries are committed; the sender has no answer yet.
    Committed,
    /// RabbitMQ confirmed the messages, or they were refused.
    Published,
    /// A worker took a message off the queue.
    Taken,
    /// A claim is committed; its messages are not settled and nothing is sent yet.
    Claimed,
    /// Messages are settled: a committed step answered each of their deliveries.
    Settled,
    /// The request was answered; nothing is recorded yet.
    Sent,
    /// The outcome is committed.
    Recorded,
    /// Incidents were opened and their alerts written; none is sent yet.
    Opened,
    /// Reminders of open incidents were written; none is sent yet.
    Reminded,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 9] = [
        Self::Committed,
        Self::Published,
        Self::Taken,
        Self::Claimed,
        Self::Settled,
        Self::Sent,
        Self::Recorded,
        Self::Opened,
        Self::Reminded,
    ];

    /// Its name in settings and tests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Published => "published",
            Self::Taken => "taken",
            Self::Claimed => "claimed",
            Self::Settled => "settled",
            Self::Sent => "sent",
            Self::Recorded => "recorded",
            Self::Opened => "opened",
            Self::Reminded => "reminded",
        }
    }
}

/// Where a process kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashAt {
    /// After which step.
    pub step: Step,
    /// At the how-many-th time, from 1.
    pub nth: u64,
}

impl FromStr for CrashAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            let names: Vec<&str> = Step::ALL.iter().map(|step| step.as_str()).collect();
            format!("expected <step>:<n> with a step of {} and n from 1", names.join(", "))
        };
        let (name, nth) = text.split_once(':').ok_or_else(wrong)?;
        let step = Step::ALL.into_iter().find(|step| step.as_str() == name).ok_or_else(wrong)?;
        let nth: u64 = nth.parse().map_err(|_| wrong())?;
        if nth == 0 { Err(wrong()) } else { Ok(Self { step, nth }) }
    }
}

struct Plan {
    at: CrashAt,
    seen: AtomicU64,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Arms the crash of this process; the first call wins.
pub fn arm(at: CrashAt) {
    PLAN.get_or_init(|| Plan { at, seen: AtomicU64::new(0) });
}

/// Says that a step was reached, by `times` events or deliveries at once. Costs one load unless armed.
pub fn reached(step: Step, times: usize) {
    let Some(plan) = PLAN.get() else { return };
    if plan.at.step != step {
        return;
    }
    let times = u64::try_from(times).unwrap_or(u64::MAX);
    let before = plan.seen.fetch_add(times, Ordering::SeqCst);
    if before < plan.at.nth && plan.at.nth <= before.saturating_add(times) {
        die();
    }
}

fn die() {
    if rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .is_err()
    {
        std::process::abort();
    }
}
