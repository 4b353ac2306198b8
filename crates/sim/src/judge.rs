//! What an answer means, by the domain's tables.

use std::time::Duration;

use postrider_domain::{
    Answer, Classified, Decision, Outcome, Refusal, RetryPolicy, TargetKind, Transition, classify,
    decide,
};
use postrider_scheduler::{Ended, Verdict};
use postrider_store::{AttemptRow, Claim, KeptRequest, Recorded};

/// Settings of the workers that outcomes depend on.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) retry: RetryPolicy,
    pub(crate) probe: Duration,
}

/// What is recorded of an answer.
pub(crate) fn judge(
    rules: &Rules,
    kind: TargetKind,
    claim: &Claim,
    answer: &Answer,
    jitter: f64,
) -> Recorded {
    let Classified { outcome, uncertain, wait, is_weak } = classify(kind, answer, &[200]);
    let decision = decide(&rules.retry, claim.attempt, outcome, wait, jitter);
    let transition = match decision {
        Decision::Deliver => Transition::Delivered,
        Decision::RetryAfter(after) => Transition::Retry { after, uncertain },
        Decision::GiveUp => Transition::Failed { uncertain },
        Decision::PauseLane => Transition::Limited { pause: wait },
        Decision::Hold => Transition::CredentialRejected {
            refusal: refusal(kind, outcome, is_weak),
            secret_rev: claim.secret_rev,
            secrets_rev: claim.secrets_rev,
            probe_after: rules.probe,
        },
    };
    Recorded::of(claim, transition, Some(attempt(claim, outcome, answer)))
}

/// Here every target of GitHub's kind stands at a host of GitHub's.
fn refusal(kind: TargetKind, outcome: Outcome, is_weak: bool) -> Refusal {
    match outcome {
        Outcome::SecretMissing => Refusal::SecretMissing { is_of_lane: true },
        Outcome::SecretUnusable => Refusal::SecretUnusable { is_of_lane: true },
        _ if is_weak => Refusal::Hint,
        _ if kind.is_github() => Refusal::AtGithub,
        _ => Refusal::Elsewhere,
    }
}

/// An attempt that ended without a word.
pub(crate) fn lost(claim: &Claim, may_have_arrived: bool) -> Recorded {
    let attempt = AttemptRow {
        outcome: Outcome::Lost,
        ..attempt(claim, Outcome::Lost, &Answer::RenderFailed)
    };
    Recorded::of(claim, Transition::Lost { may_have_arrived }, Some(attempt))
}

fn attempt(claim: &Claim, outcome: Outcome, answer: &Answer) -> AttemptRow {
    let status_code = match answer {
        Answer::Response { status, .. } => Some(*status),
        Answer::Unreadable { status } => *status,
        Answer::Timeout { .. }
        | Answer::ConnectFailed
        | Answer::ResetAfterSend
        | Answer::SecretMissing
        | Answer::SecretUnusable
        | Answer::Blocked
        | Answer::RenderFailed => None,
    };
    AttemptRow {
        number: claim.number,
        started_at: claim.created_at,
        duration: Duration::ZERO,
        outcome,
        status_code,
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request: KeptRequest::Nothing,
        response: String::new(),
    }
}

/// What the scheduler is told of an attempt.
pub(crate) fn ended(answer: &Answer, transition: &Transition, took: Duration) -> Ended<Claim> {
    let verdict = match *transition {
        Transition::Delivered
        | Transition::Failed { .. }
        | Transition::Released { .. }
        | Transition::Lost { .. } => Verdict::Continue,
        Transition::Retry { after, .. } => Verdict::Retry { after },
        Transition::CredentialRejected { .. } => Verdict::CredentialRejected,
        Transition::Limited { .. } => Verdict::Limited,
    };
    match answer {
        Answer::Response { .. } => Ended::Answered { took, verdict },
        Answer::Timeout { sent: true } | Answer::ResetAfterSend | Answer::Unreadable { .. } => {
            Ended::Silent { verdict }
        }
        Answer::Timeout { sent: false }
        | Answer::ConnectFailed
        | Answer::SecretMissing
        | Answer::SecretUnusable
        | Answer::Blocked
        | Answer::RenderFailed => Ended::NotRequested { verdict },
    }
}

/// A probe's delivery must not pay for it: unless it went through, may have, or met a limit, its
/// attempt is given back, as a refusal does by itself.
pub(crate) fn spared(recorded: Recorded) -> Recorded {
    match recorded.transition {
        Transition::Delivered
        | Transition::CredentialRejected { .. }
        | Transition::Limited { .. }
        | Transition::Released { .. }
        | Transition::Lost { .. }
        | Transition::Retry { uncertain: true, .. }
        | Transition::Failed { uncertain: true } => recorded,
        Transition::Retry { uncertain: false, .. } | Transition::Failed { uncertain: false } => {
            Recorded { transition: Transition::Released { after: Duration::ZERO }, ..recorded }
        }
    }
}

/// Whether what a probe's delivery met opens the lane.
pub(crate) fn opens(recorded: &Recorded) -> bool {
    let outcome = recorded.attempt.as_ref().map(|attempt| attempt.outcome);
    outcome.is_some_and(|outcome| {
        matches!(outcome, Outcome::RateLimited | Outcome::Redirected)
            || outcome.shows_a_live_credential()
    })
}
