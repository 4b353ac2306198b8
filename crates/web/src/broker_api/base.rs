//! Where links point.

use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postrider_domain::{DeliveryId, WebhookUuid};

use crate::WebConfig;

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The beginning of links, and the request's own URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bases {
    /// The configured base, else the request's; without a slash at the end.
    pub(super) base: String,
    /// The request's URL without query and trailing slash.
    pub(super) request: String,
}

impl Bases {
    pub(super) fn of(config: &WebConfig, parts: &Parts, peer: Option<IpAddr>) -> Self {
        let is_trusted =
            peer.is_some_and(|peer| config.trusted_proxies.iter().any(|net| net.contains(&peer)));
        let own = own_base(parts, is_trusted);
        let request = format!("{own}{}", parts.uri.path().trim_end_matches('/'));
        let base = config.base_url.as_ref().map_or(own, |url| url.as_str().to_owned());
        Self { base: base.trim_end_matches('/').to_owned(), request }
    }

    pub(super) fn webhooks(&self) -> String {
        format!("{}/webhooks", self.base)
    }

    pub(super) fn webhook(&self, uuid: &WebhookUuid) -> String {
        format!("{}/webhooks/{uuid}", self.base)
    }

    pub(super) fn execute(&self, uuid: &WebhookUuid) -> String {
        format!("{}/webhooks/{uuid}/execute", self.base)
    }

    pub(super) fn pacticipant(&self, name: &str) -> String {
        format!("{}/pacticipants/{}", self.base, segment(name))
    }

    pub(super) fn label(&self, label: &str) -> String {
        format!("{}/pacticipants/label/{}", self.base, segment(label))
    }

    pub(super) fn pair(&self, provider: &str, consumer: &str) -> String {
        let (provider, consumer) = (segment(provider), segment(consumer));
        format!("{}/webhooks/provider/{provider}/consumer/{consumer}", self.base)
    }

    pub(super) fn pact_webhooks(&self, provider: &str, consumer: &str) -> String {
        format!("{}/webhooks", self.pact(provider, consumer))
    }

    pub(super) fn pact_version(&self, provider: &str, consumer: &str, version: &str) -> String {
        format!("{}/version/{}", self.pact(provider, consumer), segment(version))
    }

    fn pact(&self, provider: &str, consumer: &str) -> String {
        let (provider, consumer) = (segment(provider), segment(consumer));
        format!("{}/pacts/provider/{provider}/consumer/{consumer}", self.base)
    }

    pub(super) fn logs(&self, delivery: DeliveryId) -> String {
        format!("{}/triggered-webhooks/{delivery}/logs", self.base)
    }

    pub(super) fn secret(&self, uuid: &str) -> String {
        format!("{}/secrets/{}", self.base, segment(uuid))
    }

    pub(super) fn docs(&self) -> String {
        format!("{}/doc/webhooks-{{rel}}", self.base)
    }
}

fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// Scheme and host as the client sees them; what proxies say counts only from trusted ones.
fn own_base(parts: &Parts, is_trusted: bool) -> String {
    let forwarded = |name: &str| {
        let value = parts.headers.get(name).filter(|_| is_trusted)?.to_str().ok()?;
        value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
    };
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        Some(_) | None => "http",
    };
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = forwarded("x-forwarded-host")
        .or(named)
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests;
