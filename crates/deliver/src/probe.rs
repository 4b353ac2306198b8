//! Finds out whether a held lane's credential is alive again.
//!
//! At GitHub by a read that proves the credential and changes nothing, never by a delivery
//! (GitHub docs: `GET /rate_limit` does not count against the limit). Elsewhere there is no such
//! read: one delivery of the lane is made, by the holder of the probe alone, and any answer but
//! a refusal of the credential opens the lane.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{Event, EventName, LaneId, Outcome, Pacticipant, TargetKind};
use postrider_github::ProbeReading;
use postrider_render::{RenderedRequest, Variables};
use postrider_store::{
    ClaimTerms, Lease, ProbeClaim, Recorded, SecretValues, Store, StoreError, Transition, WorkerId,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::cache::{Prepared, prepare};
use crate::clock::Mark;
use crate::hub::send;
use crate::lane::Way;
use crate::policy;
use crate::record::Entry;
use crate::step::{Context, Held, attempt};
use crate::target::Reply;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// The credential is taken again.
    Good,
    /// It is still refused, or nothing could be learnt.
    StillHeld,
    /// The target wants to be left alone this long.
    Limited(Option<Duration>),
}

/// What a probe works with.
pub(crate) struct Prober {
    pub(crate) context: Arc<Context>,
    pub(crate) store: Store,
    pub(crate) worker: WorkerId,
    pub(crate) recorder: mpsc::Sender<Entry>,
    /// The lane's pacer with a gate of its own: the lane's is closed while it is held.
    pub(crate) way: Way,
}

impl Prober {
    /// Makes one probe if it is this worker's to make. It spends a slot of the lane's limiter.
    pub(crate) async fn probe(&self, lane: LaneId, lease: Option<Lease>) -> Result<(), StoreError> {
        let every = self.context.config.probe;
        let Some(claim) = self.store.claim_probe(lane, lease, every).await? else {
            return Ok(());
        };
        let Some(webhook) = self.store.lane_webhook(lane).await? else { return Ok(()) };
        let names = webhook.secret_names.clone();
        let team = webhook.webhook.team_uuid.clone();
        let values = self.store.secret_values(&names, team.as_deref()).await?;
        let has_all = names.iter().all(|name| values.contains_key(name));
        let prepared = prepare(webhook);
        let finding = match request_of(&self.context, &prepared, &values) {
            Some(request) if has_all => self.ask(request, lane, claim, lease).await?,
            Some(_) | None => Finding::StillHeld,
        };
        tracing::info!(lane = prepared.lane, finding = ?finding, "lane.probed");
        conclude(&self.store, lane, claim, finding).await
    }

    async fn ask(
        &self,
        request: RenderedRequest,
        lane: LaneId,
        claim: ProbeClaim,
        lease: Option<Lease>,
    ) -> Result<Finding, StoreError> {
        match TargetKind::of(&request.url) {
            TargetKind::RepositoryDispatch | TargetKind::WorkflowDispatch => {
                if let Some(pacer) = &self.way.pacer {
                    pacer.ready().await;
                }
                Ok(ask_github(&self.context, request).await)
            }
            TargetKind::Other => self.send_one(lane, claim, lease).await,
        }
    }

    /// The canary: one real delivery under the probe's right.
    async fn send_one(
        &self,
        lane: LaneId,
        probe: ProbeClaim,
        lease: Option<Lease>,
    ) -> Result<Finding, StoreError> {
        let length = self.context.config.claim_length();
        let terms = ClaimTerms { worker: self.worker, length };
        let asked_at = Mark::now();
        let Some(claim) = self.store.claim_canary(lane, probe, lease, terms).await? else {
            return Ok(Finding::StillHeld);
        };
        let held = Held { claim, asked_at };
        let mut finished = attempt(&self.context, &held, &self.way).await;
        let finding = read_canary(&finished.recorded);
        spare(&mut finished.recorded);
        send(&self.recorder, Entry { recorded: finished.recorded, tag: None }).await;
        Ok(finding)
    }
}

/// Any answer that is no refusal of the credential proves it; silence proves nothing.
fn read_canary(recorded: &Recorded) -> Finding {
    let Some(attempt) = &recorded.attempt else { return Finding::StillHeld };
    match attempt.outcome {
        Outcome::Accepted
        | Outcome::ServerError
        | Outcome::NotFound
        | Outcome::Permission
        | Outcome::Invalid
        | Outcome::Redirected
        | Outcome::RateLimited => Finding::Good,
        Outcome::Credential
        | Outcome::SecretMissing
        | Outcome::Timeout
        | Outcome::ConnectError
        | Outcome::Blocked
        | Outcome::RenderError
        | Outcome::Lost
        | Outcome::Poison
        | Outcome::WebhookDeleted
        | Outcome::WebhookDisabled
        | Outcome::Withdrawn => Finding::StillHeld,
    }
}

/// The delivery that was picked for a probe must not pay for it: unless it went through, may
/// have, or met a limit, its attempt is given back.
fn spare(recorded: &mut Recorded) {
    match recorded.transition {
        Transition::Delivered
        | Transition::Limited { .. }
        | Transition::Released
        | Transition::Retry { uncertain: true, .. }
        | Transition::Failed { uncertain: true } => {}
        Transition::Retry { uncertain: false, .. }
        | Transition::Failed { uncertain: false }
        | Transition::HeldBack { .. } => recorded.transition = Transition::Released,
    }
}

async fn conclude(
    store: &Store,
    lane: LaneId,
    claim: ProbeClaim,
    finding: Finding,
) -> Result<(), StoreError> {
    match finding {
        Finding::Good => {
            if store.release_probed(lane, claim).await? {
                tracing::info!(lane_id = lane.0, "lane.opened");
            }
            Ok(())
        }
        Finding::Limited(pause) => store.pause(lane, pause.unwrap_or(Duration::from_mins(1))).await,
        Finding::StillHeld => Ok(()),
    }
}

/// A request of the lane, for its URL and credential; `None` when it can't be sent at all.
fn request_of(
    context: &Context,
    prepared: &Prepared,
    values: &SecretValues,
) -> Option<RenderedRequest> {
    let event = placeholder();
    let variables = Variables {
        event: &event,
        event_name: "test",
        delivery_id: postrider_domain::DeliveryId(Uuid::nil()),
    };
    let rendered = prepared.request.render(&variables, values, &context.config.user_agent).ok()?;
    policy::check(&rendered, &context.config).ok()?;
    Some(rendered)
}

async fn ask_github(context: &Context, mut request: RenderedRequest) -> Finding {
    let Some(url) = postrider_github::probe_url(&request.url) else {
        return Finding::StillHeld;
    };
    request.url = url;
    request.method = http::Method::GET;
    request.body = None;
    request.headers.remove(http::header::CONTENT_TYPE);
    match context.client.send(&request).await {
        Reply::Answered { status, headers, body } => {
            match postrider_github::read_probe(status.as_u16(), &headers, &body) {
                ProbeReading::Good => Finding::Good,
                ProbeReading::Limited(pause) => Finding::Limited(pause),
                ProbeReading::Refused | ProbeReading::Unknown => Finding::StillHeld,
            }
        }
        Reply::TimedOut { .. } | Reply::ConnectFailed(_) | Reply::Broken(_) | Reply::Blocked(_) => {
            Finding::StillHeld
        }
    }
}

/// Only URL and credential of the rendered request are used.
fn placeholder() -> Event {
    let side = |name: &str| Pacticipant { name: name.to_owned(), ..Pacticipant::default() };
    Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("placeholder-consumer"),
        provider: side("placeholder-provider"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}
