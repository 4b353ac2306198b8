//! What webhooks may do, and how their requests are made.

use std::path::PathBuf;
use std::time::Duration;

use postrider_domain::{AddressPolicy, HostWhitelist, RetryPolicy};

use crate::declaration::{INGEST, INGEST_AND_WORKER, Role, Setting, WORKER};
use crate::kinds::{MILLISECOND, MINUTE, duration, path};
use crate::parse;
use crate::section::settings;

const SENDERS: &[Role] = &[Role::Worker, Role::Monitor];

settings! {
    /// What webhooks may do, and how requests are made.
    pub struct WebhookSettings {
        /// Waits between attempts, each up to a fifth longer.
        pub retry: RetryPolicy =
            Setting::new("WEBHOOK_RETRY_SCHEDULE", "durations, separated by spaces", parse::retry_schedule)
                .of(INGEST_AND_WORKER)
                .example("10 60 5m")
                .default("10 60 120 300 600 1200"),
        /// Status codes that are a success where the target is not a dispatch of GitHub's.
        pub success_codes: Vec<u16> =
            Setting::new("WEBHOOK_HTTP_CODE_SUCCESS", "status codes, separated by spaces", parse::status_codes)
                .of(WORKER)
                .example("200 204")
                .default("200 201 202 203 204 205 206"),
        /// Schemes that a webhook's URL may have.
        pub schemes: Vec<String> =
            Setting::new("WEBHOOK_SCHEME_WHITELIST", "https, or https http", parse::schemes)
                .of(INGEST_AND_WORKER)
                .example("https http")
                .default("https"),
        /// Methods that a webhook may use.
        pub methods: Vec<String> =
            Setting::new("WEBHOOK_HTTP_METHOD_WHITELIST", "methods, separated by spaces", parse::methods)
                .of(INGEST_AND_WORKER)
                .example("POST PUT")
                .default("POST"),
        /// Hosts that a webhook's URL may name; empty allows all.
        pub hosts: HostWhitelist =
            Setting::new(
                "WEBHOOK_HOST_WHITELIST",
                "host names, *.domain, networks or /regexp/, separated by spaces",
                parse::host_whitelist,
            )
            .of(INGEST_AND_WORKER)
            .example("api.github.com *.example")
            .default(""),
        /// Networks that deliveries may reach although they are loopback, private, link-local, of a
        /// carrier or of a cloud's metadata. What counts is the address connected to.
        pub addresses: AddressPolicy =
            Setting::new("WEBHOOK_ALLOW_NETWORKS", "networks, separated by spaces", |raw| {
                parse::networks(raw).map(AddressPolicy::new)
            })
            .of(WORKER)
            .example("10.20.0.0/16")
            .default(""),
        /// Longest time to connect, and longest time of a whole request.
        pub timeout: Duration =
            duration("WEBHOOK_TIMEOUT", MILLISECOND, 10 * MINUTE)
                .of(INGEST_AND_WORKER)
                .example("30s")
                .default("15s"),
        /// How long a test of a webhook may wait for its turn.
        pub execute_wait: Duration =
            duration("EXECUTE_WAIT", MILLISECOND, 10 * MINUTE).of(INGEST).example("1m").default("30s"),
        /// PEM file or folder of certificates that are trusted besides the system's.
        pub certificates: Option<PathBuf> =
            path("WEBHOOK_CERTIFICATES").of(SENDERS).example("/etc/ssl/corporate.pem").optional(),
    }
}
