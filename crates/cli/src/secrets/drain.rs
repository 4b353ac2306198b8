//! What waits for a secret's value, until nothing does.
//!
//! Deliveries of other webhooks, and those that are tried again for reasons of their own, share
//! lanes with what waits: they are not counted.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use postrider_api::{Credential, DeliveryList, Lane, LaneList, LaneState};
use postrider_domain::{DeliveryStatus, HoldCause, Outcome, counted};
use tokio::time::Instant;

use super::probe;
use crate::pages::read_all;
use crate::{Api, Exit, Failure};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// With more webhooks than these whole lanes are looked at.
const WEBHOOKS: usize = 50;
/// Questions at a time, and rows looked through for each.
const PARALLEL: usize = 8;
const ROWS: &str = "1000";

/// Who uses a secret, and since when what they do is of interest.
pub(super) struct Users {
    lanes: Vec<String>,
    /// What names their deliveries: a parameter of the list with its value.
    deliveries: Vec<(&'static str, String)>,
    until: Timestamp,
}

/// What is seen at one moment.
pub(super) struct Seen {
    /// Deliveries that wait for the value.
    pub(super) waiting: u64,
    /// A lane of which, or of a webhook in which, the target refused the value.
    pub(super) refused: Option<String>,
    /// A lane that is held for another reason, and why.
    held: Option<(String, HoldCause)>,
}

impl Users {
    /// What came up to now for those who use it.
    pub(super) fn of(credential: &Credential) -> Self {
        let used = &credential.used_by;
        let lanes = used.lanes.clone();
        let deliveries = if used.webhooks.len() <= WEBHOOKS {
            used.webhooks.iter().map(|uuid| ("webhook", uuid.to_string())).collect()
        } else {
            lanes.iter().map(|lane| ("lane", lane.clone())).collect()
        };
        Self { lanes, deliveries, until: Timestamp::now() }
    }

    pub(super) async fn look(&self, api: &Api) -> Result<Seen, Failure> {
        let lanes = read_all::<LaneList>(api, "lanes").await?;
        let own = || lanes.iter().filter(|lane| self.lanes.contains(&lane.name));
        let is_refused = |lane: &&Lane| {
            lane.cause == Some(HoldCause::Credential)
                || lane.held_webhooks.iter().any(|webhook| webhook.cause == HoldCause::Credential)
        };
        let held = own().find(|lane| lane.state == LaneState::Held && lane.backlog > 0);
        Ok(Seen {
            // What is being sent is not in the backlog, and may come back to it.
            waiting: self.count(api).await?,
            refused: own().find(is_refused).map(|lane| lane.name.clone()),
            held: held.and_then(|lane| Some((lane.name.clone(), lane.cause?))),
        })
    }

    async fn count(&self, api: &Api) -> Result<u64, Failure> {
        let statuses = [DeliveryStatus::Held, DeliveryStatus::Queued, DeliveryStatus::Retrying];
        let asked = self.deliveries.iter().flat_map(|of| statuses.map(|status| (of, status)));
        let counts: Vec<u64> = stream::iter(asked)
            .map(|(of, status)| self.of_status(api, of, status))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(counts.iter().sum())
    }

    async fn of_status(
        &self,
        api: &Api,
        (name, value): &(&'static str, String),
        status: DeliveryStatus,
    ) -> Result<u64, Failure> {
        let query = [
            (*name, value.clone()),
            ("status", status.to_string()),
            ("until", self.until.to_string()),
            ("limit", ROWS.to_owned()),
        ];
        let list: DeliveryList = api.get(&["api", "v1", "deliveries"], &query).await?;
        if status != DeliveryStatus::Retrying {
            return Ok(list.total);
        }
        let waits = list
            .deliveries
            .iter()
            .filter(|delivery| delivery.last_outcome.is_some_and(Outcome::waits_for_a_credential));
        Ok(waits.count() as u64)
    }
}

/// Until nothing waits for the value, it is refused, or time is over; what it came to, and a
/// sentence.
pub(super) async fn until_nothing_waits(
    api: &Api,
    name: &str,
    within: Duration,
) -> Result<(Exit, String), Failure> {
    let until = Instant::now() + within;
    let users = probe::credential(api, name).await?.as_ref().map(Users::of);
    let Some(users) = users else { return Ok((Exit::Fine, "nothing waits for it".to_owned())) };
    loop {
        if let Some(end) = end(users.look(api).await?, Instant::now() >= until) {
            return Ok(end);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How it ended, if it did.
fn end(seen: Seen, is_late: bool) -> Option<(Exit, String)> {
    let Seen { waiting, refused, held } = seen;
    if let Some(lane) = refused {
        return Some((Exit::No, format!("lane {lane} is held: the value is refused")));
    }
    if waiting == 0 {
        return Some((Exit::Fine, "nothing waits for it".to_owned()));
    }
    let many = counted(waiting, "delivery", "deliveries");
    if let (Some((lane, cause)), false) = (held, is_late) {
        let what = format!("waiting: {many}; lane {lane} is held ({})", cause.as_str());
        return Some((Exit::No, what));
    }
    is_late.then(|| (Exit::Unreachable, format!("still waiting: {many}")))
}
