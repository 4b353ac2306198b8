//! What the monitor looks for.

use std::time::Duration;

use postrider_domain::{RedispatchMode, WatchMode};

use crate::declaration::{INGEST_AND_MONITOR, MONITOR, Setting};
use crate::kinds::{DAY, SECOND, duration, interval, number};
use crate::section::settings;
use crate::value::{Raw, Wrong};

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
            duration("SUSTAINED_FAILURES_FOR", Duration::ZERO, 30 * DAY).of(INGEST_AND_MONITOR).example("1h").default("10m"),
        /// A lane whose newest waiting delivery would leave later than this is an incident.
        pub delivery_objective: Duration =
            duration("DELIVERY_OBJECTIVE", SECOND, 30 * DAY).of(MONITOR).example("10m").default("300s"),
        /// How long history is kept.
        pub retention: Duration =
            duration("RETENTION", SECOND, 3650 * DAY).of(MONITOR).example("90d").default("30d"),
        /// How often brokers are asked what was published and verified.
        pub broker_interval: Duration =
            interval("BROKER_INTERVAL").of(INGEST_AND_MONITOR).example("1m").default("5s"),
        /// Whether verifications that a broker is owed become events although no call of its
        /// webhook came; `observe` only logs what it would do.
        pub watch: WatchMode =
            Setting::new("BROKER_WATCH", "on, observe or off", watch_mode)
                .of(INGEST_AND_MONITOR)
                .example("observe")
                .default("on"),
        /// How long until every consumer of a broker was looked at once more, whether anything of
        /// it changed or not.
        pub broker_sweep: Duration =
            duration("BROKER_SWEEP", SECOND, 30 * DAY).of(MONITOR).example("1h").default("6h"),
        /// Whether a verification that stays owed after its dispatch led to nothing is dispatched
        /// again, twice at most and later each time; `dry-run` only logs what it would do. Needs
        /// `POSTRIDER_BROKER_WATCH=on`.
        pub redispatch: RedispatchMode =
            Setting::new("REDISPATCH", "off, dry-run or on", redispatch)
                .of(MONITOR)
                .example("dry-run")
                .default("off"),
    }
}

fn watch_mode(raw: &Raw) -> Result<WatchMode, Wrong> {
    let text = raw.text();
    text.parse()
        .map_err(|_| Wrong::new(format!("{text:?} is no way to watch"), "write on, observe or off"))
}

fn redispatch(raw: &Raw) -> Result<RedispatchMode, Wrong> {
    let text = raw.text();
    text.parse().map_err(|_| {
        Wrong::new(format!("{text:?} is no way to dispatch again"), "write off, dry-run or on")
    })
}
