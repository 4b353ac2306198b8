//! One message a delivery, confirms in flight.

use anyhow::{Result, ensure};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use uuid::Uuid;

use super::{QUEUE, channel, short};

/// Messages written and not confirmed.
const IN_FLIGHT: usize = 256;
/// On disk.
const PERSISTENT: u8 = 2;

pub(super) struct Publisher {
    channel: Channel,
    queue: ShortString,
    in_flight: FuturesUnordered<PublisherConfirm>,
}

impl Publisher {
    pub(super) async fn connect(amqp_url: &str) -> Result<Self> {
        let channel = channel(amqp_url).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, queue: short(QUEUE), in_flight: FuturesUnordered::new() })
    }

    /// Writes a message for each; waits only when too many are not confirmed.
    pub(super) async fn publish(&mut self, ids: &[Uuid]) -> Result<()> {
        for id in ids {
            if self.in_flight.len() >= IN_FLIGHT {
                confirmed(self.in_flight.next().await)?;
            }
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let (exchange, queue) = (ShortString::default(), self.queue.clone());
            let body = id.as_bytes();
            let publish = self.channel.basic_publish(exchange, queue, options, body, properties);
            self.in_flight.push(publish.await?);
        }
        while let Some(Some(confirm)) = self.in_flight.next().now_or_never() {
            confirmed(Some(confirm))?;
        }
        Ok(())
    }

    pub(super) async fn confirm_all(&mut self) -> Result<()> {
        while let Some(confirm) = self.in_flight.next().await {
            confirmed(Some(confirm))?;
        }
        Ok(())
    }
}

fn confirmed(confirm: Option<Result<Confirmation, lapin::Error>>) -> Result<()> {
    let confirm = confirm.transpose()?;
    ensure!(matches!(confirm, Some(Confirmation::Ack(None))), "not confirmed: {confirm:?}");
    Ok(())
}
