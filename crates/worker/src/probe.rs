//! Finds out whether a held lane's credential is alive again, or a parked webhook taken.
//!
//! At GitHub's hosts by a read of the repository whose answer held the lane, which changes nothing,
//! never by a delivery. Elsewhere there is no such read: one delivery is made, by the holder of the
//! probe alone, and any answer but a refusal of the credential opens the lane or the webhook.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{DeliveryId, Event, EventName, LaneId, Outcome, Pacticipant};
use postrider_github::ProbeReading;
use postrider_http_client::Reply;
use postrider_render::{RenderedRequest, Variables};
use postrider_store::{
    ClaimProbeDelivery, Lease, ProbeClaim, Recorded, Store, StoreError, Transition,
};
use uuid::Uuid;

use crate::app_tokens::{AppTokens, Equipped, InUse, equip};
use crate::attempt::{self, Came, Context, Finished, HeldClaim, InHand, Leave, Sendable, attempt};
use crate::cache::{Prepared, Unsealed, prepare};
use crate::clock::BoottimeInstant;
use crate::credentials::Saw;
use crate::driver::hands::Hands;
use crate::log;
use crate::policy;

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

/// A request that may ask, with the tokens of apps that it carries.
pub(crate) struct Probing {
    pub(crate) sendable: Sendable,
    used: Vec<InUse>,
}

/// One probe of a lane.
pub(crate) struct Prober {
    pub(crate) hands: Hands,
    pub(crate) lane: LaneId,
    /// Where the lane is limited.
    pub(crate) lease: Option<Lease>,
    /// The time that a delivery takes of the limit's pace.
    pub(crate) interval: Duration,
}

impl Prober {
    /// Makes one probe if it is this worker's to make. Its request leaves when it is told, for
    /// it spends a slot of the lane's limiter.
    pub(crate) async fn probe(&self, leave: Leave) -> Result<(), StoreError> {
        let Hands { store, context, .. } = &self.hands;
        let every = context.config.probe;
        let Some(claim) = store.claim_probe(self.lane, self.lease, every).await? else {
            return Ok(());
        };
        let webhook = match claim.webhook {
            Some(parked) => store.webhooks_by_id(&[parked]).await?.pop(),
            None => store.lane_webhook(self.lane).await?,
        };
        let Some(webhook) = webhook else { return Ok(()) };
        let prepared = prepare(webhook);
        let unsealed = Arc::new(context.cache.unsealed_now(&prepared, 0).await?);
        let asked = request_of(context, &prepared, unsealed).await;
        let finding = match asked {
            Some(Probing { sendable, used }) => {
                if sendable.target.is_github_host && claim.webhook.is_none() {
                    let finding = self.ask(&prepared, sendable.request, leave).await;
                    told(&context.tokens, &used, finding);
                    finding
                } else {
                    Box::pin(self.send_one(claim, leave)).await?
                }
            }
            None => Finding::StillHeld,
        };
        let parked = claim.webhook.map(|_| prepared.uuid.as_str());
        tracing::info!(lane = prepared.lane, parked, finding = ?finding, "lane.probed");
        conclude(store, self.lane, claim, finding).await
    }

    async fn ask(&self, prepared: &Prepared, request: RenderedRequest, leave: Leave) -> Finding {
        if !leave.granted_to_probe().await {
            return Finding::StillHeld;
        }
        ask_github(&self.hands.context, prepared, request).await
    }

    /// The canary: one real delivery under the probe's right.
    async fn send_one(&self, probe: ProbeClaim, leave: Leave) -> Result<Finding, StoreError> {
        let Hands { store, context, live, recorder, worker, .. } = &self.hands;
        let terms = context.config.terms(*worker);
        let asked_at = BoottimeInstant::now();
        let Self { lane, lease, interval, .. } = *self;
        let asked = ClaimProbeDelivery { lane, probe, lease, interval, terms };
        let Some(claim) = store.claim_probe_delivery(asked).await? else {
            return Ok(Finding::StillHeld);
        };
        live.takes(&claim);
        let held = Arc::new(HeldClaim { claim, asked_at, message: None, is_probe: true });
        let hand = InHand::new(held, recorder.clone());
        let came = attempt(context, &hand, leave).await;
        let mut recorded = match came {
            Came::Answered(_, Finished { recorded, .. })
            | Came::Silent(Finished { recorded, .. })
            | Came::NotRequested(Finished { recorded, .. }) => recorded,
            Came::Unsent(_) => hand.held().released(),
        };
        let finding = read_canary(&recorded);
        spare(&mut recorded);
        hand.record(recorded).await;
        Ok(finding)
    }
}

/// A token that was minted for a probe and refused is not used again.
fn told(tokens: &AppTokens, used: &[InUse], finding: Finding) {
    for token in used {
        match finding {
            Finding::Good => tokens.taken(token),
            Finding::StillHeld => tokens.forget(token),
            Finding::Limited(_) => {}
        }
    }
}

/// Any answer that is no refusal opens the lane, also a limit or a redirect, which don't prove
/// the credential but are no reason to hold; silence proves nothing.
fn read_canary(recorded: &Recorded) -> Finding {
    let outcome = recorded.attempt.as_ref().map(|attempt| attempt.outcome);
    let is_no_refusal = |outcome: Outcome| {
        matches!(outcome, Outcome::RateLimited | Outcome::Redirected)
            || outcome.shows_a_live_credential()
    };
    if outcome.is_some_and(is_no_refusal) { Finding::Good } else { Finding::StillHeld }
}

/// The delivery that was picked for a probe must not pay for it: unless it went through, may
/// have, or met a limit, its attempt is given back, as a refusal does by itself.
fn spare(recorded: &mut Recorded) {
    match recorded.transition {
        Transition::Delivered
        | Transition::CredentialRejected { .. }
        | Transition::Limited { .. }
        | Transition::Released { .. }
        | Transition::Lost { .. }
        | Transition::Retry { uncertain: true, .. }
        | Transition::Failed { uncertain: true } => {}
        Transition::Retry { uncertain: false, .. } | Transition::Failed { uncertain: false } => {
            recorded.transition = Transition::Released { after: Duration::ZERO };
        }
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
                let webhook_id = claim.webhook.map(|webhook| webhook.0);
                tracing::info!(lane_id = lane.0, webhook_id, "lane.opened");
            }
            Ok(())
        }
        Finding::Limited(pause) => store.pause(lane, pause.unwrap_or(Duration::from_mins(1))).await,
        Finding::StillHeld => Ok(()),
    }
}

/// A request of the lane, for its URL and credential; `None` when it can't be sent at all.
pub(crate) async fn request_of(
    context: &Context,
    prepared: &Prepared,
    unsealed: Arc<Unsealed>,
) -> Option<Probing> {
    request_for(context, prepared, unsealed, &placeholder(), DeliveryId(Uuid::nil())).await
}

/// The request for an event, as it would be sent now; `None` when it can't be sent at all.
pub(crate) async fn request_for(
    context: &Context,
    prepared: &Prepared,
    unsealed: Arc<Unsealed>,
    event: &Event,
    delivery_id: DeliveryId,
) -> Option<Probing> {
    let variables = Variables { event, event_name: event.event_name.as_str(), delivery_id };
    let of = (&context.tokens, &context.cache, &context.config);
    let patience = context.config.claim_margin;
    let Equipped { unsealed, used } =
        equip(of, prepared, unsealed, &variables, patience).await.ok()?;
    let values = &unsealed.values;
    let user_agent = &context.config.user_agent;
    let rendered = prepared.request.render(&variables, values, user_agent).ok()?;
    policy::check(&rendered, &context.config).ok()?;
    let sendable = Sendable::new(rendered, prepared, &context.config);
    prepared.has_all(values).then_some(Probing { sendable, used })
}

async fn ask_github(
    context: &Context,
    prepared: &Prepared,
    mut request: RenderedRequest,
) -> Finding {
    request.url = postrider_github::probe_url(&request.url);
    request.method = http::Method::GET;
    request.body = None;
    request.headers.remove(http::header::CONTENT_TYPE);
    match attempt::send(context, &request, context.config.timeout, &[]).await {
        Reply::Answered { status, headers, body } => {
            log::measure_github(&context.metrics, prepared, &headers);
            let is_taken = status.is_success();
            if let Some(secret) = prepared.own_secret() {
                let github = is_taken.then(|| postrider_github::token_facts(&headers));
                let saw = Saw { succeeded: is_taken, refused: status == 401, github };
                context.credentials.sees(secret, saw);
            }
            match postrider_github::read_probe(status.as_u16(), &headers, &body, Timestamp::now()) {
                ProbeReading::Good => Finding::Good,
                ProbeReading::Limited(pause) => Finding::Limited(pause),
                ProbeReading::Refused | ProbeReading::Unknown => Finding::StillHeld,
            }
        }
        Reply::TimedOut { .. }
        | Reply::ConnectFailed(_)
        | Reply::Broken(_)
        | Reply::Blocked(_)
        | Reply::Unreadable { .. }
        | Reply::LocalTrouble(_) => Finding::StillHeld,
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
