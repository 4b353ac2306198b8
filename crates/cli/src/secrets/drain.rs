//! What waits for a secret's value, until nothing does.

use std::time::Duration;

use postrider_api::{CredentialList, Lane, LaneList, LaneState};
use postrider_domain::HoldCause;
use tokio::time::Instant;

use crate::{Api, Exit, Failure};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Until nothing waits in the lanes that use it, the value is refused, or time is over; what it
/// came to, and a sentence.
pub(super) async fn until_nothing_waits(
    api: &Api,
    name: &str,
    within: Duration,
) -> Result<(Exit, String), Failure> {
    let until = Instant::now() + within;
    let all: CredentialList = api.get(&["api", "v1", "credentials"], &[]).await?;
    let found = all.credentials.into_iter().find(|credential| credential.name == name);
    let lanes = found.map(|credential| credential.used_by.lanes).unwrap_or_default();
    loop {
        let all: LaneList = api.get(&["api", "v1", "lanes"], &[]).await?;
        let own: Vec<&Lane> = all.lanes.iter().filter(|lane| lanes.contains(&lane.name)).collect();
        if let Some(end) = end(&own, Instant::now() >= until) {
            return Ok(end);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How it ended, if it did.
fn end(lanes: &[&Lane], is_late: bool) -> Option<(Exit, String)> {
    let refused = lanes.iter().find(|lane| {
        lane.cause == Some(HoldCause::Credential)
            || lane.held_webhooks.iter().any(|webhook| webhook.cause == HoldCause::Credential)
    });
    if let Some(lane) = refused {
        return Some((Exit::No, format!("lane {} is held: the value is refused", lane.name)));
    }
    let waiting: u64 = lanes.iter().map(|lane| lane.backlog).sum();
    if waiting == 0 {
        return Some((Exit::Fine, "nothing waits for it".to_owned()));
    }
    let by_hand = lanes.iter().find(|lane| lane.state == LaneState::Held && lane.backlog > 0);
    if let (Some(lane), false) = (by_hand, is_late) {
        let cause = lane.cause.map_or("", HoldCause::as_str);
        let what = format!("{waiting} deliveries wait: lane {} is held ({cause})", lane.name);
        return Some((Exit::No, what));
    }
    is_late.then(|| (Exit::Unreachable, format!("{waiting} deliveries still wait")))
}
