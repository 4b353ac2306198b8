//! Why a verification is not there: the hops from a contract's publication to what may be
//! deployed, and the first of them that is broken.
//!
//! | hop | asks |
//! |---|---|
//! | published | has the consumer version a contract with the provider? |
//! | required | does any version of the provider count? |
//! | received | did an event about it come in here? |
//! | matched | did a webhook want the event? |
//! | sent | did its target take the request? |
//! | run | did the target do something about it? |
//! | verified | is there a result? |
//! | deployable | is it a good one, of every version that counts? |
//!
//! The hops are walked for each version that counts and has no success yet. The most blocking
//! version speaks: what is deployed, then what is released, then the head of the main branch. That
//! something can't be read is the verdict only where nothing else is known to be broken.

mod facts;
mod hop;
mod next;
mod sent;
mod verdict;
mod walk;

pub use facts::{
    Asked, DeliveryFacts, EventFacts, Facts, Known, NoRun, NotReceived, Publication,
    RequiredVersion, RunFinding, UnwantedWebhook,
};
pub use hop::{Hop, HopReport, HopState};
pub use verdict::{DoctorVerdict, UnknownDoctorVerdict};
pub use walk::Walk;

use jiff::Timestamp;

use crate::owed::Role;

/// What is wrong, where, since when and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// In one word of a closed list.
    pub verdict: DoctorVerdict,
    /// In a sentence.
    pub summary: String,
    /// Since when; `None` when it is not known, or nothing is wrong.
    pub since: Option<Timestamp>,
    /// The provider version that it is about.
    pub provider_version: Option<String>,
    /// The hops, in their order.
    pub hops: Vec<HopReport>,
    /// Commands to run next, in this order.
    pub next: Vec<String>,
    /// The other versions that count.
    pub others: Vec<OtherVersion>,
}

/// How it is with another version that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherVersion {
    /// The provider version.
    pub provider_version: String,
    /// In one word.
    pub verdict: DoctorVerdict,
    /// In a sentence.
    pub summary: String,
}

/// The verdict on what is known.
pub fn diagnose(facts: &Facts) -> Diagnosis {
    if let Some(early) = walk::without_versions(facts) {
        return told(facts, early, Vec::new());
    }
    let Known::Is(required) = &facts.required else {
        return told(facts, walk::by_events_alone(facts), Vec::new());
    };
    let mut walks: Vec<(u8, Walk)> = required
        .iter()
        .map(|version| (place(&version.counted.roles()), walk::of_version(facts, version)))
        .collect();
    walks.sort_by_key(|(place, walk)| (precedence(walk.verdict), *place));
    let mut walks = walks.into_iter().map(|(_, walk)| walk);
    match walks.next() {
        Some(first) => {
            let others = walks.filter_map(other).collect();
            told(facts, first, others)
        }
        None => told(facts, walk::by_events_alone(facts), Vec::new()),
    }
}

/// What is broken or under way comes before what can't be read, and that before what is well: of
/// several versions that are well one that was told of here speaks.
fn precedence(verdict: DoctorVerdict) -> u8 {
    match verdict {
        DoctorVerdict::NothingToVerify => 3,
        DoctorVerdict::AllWell => 2,
        DoctorVerdict::Unknown => 1,
        _ => 0,
    }
}

/// What is deployed blocks most, then what is released, then the head of the main branch.
fn place(roles: &[Role]) -> u8 {
    let of = |role: &Role| match role {
        Role::Deployed(_) => 0,
        Role::Released(_) | Role::Tag(_) => 1,
        Role::Main | Role::Branch(_) => 2,
    };
    roles.iter().map(of).min().unwrap_or(3)
}

fn other(walk: Walk) -> Option<OtherVersion> {
    let provider_version = walk.provider_version?;
    Some(OtherVersion { provider_version, verdict: walk.verdict, summary: walk.summary })
}

fn told(facts: &Facts, walk: Walk, others: Vec<OtherVersion>) -> Diagnosis {
    let next = next::commands(facts, &walk);
    Diagnosis {
        verdict: walk.verdict,
        summary: walk.summary,
        since: walk.since,
        provider_version: walk.provider_version,
        hops: walk.hops,
        next,
        others,
    }
}

#[cfg(test)]
mod tests;
