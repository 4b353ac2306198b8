//! What was read already.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use postrider_domain::owed::{Head, Placed};
use tokio::sync::OnceCell;

use crate::client::Broker;
use crate::environments::{Environment, Presence};
use crate::error::BrokerError;
use crate::listing::Pair;
use crate::pact::PublishedPact;
use crate::versions::{Pacticipant, Version};

/// Versions of an application that are looked back over.
const RECENT: u32 = 100;
/// The same, as a length.
pub(super) const RECENT_MOST: usize = 100;
/// Versions of a page when only the newest matter.
const NEWEST: u32 = 20;
/// Pages of as many that are read.
const NEWEST_PAGES: u32 = 5;
/// Pages of as many that are read to go back to a time.
const BACK_PAGES: u32 = 50;

/// How much will be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A pair or two: environments are asked for the applications in question.
    Few,
    /// Many pairs: environments are asked for everything in them at once.
    Many,
}

/// Where versions of an application are.
#[derive(Debug, Clone, Default)]
pub(super) struct Present {
    pub(super) deployed: Vec<Placed>,
    pub(super) released: Vec<Placed>,
}

/// What is deployed and supported of all applications at one time; cheap to clone.
#[derive(Debug, Clone)]
pub struct Places(Arc<HashMap<String, Present>>);

impl Places {
    /// The applications of which other versions were somewhere at another time.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<String> {
        let names = self.0.keys().chain(before.0.keys());
        names.filter(|name| self.of(name) != before.of(name)).cloned().collect()
    }

    /// A broker tells them in no order.
    fn of(&self, name: &str) -> [Vec<&Placed>; 2] {
        let found = self.0.get(name);
        [found.map(|found| &found.deployed), found.map(|found| &found.released)].map(|places| {
            let mut places: Vec<&Placed> = places.into_iter().flatten().collect();
            places.sort();
            places
        })
    }
}

/// Values by key, each read once; a reading that failed is tried again by the next who asks.
#[derive(Debug)]
struct Once<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Once<K, V> {
    /// Values of which one is known already.
    fn knowing(key: K, value: V) -> Self {
        Self(Mutex::new(HashMap::from([(key, Arc::new(OnceCell::new_with(Some(value))))])))
    }

    async fn get(
        &self,
        key: K,
        read: impl Future<Output = Result<V, BrokerError>>,
    ) -> Result<V, BrokerError> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_try_init(|| read).await.cloned()
    }
}

/// A broker, and what it said.
#[derive(Debug)]
pub(super) struct Known<'a> {
    broker: &'a Broker,
    scope: Scope,
    parties: Once<String, Option<Pacticipant>>,
    mains: Once<String, Option<Version>>,
    versions: Once<(String, String), Option<Version>>,
    pacts: Once<(Pair, String), Option<PublishedPact>>,
    recent: Once<String, Arc<Vec<Version>>>,
    newest: Once<String, Arc<Vec<Version>>>,
    back: Once<(String, Timestamp), Arc<Vec<Version>>>,
    environments: Once<(), Arc<Vec<Environment>>>,
    present: Once<Option<String>, Arc<HashMap<String, Present>>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(broker: &'a Broker, scope: Scope) -> Self {
        Self {
            broker,
            scope,
            parties: Once::default(),
            mains: Once::default(),
            versions: Once::default(),
            pacts: Once::default(),
            recent: Once::default(),
            newest: Once::default(),
            back: Once::default(),
            environments: Once::default(),
            present: Once::default(),
        }
    }

    /// As one of many pairs, with what is deployed and supported known already.
    pub(super) fn with_places(broker: &'a Broker, places: &Places) -> Self {
        let present = Once::knowing(None, Arc::clone(&places.0));
        Self { present, ..Self::new(broker, Scope::Many) }
    }

    /// What is deployed and supported of all applications.
    pub(super) async fn places(&self) -> Result<Places, BrokerError> {
        self.present.get(None, Box::pin(self.read_present(None))).await.map(Places)
    }

    pub(super) fn broker(&self) -> &'a Broker {
        self.broker
    }

    /// An application; unknown names are an error.
    pub(super) async fn pacticipant(&self, name: &str) -> Result<Pacticipant, BrokerError> {
        let read = self.broker.pacticipant(name);
        let found = self.parties.get(name.to_owned(), read).await?;
        found.ok_or_else(|| BrokerError::UnknownName {
            broker: self.broker.address().to_owned(),
            names: vec![name.to_owned()],
        })
    }

    /// Head of the main branch, else the newest version tagged with its name.
    pub(super) async fn main_version(&self, name: &str) -> Result<Option<Version>, BrokerError> {
        let Some(branch) = self.pacticipant(name).await?.main_branch else { return Ok(None) };
        let read = async {
            match self.broker.branch_head(name, &branch).await? {
                Some(head) => Ok(Some(head)),
                None => self.broker.newest_tagged(name, &branch).await,
            }
        };
        self.mains.get(name.to_owned(), read).await
    }

    /// Head of the main branch as something that counts.
    pub(super) async fn main_head(&self, name: &str) -> Result<Option<Head>, BrokerError> {
        let party = self.pacticipant(name).await?;
        let found = self.main_version(name).await?;
        Ok(party.main_branch.as_ref().zip(found).map(|(branch, found)| head(branch, found)))
    }

    /// The newest version with a tag, as something that counts.
    pub(super) async fn tag_head(
        &self,
        name: &str,
        tag: &str,
    ) -> Result<Option<Head>, BrokerError> {
        let found = self.broker.newest_tagged(name, tag).await?;
        Ok(found.map(|found| head(tag, found)))
    }

    pub(super) async fn version(
        &self,
        name: &str,
        number: &str,
    ) -> Result<Option<Version>, BrokerError> {
        let key = (name.to_owned(), number.to_owned());
        self.versions.get(key, self.broker.version(name, number)).await
    }

    /// What a consumer version published for a provider; `None` when it is gone.
    pub(super) async fn pact(
        &self,
        pair: &Pair,
        version: &str,
    ) -> Result<Option<PublishedPact>, BrokerError> {
        let key = (pair.clone(), version.to_owned());
        self.pacts.get(key, self.broker.pact(pair, version)).await
    }

    /// The newest versions of an application, newest first.
    pub(super) async fn recent(&self, name: &str) -> Result<Arc<Vec<Version>>, BrokerError> {
        let read = async { Ok(Arc::new(self.broker.versions(name, 1, RECENT).await?)) };
        self.recent.get(name.to_owned(), read).await
    }

    /// The newest versions of an application: a page, and further ones while they are newer than
    /// `since`.
    pub(super) async fn newest(
        &self,
        name: &str,
        since: Option<Timestamp>,
    ) -> Result<Arc<Vec<Version>>, BrokerError> {
        let read = async {
            let mut all: Vec<Version> = Vec::new();
            for page in 1..=NEWEST_PAGES {
                let found = self.broker.versions(name, page, NEWEST).await?;
                let is_full = u32::try_from(found.len()).is_ok_and(|found| found >= NEWEST);
                all.extend(found);
                let oldest = all.last().map(|version| version.created_at);
                if !is_full || since.is_none_or(|since| oldest <= Some(since)) {
                    break;
                }
            }
            Ok(Arc::new(all))
        };
        self.newest.get(name.to_owned(), read).await
    }

    /// An application's versions since then, newest first; of very many the newest.
    pub(super) async fn back_to(
        &self,
        name: &str,
        since: Timestamp,
    ) -> Result<Arc<Vec<Version>>, BrokerError> {
        let read = async {
            let mut all: Vec<Version> = Vec::new();
            for page in 1..=BACK_PAGES {
                let found = self.broker.versions(name, page, RECENT).await?;
                let is_last = found.len() < RECENT_MOST
                    || found.iter().any(|version| version.created_at < since);
                all.extend(found.into_iter().filter(|version| version.created_at >= since));
                if is_last {
                    break;
                }
            }
            Ok(Arc::new(all))
        };
        self.back.get((name.to_owned(), since), read).await
    }

    pub(super) async fn environments(&self) -> Result<Arc<Vec<Environment>>, BrokerError> {
        let read = async { Ok(Arc::new(self.broker.environments().await?)) };
        self.environments.get((), read).await
    }

    /// What of an application is deployed or supported anywhere.
    pub(super) async fn present(&self, name: &str) -> Result<Present, BrokerError> {
        let of = match self.scope {
            Scope::Few => Some(name.to_owned()),
            Scope::Many => None,
        };
        let all = self.present.get(of.clone(), Box::pin(self.read_present(of))).await?;
        Ok(all.get(name).cloned().unwrap_or_default())
    }

    async fn read_present(
        &self,
        of: Option<String>,
    ) -> Result<Arc<HashMap<String, Present>>, BrokerError> {
        let mut all: HashMap<String, Present> = HashMap::new();
        for environment in self.environments().await?.iter() {
            for presence in [Presence::Deployed, Presence::Released] {
                let found = self.broker.present(environment, presence, of.as_deref()).await?;
                for place in found {
                    let present = all.entry(place.pacticipant).or_default();
                    let list = match presence {
                        Presence::Deployed => &mut present.deployed,
                        Presence::Released => &mut present.released,
                    };
                    list.push(Placed {
                        since: place.since,
                        environment: place.environment,
                        version: place.version,
                    });
                }
            }
        }
        Ok(Arc::new(all))
    }
}

fn head(name: &str, version: Version) -> Head {
    Head { version: version.number, name: name.to_owned(), since: version.created_at }
}
