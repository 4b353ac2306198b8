//! What the monitor looks for.

use std::time::Duration;

use crate::declaration::{INGEST_AND_MONITOR, MONITOR};
use crate::kinds::{DAY, SECOND, duration, interval, number};
use crate::section::settings;

settings! {
    /// What the monitor looks for.
    pub struct MonitorSettings {
        /// How often it looks, and how often the depths of queues are measured.
        pub interval: Duration =
            interval("MONITOR_INTERVAL").of(INGEST_AND_MONITOR).example("1m").default("15s"),
        /// Different deliveries of a webhook that failed in a row and open an incident.
        pub sustained_failures: u32 =
            number("SUSTAINED_FAILURES", 1, 10_000).of(MONITOR).example("5").default("3"),
        /// How long they must have failed before it opens.
        pub sustained_for: Duration =
            duration("SUSTAINED_FAILURES_FOR", Duration::ZERO, 30 * DAY).of(MONITOR).example("1h").default("10m"),
        /// How long history is kept.
        pub retention: Duration =
            duration("RETENTION", SECOND, 3650 * DAY).of(MONITOR).example("90d").default("30d"),
        /// How often brokers are asked for verifications.
        pub broker_interval: Duration =
            interval("BROKER_INTERVAL").of(INGEST_AND_MONITOR).example("1m").default("5m"),
    }
}
