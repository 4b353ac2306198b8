//! Sending what is due, one channel for itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postrider_store::{
    AlertChannel, AlertResult, AlertStatus, Incident, IncidentCursor, IncidentFilter, MonitorLease,
    Notification, Store, StoreError,
};
use postrider_telemetry::Metrics;
use tokio::sync::{Notify, watch};
use url::Url;
use uuid::Uuid;

use super::alertmanager;
use super::config::AlertConfig;
use super::content::Alert;
use super::post::{AlertError, Failed};
use super::receiver::Receiver;
use super::retry::wait_after;

/// Requests to one receiver side by side.
const SIDE_BY_SIDE: u32 = 4;
/// Beyond the request's time-out a notification is held this much longer.
const HOLD_MARGIN: Duration = Duration::from_secs(10);
/// Results as the metrics call them.
const SENT: &str = "sent";
const FAILED: &str = "failed";
const GIVEN_UP: &str = "given_up";
/// Pages of open incidents that are told again.
const PAGES: u32 = 50;

/// Sends the notifications of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    channel: AlertChannel,
    receiver: Receiver,
    store: Store,
    metrics: Metrics,
    lease: watch::Receiver<Option<MonitorLease>>,
    /// Says that there is something new.
    news: Arc<Notify>,
    /// How often it is looked whether something is due.
    every: Duration,
    retry: Duration,
    resend: Duration,
    timeout: Duration,
    base: Option<Url>,
    /// Told with what is open.
    watchdog: Option<Alert>,
}

impl Sender {
    /// One for each channel that is set.
    pub(crate) fn all(
        config: &AlertConfig,
        (store, metrics): (&Store, &Metrics),
        lease: &watch::Receiver<Option<MonitorLease>>,
        every: Duration,
    ) -> Result<Vec<Self>, AlertError> {
        let sender = |channel| {
            let receiver = Receiver::new(config, channel)?;
            if receiver.is_some() {
                metrics.expect_alerts(channel.as_str(), &[SENT, FAILED, GIVEN_UP]);
            }
            Ok(receiver.map(|receiver| Self {
                channel,
                receiver,
                store: store.clone(),
                metrics: metrics.clone(),
                lease: lease.clone(),
                news: Arc::default(),
                every: every.min(config.retry),
                retry: config.retry,
                resend: config.resend,
                timeout: config.timeout,
                base: config.base_url.clone(),
                watchdog: config.watchdog.then(|| Alert::watchdog(Timestamp::now())),
            }))
        };
        let senders: Result<Vec<Option<Self>>, AlertError> =
            AlertChannel::ALL.into_iter().map(sender).collect();
        Ok(senders?.into_iter().flatten().collect())
    }

    /// Wakes it when something new is to be told.
    pub(crate) fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Sends for ever; cancel it by dropping.
    pub(crate) async fn run(self) {
        match self.receiver {
            Receiver::Alertmanager { .. } => {
                tokio::join!(self.notify(), self.repeat());
            }
            Receiver::Slack(_) | Receiver::Webhook { .. } => self.notify().await,
        }
    }

    async fn notify(&self) {
        let mut lease = self.lease.clone();
        loop {
            let Some(held) = leased(&mut lease).await else { return };
            let sent = self.round(held).await.unwrap_or_else(|error| {
                tracing::warn!(%error, channel = self.channel.as_str(), "alert.store_failed");
                0
            });
            if sent == 0 {
                // Woken at news; retries wait for the tick.
                let woken = tokio::time::timeout(self.every, self.news.notified()).await;
                drop(woken);
            }
        }
    }

    /// Sends what is due; how many it tried.
    async fn round(&self, lease: MonitorLease) -> Result<usize, StoreError> {
        let limit = self.receiver.batch().max(SIDE_BY_SIDE);
        let hold = self.timeout + HOLD_MARGIN;
        let claim = self.store.claim_notifications(lease, self.channel, limit, hold);
        let due = claim.await?.unwrap_or_default();
        let size = usize::try_from(self.receiver.batch()).unwrap_or(1);
        let batches = due
            .chunks(size)
            .map(async |batch| (batch, self.receiver.send(batch, self.base.as_ref()).await.err()));
        let sent = join_all(batches).await;
        let results: Vec<(&Notification, AlertResult, Option<&Failed>)> = sent
            .iter()
            .flat_map(|(batch, failed)| batch.iter().map(move |told| (told, failed.as_ref())))
            .map(|(told, failed)| (told, self.result(told, failed), failed))
            .collect();
        if !results.is_empty() {
            let settled: Vec<(Uuid, u32, AlertResult)> =
                results.iter().map(|(told, result, _)| (told.id, told.tries, *result)).collect();
            self.store.settle_notifications(&settled).await?;
        }
        // Said only now: until it is noted, another monitor would tell it again.
        for (told, result, failed) in results {
            self.log(told, result, failed);
        }
        Ok(due.len())
    }

    fn result(&self, told: &Notification, failed: Option<&Failed>) -> AlertResult {
        let Some(failed) = failed else { return AlertResult::Delivered };
        wait_after(told.tries, self.retry, failed.retry_after, rand::random())
            .map_or(AlertResult::GivenUp, AlertResult::Retry)
    }

    fn log(&self, told: &Notification, result: AlertResult, failed: Option<&Failed>) {
        let (channel, incident) = (self.channel.as_str(), &told.incident);
        let error = failed.map_or("", |failed| failed.what.as_str());
        let status = told.status.as_str();
        self.metrics.alert_tried(channel, counted(result));
        match result {
            AlertResult::Delivered => {
                tracing::info!(channel, status, incident_id = %incident.id, "alert.sent");
            }
            AlertResult::Retry(after) => tracing::warn!(
                channel, status, incident_id = %incident.id, tries = told.tries, error,
                retry_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                "alert.failed"
            ),
            AlertResult::GivenUp => tracing::error!(
                channel, status, incident_id = %incident.id, tries = told.tries, error,
                summary = incident.summary,
                "alert.given_up"
            ),
        }
    }

    /// Tells Alertmanager again of all that is open: it takes what it does not hear of for over.
    async fn repeat(&self) {
        let mut lease = self.lease.clone();
        loop {
            tokio::time::sleep(self.resend).await;
            if leased(&mut lease).await.is_none() {
                return;
            }
            match self.tell_all_open().await {
                Ok(Ok(())) => {}
                Ok(Err(failed)) => {
                    tracing::warn!(
                        channel = self.channel.as_str(),
                        error = failed.what,
                        "alert.not_repeated"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, channel = self.channel.as_str(), "alert.store_failed");
                }
            }
        }
    }

    async fn tell_all_open(&self) -> Result<Result<(), Failed>, StoreError> {
        let Receiver::Alertmanager { post, resend } = &self.receiver else { return Ok(Ok(())) };
        let filter = IncidentFilter { open_only: true, kind: None };
        let mut after: Option<IncidentCursor> = None;
        let mut watchdog = self.watchdog.clone();
        for _ in 0..PAGES {
            let page = self.store.incidents(filter, after, alertmanager::BATCH).await?;
            let alert = |open: &Incident| Alert::new(open, AlertStatus::Firing, self.base.as_ref());
            let alerts: Vec<Alert> =
                watchdog.take().into_iter().chain(page.incidents.iter().map(alert)).collect();
            if !alerts.is_empty() {
                let body = alertmanager::alerts(&alerts, Timestamp::now(), *resend);
                if let Err(failed) = post.json(&body).await {
                    return Ok(Err(failed));
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Ok(()))
    }
}

/// What a result is called in the metrics.
fn counted(result: AlertResult) -> &'static str {
    match result {
        AlertResult::Delivered => SENT,
        AlertResult::Retry(_) => FAILED,
        AlertResult::GivenUp => GIVEN_UP,
    }
}

/// The lease once this process holds it; `None` when nobody will take it any more.
async fn leased(lease: &mut watch::Receiver<Option<MonitorLease>>) -> Option<MonitorLease> {
    lease.wait_for(Option::is_some).await.ok().and_then(|held| *held)
}
