//! What sequences are made of.

use std::time::Duration;

use postrider_domain::{LaneLimits, Outcome, Refusal, Transition, Webhook};
use postrider_store::{AttemptRow, Claim, EventDocument, KeptRequest, Recorded, Rendition};
use postrider_testkit::acts;

use crate::step::{End, HOUR};

/// Lane 0 is unlimited, lane 1 paced, lane 2 has a budget.
pub(crate) fn first_limits(lane: usize) -> LaneLimits {
    match lane {
        0 => LaneLimits::OTHER,
        1 => LaneLimits::GITHUB,
        _ => LaneLimits { per_hour: Some(3), ..LaneLimits::OTHER },
    }
}

pub(crate) fn webhook(number: usize, enabled: bool) -> Webhook {
    Webhook { enabled, ..acts::webhook(&format!("webhook-{number:0>12}")) }
}

pub(crate) fn document() -> EventDocument {
    EventDocument::new(acts::event()).unwrap()
}

pub(crate) fn ended(claim: &Claim, end: End) -> Recorded {
    let soon = |now: bool| if now { Duration::ZERO } else { HOUR };
    let (transition, outcome) = match end {
        End::Delivered { .. } => (Transition::Delivered, Some(Outcome::Accepted)),
        End::Retry { now, uncertain } => {
            (Transition::Retry { after: soon(now), uncertain }, Some(Outcome::ServerError))
        }
        End::Failed { uncertain } => (Transition::Failed { uncertain }, Some(Outcome::Invalid)),
        End::Rejected { refusal, probe_now } => {
            let rejected = Transition::CredentialRejected {
                refusal,
                secret_rev: claim.secret_rev,
                secrets_rev: claim.secrets_rev,
                probe_after: soon(probe_now),
            };
            let outcome = match refusal {
                Refusal::AtGithub | Refusal::Elsewhere | Refusal::Hint => Outcome::Credential,
                Refusal::SecretMissing { .. } => Outcome::SecretMissing,
                Refusal::SecretUnusable { .. } => Outcome::SecretUnusable,
            };
            (rejected, Some(outcome))
        }
        End::Limited { said } => {
            (Transition::Limited { pause: said.then_some(HOUR) }, Some(Outcome::RateLimited))
        }
        End::Released => (Transition::Released { after: Duration::ZERO }, None),
        End::Lost { may_have_arrived } => {
            (Transition::Lost { may_have_arrived }, Some(Outcome::Lost))
        }
    };
    let plain = matches!(end, End::Delivered { plain: true });
    Recorded::of(claim, transition, outcome.map(|outcome| attempt(claim, outcome, plain)))
}

fn attempt(claim: &Claim, outcome: Outcome, plain: bool) -> AttemptRow {
    let rendition =
        Rendition { webhook_rev: claim.webhook_rev, span_id: [7; 8], renderer: 1, body_bytes: 1 };
    let request =
        if plain { KeptRequest::Rendition(rendition) } else { KeptRequest::Text("{}".to_owned()) };
    AttemptRow {
        number: claim.number,
        started_at: claim.created_at,
        duration: Duration::ZERO,
        outcome,
        status_code: Some(200),
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request,
        response: String::new(),
    }
}
