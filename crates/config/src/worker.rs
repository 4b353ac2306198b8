//! How a worker works.

use std::time::Duration;

use crate::declaration::WORKER;
use crate::kinds::{HOUR, duration, interval, number};
use crate::section::settings;

settings! {
    /// How a worker works.
    pub struct WorkerSettings {
        /// How often a held lane is probed.
        pub probe_interval: Duration =
            interval("PROBE_INTERVAL").of(WORKER).example("5m").default("60s"),
        /// How often lanes are looked at and leases renewed; at most a second in earnest.
        pub poll_interval: Duration =
            interval("POLL_INTERVAL").of(WORKER).example("500ms").default("1s"),
        /// How often what dead workers left behind is given back.
        pub janitor_interval: Duration =
            interval("JANITOR_INTERVAL").of(WORKER).example("10s").default("3s"),
        /// How long a limit's lease lasts without being renewed.
        pub lease: Duration = interval("LEASE").of(WORKER).example("20s").default("10s"),
        /// A claim lasts this much longer than the webhook's time-out.
        pub claim_margin: Duration = interval("CLAIM_MARGIN").of(WORKER).example("10s").default("5s"),
        /// Deliveries of unlimited lanes that one process has claimed and not recorded: so many at
        /// most are sent twice, and marked, when it crashes.
        pub concurrency: usize =
            number("WORKER_CONCURRENCY", 1, 65_536).of(WORKER).example("256").default("1024"),
        /// How long a stop waits for requests that were sent.
        pub shutdown_grace: Duration =
            duration("SHUTDOWN_GRACE", Duration::ZERO, HOUR).of(WORKER).example("1m").default("20s"),
    }
}
