//! Names that others compare: metrics, and the messages of log lines.

/// Log line: one attempt of one delivery was made.
pub const DELIVERY_ATTEMPTED: &str = "delivery.attempted";
/// Log line: the process listens; fields `role`, `listen`, `admin_listen`.
pub const LISTENING: &str = "listening";
/// Log line: whether what goes to Postgres and RabbitMQ is encrypted; fields `store_encrypted`,
/// `queue_encrypted`. Distributed mode alone has it.
pub const CONNECTIONS: &str = "connections";
/// Log line: lines were lost because nobody read standard output; field `dropped`.
pub const LOG_LINES_DROPPED: &str = "log.lines_dropped";

/// Counter: events accepted, duplicates not counted.
pub const EVENTS_RECEIVED: &str = "postrider_events_received_total";
/// Counter: events that were a repeat of an accepted one.
pub const EVENTS_DUPLICATE: &str = "postrider_events_duplicate_total";
/// Counter by `accepted`: bodies of relayed calls that were no JSON; `true` where the query
/// sufficed.
pub const RELAY_BROKEN_BODIES: &str = "postrider_relay_broken_bodies_total";
/// Counter by `token` and `route` (`api`, `events`): calls refused because of their rate.
pub const HTTP_LIMITED: &str = "postrider_http_limited_total";
/// Counter by `route` (`events`, `relay`) and `status`: calls that bring events, refused ones
/// included.
pub const INTAKE_REQUESTS: &str = "postrider_intake_requests_total";
/// Counter by `outcome`: attempts, by what they came to.
pub const DELIVERIES: &str = "postrider_deliveries_total";
/// Counter by `outcome` and `lane`: the same, by lane.
pub const ATTEMPTS: &str = "postrider_attempts_total";
/// Counter by `status` (`delivered`, `failed`, `discarded`): deliveries that came to their end.
pub const DELIVERIES_FINISHED: &str = "postrider_deliveries_finished_total";
/// Counter by `channel` and `result` (`sent`, `failed`, `given_up`): alerts that were sent.
pub const ALERTS: &str = "postrider_alerts_total";
/// Histogram: one attempt, from its start to its classified answer.
pub const DELIVERY_ATTEMPT_DURATION: &str = "postrider_delivery_attempt_duration_seconds";
/// Histogram: from the acceptance of the event to the delivery's final outcome `accepted`.
pub const DELIVERY_END_TO_END: &str = "postrider_delivery_end_to_end_seconds";
/// Gauge by `queue`: messages ready in a queue.
pub const QUEUE_DEPTH: &str = "postrider_queue_depth";
/// Gauge by `link` (`publisher`, `consumer`): 1 while RabbitMQ can be used.
pub const QUEUE_UP: &str = "postrider_queue_up";
/// Gauge by `pool` (`hot`, `people`) and `state` (`used`, `idle`): connections to the database.
pub const DATABASE_CONNECTIONS: &str = "postrider_database_connections";
/// Gauge: how long the oldest step on deliveries has waited for the database.
pub const DATABASE_OLDEST_STEP: &str = "postrider_database_oldest_step_seconds";
/// Gauge: deliveries that a worker has claimed and not recorded yet.
pub const CLAIMS_IN_FLIGHT: &str = "postrider_claims_in_flight";
/// Gauge: 1 for the monitor that judges, 0 for one that stands by.
pub const MONITOR_ACTIVE: &str = "postrider_monitor_active";
/// Gauge: 1 on a day that does not count as age.
pub const QUIET_DAY: &str = "postrider_quiet_day";
/// Gauge: age of the oldest delivery that waits.
pub const OLDEST_PENDING_AGE: &str = "postrider_oldest_pending_age_seconds";
/// Gauge by `lane`, `state` and, when held, `cause`: 1 for the state that the lane is in.
pub const LANE_STATE: &str = "postrider_lane_state";
/// Gauge by `lane`: deliveries that wait in the lane.
pub const LANE_BACKLOG: &str = "postrider_lane_backlog";
/// Gauge by `lane`: what GitHub last said remains of the credential's hourly budget.
pub const GITHUB_RATELIMIT_REMAINING: &str = "postrider_github_ratelimit_remaining";
/// Gauge by `credential`: when GitHub says that it expires.
pub const CREDENTIAL_EXPIRY_TIMESTAMP: &str = "postrider_credential_expiry_timestamp_seconds";
/// Gauge by `consumer` and `provider`: time since the last verification, of the thousand oldest.
pub const VERIFICATION_AGE: &str = "postrider_verification_age_seconds";
/// Gauge by `consumer` and `provider`: how old the verification of each of these may get.
pub const VERIFICATION_MAX_AGE: &str = "postrider_verification_max_age_seconds";
/// Gauge by `state`: pairs that the monitor sees so.
pub const PAIRS: &str = "postrider_pairs";
/// Counter by `reason` (`queue_full`, `not_exported`): spans that did not reach the collector.
pub const SPANS_DROPPED: &str = "postrider_spans_dropped_total";
/// Gauge by `webhook`, `description` and `lane`: always 1.
pub const WEBHOOK_INFO: &str = "postrider_webhook_info";
/// Gauge by `webhook`: failures since the last success.
pub const CONSECUTIVE_FAILURES: &str = "postrider_consecutive_failures";
/// Gauge by `webhook`: time of the last success.
pub const LAST_SUCCESS_TIMESTAMP: &str = "postrider_last_success_timestamp_seconds";
/// Gauge by `kind`: incidents that are open.
pub const INCIDENTS_OPEN: &str = "postrider_incidents_open";
/// Gauge by `version` and `revision`: always 1.
pub const BUILD_INFO: &str = "postrider_build_info";
/// Counter: CPU time that the process used.
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
/// Gauge: its resident memory.
pub const PROCESS_MEMORY: &str = "process_resident_memory_bytes";
/// Gauge: its open descriptors.
pub const PROCESS_DESCRIPTORS: &str = "process_open_fds";
/// Gauge: how many it may have.
pub const PROCESS_DESCRIPTORS_MOST: &str = "process_max_fds";
/// Gauge: its threads.
pub const PROCESS_THREADS: &str = "process_threads";
/// Gauge: when it was started.
pub const PROCESS_START: &str = "process_start_time_seconds";
