//! What is set of alerts.

use std::time::Duration;

use jiff::civil::Time;
use postrider_http_client::Outbound;
use postrider_render::SigningKey;
use postrider_store::AlertChannel;
use secrecy::SecretString;
use url::Url;

/// Where alerts go and how they are sent.
#[derive(Debug, Clone)]
pub struct AlertConfig {
    /// An incoming webhook of Slack.
    pub slack: Option<SecretString>,
    /// Address of an Alertmanager, below which its API is.
    pub alertmanager: Option<SecretString>,
    /// A receiver of Alertmanager's webhook body.
    pub webhook: Option<SecretString>,
    /// Signs what goes to that receiver.
    pub signing_key: Option<SigningKey>,
    /// How often open incidents are told to Alertmanager again, which forgets them otherwise.
    pub resend: Duration,
    /// How long an incident stays open and unacknowledged before it is told again for the first
    /// time.
    pub remind: Duration,
    /// When Slack gets its digest of the day, on the clocks of where quiet days are; never, if
    /// nothing is said.
    pub digest: Option<Time>,
    /// Whether Alertmanager always has an alert, so that its absence tells that nobody watches.
    pub watchdog: bool,
    /// Wait after the first failed try; each further one is three times as long.
    pub retry: Duration,
    /// Time of one request.
    pub timeout: Duration,
    /// Where links to postrider lead.
    pub base_url: Option<Url>,
    /// Certificates and proxies; a receiver on this machine is called directly.
    pub outbound: Outbound,
    /// `User-Agent`.
    pub user_agent: String,
}

impl AlertConfig {
    /// Channels that are set.
    pub fn channels(&self) -> Vec<AlertChannel> {
        let is_set = |channel: &AlertChannel| self.url(*channel).is_some();
        AlertChannel::ALL.into_iter().filter(is_set).collect()
    }

    /// Channels that are reminded of open incidents: Alertmanager hears of them all the time.
    pub(crate) fn reminded(&self) -> Vec<AlertChannel> {
        let hears_once = |channel: &AlertChannel| *channel != AlertChannel::Alertmanager;
        self.channels().into_iter().filter(hears_once).collect()
    }

    /// Where a channel is told, if it is set.
    pub(super) fn url(&self, channel: AlertChannel) -> Option<&SecretString> {
        match channel {
            AlertChannel::Slack => self.slack.as_ref(),
            AlertChannel::Alertmanager => self.alertmanager.as_ref(),
            AlertChannel::Webhook => self.webhook.as_ref(),
        }
    }
}
