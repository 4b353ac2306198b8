//! Closed lists of words as schemas: the lists are the domain's own.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// `name: what it is = its words`.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $words:expr;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                list(concat!($($doc),+).trim(), &$words).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+ };
}

fn list(description: &str, words: &[&'static str]) -> Object {
    let words = words.iter().map(|word| Value::from(*word));
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .build()
}

fn with_test() -> Vec<&'static str> {
    let names = postrider_domain::EventName::ALL.into_iter();
    names
        .chain([postrider_domain::EventName::Test])
        .map(postrider_domain::EventName::as_str)
        .collect()
}

words! {
    /// What happened, in Pact Broker's words.
    EventName = postrider_domain::EventName::ALL.map(postrider_domain::EventName::as_str);
    /// What happened; `test` for the execution of a webhook by hand.
    EventOrTestName = with_test();
    /// How an event came in: posted by somebody, told by a broker's own webhook, found at the
    /// broker, or found lost by `postrider reconcile`.
    EventSource = postrider_domain::EventSource::ALL.map(postrider_domain::EventSource::as_str);
    /// Why a broker's call was taken for the publication of which an event told already:
    /// `just_made` less than a minute ago; `one_publication`, the broker published no more often;
    /// `relay_unknown`, its webhook could not be found; `broker_unasked`, it could not be asked.
    MergedBecause =
        postrider_domain::MergedBecause::ALL.map(postrider_domain::MergedBecause::as_str);
    /// `queued` waits for its first attempt, `retrying` for another one, `held` for its lane;
    /// `delivered`, `failed` and `discarded` (its webhook was deleted or disabled) are final.
    DeliveryStatus =
        postrider_domain::DeliveryStatus::ALL.map(postrider_domain::DeliveryStatus::as_str);
    /// What an attempt, or a delivery without one, came to.
    Outcome = postrider_domain::Outcome::ALL.map(postrider_domain::Outcome::as_str);
    /// Worst first. `failed`: a version that counts does not keep the contract. `stale`: a
    /// verification is owed for too long. `unguarded`: no version of the provider counts. `silent`:
    /// a publication came that no event told of. `unknown`: nothing is known, or the broker can't
    /// tell. `owing`: a verification is owed, and not late.
    FreshnessState =
        postrider_domain::FreshnessState::ALL.map(postrider_domain::FreshnessState::as_str);
    /// Where it comes from when a debt is late.
    ThresholdFrom =
        postrider_domain::ThresholdFrom::ALL.map(postrider_domain::ThresholdFrom::as_str);
    /// When a debt came to be: `published` with the contract, `later` with a build, a deployment, a
    /// release or another main branch, of which brokers tell nobody.
    Due = postrider_domain::owed::Due::ALL.map(postrider_domain::owed::Due::as_str);
    /// What kind of condition it is.
    IncidentKind =
        postrider_domain::IncidentKind::ALL.map(postrider_domain::IncidentKind::as_str);
    /// How bad it is.
    Severity = postrider_domain::Severity::ALL.map(postrider_domain::Severity::as_str);
    /// What kind of thing was changed.
    AuditKind = postrider_domain::AuditKind::ALL.map(postrider_domain::AuditKind::as_str);
    /// What was done. `resumed`: an act that was interrupted went on. `prepared`, `dropped`,
    /// `switched`: of the value that is to follow a secret's. `probed`: a value was tried by reads.
    AuditAction = postrider_domain::AuditAction::ALL.map(postrider_domain::AuditAction::as_str);
    /// What kind of credential it is: a token for GitHub's API, a GitHub App that makes such
    /// tokens, or anything else.
    CredentialKind =
        postrider_domain::CredentialKind::ALL.map(postrider_domain::CredentialKind::as_str);
    /// What a warning about a credential is about.
    CredentialWarningCode = postrider_domain::CredentialWarning::CODES;
    /// Which value of a secret: the one in use, the one to follow it, the one before.
    WhichValue = postrider_domain::WhichValue::ALL.map(postrider_domain::WhichValue::as_str);
    /// What a probe found. `ok`: it is taken and may write everywhere. `insufficient`: not
    /// everywhere, or not for writing. `nothing`: no webhook at GitHub uses it.
    ProbeVerdict = postrider_domain::ProbeVerdict::ALL.map(postrider_domain::ProbeVerdict::as_str);
    /// What a repository's answer says of a credential. `not_visible`: there is no such repository,
    /// or the credential does not see it. `forbidden`: it is known and kept out.
    RepositoryAccess =
        postrider_domain::RepositoryAccess::ALL.map(postrider_domain::RepositoryAccess::as_str);
    /// What is wrong with a verification, if anything is.
    DoctorVerdict = postrider_domain::doctor::DoctorVerdict::ALL
        .map(postrider_domain::doctor::DoctorVerdict::as_str);
    /// A hop on the way from a contract's publication to what may be deployed.
    DoctorHopName = postrider_domain::doctor::Hop::ALL.map(postrider_domain::doctor::Hop::as_str);
    /// `ok`: it is behind us. `waiting`: it is still to come. `unknown`: it can't be seen.
    DoctorHopState =
        postrider_domain::doctor::HopState::ALL.map(postrider_domain::doctor::HopState::as_str);
    /// Why a lane is held.
    HoldCause = postrider_domain::HoldCause::ALL.map(postrider_domain::HoldCause::as_str);
}
