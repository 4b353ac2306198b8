//! How Postgres and RabbitMQ are used.

use std::time::Duration;

use crate::declaration::{INGEST, INGEST_AND_WORKER, WORKER};
use crate::kinds::{DAY, MILLISECOND, SECOND, duration, interval, number};
use crate::section::settings;

settings! {
    /// How Postgres is used.
    pub struct StoreSettings {
        /// Connections of one process for events and deliveries; what people ask for has a few more.
        pub connections: u32 = number("DB_CONNECTIONS", 2, 500).example("20").default("10"),
        /// When a fresh delivery that no message brought to a worker is claimed from the store.
        pub sweep_after: Duration =
            interval("SWEEP_AFTER").of(INGEST_AND_WORKER).example("30s").default("120s"),
    }
}

settings! {
    /// How RabbitMQ is used.
    pub struct QueueSettings {
        /// Messages that one worker holds unacknowledged.
        pub prefetch: u16 =
            number("PREFETCH", 1, postrider_queue::MAX_PREFETCH).of(WORKER).example("64").default("128"),
        /// Queues over which programs of the first message format spread deliveries.
        pub old_queues: u16 =
            number("QUEUES", 1, postrider_queue::MAX_OLD_QUEUES).of(WORKER).example("4").default("2"),
        /// Such a queue is deleted when it was not used for so long.
        pub old_queues_kept: Duration =
            duration("OLD_QUEUES_KEPT", SECOND, 365 * DAY).of(WORKER).example("7d").default("24h"),
        /// Deliveries that may wait for RabbitMQ to come back before events are refused with 503.
        pub max_unpublished: u32 =
            number("MAX_UNPUBLISHED", 0, 100_000_000).of(INGEST).example("50000").default("1000000"),
    }
}

settings! {
    /// How brokers' own webhooks are taken.
    pub struct RelaySettings {
        /// A relayed call that could not be answered with 200 by then is answered with 503. A broker
        /// gives an answer up after 15 s.
        pub answer_within: Duration =
            duration("RELAY_ANSWER_WITHIN", 10 * MILLISECOND, 14 * SECOND)
                .of(INGEST)
                .example("5s")
                .default("10s"),
    }
}
