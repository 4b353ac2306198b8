//! Consumers, providers, their versions and runs, webhooks, lanes.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use postrider_domain::owed::{Head, Past, Placed, Standing, Step};
use postrider_domain::{Learned, Outcome, PairFacts, ResultTimes};
use postrider_store::PairRow;

use crate::chance::Takes;
use crate::time::{Millis, at};

pub(crate) const BROKER: &str = "default";
pub(crate) const ENVIRONMENT: &str = "prod";
/// Contracts and heads that are remembered: about as far as the newest 500 rows of a matrix go.
pub(crate) const REMEMBERED: usize = 160;

/// Results of a contract that are remembered, at least.
const RESULTS: usize = 24;

/// A provider version's result for a content.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) version: u32,
    pub(crate) at: Millis,
    pub(crate) success: bool,
}

/// A contract that a consumer version published.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) version: u32,
    pub(crate) at: Millis,
    pub(crate) results: Vec<Verified>,
    /// Provider versions that an event told of it.
    pub(crate) told: Vec<u32>,
    pub(crate) is_seen: bool,
}

impl Published {
    pub(crate) fn has_result_of(&self, version: u32) -> bool {
        self.results.iter().any(|result| result.version == version)
    }

    /// One more result. Of many the newest are kept, and those of versions that count.
    pub(crate) fn add(&mut self, result: Verified, counting: &[u32]) {
        self.results.push(result);
        if self.results.len() > 2 * RESULTS {
            let old = self.results.len() - RESULTS;
            let mut place = 0..;
            self.results.retain(|one| {
                place.next().is_some_and(|place| place >= old) || counting.contains(&one.version)
            });
        }
    }

    pub(crate) fn is_kept_by(&self, version: u32) -> bool {
        let newest = self.results.iter().rev().find(|result| result.version == version);
        newest.is_some_and(|result| result.success)
    }
}

/// A consumer and a provider.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) provider: usize,
    /// Which of the provider's pairs.
    pub(crate) place: usize,
    pub(crate) rate: f64,
    /// Of main, oldest first.
    pub(crate) contracts: VecDeque<Published>,
    /// The same as the rule reads it.
    pub(crate) past: Past,
    pub(crate) deployed: Option<(Published, Millis)>,
    /// Runs under way that will bring a result: consumer and provider version.
    pub(crate) running: BTreeSet<(u32, u32)>,
    /// Times from dispatch to result that nobody learned from yet.
    pub(crate) took: Vec<Duration>,
    pub(crate) look_at: Option<Millis>,
    /// The fault that kills its runs, that takes the next dispatch, and those that made what is
    /// owed.
    pub(crate) dead: Option<usize>,
    pub(crate) loses_next: Option<usize>,
    pub(crate) excuses: BTreeSet<usize>,
    /// What events told, for a rule that asks no broker.
    pub(crate) events: PairFacts,
}

impl Pair {
    pub(crate) fn newest(&self) -> Option<&Published> {
        self.contracts.back()
    }

    /// A contract is there.
    pub(crate) fn add(&mut self, published: Published) {
        let version = published.version.to_string();
        self.past.contracts.push(Step { version: version.clone(), at: at(published.at) });
        let verified = published.results.iter().map(|result| result.version.to_string());
        self.past.results.insert(version, verified.collect());
        self.contracts.push_back(published);
        if self.contracts.len() > REMEMBERED {
            self.contracts.pop_front();
            let oldest = self.past.contracts.remove(0);
            self.past.results.remove(&oldest.version);
        }
    }

    /// A contract by its version, if it is remembered.
    pub(crate) fn contract(&mut self, version: u32) -> Option<&mut Published> {
        let first = self.contracts.front()?.version;
        let place = usize::try_from(version.checked_sub(first)?).ok()?;
        self.contracts.get_mut(place)
    }
}

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) pairs: Vec<usize>,
    /// What the monitor knows of them, in the same order.
    pub(crate) rows: Vec<PairRow>,
    pub(crate) next_version: u32,
    /// Heads of main, oldest first.
    pub(crate) heads: VecDeque<(u32, Millis)>,
    pub(crate) deployed: (u32, Millis),
    pub(crate) takes: Takes,
    pub(crate) builds: f64,
    pub(crate) deploys: f64,
    pub(crate) times: ResultTimes,
    pub(crate) learned: Learned,
    pub(crate) dead: Option<usize>,
    /// When its newest result came.
    pub(crate) last_result: Millis,
    pub(crate) webhook: Webhook,
    pub(crate) judge_at: Option<Millis>,
}

impl Provider {
    pub(crate) fn head(&self) -> (u32, Millis) {
        self.heads.back().copied().unwrap_or(self.deployed)
    }

    /// Where its versions stand.
    pub(crate) fn standing(&self) -> Standing {
        let (head, since) = self.head();
        let (deployed, since_deployed) = self.deployed;
        Standing {
            main: Some(Head {
                version: head.to_string(),
                name: "main".to_owned(),
                since: at(since),
            }),
            deployed: vec![Placed {
                since: at(since_deployed),
                environment: ENVIRONMENT.to_owned(),
                version: deployed.to_string(),
            }],
            released: Vec::new(),
        }
    }

    /// Versions that count, each once.
    pub(crate) fn counting(&self) -> Vec<u32> {
        let (head, deployed) = (self.head().0, self.deployed.0);
        if head == deployed { vec![head] } else { vec![head, deployed] }
    }
}

/// The webhook that dispatches to a provider, with its streak as the store keeps it.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) uuid: String,
    pub(crate) lane: usize,
    /// The fault that took its target away.
    pub(crate) gone: Option<usize>,
    pub(crate) failures: u64,
    pub(crate) deliveries: u64,
    pub(crate) since: Option<Millis>,
    pub(crate) last_failure: Option<Millis>,
    pub(crate) last_outcome: Option<Outcome>,
    /// Deliveries that failed for good and whose verification may be owed.
    pub(crate) failed: Vec<Failed>,
}

/// A delivery that failed for good.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) pair: usize,
    pub(crate) contract: u32,
    pub(crate) version: u32,
    pub(crate) at: Millis,
    pub(crate) seen_at: Millis,
}

/// What shares a token.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) dead: Option<usize>,
    pub(crate) held_since: Option<Millis>,
    pub(crate) waiting: Vec<Delivery>,
}

/// A dispatch for one provider version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) pair: usize,
    pub(crate) contract: u32,
    pub(crate) version: u32,
    pub(crate) attempt: u32,
    /// What the runs of its publication suffer together.
    pub(crate) slowness: f64,
}

impl Webhook {
    pub(crate) fn new(number: usize, lane: usize) -> Self {
        Self {
            uuid: format!("webhook-of-provider-{number:04}"),
            lane,
            gone: None,
            failures: 0,
            deliveries: 0,
            since: None,
            last_failure: None,
            last_outcome: None,
            failed: Vec::new(),
        }
    }
}
