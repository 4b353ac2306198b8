//! What a scheduler goes by.

use std::time::Duration;

/// Settings of one scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Attempts under way at once, over all unlimited lanes; at least 4. Claims that are asked
    /// for or wait for their start count, and outcomes until they are recorded: so many attempts
    /// at most are made twice by a crash.
    pub permits: u32,
    /// How long a lease lasts.
    pub lease: Duration,
    /// How often leases are renewed and lanes in work are looked at; the others every fifth
    /// time. At most a second in earnest (`POLL`).
    pub poll: Duration,
    /// How much longer than its time-out a claim lasts.
    pub claim_margin: Duration,
    /// How long a stop waits at least for requests that were sent.
    pub grace: Duration,
    /// Tells this scheduler's permits from those of an earlier one of the process.
    pub generation: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            permits: 1_024,
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            claim_margin: Duration::from_secs(6),
            grace: Duration::from_secs(30),
            generation: 0,
        }
    }
}
