//! The worker of the bare pipeline.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::store::{Claimed, Outcome, Store};
use super::{QUEUE, channel, gather, say, short};
use crate::args::At;
use crate::target::ID_HEADER;

const PREFETCH: u16 = 512;
/// Requests under way.
const AT_ONCE: usize = 64;
const CLAIMS: usize = 128;
const CLAIM_MOMENT: Duration = Duration::from_millis(2);
const OUTCOMES: usize = 200;
const OUTCOME_MOMENT: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(15);

/// A delivery's id and its message.
type Taken = (Uuid, u64);
/// An outcome and its message.
type Done = (Outcome, u64);

pub(super) async fn run(at: &At) -> Result<()> {
    let channel = channel(&at.amqp_url).await?;
    let target = at.target.clone().context("--target is missing")?;
    let (claims, outcomes) =
        (Store::connect(&at.database_url).await?, Store::connect(&at.database_url).await?);
    let (taken, to_claim) = mpsc::channel(usize::from(PREFETCH));
    let (done, to_record) = mpsc::channel(usize::from(PREFETCH));
    say("listening", "role", "work")?;
    tokio::select! {
        ended = consume(channel.clone(), taken) => ended,
        ended = claim(claims, to_claim, &target, &done) => ended,
        ended = record(outcomes, to_record, &channel) => ended,
    }
}

async fn consume(channel: Channel, taken: mpsc::Sender<Taken>) -> Result<()> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (queue, tag) = (short(QUEUE), short("work"));
    let options = BasicConsumeOptions::default();
    let mut messages = channel.basic_consume(queue, tag, options, FieldTable::default()).await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let id = Uuid::from_slice(&message.data).context("a message that is no id")?;
        taken.send((id, message.delivery_tag)).await?;
    }
    anyhow::bail!("the queue is gone")
}

async fn claim(
    mut store: Store,
    mut taken: mpsc::Receiver<Taken>,
    target: &str,
    done: &mpsc::Sender<Done>,
) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut attempts = JoinSet::new();
    loop {
        let batch = gather::next(&mut taken, CLAIMS, CLAIM_MOMENT).await;
        let tags: HashMap<Uuid, u64> = batch.into_iter().collect();
        let ids: Vec<Uuid> = tags.keys().copied().collect();
        for claimed in store.claim(&ids).await? {
            let place = Arc::clone(&places).acquire_owned().await?;
            let tag = tags.get(&claimed.id).copied().context("a claim of another")?;
            let (client, target, done) = (client.clone(), target.to_owned(), done.clone());
            attempts.spawn(async move {
                let outcome = attempt(&client, &target, claimed).await?;
                drop(place);
                done.send((outcome, tag)).await.context("nobody records")
            });
            while let Some(ended) = attempts.try_join_next() {
                ended??;
            }
        }
    }
}

async fn attempt(client: &reqwest::Client, target: &str, claimed: Claimed) -> Result<Outcome> {
    let began = Instant::now();
    let Claimed { id, attempt, body } = claimed;
    let response = client
        .post(target)
        .header("accept", "application/vnd.github+json")
        .header("authorization", "Bearer test-token")
        .header("content-type", "application/json")
        .header("x-github-api-version", "2022-11-28")
        .header(ID_HEADER, id.to_string())
        .body(body)
        .send()
        .await?;
    let status = response.status().as_u16();
    response.bytes().await?;
    let duration_us = i64::try_from(began.elapsed().as_micros())?;
    Ok(Outcome { id, attempt, status, duration_us })
}

async fn record(mut store: Store, mut done: mpsc::Receiver<Done>, channel: &Channel) -> Result<()> {
    let worker = Uuid::now_v7();
    let mut acks = Acks::default();
    loop {
        let batch = gather::next(&mut done, OUTCOMES, OUTCOME_MOMENT).await;
        let (outcomes, tags): (Vec<Outcome>, Vec<u64>) = batch.into_iter().unzip();
        store.record(worker, &outcomes).await?;
        if let Some(tag) = acks.settle(tags) {
            channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        }
    }
}

/// One `basic.ack` settles everything up to its tag.
#[derive(Debug, Default)]
struct Acks {
    /// Everything up to here is acknowledged.
    prefix: u64,
    /// Recorded beyond a gap.
    beyond: BTreeSet<u64>,
}

impl Acks {
    /// The tag to acknowledge, if the prefix grew.
    fn settle(&mut self, tags: Vec<u64>) -> Option<u64> {
        let before = self.prefix;
        self.beyond.extend(tags);
        while self.beyond.first() == Some(&(self.prefix + 1)) {
            self.beyond.pop_first();
            self.prefix += 1;
        }
        (self.prefix > before).then_some(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_is_acknowledged() {
        let mut acks = Acks::default();
        assert_eq!(acks.settle(vec![2, 3]), None);
        assert_eq!(acks.settle(vec![1, 5]), Some(3));
        assert_eq!(acks.settle(vec![4]), Some(5));
    }
}
