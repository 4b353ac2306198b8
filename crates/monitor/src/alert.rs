//! Alerts: what is told of an incident, and to whom.
//!
//! An incident's opening and its resolution are written into the store together with one
//! notification for each channel. The active monitor sends them, each channel on its own, so
//! that one that hangs holds nothing else up; what fails is tried again with growing waits.
//! Receivers are set by whoever runs the program: no address policy applies to them, and plain
//! http is allowed, because an Alertmanager is often next door.

mod alertmanager;
mod content;
mod post;
mod send;
pub(crate) mod slack;
mod webhook;

use std::time::Duration;

use jiff::civil::Time;
use postrider_http_client::Outbound;
use postrider_store::{AlertChannel, AlertStatus, Notification};
use secrecy::SecretString;
use url::Url;

pub use post::AlertError;
pub use postrider_render::{InvalidSigningKey, SigningKey};
pub(crate) use send::Sender;

use self::content::Alert;
use self::post::Failed;
pub(crate) use self::post::Post;

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

    /// Where Slack takes messages, if it is to take any.
    pub(crate) fn slack_post(&self) -> Result<Option<Post>, AlertError> {
        let url = self.slack.as_ref();
        url.map(|url| Post::new(self, AlertChannel::Slack, url, "")).transpose()
    }

    fn url(&self, channel: AlertChannel) -> Option<&SecretString> {
        match channel {
            AlertChannel::Slack => self.slack.as_ref(),
            AlertChannel::Alertmanager => self.alertmanager.as_ref(),
            AlertChannel::Webhook => self.webhook.as_ref(),
        }
    }
}

/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Tries of one notification: with waits of 5 s, 15 s, 45 s, … up to an hour about four hours.
const TRIES: u32 = 10;

/// The wait after a failed try, counted from 1; `None` after the last. What the receiver asked
/// for counts when it is longer. `chance` from 0 to 1 adds up to a fifth.
pub(crate) fn wait_after(
    tries: u32,
    first: Duration,
    asked: Option<Duration>,
    chance: f64,
) -> Option<Duration> {
    if tries >= TRIES {
        return None;
    }
    let own = first.saturating_mul(3_u32.saturating_pow(tries.saturating_sub(1)));
    let wait = own.max(asked.unwrap_or_default()).min(LONGEST_WAIT);
    Some(wait + wait.mul_f64(chance.clamp(0.0, 1.0) / 5.0))
}

/// One way of telling.
#[derive(Debug, Clone)]
enum Receiver {
    Slack(Post),
    Alertmanager { post: Post, resend: Duration },
    Webhook { post: Post, key: Option<SigningKey> },
}

impl Receiver {
    fn new(config: &AlertConfig, channel: AlertChannel) -> Result<Option<Self>, AlertError> {
        let Some(url) = config.url(channel) else {
            return Ok(None);
        };
        Ok(Some(match channel {
            AlertChannel::Slack => Self::Slack(Post::new(config, channel, url, "")?),
            AlertChannel::Alertmanager => Self::Alertmanager {
                post: Post::new(config, channel, url, "api/v2/alerts")?,
                resend: config.resend,
            },
            AlertChannel::Webhook => Self::Webhook {
                post: Post::new(config, channel, url, "")?,
                key: config.signing_key.clone(),
            },
        }))
    }

    /// Notifications that go in one request.
    fn batch(&self) -> u32 {
        match self {
            Self::Slack(_) => slack::BATCH,
            Self::Alertmanager { .. } => alertmanager::BATCH,
            // Each has an id of its own, by which a receiver tells repeats.
            Self::Webhook { .. } => 1,
        }
    }

    async fn send(&self, told: &[Notification], base: Option<&Url>) -> Result<(), Failed> {
        let now = jiff::Timestamp::now();
        let alert = |each: &Notification| {
            Alert::new(&each.incident, each.status, base).reminding(each.reminder, now)
        };
        let alerts: Vec<Alert> = told.iter().map(alert).collect();
        let ids: Vec<String> = told.iter().map(|each| each.id.to_string()).collect();
        self.tell(&alerts, &ids, base).await
    }

    /// Each alert has an id, the same whenever it is told again.
    async fn tell(
        &self,
        alerts: &[Alert],
        ids: &[String],
        base: Option<&Url>,
    ) -> Result<(), Failed> {
        let now = jiff::Timestamp::now();
        match self {
            Self::Slack(post) => post.json(&slack::message(alerts)).await,
            Self::Alertmanager { post, resend } => {
                post.json(&alertmanager::alerts(alerts, now, *resend)).await
            }
            Self::Webhook { post, key } => {
                for (id, alert) in ids.iter().zip(alerts) {
                    let body = webhook::body(alert, base).to_string();
                    let headers = webhook::headers(id, now, &body, key.as_ref());
                    post.text(body, &headers).await?;
                }
                Ok(())
            }
        }
    }
}

/// Sends a test alert to each channel that is set, once, and ends it at once. What came of it by
/// channel; an error says why the receiver did not take it, and holds neither URL nor secret.
pub async fn send_test(
    config: &AlertConfig,
) -> Result<Vec<(AlertChannel, Result<(), String>)>, AlertError> {
    let mut told = Vec::new();
    for channel in config.channels() {
        let Some(receiver) = Receiver::new(config, channel)? else { continue };
        let sent = test_receiver(&receiver, config.base_url.as_ref()).await;
        told.push((channel, sent.map_err(|failed| failed.what)));
    }
    Ok(told)
}

async fn test_receiver(receiver: &Receiver, base: Option<&Url>) -> Result<(), Failed> {
    let now = jiff::Timestamp::now();
    for status in [AlertStatus::Firing, AlertStatus::Resolved] {
        let id = uuid::Uuid::now_v7().to_string();
        receiver.tell(&[Alert::test(status, now)], &[id], base).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
