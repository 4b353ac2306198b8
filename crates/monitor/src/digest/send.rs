//! Sends the digest of a day, once.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use postrider_store::{AlertResult, MonitorLease, Store, StoreError};
use tokio::sync::watch;
use tokio::time::sleep;

use super::message::message;
use super::{due_day, read};
use crate::alert::{AlertConfig, AlertError, Post, wait_after};
use crate::rules::Rules;

/// Beyond the request's time-out a digest is held this much longer: reading takes a while.
const HOLD_MARGIN: Duration = Duration::from_mins(5);

/// Sends a digest a day to Slack.
#[derive(Debug)]
pub(crate) struct Digester {
    at: Time,
    post: Post,
    store: Store,
    rules: Rules,
    lease: watch::Receiver<Option<MonitorLease>>,
    every: Duration,
    retry: Duration,
    timeout: Duration,
}

impl Digester {
    /// `None` unless it is asked for.
    pub(crate) fn new(
        config: &AlertConfig,
        (store, rules): (&Store, &Rules),
        lease: watch::Receiver<Option<MonitorLease>>,
        every: Duration,
    ) -> Result<Option<Self>, AlertError> {
        let (Some(at), Some(post)) = (config.digest, Post::slack(config)?) else { return Ok(None) };
        Ok(Some(Self {
            at,
            post,
            store: store.clone(),
            rules: rules.clone(),
            lease,
            every,
            retry: config.retry,
            timeout: config.timeout,
        }))
    }

    /// Sends for ever; cancel it by dropping.
    pub(crate) async fn run(self) {
        let mut lease = self.lease.clone();
        loop {
            let Ok(held) = lease.wait_for(Option::is_some).await.map(|held| *held) else { return };
            if let Some(held) = held
                && let Some(day) = due_day(self.at, &self.rules.freshness.quiet, Timestamp::now())
                && let Err(error) = self.send(held, day).await
            {
                tracing::warn!(%error, "digest.store_failed");
            }
            sleep(self.every).await;
        }
    }

    async fn send(&self, lease: MonitorLease, day: Date) -> Result<(), StoreError> {
        let name = day.to_string();
        let hold = self.timeout + HOLD_MARGIN;
        let Some(tries) = self.store.take_digest(lease, &name, hold).await? else { return Ok(()) };
        let now = Timestamp::now();
        let result = match read::read(&self.store, &self.rules, now).await {
            Ok(facts) => self.post.json(&message(&facts, day, now)).await.err(),
            Err(error) => {
                // It is tried again once it can be read.
                self.store.settle_digest(&name, tries, AlertResult::Retry(self.retry)).await?;
                return Err(error);
            }
        };
        let Some(failed) = result else {
            self.store.settle_digest(&name, tries, AlertResult::Delivered).await?;
            tracing::info!(day = name, "digest.sent");
            return Ok(());
        };
        let again = wait_after(tries, self.retry, failed.retry_after, rand::random());
        let result = again.map_or(AlertResult::GivenUp, AlertResult::Retry);
        self.store.settle_digest(&name, tries, result).await?;
        let (error, is_over) = (failed.what, again.is_none());
        tracing::warn!(day = name, tries, error, is_over, "digest.failed");
        Ok(())
    }
}
