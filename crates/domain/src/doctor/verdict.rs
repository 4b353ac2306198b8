//! The closed list of what a doctor says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `name: meaning = word`.
macro_rules! verdicts {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)+) => {
        /// What is wrong with a verification, if anything is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DoctorVerdict {
            $($(#[doc = $doc])+ $name,)+
        }

        impl DoctorVerdict {
            /// All of them, in the order of the hops.
            pub const ALL: [Self; 25] = [$(Self::$name,)+];

            /// Its name in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

verdicts! {
    /// Every hop is fine.
    AllWell = "all_well";
    /// The consumer dropped its contract, or everything was verified without an event of here.
    NothingToVerify = "nothing_to_verify";
    /// The broker has no such contract.
    NotPublished = "not_published";
    /// No version of the provider counts.
    ProviderNotThere = "provider_not_there";
    /// The broker should have told of it, and did not.
    EventNotReceived = "event_not_received";
    /// No webhook wanted the event.
    NoWebhook = "no_webhook";
    /// The request could not be made of the webhook's template.
    RenderError = "render_error";
    /// A secret that the webhook names has no value that can be sent.
    SecretMissing = "secret_missing";
    /// The target refuses the credential.
    CredentialDead = "credential_dead";
    /// Somebody holds the lane.
    Held = "held";
    /// The target asked to be left alone, or the lane's own limit is reached.
    Limited = "limited";
    /// Settings forbid the target: its address, or its scheme, method or host.
    Blocked = "blocked";
    /// The credential may not do it.
    PermissionMissing = "permission_missing";
    /// There is no such target.
    TargetMissing = "target_missing";
    /// The target will never take this request.
    PayloadRejected = "payload_rejected";
    /// The target is in trouble, or away.
    TargetDown = "target_down";
    /// The delivery was given up because its webhook went.
    Discarded = "discarded";
    /// It is on its way.
    InProgress = "in_progress";
    /// The target took the dispatch, and no run started.
    NoRun = "no_run";
    /// The run failed.
    RunFailed = "run_failed";
    /// The run succeeded, and published no result.
    RunWithoutResult = "run_without_result";
    /// The target took it, no result came, and what it did can't be seen.
    NoResult = "no_result";
    /// The provider does not keep the contract.
    VerificationFailed = "verification_failed";
    /// Another version was verified than the one that counts.
    WrongProviderVersion = "wrong_provider_version";
    /// Something can't be read, and nothing else is known to be broken.
    Unknown = "unknown";
}

impl DoctorVerdict {
    /// Whether nothing has to be done.
    pub fn is_fine(self) -> bool {
        matches!(self, Self::AllWell | Self::NothingToVerify)
    }
}

impl fmt::Display for DoctorVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown verdict")]
pub struct UnknownDoctorVerdict;

impl FromStr for DoctorVerdict {
    type Err = UnknownDoctorVerdict;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(UnknownDoctorVerdict)
    }
}
