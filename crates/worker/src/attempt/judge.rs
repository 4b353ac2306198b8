//! What an attempt means: its class, what its row does next, what its lane is told.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    Classified, Decision, FailedRule, Outcome, Refusal, TargetKind, classify, decide,
};
use postrider_render::{RENDERER, describe_acceptance};
use postrider_store::{AttemptRow, Claim, KeptRequest, Recorded, Rendition, Transition};
use serde_json::Value;

use super::made::{Made, Story, error_json};
use super::prepare::Ready;
use super::{Context, HeldClaim};
use crate::WorkerConfig;
use crate::credentials::Saw;
use crate::log::{self, Attempted};
use crate::traced::Traced;
use postrider_scheduler::Verdict;

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) recorded: Recorded,
    pub(crate) verdict: Verdict,
}

/// Judges an attempt: class, decision, what the row does next; and says so.
pub(super) fn conclude(
    context: &Context,
    held: &HeldClaim,
    ready: &Ready,
    made: Made<'_>,
    traced: &Traced,
) -> Finished {
    let claim = &held.claim;
    let config = &context.config;
    let kind = made.target.map_or(TargetKind::Other, |target| target.kind);
    let classified = classify(kind, &made.answer, &config.success_codes);
    let (classified, failed_rule) = ready.judged(classified, &made.story);
    let retry = ready.retry(config);
    let decision =
        decide(retry, claim.attempt, classified.outcome, classified.wait, rand::random());
    let refusal = refusal(ready, &made, &classified);
    let transition = if is_worth_another(context, ready, &made, &classified) {
        Transition::Released { after: Duration::ZERO }
    } else {
        transition(config, claim, refusal, &classified, &decision)
    };
    let attempted = Attempted {
        claim,
        event: &ready.event,
        webhook: &ready.prepared.uuid,
        lane: &ready.prepared.lane,
        trace: if made.story.is_sent() { &traced.request } else { &traced.process },
        outcome: classified.outcome,
        transition: &transition,
        status_code: made.status_code,
        github_request_id: made.github_request_id.as_deref(),
        duration: made.duration,
    };
    tell_credential(context, ready, &made, classified.outcome, &transition);
    log::attempted(&attempted);
    log::measure(&context.metrics, &attempted);
    traced.attempted(&attempted, made.span.as_ref().map(|span| (span, made.started_at)));
    let is_plain = transition == Transition::Delivered && !held.is_probe && !claim.execution;
    let is_plain = is_plain && ready.can_be_rendered_again();
    let (request, response) = kept(&made.story, ready, is_plain.then_some(traced));
    let response = with_rule(with_run(response, kind, &made, ready), failed_rule);
    let attempt = AttemptRow {
        number: claim.number,
        started_at: made.started_at,
        duration: made.duration,
        outcome: classified.outcome,
        status_code: made.status_code,
        github_request_id: made.github_request_id,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: made.asks_too_long && classified.wait.is_some(),
        request,
        response,
    };
    Finished {
        verdict: verdict(&transition),
        recorded: Recorded::of(claim, transition, Some(attempt)),
    }
}

/// `MINTED_ANEW`: whether a token of an app was refused that is worth another. The delivery is due
/// at once, and like any request it keeps its lane's pace.
fn is_worth_another(
    context: &Context,
    ready: &Ready,
    made: &Made<'_>,
    classified: &Classified,
) -> bool {
    if classified.outcome.shows_a_live_credential() {
        ready.used.iter().for_each(|token| context.tokens.taken(token));
    }
    let is_refused = classified.outcome == Outcome::Credential && made.status_code == Some(401);
    let another = |all, token| context.tokens.refused(token) && all;
    is_refused && !ready.used.is_empty() && ready.used.iter().fold(true, another)
}

/// What an answer says of the secret that its request was authenticated with. A token that is worth
/// another says nothing of its app.
fn tell_credential(
    context: &Context,
    ready: &Ready,
    made: &Made<'_>,
    outcome: Outcome,
    transition: &Transition,
) {
    if matches!(transition, Transition::Released { .. }) {
        return;
    }
    let (Some(secret), Some(target)) = (ready.prepared.own_secret(), made.target) else { return };
    let answer = match &made.story {
        Story::Answered { status, headers, .. } => Some((*status, headers)),
        Story::Unanswered { .. } | Story::Unsent(_) => None,
    };
    context.credentials.sees(secret, Saw::of(outcome, target, answer));
}

/// The answer's text with the part of the webhook's own rule that it failed.
fn with_rule(response: String, failed: Option<FailedRule>) -> String {
    let Some(rule) = failed else { return response };
    let rule = Value::from(rule.to_string());
    with_members(&response, &format!("\"cause\":\"success_rule\",\"rule\":{rule}"))
}

/// The answer's text with the run that it names.
fn with_run(response: String, kind: TargetKind, made: &Made<'_>, ready: &Ready) -> String {
    let Story::Answered { status, body, .. } = &made.story else { return response };
    let Some(run) = postrider_github::started_run(kind, status.as_u16(), body) else {
        return response;
    };
    let url = Value::from(ready.unsealed.redactor.redact(&run.url));
    with_members(&response, &format!("\"run\":{{\"id\":{},\"url\":{url}}}", run.id))
}

fn with_members(object: &str, members: &str) -> String {
    let begun = object.trim_end().strip_suffix('}').unwrap_or_default();
    format!("{begun},{members}}}")
}

/// What is kept of request and answer. A plain success is rendered again when somebody looks: its
/// text would be most of its row. Everything else keeps what was sent and answered, as evidence;
/// so do tests and probes, and deliveries whose trace the row does not tell.
fn kept(story: &Story<'_>, ready: &Ready, plain: Option<&Traced>) -> (KeptRequest, String) {
    let redactor = &ready.unsealed.redactor;
    match (story, plain.and_then(Traced::kept_span)) {
        (Story::Answered { request, status, headers, body }, Some(span_id)) => {
            let bytes = request.body.as_ref().map_or(0, Vec::len);
            let rendition = Rendition {
                webhook_rev: ready.prepared.rev,
                span_id,
                renderer: RENDERER,
                body_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            };
            let response = describe_acceptance(*status, headers, body, redactor);
            (KeptRequest::Rendition(rendition), response.unwrap_or_default())
        }
        (Story::Answered { .. } | Story::Unanswered { .. } | Story::Unsent(_), _) => {
            story.texts(redactor)
        }
    }
}

fn verdict(transition: &Transition) -> Verdict {
    match transition {
        Transition::Delivered
        | Transition::Failed { .. }
        | Transition::Released { .. }
        | Transition::Lost { .. } => Verdict::Continue,
        Transition::Retry { after, .. } => Verdict::Retry { after: *after },
        Transition::CredentialRejected { .. } => Verdict::CredentialRejected,
        Transition::Limited { .. } => Verdict::Limited,
    }
}

/// The decision in the words of the protocol. A test is made once (E3); it proves what any
/// delivery proves, but where a refusal would park its webhook, it does not.
fn transition(
    config: &WorkerConfig,
    claim: &Claim,
    refusal: Refusal,
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
        Decision::PauseLane => Transition::Limited { pause: classified.wait },
        Decision::Hold if claim.execution && is_of_webhook(refusal) => failed,
        Decision::Hold => Transition::CredentialRejected {
            refusal,
            secret_rev: claim.secret_rev,
            secrets_rev: claim.secrets_rev,
            probe_after: classified.wait.unwrap_or_default().max(config.probe),
        },
    }
}

fn is_of_webhook(refusal: Refusal) -> bool {
    match refusal {
        Refusal::Elsewhere | Refusal::Hint => true,
        Refusal::AtGithub | Refusal::SecretMissing { .. } | Refusal::SecretUnusable { .. } => false,
    }
}

/// Who refused what. One refusal proves a dead credential at GitHub's hosts; elsewhere a 401 may
/// be about one endpoint only.
fn refusal(ready: &Ready, made: &Made<'_>, classified: &Classified) -> Refusal {
    let own = ready.prepared.own_secret();
    let is_of_lane = made.lacks.as_deref().is_some_and(|lacked| {
        own.is_some_and(|own| own == lacked || !ready.unsealed.values.contains_key(own))
    });
    let is_at_github = made.target.is_some_and(|target| target.is_github_host);
    match classified.outcome {
        Outcome::SecretMissing => Refusal::SecretMissing { is_of_lane },
        Outcome::SecretUnusable => Refusal::SecretUnusable { is_of_lane },
        _ if classified.is_weak => Refusal::Hint,
        _ if is_at_github => Refusal::AtGithub,
        _ => Refusal::Elsewhere,
    }
}

/// A row that can't be read fails alone and says why; it never takes a worker down.
pub(super) fn unreadable(context: &Context, claim: &Claim, what: &str) -> Finished {
    tracing::error!(delivery_id = %claim.id, error = what, "delivery.unreadable");
    context.metrics.outcome_recorded(Outcome::RenderError.as_str());
    context.metrics.finished("failed", 1);
    let attempt = AttemptRow {
        number: claim.number,
        started_at: Timestamp::now(),
        duration: Duration::ZERO,
        outcome: Outcome::RenderError,
        status_code: None,
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request: KeptRequest::Nothing,
        response: error_json(what),
    };
    let failed = Transition::Failed { uncertain: false };
    Finished { verdict: Verdict::Continue, recorded: Recorded::of(claim, failed, Some(attempt)) }
}
