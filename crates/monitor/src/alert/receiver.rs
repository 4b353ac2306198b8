//! Who is told, each in the shape that it takes.

use std::time::Duration;

use postrider_render::SigningKey;
use postrider_store::{AlertChannel, AlertStatus, Notification};
use url::Url;

use super::config::AlertConfig;
use super::content::Alert;
use super::post::{AlertError, Failed, Post};
use super::{alertmanager, slack, webhook};

/// One way of telling.
#[derive(Debug, Clone)]
pub(super) enum Receiver {
    Slack(Post),
    Alertmanager { post: Post, resend: Duration },
    Webhook { post: Post, key: Option<SigningKey> },
}

impl Receiver {
    pub(super) fn new(
        config: &AlertConfig,
        channel: AlertChannel,
    ) -> Result<Option<Self>, AlertError> {
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
    pub(super) fn batch(&self) -> u32 {
        match self {
            Self::Slack(_) => slack::BATCH,
            Self::Alertmanager { .. } => alertmanager::BATCH,
            // Each has an id of its own, by which a receiver tells repeats.
            Self::Webhook { .. } => 1,
        }
    }

    pub(super) async fn send(
        &self,
        told: &[Notification],
        base: Option<&Url>,
    ) -> Result<(), Failed> {
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
