//! What settings allow a webhook.

use postrider_domain::HostWhitelist;

use crate::WebConfig;

/// What settings allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) schemes: &'a [String],
    pub(super) methods: &'a [String],
    pub(super) hosts: &'a HostWhitelist,
}

impl<'a> Rules<'a> {
    pub(super) fn of(config: &'a WebConfig) -> Self {
        Self {
            schemes: &config.scheme_whitelist,
            methods: &config.method_whitelist,
            hosts: &config.host_whitelist,
        }
    }
}
