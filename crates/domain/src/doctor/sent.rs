//! How it is with a delivery that was not taken.

use jiff::Timestamp;

use super::facts::{DeliveryFacts, EventFacts};
use super::hop::HopState;
use super::verdict::DoctorVerdict;
use crate::{DeliveryStatus, HoldCause, Outcome};

/// Why a delivery has not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) verdict: DoctorVerdict,
    pub(super) state: HopState,
    pub(super) since: Timestamp,
    pub(super) detail: String,
}

/// The delivery of an event that may lead to a verification: one to a dispatch of GitHub's if there
/// is any, and of those the one that came furthest.
pub(super) fn chosen(event: &EventFacts) -> Option<&DeliveryFacts> {
    let any_dispatch = event.deliveries.iter().any(|delivery| delivery.is_dispatch);
    let may = event.deliveries.iter().filter(|delivery| delivery.is_dispatch || !any_dispatch);
    may.max_by_key(|delivery| match delivery.status {
        DeliveryStatus::Delivered => 4,
        DeliveryStatus::Queued | DeliveryStatus::Retrying => 3,
        DeliveryStatus::Held => 2,
        DeliveryStatus::Failed => 1,
        DeliveryStatus::Discarded => 0,
    })
}

/// Why a delivery has not arrived; `None` when it has.
pub(super) fn stopped(delivery: &DeliveryFacts, now: Timestamp) -> Option<Stopped> {
    let (verdict, state, what) = match delivery.status {
        DeliveryStatus::Delivered => return None,
        DeliveryStatus::Held => return Some(held(delivery)),
        DeliveryStatus::Discarded => {
            let why = match delivery.last_outcome {
                Some(Outcome::Withdrawn) => "somebody gave it up by hand",
                Some(Outcome::WebhookDeleted) => "its webhook was deleted",
                Some(Outcome::WebhookDisabled) => "its webhook was disabled",
                Some(_) | None => "its webhook was deleted or disabled",
            };
            (DoctorVerdict::Discarded, HopState::Broken, format!("was discarded: {why}"))
        }
        DeliveryStatus::Failed => {
            let verdict = of_outcome(delivery.last_outcome);
            (verdict, HopState::Broken, format!("failed for good: {}", last(delivery)))
        }
        DeliveryStatus::Queued | DeliveryStatus::Retrying => waiting(delivery, now),
    };
    let detail = format!("delivery {} {what}", delivery.id);
    Some(Stopped { verdict, state, since: delivery.updated_at, detail })
}

fn held(delivery: &DeliveryFacts) -> Stopped {
    let (cause, since) = delivery.hold.unwrap_or((HoldCause::Manual, delivery.updated_at));
    let (verdict, why) = match cause {
        HoldCause::Credential => {
            (DoctorVerdict::CredentialDead, "the target refuses its credential")
        }
        HoldCause::SecretMissing => {
            (DoctorVerdict::SecretMissing, "a secret that its webhook names has no value")
        }
        HoldCause::SecretUnusable => {
            (DoctorVerdict::SecretMissing, "a secret that its webhook names can't be sent")
        }
        HoldCause::Manual => (DoctorVerdict::Held, "somebody holds it by hand"),
    };
    let detail = format!("delivery {} waits in lane {}: {why}", delivery.id, delivery.lane);
    Stopped { verdict, state: HopState::Broken, since, detail }
}

fn waiting(delivery: &DeliveryFacts, now: Timestamp) -> (DoctorVerdict, HopState, String) {
    let until = delivery.paused_until.filter(|until| *until > now);
    if let Some(until) = until {
        let what = format!("waits: the target asked lane {} to wait until {until}", delivery.lane);
        return (DoctorVerdict::Limited, HopState::Broken, what);
    }
    let next = delivery.next_attempt_at;
    let next = next.map_or_else(String::new, |next| format!("; the next attempt is at {next}"));
    match of_outcome(delivery.last_outcome) {
        DoctorVerdict::InProgress => {
            let what = format!("waits for its turn in lane {}{next}", delivery.lane);
            (DoctorVerdict::InProgress, HopState::Waiting, what)
        }
        verdict => {
            (verdict, HopState::Broken, format!("is tried again after {}{next}", last(delivery)))
        }
    }
}

/// `server_error (503)`.
fn last(delivery: &DeliveryFacts) -> String {
    let outcome = delivery.last_outcome.map_or("no attempt", Outcome::as_str);
    let code = delivery.last_status_code.map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{outcome}{code}")
}

fn of_outcome(outcome: Option<Outcome>) -> DoctorVerdict {
    match outcome {
        Some(Outcome::RenderError) => DoctorVerdict::RenderError,
        Some(Outcome::SecretMissing | Outcome::SecretUnusable) => DoctorVerdict::SecretMissing,
        Some(Outcome::Credential) => DoctorVerdict::CredentialDead,
        Some(Outcome::RateLimited) => DoctorVerdict::Limited,
        Some(Outcome::Blocked) => DoctorVerdict::Blocked,
        Some(Outcome::Permission) => DoctorVerdict::PermissionMissing,
        Some(Outcome::NotFound) => DoctorVerdict::TargetMissing,
        Some(Outcome::Invalid | Outcome::Redirected | Outcome::Poison) => {
            DoctorVerdict::PayloadRejected
        }
        Some(
            Outcome::ServerError | Outcome::Timeout | Outcome::ConnectError | Outcome::Unreadable,
        ) => DoctorVerdict::TargetDown,
        Some(Outcome::WebhookDeleted | Outcome::WebhookDisabled) => DoctorVerdict::Discarded,
        Some(Outcome::Accepted | Outcome::Lost | Outcome::Withdrawn) | None => {
            DoctorVerdict::InProgress
        }
    }
}
