//! What became of a dispatch at GitHub: the run that it started, asked for by the credential that
//! dispatched, because somebody wants to know.
//!
//! Nothing is asked while the lane is held or paused: a limit is for what it was paused for.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use postrider_domain::doctor::{Known, NoRun, RunFinding};
use postrider_domain::{DeliveryId, Event, LaneState, Outcome, TargetKind};
use postrider_github::{RUN_PAGES, RunsReading};
use postrider_http_client::Reply;
use postrider_render::RenderedRequest;
use postrider_store::{DeliveryView, Store, StoreError, StoredWebhook};
use serde_json::Value;
use url::Url;

use crate::attempt::{self, Context};
use crate::cache::prepare;
use crate::probe::request_for;

/// How long one question is a worker's.
const CLAIM: Duration = Duration::from_mins(2);

/// Answers what is asked; ends when nothing is.
pub(crate) async fn answer_all(context: &Context, store: &Store) -> Result<(), StoreError> {
    while let Some(delivery) = store.take_run_question(CLAIM).await? {
        let found = Box::pin(find(context, store, delivery)).await?;
        tracing::debug!(delivery_id = %delivery, found = ?found, "run.looked_for");
        store.answer_run(delivery, &found).await?;
    }
    Ok(())
}

async fn find(
    context: &Context,
    store: &Store,
    id: DeliveryId,
) -> Result<Known<RunFinding>, StoreError> {
    let unknown = |why: &str| Ok(Known::Unknown(why.to_owned()));
    let Some(view) = store.delivery(id).await? else { return unknown("the delivery is gone") };
    let taken = view.attempts.iter().rev().find(|one| one.outcome == Outcome::Accepted);
    let Some(taken) = taken else { return unknown("no attempt was taken") };
    let webhook = store.webhooks_by_id(&[view.webhook_id]).await?.pop();
    let Some(webhook) = webhook else { return unknown("its webhook is gone") };
    if let Some(why) = closed(store, &webhook).await? {
        return Ok(Known::Unknown(why));
    }
    let Some(request) = request(context, &view, webhook).await? else {
        return unknown("its request can't be made any more");
    };
    if !TargetKind::of(&request.url).is_github() {
        return Ok(Known::Is(RunFinding::NotAsked));
    }
    let asking = Asking { context, request, id, at: taken.started_at };
    Ok(match run_id(&taken.response) {
        Some(run) => asking.one(run).await,
        None => asking.listed().await,
    })
}

/// Why nothing is asked in the webhook's lane now.
async fn closed(store: &Store, webhook: &StoredWebhook) -> Result<Option<String>, StoreError> {
    let lane = store.lanes().await?.into_iter().find(|lane| lane.id == webhook.lane_id);
    let Some(lane) = lane else { return Ok(None) };
    Ok(match (lane.state, lane.paused_until) {
        (LaneState::Held(_), _) => Some(format!("lane {} is held", lane.name)),
        (LaneState::Open, Some(until)) if until > Timestamp::now() => {
            Some(format!("lane {} is paused until {until}", lane.name))
        }
        (LaneState::Open, _) => None,
    })
}

/// The request of the delivery, as it would be sent now.
async fn request(
    context: &Context,
    view: &DeliveryView,
    webhook: StoredWebhook,
) -> Result<Option<RenderedRequest>, StoreError> {
    let Ok(event) = serde_json::from_str::<Event>(&view.event) else { return Ok(None) };
    let prepared = prepare(webhook);
    let unsealed = Arc::new(context.cache.unsealed_now(&prepared, 0).await?);
    let made = request_for(context, &prepared, unsealed, &event, view.row.id).await;
    Ok(made.map(|made| made.sendable.request))
}

/// The run that the answer to a workflow dispatch named.
fn run_id(response: &str) -> Option<u64> {
    let response: Value = serde_json::from_str(response).ok()?;
    response.pointer("/run/id")?.as_u64()
}

/// One question to GitHub.
struct Asking<'a> {
    context: &'a Context,
    request: RenderedRequest,
    id: DeliveryId,
    /// When it was dispatched.
    at: Timestamp,
}

impl Asking<'_> {
    async fn one(&self, run: u64) -> Known<RunFinding> {
        let Some(url) = postrider_github::run_url(&self.request.url, run) else {
            return Known::Is(RunFinding::NotAsked);
        };
        match self.get(url).await {
            Ok((status, body)) => match postrider_github::read_run(status, &body) {
                RunsReading::Found(found) => Known::Is(found),
                RunsReading::Unreadable(why) => Known::Unknown(why),
                RunsReading::Others { .. } => Known::Is(RunFinding::NotAsked),
            },
            Err(why) => Known::Unknown(why),
        }
    }

    async fn listed(&self) -> Known<RunFinding> {
        let mut runs = 0;
        for page in 1..=RUN_PAGES {
            let url = postrider_github::runs_url(&self.request.url, self.at, page);
            let Some(url) = url else { return Known::Is(RunFinding::NotAsked) };
            let (status, body) = match self.get(url).await {
                Ok(answer) => answer,
                Err(why) => return Known::Unknown(why),
            };
            match postrider_github::read_runs(status, &body, &self.id.to_string(), page) {
                RunsReading::Found(found) => return Known::Is(found),
                RunsReading::Unreadable(why) => return Known::Unknown(why),
                RunsReading::Others { count, has_more } => {
                    runs = count;
                    if !has_more {
                        break;
                    }
                }
            }
        }
        Known::Is(match runs {
            0 => RunFinding::None { reason: self.why_none().await },
            count => RunFinding::Unnamed { count },
        })
    }

    async fn why_none(&self) -> NoRun {
        let Some(url) = postrider_github::workflows_url(&self.request.url) else {
            return NoRun::NotListening;
        };
        match self.get(url).await {
            Ok((status, body)) => postrider_github::read_workflows(status, &body),
            Err(_) => NoRun::NotListening,
        }
    }

    /// Reads something else of the same host with the same credential.
    async fn get(&self, url: Url) -> Result<(u16, Vec<u8>), String> {
        let mut request = self.request.clone();
        (request.url, request.method, request.body) = (url, Method::GET, None);
        request.headers.remove(CONTENT_TYPE);
        let timeout = self.context.config.timeout;
        match attempt::send(self.context, &request, timeout, &[]).await {
            Reply::Answered { status, body, .. } => Ok((status.as_u16(), body.to_vec())),
            Reply::TimedOut { .. } => Err("GitHub did not answer in time".to_owned()),
            Reply::ConnectFailed(_)
            | Reply::Broken(_)
            | Reply::Blocked(_)
            | Reply::Unreadable { .. }
            | Reply::LocalTrouble(_) => Err("GitHub can't be reached".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run_id;

    #[test]
    fn the_run_that_an_answer_named() {
        assert_eq!(run_id(r#"{"status":200,"run":{"id":7,"url":"https://h/"}}"#), Some(7));
        assert_eq!(run_id(r#"{"status":204}"#), None);
        assert_eq!(run_id(""), None);
    }
}
