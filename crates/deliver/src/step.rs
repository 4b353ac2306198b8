//! One attempt, and the order of its effects.
//!
//! | step | effect | a crash right after it |
//! |---|---|---|
//! | taken | a copy is off the road, unacknowledged | the road gives it out again |
//! | claimed | waiting becomes sending under a new claim number | the claim expires; the next attempt is marked as a possible duplicate although nothing was sent |
//! | sent | the target answered | the claim expires; the next attempt is a duplicate and marked as one |
//! | recorded | outcome, next state and attempt are committed | the copy comes again, its claim gets nothing |
//! | settled | the copy is acknowledged | nothing is left to do |
//!
//! Nobody sends without a claim, and the claim, not the lane's lease, is the permission to send
//! (rule `NO_LEASE_TO`): right before the request leaves, the time since *before* the claim was
//! asked for plus a whole time-out must fit into the claim (SEND_CHECK, DEADLINE_T0).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    Answer, Classified, Decision, Event, HoldCause, Outcome, TargetKind, classify, decide,
};
use postrider_render::{
    RenderError, RenderedRequest, Variables, describe_request, describe_response,
};
use postrider_store::{AttemptRow, Claim, HoldProof, Recorded, Transition};
use postrider_telemetry::step::{Step, reached};
use postrider_telemetry::{Metrics, TRACEPARENT, TraceContext};

use crate::cache::{Cache, Prepared, Unsealed};
use crate::clock::Mark;
use crate::lane::Way;
use crate::log::{self, Attempted};
use crate::target::{Client, Reply};
use crate::{WorkerConfig, policy};

/// What every attempt of a process shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: WorkerConfig,
    pub(crate) cache: Cache,
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
}

/// What may stop an attempt of a lane in the last moment: a hold, a pause, a lost lease, a
/// shutdown.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicBool);

impl Gate {
    pub(crate) fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A claim with the moment before it was asked for.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) claim: Claim,
    pub(crate) asked_at: Mark,
}

/// What an attempt tells its lane at once, before it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Continue,
    /// The lane's credential was refused or has no value.
    Refused,
    /// The target wants to be left alone.
    Paused,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) recorded: Recorded,
    pub(crate) verdict: Verdict,
}

/// Makes the attempt that a claim is for.
pub(crate) async fn attempt(context: &Context, held: &Held, way: &Way) -> Finished {
    let claim = &held.claim;
    let ready = match prepare(context, claim).await {
        Ok(ready) => ready,
        Err(NotReady::StoreAway) => return released(claim),
        Err(NotReady::Unreadable(what)) => return unreadable(context, claim, &what),
    };
    let request = match ready.render(claim, &context.config) {
        Ok(request) => request,
        Err(refusal) => return conclude(context, claim, &ready, refusal.made()),
    };
    let Ok(_place) = way.places.acquire().await else {
        return released(claim);
    };
    if let Some(pacer) = &way.pacer {
        pacer.ready().await;
    }
    if way.gate.is_closed() || too_late(&context.config, held) {
        return released(claim);
    }
    let started = Started::now();
    let reply = context.client.send(&request).await;
    reached(Step::Sent, 1);
    conclude(context, claim, &ready, started.made(reply, &request, &ready))
}

/// Rule SEND_CHECK: the answer must be able to arrive within the claim.
fn too_late(config: &WorkerConfig, held: &Held) -> bool {
    held.asked_at.elapsed() + config.timeout > config.claim_length()
}

/// T11: not sent.
pub(crate) fn released(claim: &Claim) -> Finished {
    Finished {
        recorded: Recorded {
            id: claim.id,
            claim_no: claim.claim_no,
            webhook_id: claim.webhook_id,
            lane_id: claim.lane_id,
            transition: Transition::Released,
            attempt: None,
        },
        verdict: Verdict::Continue,
    }
}

enum NotReady {
    StoreAway,
    Unreadable(String),
}

/// Everything that a request is rendered from.
struct Ready {
    prepared: Arc<Prepared>,
    unsealed: Arc<Unsealed>,
    event: Event,
    trace: TraceContext,
}

async fn prepare(context: &Context, claim: &Claim) -> Result<Ready, NotReady> {
    let event: Event = serde_json::from_str(&claim.event)
        .map_err(|error| NotReady::Unreadable(format!("the stored event: {error}")))?;
    let store_away = |error: postrider_store::StoreError| match error {
        postrider_store::StoreError::Corrupt(what) => NotReady::Unreadable(what),
        other => {
            tracing::warn!(delivery_id = %claim.id, error = %other, "delivery.not_prepared");
            NotReady::StoreAway
        }
    };
    let prepared = context.cache.prepared(claim).await.map_err(store_away)?;
    let unsealed = context.cache.unsealed(claim, &prepared).await.map_err(store_away)?;
    let parent = claim.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok());
    let trace = parent.map_or_else(TraceContext::new_root, |parent| parent.child());
    Ok(Ready { prepared, unsealed, event, trace })
}

impl Ready {
    /// Renders and asks the policies; a refusal is an attempt at which nothing was sent.
    fn render(&self, claim: &Claim, config: &WorkerConfig) -> Result<RenderedRequest, Refusal> {
        let variables = Variables {
            event: &self.event,
            event_name: self.event.event_name.as_str(),
            delivery_id: claim.id,
        };
        let rendered =
            self.prepared.request.render(&variables, &self.unsealed.values, &config.user_agent);
        let mut request = rendered.map_err(Refusal::from_render)?;
        policy::check(&request, config).map_err(Refusal::Blocked)?;
        if let Ok(value) = self.trace.to_traceparent().parse() {
            request.headers.insert(TRACEPARENT, value);
        }
        Ok(request)
    }
}

/// Why nothing was sent.
enum Refusal {
    SecretMissing(String),
    Render(String),
    Blocked(String),
}

impl Refusal {
    fn from_render(error: RenderError) -> Self {
        match error {
            RenderError::SecretMissing { .. } => Self::SecretMissing(error.to_string()),
            other => Self::Render(other.to_string()),
        }
    }

    fn made(self) -> Made {
        let (answer, why) = match self {
            Self::SecretMissing(why) => (Answer::SecretMissing, why),
            Self::Render(why) => (Answer::RenderFailed, why),
            Self::Blocked(why) => (Answer::Blocked, why),
        };
        Made {
            answer,
            kind: TargetKind::Other,
            started_at: Timestamp::now(),
            duration: Duration::ZERO,
            status_code: None,
            github_request_id: None,
            request: String::new(),
            response: error_json(&why),
        }
    }
}

/// An attempt as it was made, before it is judged.
struct Made {
    answer: Answer,
    kind: TargetKind,
    started_at: Timestamp,
    duration: Duration,
    status_code: Option<u16>,
    github_request_id: Option<String>,
    request: String,
    response: String,
}

struct Started {
    at: Timestamp,
    instant: tokio::time::Instant,
}

impl Started {
    fn now() -> Self {
        Self { at: Timestamp::now(), instant: tokio::time::Instant::now() }
    }

    fn made(self, reply: Reply, request: &RenderedRequest, ready: &Ready) -> Made {
        let redactor = &ready.unsealed.redactor;
        let mut made = Made {
            answer: Answer::ConnectFailed,
            kind: TargetKind::of(&request.url),
            started_at: self.at,
            duration: self.instant.elapsed(),
            status_code: None,
            github_request_id: None,
            request: describe_request(request, redactor),
            response: String::new(),
        };
        match reply {
            Reply::Answered { status, headers, body } => {
                made.answer = postrider_github::answer(made.kind, status.as_u16(), &headers, &body);
                made.status_code = Some(status.as_u16());
                made.github_request_id = postrider_github::request_id(&headers);
                made.response = describe_response(status, &headers, &body, redactor);
            }
            Reply::TimedOut { sent } => {
                made.answer = Answer::Timeout { sent };
                made.response = error_json("no answer in time");
            }
            Reply::ConnectFailed(why) => made.response = error_json(&redactor.redact(&why)),
            Reply::Broken(why) => {
                made.answer = Answer::ResetAfterSend;
                made.response = error_json(&redactor.redact(&why));
            }
            Reply::Blocked(why) => {
                made.answer = Answer::Blocked;
                made.response = error_json(&why);
            }
        }
        made
    }
}

fn error_json(why: &str) -> String {
    serde_json::json!({ "error": why }).to_string()
}

/// Judges an attempt: class, decision, what the row does next; and says so.
fn conclude(context: &Context, claim: &Claim, ready: &Ready, made: Made) -> Finished {
    let config = &context.config;
    let kind = made.kind;
    let classified = classify(kind, &made.answer, &config.success_codes);
    let decision = decide(&config.retry, claim.attempt, classified.outcome, rand::random());
    let transition = transition(config, claim, kind, &classified, &decision);
    let attempted = Attempted {
        claim,
        event: &ready.event,
        webhook: &ready.prepared.uuid,
        lane: &ready.prepared.lane,
        trace: &ready.trace,
        outcome: classified.outcome,
        transition: &transition,
        status_code: made.status_code,
        github_request_id: made.github_request_id.as_deref(),
        duration: made.duration,
    };
    log::attempted(&attempted);
    log::measure(&context.metrics, &attempted);
    Finished {
        verdict: verdict(&transition),
        recorded: Recorded {
            id: claim.id,
            claim_no: claim.claim_no,
            webhook_id: claim.webhook_id,
            lane_id: claim.lane_id,
            transition,
            attempt: Some(AttemptRow {
                number: claim.attempt,
                started_at: made.started_at,
                duration: made.duration,
                outcome: classified.outcome,
                status_code: made.status_code,
                github_request_id: made.github_request_id,
                possible_duplicate: claim.maybe_sent,
                request: made.request,
                response: made.response,
            }),
        },
    }
}

fn verdict(transition: &Transition) -> Verdict {
    match transition {
        Transition::Delivered
        | Transition::Retry { .. }
        | Transition::Failed { .. }
        | Transition::Released => Verdict::Continue,
        Transition::HeldBack { .. } => Verdict::Refused,
        Transition::Limited { .. } => Verdict::Paused,
    }
}

/// The decision in the words of the protocol. A test is made once (E3); it proves what any
/// delivery proves, but where one refusal proves nothing, a test is no strike either.
fn transition(
    config: &WorkerConfig,
    claim: &Claim,
    kind: TargetKind,
    classified: &Classified,
    decision: &Decision,
) -> Transition {
    let failed = Transition::Failed { uncertain: classified.uncertain };
    match decision {
        Decision::Deliver => Transition::Delivered,
        Decision::RetryAfter(_) if claim.execution => failed,
        Decision::RetryAfter(after) => {
            Transition::Retry { after: *after, uncertain: classified.uncertain }
        }
        Decision::GiveUp => failed,
        Decision::PauseLane => Transition::Limited { pause: classified.pause },
        Decision::HoldLane => {
            let (cause, proof) = hold(kind, classified.outcome);
            if claim.execution && proof == HoldProof::Several {
                return failed;
            }
            Transition::HeldBack {
                cause,
                secret_rev: claim.secret_rev,
                proof,
                probe_after: config.probe,
                retry_after: config.retry.schedule.first().copied().unwrap_or(config.poll),
            }
        }
    }
}

/// One refusal proves a dead credential at GitHub; elsewhere a single 401 may be about one
/// endpoint only. That a secret has no value needs no second look.
fn hold(kind: TargetKind, outcome: Outcome) -> (HoldCause, HoldProof) {
    if outcome == Outcome::SecretMissing {
        (HoldCause::SecretMissing, HoldProof::One)
    } else if kind.is_github() {
        (HoldCause::Credential, HoldProof::One)
    } else {
        (HoldCause::Credential, HoldProof::Several)
    }
}

/// A row that can't be read fails alone and says why; it never takes a worker down.
fn unreadable(context: &Context, claim: &Claim, what: &str) -> Finished {
    tracing::error!(delivery_id = %claim.id, error = what, "delivery.unreadable");
    context.metrics.outcome_recorded(Outcome::RenderError.as_str());
    Finished {
        verdict: Verdict::Continue,
        recorded: Recorded {
            id: claim.id,
            claim_no: claim.claim_no,
            webhook_id: claim.webhook_id,
            lane_id: claim.lane_id,
            transition: Transition::Failed { uncertain: false },
            attempt: Some(AttemptRow {
                number: claim.attempt,
                started_at: Timestamp::now(),
                duration: Duration::ZERO,
                outcome: Outcome::RenderError,
                status_code: None,
                github_request_id: None,
                possible_duplicate: claim.maybe_sent,
                request: String::new(),
                response: error_json(what),
            }),
        },
    }
}
