//! Following deliveries until each has come to an end.

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use postrider_api::DeliveryDetail;
use postrider_domain::{DeliveryId, DeliveryStatus, parse_duration};
use serde::Serialize;
use tokio::time::Instant;

use crate::{Api, Exit, Failure, Out, complain};

/// Deliveries that are followed at most.
pub(crate) const MOST: usize = 10_000;
/// Looks at a time, and the pauses between rounds of them.
const PARALLEL: usize = 8;
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Whether to wait.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Follow to the outcome; exit 1 if it is a failure, 3 if it is not known in time
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "wait", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

/// What the deliveries came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    delivered: usize,
    failed: usize,
    discarded: usize,
    /// Without an end when time was over.
    open: usize,
}

impl Ended {
    /// What the caller of the program learns.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self { failed: 0, discarded: 0, open: 0, .. } => Exit::Fine,
            Self { failed: 0, discarded: 0, .. } => Exit::Unreachable,
            Self { .. } => Exit::No,
        }
    }

    /// The last line for people.
    pub(crate) fn print(self, out: &mut Out) {
        let Self { delivered, failed, discarded, open } = self;
        out.line(format_args!("delivered {delivered}, failed {failed}, discarded {discarded}"));
        if failed > 0 {
            out.line("why: `postrider deliveries list --status failed --since 1h`");
        }
        if open > 0 {
            out.line(format_args!("{open} are still under way: `postrider deliveries tail`"));
        }
    }

    fn count(&mut self, status: DeliveryStatus) {
        match status {
            DeliveryStatus::Delivered => self.delivered += 1,
            DeliveryStatus::Failed => self.failed += 1,
            DeliveryStatus::Discarded => self.discarded += 1,
            DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held => {
                self.open += 1;
            }
        }
    }
}

/// Until all have ended, or time is over. What waits in a held lane is told once.
pub(crate) async fn to_the_end(
    api: &Api,
    mut open: Vec<DeliveryId>,
    within: Duration,
) -> Result<Ended, Failure> {
    let until = Instant::now() + within;
    let (mut pause, mut ended, mut held) = (PAUSE, Ended::default(), None);
    loop {
        let mut left = Vec::new();
        for delivery in look(api, &open).await? {
            if delivery.status == DeliveryStatus::Held && held.is_none() {
                complain(&format!("waits: {}", held_by(&delivery)));
                held = Some(delivery.id);
            }
            let before = ended;
            ended.count(delivery.status);
            if ended.open > before.open {
                left.push(delivery.id);
            }
        }
        open = left;
        if open.is_empty() || Instant::now() >= until {
            return Ok(ended);
        }
        ended.open = 0;
        tokio::time::sleep_until((Instant::now() + pause).min(until)).await;
        pause = (pause * 2).min(PAUSE_MOST);
    }
}

/// Why a delivery that is held waits. It does not say itself which of the two it is.
pub(crate) fn held_by(delivery: &DeliveryDetail) -> String {
    format!(
        "lane {} or webhook {} is held: `postrider incidents list --open` says why, and what ends it",
        delivery.lane, delivery.webhook_uuid
    )
}

async fn look(api: &Api, ids: &[DeliveryId]) -> Result<Vec<DeliveryDetail>, Failure> {
    let one = |id: &DeliveryId| {
        let id = id.to_string();
        async move { api.get(&["api", "v1", "deliveries", &id], &[]).await }
    };
    stream::iter(ids.iter().map(one)).buffered(PARALLEL).try_collect().await
}

#[cfg(test)]
mod tests {
    use DeliveryStatus::{Delivered, Discarded, Failed, Held};

    use super::*;

    #[test]
    fn a_failure_is_a_no_and_the_unknown_is_none() {
        let of = |statuses: &[DeliveryStatus]| {
            let mut ended = Ended::default();
            for status in statuses {
                ended.count(*status);
            }
            ended.exit()
        };
        assert_eq!(of(&[]), Exit::Fine);
        assert_eq!(of(&[Delivered]), Exit::Fine);
        assert_eq!(of(&[Delivered, Held]), Exit::Unreachable);
        assert_eq!(of(&[Delivered, Held, Failed]), Exit::No);
        assert_eq!(of(&[Discarded]), Exit::No);
    }
}
