//! The hops of a verification.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A hop on the way from publication to deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// The consumer published a contract with the provider.
    Published,
    /// A version of the provider counts.
    Required,
    /// An event about it came in here.
    Received,
    /// A webhook wanted the event.
    Matched,
    /// The webhook's target took the request.
    Sent,
    /// The target did something about it.
    Run,
    /// A result was published.
    Verified,
    /// Every version that counts keeps the contract.
    Deployable,
}

impl Hop {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Published,
        Self::Required,
        Self::Received,
        Self::Matched,
        Self::Sent,
        Self::Run,
        Self::Verified,
        Self::Deployable,
    ];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Required => "required",
            Self::Received => "received",
            Self::Matched => "matched",
            Self::Sent => "sent",
            Self::Run => "run",
            Self::Verified => "verified",
            Self::Deployable => "deployable",
        }
    }
}

/// How a hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HopState {
    /// It is behind us.
    Ok,
    /// It went wrong.
    Broken,
    /// It is still to come.
    Waiting,
    /// It can't be seen.
    Unknown,
}

impl HopState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Broken, Self::Waiting, Self::Unknown];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Broken => "broken",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopReport {
    /// Which.
    pub hop: Hop,
    /// How it is.
    pub state: HopState,
    /// When it came to be so, as far as it is known.
    pub at: Option<Timestamp>,
    /// In words; may be empty.
    pub detail: String,
    /// Where to read more; http or https.
    pub links: Vec<String>,
}

/// The hops so far.
#[derive(Debug, Default)]
pub(super) struct Hops(Vec<HopReport>);

impl Hops {
    pub(super) fn add(
        &mut self,
        hop: Hop,
        state: HopState,
        at: Option<Timestamp>,
        detail: impl Into<String>,
    ) {
        let links = Vec::new();
        self.0.push(HopReport { hop, state, at, detail: detail.into(), links });
    }

    /// Adds a place to read more to the hop that was added last; what is no web address is left.
    pub(super) fn link(&mut self, link: &str) {
        let is_web = link.starts_with("https://") || link.starts_with("http://");
        if let Some(last) = self.0.last_mut().filter(|_| is_web) {
            last.links.push(link.to_owned());
        }
    }

    /// All hops; those that were not come to wait.
    pub(super) fn all(mut self) -> Vec<HopReport> {
        for hop in Hop::ALL {
            if !self.0.iter().any(|report| report.hop == hop) {
                self.add(hop, HopState::Waiting, None, "");
            }
        }
        self.0.sort_by_key(|report| report.hop);
        self.0
    }
}
