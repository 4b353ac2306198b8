//! What a broker knows, and its rule of who has to verify what.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use jiff::Timestamp;

use super::webhooks::{Trigger, TriggerStatus};

/// When something happens in the model.
pub type At = Timestamp;

/// A broker's contents. Names are created where they are first used.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub(super) parties: Vec<Party>,
    pub(super) environments: Vec<String>,
    pub(super) places: Vec<Place>,
    pub(super) pacts: Vec<Pact>,
    pub(super) results: Vec<Outcome>,
    /// Consumer and provider, oldest change first.
    pub(super) integrations: Vec<(String, String)>,
    pub(super) triggers: Vec<Trigger>,
    /// Uuid and URL of the webhook that is triggered.
    pub(super) relay: Option<(String, String)>,
    pub(super) relay_is_off: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) name: String,
    pub(super) main_branch: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    /// In the order in which they were created.
    pub(super) versions: Vec<Version>,
    /// Branch and version, in the order in which versions were put on branches.
    pub(super) puts: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) number: String,
    pub(super) created_at: At,
    pub(super) branches: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) build_url: Option<String>,
}

/// A version in an environment, deployed or released.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) party: String,
    pub(super) version: String,
    pub(super) environment: String,
    pub(super) instance: Option<String>,
    pub(super) is_release: bool,
    pub(super) is_current: bool,
    pub(super) at: At,
}

#[derive(Debug, Clone)]
pub(super) struct Pact {
    pub(super) consumer: String,
    pub(super) version: String,
    pub(super) provider: String,
    pub(super) sha: String,
    pub(super) at: At,
}

#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) consumer: String,
    pub(super) provider: String,
    pub(super) sha: String,
    pub(super) version: String,
    pub(super) success: bool,
    pub(super) at: At,
    pub(super) number: usize,
}

/// A provider version that has to verify a content, as the broker finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// The provider version.
    pub version: String,
    /// `latest from main branch`, `deployed in E`, `released in E`.
    pub descriptions: Vec<String>,
    /// The main branch's name for its head, else the version's last branch, else empty.
    pub branch: String,
}

/// What the model knows of a contract and its provider, for whoever applies another rule to it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Branch, version and creation of the main branch's head.
    pub main: Option<(String, String, At)>,
    /// Environment, version and time of each deployment.
    pub deployed: Vec<(String, String, At)>,
    /// The same of what is released and supported.
    pub released: Vec<(String, String, At)>,
    /// Provider version, outcome and time of each result for the content, oldest first.
    pub results: Vec<(String, bool, At)>,
    /// When the contract was published.
    pub published_at: At,
}

impl Model {
    /// Every contract: consumer, version, provider.
    pub fn contracts(&self) -> Vec<(String, String, String)> {
        let pacts = self.pacts.iter();
        pacts
            .map(|pact| (pact.consumer.clone(), pact.version.clone(), pact.provider.clone()))
            .collect()
    }

    /// What is known of a contract; `None` when there is none.
    pub fn facts(&self, consumer: &str, number: &str, provider: &str) -> Option<Facts> {
        let pact = self.pact(consumer, number, provider)?;
        let branch = self.party(provider)?.main_branch.clone();
        let main = branch.and_then(|branch| {
            let head = self.head(provider, &branch)?;
            Some((branch, head.number.clone(), head.created_at))
        });
        let places = |is_release| {
            let places = self.current(provider, is_release);
            places
                .map(|place| (place.environment.clone(), place.version.clone(), place.at))
                .collect()
        };
        let results = self.results.iter().filter(|result| {
            result.sha == pact.sha && result.consumer == consumer && result.provider == provider
        });
        Some(Facts {
            main,
            deployed: places(false),
            released: places(true),
            results: results
                .map(|result| (result.version.clone(), result.success, result.at))
                .collect(),
            published_at: pact.at,
        })
    }

    pub(super) fn party(&self, name: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.name == name)
    }

    fn party_mut(&mut self, name: &str, at: At) -> &mut Party {
        let known = self.parties.iter().position(|party| party.name == name);
        let place = known.unwrap_or_else(|| {
            self.parties.push(Party {
                name: name.to_owned(),
                main_branch: None,
                labels: Vec::new(),
                created_at: at,
                updated_at: at,
                versions: Vec::new(),
                puts: Vec::new(),
            });
            self.parties.len() - 1
        });
        &mut self.parties[place]
    }

    fn version_mut(&mut self, name: &str, number: &str, at: At) -> &mut Version {
        let versions = &mut self.party_mut(name, at).versions;
        let known = versions.iter().position(|version| version.number == number);
        let place = known.unwrap_or_else(|| {
            versions.push(Version {
                number: number.to_owned(),
                created_at: at,
                branches: Vec::new(),
                tags: Vec::new(),
                build_url: None,
            });
            versions.len() - 1
        });
        &mut versions[place]
    }

    pub(super) fn version(&self, name: &str, number: &str) -> Option<&Version> {
        self.party(name)?.versions.iter().find(|version| version.number == number)
    }

    /// Sets the main branch, or takes it away.
    pub fn main_branch(&mut self, name: &str, branch: Option<&str>, at: At) -> &mut Self {
        let party = self.party_mut(name, at);
        party.main_branch = branch.map(str::to_owned);
        party.updated_at = at;
        self
    }

    /// Gives a pacticipant a label.
    pub fn label(&mut self, name: &str, label: &str, at: At) -> &mut Self {
        self.party_mut(name, at).labels.push(label.to_owned());
        self
    }

    /// A version of no branch.
    pub fn build(&mut self, name: &str, number: &str, at: At) -> &mut Self {
        self.version_mut(name, number, at);
        self
    }

    /// Puts a version on a branch, of which it becomes the head unless it is on it already.
    pub fn build_on(&mut self, name: &str, number: &str, branch: &str, at: At) -> &mut Self {
        let version = self.version_mut(name, number, at);
        if !version.branches.iter().any(|known| known == branch) {
            version.branches.push(branch.to_owned());
            self.party_mut(name, at).puts.push((branch.to_owned(), number.to_owned()));
        }
        self
    }

    /// Takes a version off a branch; the one that was put on it before becomes its head.
    pub fn take_off(&mut self, name: &str, number: &str, branch: &str) -> &mut Self {
        for party in self.parties.iter_mut().filter(|party| party.name == name) {
            party.puts.retain(|(known, put)| known != branch || put != number);
            for version in party.versions.iter_mut().filter(|one| one.number == number) {
                version.branches.retain(|known| known != branch);
            }
        }
        self
    }

    /// Deletes a version with everything that it published, verified, or is deployed as.
    pub fn delete_version(&mut self, name: &str, number: &str) -> &mut Self {
        self.pacts.retain(|pact| pact.consumer != name || pact.version != number);
        self.results.retain(|result| result.provider != name || result.version != number);
        self.places.retain(|place| place.party != name || place.version != number);
        for party in self.parties.iter_mut().filter(|party| party.name == name) {
            party.versions.retain(|version| version.number != number);
            party.puts.retain(|(_, put)| put != number);
        }
        self
    }

    /// Tags a version; a tag that is named like an environment records no deployment here.
    pub fn tag(&mut self, name: &str, number: &str, tag: &str, at: At) -> &mut Self {
        self.version_mut(name, number, at).tags.push(tag.to_owned());
        self
    }

    /// Says which build made a version.
    pub fn build_url(&mut self, name: &str, number: &str, url: &str, at: At) -> &mut Self {
        self.version_mut(name, number, at).build_url = Some(url.to_owned());
        self
    }

    /// Creates an environment.
    pub fn environment(&mut self, name: &str) -> &mut Self {
        if !self.environments.iter().any(|known| known == name) {
            self.environments.push(name.to_owned());
        }
        self
    }

    /// Deploys a version in an environment, in place of what its instance ran.
    pub fn deploy(
        &mut self,
        name: &str,
        number: &str,
        environment: &str,
        instance: Option<&str>,
        at: At,
    ) -> &mut Self {
        self.undeploy(name, environment, instance);
        self.place(name, number, environment, instance, false, at)
    }

    /// Undeploys whatever an instance runs.
    pub fn undeploy(&mut self, name: &str, environment: &str, instance: Option<&str>) -> &mut Self {
        for place in &mut self.places {
            let is_it = place.party == name
                && place.environment == environment
                && place.instance.as_deref() == instance
                && !place.is_release;
            place.is_current &= !is_it;
        }
        self
    }

    /// Releases a version in an environment, beside those that are supported already.
    pub fn release(&mut self, name: &str, number: &str, environment: &str, at: At) -> &mut Self {
        self.place(name, number, environment, None, true, at)
    }

    /// Ends the support of a released version.
    pub fn end_support(&mut self, name: &str, number: &str, environment: &str) -> &mut Self {
        for place in &mut self.places {
            let is_it = place.party == name
                && place.version == number
                && place.environment == environment
                && place.is_release;
            place.is_current &= !is_it;
        }
        self
    }

    #[expect(clippy::too_many_arguments, reason = "one thing that happens, in words")]
    fn place(
        &mut self,
        name: &str,
        number: &str,
        environment: &str,
        instance: Option<&str>,
        is_release: bool,
        at: At,
    ) -> &mut Self {
        self.environment(environment);
        self.version_mut(name, number, at);
        self.places.push(Place {
            party: name.to_owned(),
            version: number.to_owned(),
            environment: environment.to_owned(),
            instance: instance.map(str::to_owned),
            is_release,
            is_current: true,
            at,
        });
        self
    }

    /// Publishes a contract; equal contents of a pair are one, whichever version they are of.
    /// Published again with the content that it has, a version keeps its time; with another, which a
    /// broker may be set to allow, it is of now (Pact Broker 2.120:
    /// `lib/pact_broker/pacts/repository.rb`). The broker's webhooks are triggered.
    pub fn publish(
        &mut self,
        consumer: &str,
        number: &str,
        provider: &str,
        content: &str,
        at: At,
    ) -> &mut Self {
        self.version_mut(consumer, number, at);
        self.party_mut(provider, at);
        let sha = sha(consumer, provider, content);
        let is_pact = |pact: &Pact| {
            pact.consumer == consumer && pact.version == number && pact.provider == provider
        };
        let is_new_content =
            !self.pacts.iter().any(|pact| pact.consumer == consumer && pact.sha == sha);
        match self.pacts.iter_mut().find(|pact| is_pact(pact)) {
            Some(pact) if pact.sha == sha => {}
            Some(pact) => {
                pact.sha.clone_from(&sha);
                pact.at = at;
            }
            None => self.pacts.push(Pact {
                consumer: consumer.to_owned(),
                version: number.to_owned(),
                provider: provider.to_owned(),
                sha: sha.clone(),
                at,
            }),
        }
        self.moved(consumer, provider);
        self.triggered("contract_published", consumer, number, provider, None, at);
        for required in self.required(consumer, provider, &sha) {
            let event = "contract_requiring_verification_published";
            self.triggered(event, consumer, number, provider, Some(&required), at);
        }
        if is_new_content {
            self.triggered("contract_content_changed", consumer, number, provider, None, at);
        }
        self
    }

    /// A provider version's result for what a consumer version published.
    #[expect(clippy::too_many_arguments, reason = "two versions, by name")]
    pub fn verify(
        &mut self,
        provider: &str,
        version: &str,
        consumer: &str,
        number: &str,
        success: bool,
        at: At,
    ) -> &mut Self {
        self.version_mut(provider, version, at);
        let Some(sha) = self.sha_of(consumer, number, provider) else { return self };
        let number = self.results.iter().filter(|result| result.sha == sha).count() + 1;
        self.results.push(Outcome {
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            sha,
            version: version.to_owned(),
            success,
            at,
            number,
        });
        self.moved(consumer, provider);
        self
    }

    /// Deletes what a version published for a provider; its version stays, and the pair.
    pub fn delete_pact(&mut self, consumer: &str, number: &str, provider: &str) -> &mut Self {
        self.pacts.retain(|pact| {
            pact.consumer != consumer || pact.version != number || pact.provider != provider
        });
        self
    }

    /// Deletes a pair with everything that it published and verified.
    pub fn delete_integration(&mut self, consumer: &str, provider: &str) -> &mut Self {
        self.forget_pair(consumer, provider);
        self.integrations.retain(|known| (&*known.0, &*known.1) != (consumer, provider));
        self
    }

    /// Forgets everything that a pair published and verified, and the versions of it alone.
    pub fn forget_pair(&mut self, consumer: &str, provider: &str) -> &mut Self {
        self.pacts.retain(|pact| pact.consumer != consumer || pact.provider != provider);
        self.results.retain(|result| result.consumer != consumer || result.provider != provider);
        let (pacts, results) = (&self.pacts, &self.results);
        let places = &self.places;
        for party in &mut self.parties {
            let name = party.name.clone();
            party.versions.retain(|version| {
                let number = &version.number;
                pacts.iter().any(|pact| pact.consumer == name && pact.version == *number)
                    || results.iter().any(|one| one.provider == name && one.version == *number)
                    || places.iter().any(|place| place.party == name && place.version == *number)
            });
            let versions = &party.versions;
            party.puts.retain(|(_, put)| versions.iter().any(|one| one.number == *put));
        }
        self
    }

    fn moved(&mut self, consumer: &str, provider: &str) {
        let pair = (consumer.to_owned(), provider.to_owned());
        self.integrations.retain(|known| *known != pair);
        self.integrations.push(pair);
    }

    /// Makes a pair known that has no contract.
    pub fn integration(&mut self, consumer: &str, provider: &str, at: At) -> &mut Self {
        self.party_mut(consumer, at);
        self.party_mut(provider, at);
        self.moved(consumer, provider);
        self
    }

    pub(super) fn pact(&self, consumer: &str, number: &str, provider: &str) -> Option<&Pact> {
        self.pacts.iter().find(|pact| {
            pact.consumer == consumer && pact.version == number && pact.provider == provider
        })
    }

    /// The sha of what a consumer version published for a provider.
    pub fn sha_of(&self, consumer: &str, number: &str, provider: &str) -> Option<String> {
        self.pact(consumer, number, provider).map(|pact| pact.sha.clone())
    }

    /// A branch's head; a branch that has none, the newest version tagged with its name.
    pub(super) fn head(&self, name: &str, branch: &str) -> Option<&Version> {
        self.branch_head(name, branch).or_else(|| self.tagged(name, branch))
    }

    /// The version that was put on a branch last.
    pub(super) fn branch_head(&self, name: &str, branch: &str) -> Option<&Version> {
        let (_, number) = self.party(name)?.puts.iter().rfind(|(known, _)| known == branch)?;
        self.version(name, number)
    }

    pub(super) fn tagged(&self, name: &str, tag: &str) -> Option<&Version> {
        let mut versions = self.party(name)?.versions.iter().rev();
        versions.find(|version| version.tags.iter().any(|known| known == tag))
    }

    pub(super) fn current<'a>(
        &'a self,
        name: &'a str,
        is_release: bool,
    ) -> impl Iterator<Item = &'a Place> {
        let places = self.places.iter();
        places.filter(move |place| {
            place.party == name && place.is_release == is_release && place.is_current
        })
    }

    /// The broker's rule (Pact Broker 2.120, `calculate_required_verifications_for_pact`): the
    /// main branch's head, what is deployed, what is supported; without a result for the content.
    pub fn required(&self, consumer: &str, provider: &str, sha: &str) -> Vec<Required> {
        let mut candidates: Vec<(String, String, Option<String>)> = Vec::new();
        let main = self.party(provider).and_then(|party| party.main_branch.clone());
        if let Some(main) = main
            && let Some(head) = self.head(provider, &main)
        {
            let description = "latest from main branch".to_owned();
            candidates.push((head.number.clone(), description, Some(main)));
        }
        for (is_release, words) in [(false, "deployed in"), (true, "released in")] {
            candidates.extend(self.current(provider, is_release).map(|place| {
                (place.version.clone(), format!("{words} {}", place.environment), None)
            }));
        }
        candidates.retain(|(version, ..)| !self.has_result(consumer, provider, sha, version));
        let mut required: Vec<Required> = Vec::new();
        for (version, description, main) in candidates {
            match required.iter_mut().find(|known| known.version == version) {
                Some(known) if known.descriptions.contains(&description) => {}
                Some(known) => known.descriptions.push(description),
                None => {
                    let last = self.version(provider, &version);
                    let last = last.and_then(|version| version.branches.last().cloned());
                    let branch = main.or(last).unwrap_or_default();
                    required.push(Required { version, descriptions: vec![description], branch });
                }
            }
        }
        required
    }

    fn has_result(&self, consumer: &str, provider: &str, sha: &str, version: &str) -> bool {
        self.latest_result(consumer, provider, sha, Some(version)).is_some()
    }

    pub(super) fn latest_result(
        &self,
        consumer: &str,
        provider: &str,
        sha: &str,
        version: Option<&str>,
    ) -> Option<&Outcome> {
        self.results.iter().rev().find(|result| {
            result.consumer == consumer
                && result.provider == provider
                && result.sha == sha
                && version.is_none_or(|version| result.version == version)
        })
    }

    /// `can-i-deploy` of a consumer version to an environment: every version of every provider
    /// that is there has a success, and there is one.
    pub fn can_i_deploy(&self, consumer: &str, number: &str, environment: &str) -> bool {
        let of_it = |pact: &&Pact| pact.consumer == consumer && pact.version == number;
        self.pacts.iter().filter(of_it).all(|pact| {
            let there: Vec<&Place> = [false, true]
                .into_iter()
                .flat_map(|is_release| self.current(&pact.provider, is_release))
                .filter(|place| place.environment == environment)
                .collect();
            let is_kept = |place: &&Place| {
                let version = Some(place.version.as_str());
                let result = self.latest_result(consumer, &pact.provider, &pact.sha, version);
                result.is_some_and(|result| result.success)
            };
            !there.is_empty() && there.iter().all(is_kept)
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one thing that happens, in words")]
    fn triggered(
        &mut self,
        event: &str,
        consumer: &str,
        number: &str,
        provider: &str,
        required: Option<&Required>,
        at: At,
    ) {
        let latest = self
            .sha_of(consumer, number, provider)
            .and_then(|sha| self.latest_result(consumer, provider, &sha, None).cloned());
        let tags_of = |name: &str, number: &str| {
            self.version(name, number).map(|version| version.tags.clone()).unwrap_or_default()
        };
        let version = self.version(consumer, number);
        let labels =
            |name: &str| self.party(name).map(|party| party.labels.clone()).unwrap_or_default();
        let trigger = Trigger {
            event: event.to_owned(),
            consumer: consumer.to_owned(),
            consumer_version: number.to_owned(),
            consumer_branch: version
                .and_then(|version| version.branches.last().cloned())
                .unwrap_or_default(),
            consumer_tags: tags_of(consumer, number),
            consumer_labels: labels(consumer),
            provider: provider.to_owned(),
            provider_version: required.map(|one| one.version.clone()).unwrap_or_default(),
            provider_branch: required.map(|one| one.branch.clone()).unwrap_or_default(),
            provider_tags: latest
                .as_ref()
                .map(|result| tags_of(provider, &result.version))
                .unwrap_or_default(),
            provider_labels: labels(provider),
            descriptions: required.map(|one| one.descriptions.clone()).unwrap_or_default(),
            sha: self.sha_of(consumer, number, provider).unwrap_or_default(),
            verification: latest.map(|result| (result.number, result.success)),
            build_url: version.and_then(|version| version.build_url.clone()).unwrap_or_default(),
            triggered_at: at,
            status: TriggerStatus::NotRun,
            is_forgotten: false,
        };
        self.triggers.push(trigger);
    }

    /// Says which webhook it is that is triggered.
    pub fn relay_webhook(&mut self, uuid: &str, url: &str) -> &mut Self {
        self.relay = Some((uuid.to_owned(), url.to_owned()));
        self
    }

    /// Switches the relay webhook off or on.
    pub fn switch_relay(&mut self, is_on: bool) -> &mut Self {
        self.relay_is_off = !is_on;
        self
    }

    /// Somebody deletes the relay webhook.
    pub fn remove_relay(&mut self) -> &mut Self {
        self.relay = None;
        self
    }

    /// What the broker's webhooks were triggered with so far.
    pub fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    /// The broker is killed: what its webhooks did not send yet is never sent.
    pub fn forget_webhooks(&mut self) -> &mut Self {
        for trigger in &mut self.triggers {
            trigger.is_forgotten |= trigger.status == TriggerStatus::NotRun;
        }
        self
    }
}

/// 40 hexadecimal digits that stand for a content of a pair.
fn sha(consumer: &str, provider: &str, content: &str) -> String {
    let part = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, consumer, provider, content).hash(&mut hasher);
        hasher.finish()
    };
    let low = part(2) & 0xffff_ffff;
    format!("{:016x}{:016x}{low:08x}", part(0), part(1))
}
