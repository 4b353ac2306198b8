//! The hops of one provider version.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::facts::{
    DeliveryFacts, EventFacts, Facts, Known, Publication, RequiredVersion, RunFinding,
};
use super::hop::{Hop, HopReport, HopState, Hops};
use super::sent::{Stopped, chosen, stopped};
use super::verdict::DoctorVerdict;
use crate::owed::{Due, VersionResult};

/// A broker calls within this time after a publication, and a run begins within it after a
/// dispatch.
const SOON: Duration = Duration::from_mins(2);

/// Hops, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The provider version.
    pub provider_version: Option<String>,
    /// In one word.
    pub verdict: DoctorVerdict,
    /// In a sentence.
    pub summary: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// All hops.
    pub hops: Vec<HopReport>,
    /// The delivery that it is about.
    pub(super) delivery: Option<DeliveryFacts>,
    /// The event that it is about.
    pub(super) event: Option<EventFacts>,
}

/// On the way.
struct Way<'f> {
    facts: &'f Facts,
    hops: Hops,
    version: Option<&'f RequiredVersion>,
    event: Option<&'f EventFacts>,
    delivery: Option<&'f DeliveryFacts>,
}

/// What can be said without looking at any provider version.
pub(super) fn without_versions(facts: &Facts) -> Option<Walk> {
    let mut way = Way::start(facts);
    let (consumer, provider) = (&facts.asked.consumer, &facts.asked.provider);
    let publication = match &facts.publication {
        Known::Is(publication) => publication,
        Known::Unknown(_) => return None,
    };
    let not_published = DoctorVerdict::NotPublished;
    match publication {
        Publication::NoVersion => {
            let which = facts.asked.version.as_deref().map_or_else(
                || format!("{consumer} has no contract with {provider}"),
                |version| format!("the broker knows no version {version} of {consumer}"),
            );
            way.hops.add(Hop::Published, HopState::Broken, None, which.clone());
            Some(way.end(not_published, None, which))
        }
        Publication::NoContract { version } => {
            let what = format!("{consumer} {version} published no contract with {provider}");
            way.hops.add(Hop::Published, HopState::Broken, None, what.clone());
            Some(way.end(not_published, None, what))
        }
        Publication::Dropped { version } => {
            let what = format!("{consumer} {version} has no contract with {provider} any more");
            way.hops.add(Hop::Published, HopState::Ok, None, what.clone());
            way.none_needed(&[Hop::Required, Hop::Received, Hop::Matched, Hop::Sent, Hop::Run]);
            way.none_needed(&[Hop::Verified, Hop::Deployable]);
            Some(way.end(DoctorVerdict::NothingToVerify, None, what))
        }
        Publication::Is { .. } => match &facts.required {
            Known::Is(required) if required.is_empty() => {
                way.published();
                let place = facts.asked.environment.as_ref();
                let what = place.map_or_else(
                    || {
                        format!(
                            "no version of {provider} counts: it has no main branch with a \
                             version, and nothing of it is deployed or released"
                        )
                    },
                    |place| format!("no version of {provider} is deployed or released in {place}"),
                );
                way.hops.add(Hop::Required, HopState::Broken, None, what.clone());
                Some(way.end(DoctorVerdict::ProviderNotThere, None, what))
            }
            Known::Is(_) | Known::Unknown(_) => None,
        },
    }
}

/// What events of here tell where the broker does not.
pub(super) fn by_events_alone(facts: &Facts) -> Walk {
    let mut way = Way::start(facts);
    way.published();
    let why = match (&facts.publication, &facts.required) {
        (Known::Unknown(why), _) | (_, Known::Unknown(why)) => why.clone(),
        (Known::Is(_), Known::Is(_)) => String::new(),
    };
    way.hops.add(Hop::Required, HopState::Unknown, None, why.clone());
    match facts.events.first() {
        None => {
            way.hops.add(Hop::Received, HopState::Unknown, None, "no event about it is here");
            way.end(
                DoctorVerdict::Unknown,
                None,
                format!("no event is here, and what the broker knows can't be read: {why}"),
            )
        }
        Some(event) => way.received(event),
    }
}

/// The hops of a version that counts.
pub(super) fn of_version(facts: &Facts, version: &RequiredVersion) -> Walk {
    let mut way = Way::start(facts);
    way.version = Some(version);
    way.published();
    let roles: Vec<String> = version.counted.roles().iter().map(ToString::to_string).collect();
    let number = &version.counted.version;
    let counts = format!("{number} counts as {}", roles.join(", "));
    way.hops.add(Hop::Required, HopState::Ok, version.counted.since(), counts);
    let about =
        |event: &&EventFacts| [number.as_str(), ""].contains(&event.provider_version.as_str());
    let event = facts.events.iter().find(about);
    match (&version.result, event) {
        (Some(result), event) => way.has_result(result, event),
        (None, Some(event)) => way.received(event),
        (None, None) => way.not_received(version),
    }
}

impl<'f> Way<'f> {
    fn start(facts: &'f Facts) -> Self {
        Self { facts, hops: Hops::default(), version: None, event: None, delivery: None }
    }

    fn end(self, verdict: DoctorVerdict, since: Option<Timestamp>, summary: String) -> Walk {
        Walk {
            provider_version: self.version.map(|version| version.counted.version.clone()),
            verdict,
            summary,
            since,
            hops: self.hops.all(),
            delivery: self.delivery.cloned(),
            event: self.event.cloned(),
        }
    }

    fn published(&mut self) {
        match &self.facts.publication {
            Known::Unknown(why) => {
                self.hops.add(Hop::Published, HopState::Unknown, None, why.clone());
            }
            Known::Is(Publication::Is { version, at, url }) => {
                let what = format!("{} published {version}", self.facts.asked.consumer);
                self.hops.add(Hop::Published, HopState::Ok, Some(*at), what);
                self.hops.link(url);
            }
            Known::Is(_) => {}
        }
    }

    fn none_needed(&mut self, hops: &[Hop]) {
        for hop in hops {
            self.hops.add(*hop, HopState::Ok, None, "not needed");
        }
    }

    fn has_result(mut self, result: &VersionResult, event: Option<&'f EventFacts>) -> Walk {
        self.event = event;
        self.delivery = event.and_then(chosen);
        if let Some(event) = event {
            self.came_in(event);
            self.none_left_to_do();
        } else {
            self.none_needed(&[Hop::Received, Hop::Matched, Hop::Sent, Hop::Run]);
        }
        let number = &result.provider_version;
        if !result.success {
            let what = format!("{number} does not keep the contract");
            self.hops.add(Hop::Verified, HopState::Broken, Some(result.at), what.clone());
            self.hops.add(Hop::Deployable, HopState::Broken, Some(result.at), "");
            return self.end(DoctorVerdict::VerificationFailed, Some(result.at), what);
        }
        self.hops.add(
            Hop::Verified,
            HopState::Ok,
            Some(result.at),
            format!("{number} verified it"),
        );
        self.deployable();
        if event.is_some() {
            let what = format!("{number} verified the contract at {}", result.at);
            self.end(DoctorVerdict::AllWell, None, what)
        } else {
            let what = format!("{number} had verified the content without any event of here");
            self.end(DoctorVerdict::NothingToVerify, None, what)
        }
    }

    fn deployable(&mut self) {
        let required = match &self.facts.required {
            Known::Is(required) => required.as_slice(),
            Known::Unknown(_) => &[],
        };
        let keeps = |version: &RequiredVersion| {
            version.result.as_ref().is_some_and(|result| result.success)
        };
        let lacking: Vec<&str> = required
            .iter()
            .filter(|version| !keeps(version))
            .map(|version| version.counted.version.as_str())
            .collect();
        if lacking.is_empty() {
            self.hops.add(Hop::Deployable, HopState::Ok, None, "");
        } else {
            let what = format!("not yet: {}", lacking.join(", "));
            self.hops.add(Hop::Deployable, HopState::Waiting, None, what);
        }
    }

    fn came_in(&mut self, event: &EventFacts) {
        let how = event.source.map_or("a way that was not kept", |source| source.as_str());
        let what = format!("event {} came in by {how}", event.id);
        self.hops.add(Hop::Received, HopState::Ok, Some(event.received_at), what);
    }

    /// There is a result: whatever led to it is of no interest any more.
    fn none_left_to_do(&mut self) {
        let done = self.delivery.map_or_else(
            || "not needed".to_owned(),
            |delivery| format!("delivery {} is {}", delivery.id, delivery.status),
        );
        self.hops.add(Hop::Matched, HopState::Ok, None, "");
        self.hops.add(Hop::Sent, HopState::Ok, None, done);
        self.hops.add(Hop::Run, HopState::Ok, None, "");
    }

    fn is_within(&self, since: Timestamp, most: Duration) -> bool {
        let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
        self.facts.now.duration_since(since) < most
    }

    fn not_received(mut self, version: &RequiredVersion) -> Walk {
        let number = version.counted.version.clone();
        if version.due == Due::Later {
            let what = format!(
                "{number} came to count at {}, later than the contract; brokers tell nobody of that",
                version.since
            );
            self.hops.add(Hop::Received, HopState::Broken, Some(version.since), what.clone());
            return self.end(DoctorVerdict::WrongProviderVersion, Some(version.since), what);
        }
        let why = match &self.facts.not_received {
            Known::Is(why) => why.to_string(),
            Known::Unknown(why) => format!("why can't be read: {why}"),
        };
        if self.is_within(version.since, SOON.min(self.facts.patience)) {
            let what = format!("{number} owes a result since {}; {why}", version.since);
            self.hops.add(Hop::Received, HopState::Waiting, None, what.clone());
            return self.end(DoctorVerdict::InProgress, Some(version.since), what);
        }
        self.hops.add(Hop::Received, HopState::Broken, Some(version.since), why.clone());
        let what = format!("no event told of {number}: {why}");
        self.end(DoctorVerdict::EventNotReceived, Some(version.since), what)
    }

    fn received(mut self, event: &'f EventFacts) -> Walk {
        self.event = Some(event);
        self.came_in(event);
        let Some(delivery) = chosen(event) else { return self.unmatched(event) };
        self.delivery = Some(delivery);
        let count = event.deliveries.len();
        let what = format!("{count} webhooks wanted it, {} among them", delivery.webhook);
        self.hops.add(Hop::Matched, HopState::Ok, Some(event.received_at), what);
        if let Some(Stopped { verdict, state, since, detail }) = stopped(delivery, self.facts.now) {
            let detail = beside(verdict, delivery, detail);
            self.hops.add(Hop::Sent, state, Some(since), detail.clone());
            return self.end(verdict, Some(since), detail);
        }
        let what = format!("delivery {} was taken", delivery.id);
        self.hops.add(Hop::Sent, HopState::Ok, Some(delivery.updated_at), what);
        self.taken(delivery)
    }

    fn unmatched(mut self, event: &EventFacts) -> Walk {
        let what = match event.unwanted.first() {
            None => "there is no webhook".to_owned(),
            Some(webhook) => {
                let why = webhook.reason.clone().unwrap_or_else(|| {
                    "it would want it now, and was made or changed since".to_owned()
                });
                format!("webhook {} ({}): {why}", webhook.uuid, webhook.description)
            }
        };
        let (at, detail) = (Some(event.received_at), what.clone());
        self.hops.add(Hop::Matched, HopState::Broken, at, detail);
        self.end(DoctorVerdict::NoWebhook, at, format!("no webhook wanted the event: {what}"))
    }

    fn taken(mut self, delivery: &DeliveryFacts) -> Walk {
        let at = Some(delivery.updated_at);
        match &delivery.run {
            Known::Is(RunFinding::Failed { url, conclusion }) => {
                let what = format!("the run ended with {conclusion}");
                self.hops.add(Hop::Run, HopState::Broken, at, what.clone());
                self.hops.link(url);
                self.end(DoctorVerdict::RunFailed, at, what)
            }
            Known::Is(RunFinding::Running { url }) => {
                self.hops.add(Hop::Run, HopState::Waiting, at, "the run has not ended");
                self.hops.link(url);
                self.end(DoctorVerdict::InProgress, at, "the run has not ended".to_owned())
            }
            Known::Is(RunFinding::None { reason }) => {
                let what = format!("no run started: {reason}");
                let is_early = self.is_within(delivery.updated_at, SOON.min(self.facts.patience));
                if is_early {
                    self.hops.add(Hop::Run, HopState::Waiting, at, "no run has started yet");
                    let what = "no run has started yet".to_owned();
                    return self.end(DoctorVerdict::InProgress, at, what);
                }
                self.hops.add(Hop::Run, HopState::Broken, at, what.clone());
                self.end(DoctorVerdict::NoRun, at, what)
            }
            Known::Is(RunFinding::Succeeded { url }) => {
                self.hops.add(Hop::Run, HopState::Ok, at, "the run succeeded");
                self.hops.link(url);
                let what = "the run succeeded and published no result".to_owned();
                self.without_result(delivery, DoctorVerdict::RunWithoutResult, what)
            }
            Known::Is(RunFinding::Unnamed { count }) => {
                let what = format!(
                    "{count} runs started since and none names the delivery: put \
                     ${{{{ github.event.client_payload.delivery_id }}}} into the workflow's run-name"
                );
                self.hops.add(Hop::Run, HopState::Unknown, None, what.clone());
                self.unseen(delivery, &what)
            }
            Known::Is(RunFinding::NotAsked) => {
                let what = "its target runs nothing that could be asked about";
                self.hops.add(Hop::Run, HopState::Unknown, None, what);
                self.unseen(delivery, what)
            }
            Known::Unknown(why) => {
                self.hops.add(Hop::Run, HopState::Unknown, None, why.clone());
                self.unseen(delivery, &format!("the runs can't be read: {why}"))
            }
        }
    }

    /// Nothing is known of a run: a while is given to it.
    fn unseen(mut self, delivery: &DeliveryFacts, why: &str) -> Walk {
        if self.is_within(delivery.updated_at, self.facts.patience)
            && !self.went_elsewhere(delivery)
        {
            let what = format!("it was taken at {}; no result yet", delivery.updated_at);
            self.hops.add(Hop::Verified, HopState::Waiting, None, "");
            return self.end(DoctorVerdict::InProgress, Some(delivery.updated_at), what);
        }
        let what = format!("the target took it and no result came; {why}");
        self.without_result(delivery, DoctorVerdict::NoResult, what)
    }

    fn without_result(
        mut self,
        delivery: &DeliveryFacts,
        verdict: DoctorVerdict,
        what: String,
    ) -> Walk {
        let since = self.version.map_or(delivery.updated_at, |version| version.since);
        let Some(version) = self.version else {
            let what = "it was sent; whether a result came can't be read from the broker";
            self.hops.add(Hop::Verified, HopState::Unknown, None, what);
            return self.end(DoctorVerdict::Unknown, None, what.to_owned());
        };
        if let Some(other) = self.facts.latest.as_ref().filter(|_| self.went_elsewhere(delivery)) {
            let what = format!(
                "a result of {} came after the dispatch; {} has none",
                other.provider_version, version.counted.version
            );
            self.hops.add(Hop::Verified, HopState::Broken, Some(other.at), what.clone());
            return self.end(DoctorVerdict::WrongProviderVersion, Some(since), what);
        }
        self.hops.add(Hop::Verified, HopState::Broken, Some(since), "no result came");
        self.end(verdict, Some(since), what)
    }

    /// A result of another version came after the dispatch.
    fn went_elsewhere(&self, delivery: &DeliveryFacts) -> bool {
        let own = self.version.map(|version| version.counted.version.as_str());
        self.facts.latest.as_ref().is_some_and(|result| {
            result.at >= delivery.updated_at && Some(result.provider_version.as_str()) != own
        })
    }
}

/// GitHub answers 404 both for what is not there and for what the credential may not see.
fn beside(verdict: DoctorVerdict, delivery: &DeliveryFacts, detail: String) -> String {
    if verdict == DoctorVerdict::TargetMissing && delivery.is_dispatch && !delivery.was_taken_before
    {
        format!("{detail}; GitHub says so, too, where the credential may not see the repository")
    } else {
        detail
    }
}
