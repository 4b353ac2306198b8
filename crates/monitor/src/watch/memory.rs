//! What is remembered of a broker between two looks.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_broker::{Pair, Places, Version};
use postrider_domain::owed::{Looked, Sight};
use postrider_store::{BrokerWalk, MonitorLease};
use tokio::time::Instant;

use super::order::Order;
use super::sweep::Sweep;

/// Pairs whose order outlives the process.
const KEPT: usize = 500;
/// What is deployed and supported is known for so long.
const PLACES_FOR: Duration = Duration::from_mins(5);
/// How long after something new a walk looks further.
const LIVELY: Duration = Duration::from_secs(30);
/// Pairs in a row without a change that end a walk, and as many when nothing has been new lately.
const UNTOUCHED: usize = 5;
const UNTOUCHED_AT_REST: usize = 3;
/// A broker's clock may be so much behind ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
/// How often it is written down that walks come to their end, while nothing else changes.
const WRITTEN_EVERY: Duration = Duration::from_mins(1);

/// What is remembered of a broker.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Under which lease: what another monitor did since is not known here.
    lease: Option<MonitorLease>,
    first_contact: Option<Timestamp>,
    /// When the last walk of before began.
    resumed: Option<Timestamp>,
    /// When the last walk under this lease began.
    looked: Option<Timestamp>,
    order: Order,
    contracts: HashMap<Pair, BTreeSet<String>>,
    /// Pairs that the broker could not tell of, longest waiting first.
    troubled: VecDeque<Pair>,
    /// Pairs that wait for a result, or for a better one, longest unseen first: the result of a
    /// pair that changed last moves it nowhere.
    waiting: VecDeque<Pair>,
    had_news: Option<Instant>,
    places: Option<(Instant, Places)>,
    written: Option<Instant>,
    /// When the sweep under way began.
    swept_since: Option<Timestamp>,
    pub(crate) sweep: Sweep,
}

/// What a walk found, to be remembered at its end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The consumer versions among the newest that have a contract, of each pair that was looked
    /// at.
    pub(crate) contracts: Vec<(Pair, BTreeSet<String>)>,
    /// Pairs that the broker could not tell of.
    pub(crate) troubled: Vec<Pair>,
    /// Pairs that were looked at again and are fine, or gone.
    pub(crate) mended: BTreeSet<Pair>,
    /// Those of the pairs that were looked at that wait for a result, or for a better one.
    pub(crate) waiting: Vec<Pair>,
    /// Whether anything was new.
    pub(crate) has_news: bool,
}

impl Memory {
    pub(crate) fn new(sweep: Duration) -> Self {
        Self {
            lease: None,
            first_contact: None,
            resumed: None,
            looked: None,
            order: Order::default(),
            contracts: HashMap::new(),
            troubled: VecDeque::new(),
            waiting: VecDeque::new(),
            had_news: None,
            places: None,
            written: None,
            swept_since: None,
            sweep: Sweep::new(sweep),
        }
    }

    /// Whether this is remembered from looks under this lease.
    pub(crate) fn is_of(&self, lease: MonitorLease) -> bool {
        self.lease == Some(lease)
    }

    /// Begins anew with what is written down.
    pub(crate) fn resume(
        &mut self,
        lease: MonitorLease,
        walk: Option<BrokerWalk>,
        sweep: Duration,
    ) {
        *self = Self { lease: Some(lease), ..Self::new(sweep) };
        let Some(walk) = walk else { return };
        self.first_contact = Some(walk.first_contact_at);
        self.resumed = Some(walk.began_at);
        let pair = |(consumer, provider)| Pair { consumer, provider };
        self.order = Order::new(walk.changed_last.into_iter().map(pair).collect());
    }

    /// Whether the broker was never read to the end.
    pub(crate) fn is_first_contact(&self) -> bool {
        self.first_contact.is_none()
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// What is known of a contract before it is looked at.
    pub(crate) fn sight(&self, pair: &Pair, version: &str) -> Sight {
        let seen = self.contracts.get(pair);
        // Who met the broker has looked at all pairs; who goes on for another has not.
        let has_looked = seen.is_some() || self.resumed.is_none();
        let here = self.looked.filter(|_| has_looked).map(Looked::Here);
        Sight {
            first_contact: self.first_contact,
            looked_at: here.or(self.resumed.map(Looked::Elsewhere)),
            is_known: seen.is_some_and(|versions| versions.contains(version)),
        }
    }

    /// Whether a consumer version's contract with the provider was seen already.
    pub(crate) fn knows(&self, pair: &Pair, version: &str) -> bool {
        self.contracts.get(pair).is_some_and(|versions| versions.contains(version))
    }

    /// Whether a version's contract is news although its pair did not move: of a pair that was
    /// looked at here one that was not there, of any other one that may have come after the last
    /// look elsewhere.
    pub(crate) fn is_news(&self, pair: &Pair, version: &Version) -> bool {
        match (self.contracts.get(pair), self.resumed) {
            (Some(known), _) => !known.contains(&version.number),
            (None, Some(at)) => {
                version.created_at > at.saturating_sub(CLOCKS).unwrap_or(Timestamp::MIN)
            }
            (None, None) => true,
        }
    }

    /// Whether the broker could not tell of the pair when it was looked at before.
    pub(crate) fn is_troubled(&self, pair: &Pair) -> bool {
        self.troubled.contains(pair)
    }

    /// When the look before this one began, here or elsewhere.
    pub(crate) fn looked_at(&self) -> Option<Timestamp> {
        self.looked.or(self.resumed)
    }

    /// Pairs in a row without a change that end a walk.
    pub(crate) fn untouched(&self, now: Instant) -> usize {
        let is_lively = |at: Instant| now.saturating_duration_since(at) < LIVELY;
        if self.had_news.is_some_and(is_lively) { UNTOUCHED } else { UNTOUCHED_AT_REST }
    }

    /// The pairs in trouble that are looked at again, of many a few.
    pub(crate) fn troubled(&self, most: usize) -> Vec<Pair> {
        self.troubled.iter().take(most).cloned().collect()
    }

    /// The pairs that wait for a result and are looked at again, of many a few.
    pub(crate) fn waiting(&self, most: usize) -> Vec<Pair> {
        self.waiting.iter().take(most).cloned().collect()
    }

    /// What is deployed and supported, while that is known.
    pub(crate) fn places(&self, now: Instant) -> Option<&Places> {
        let (since, places) = self.places.as_ref()?;
        (now.saturating_duration_since(*since) < PLACES_FOR).then_some(places)
    }

    pub(crate) fn keep_places(&mut self, places: Places, now: Instant) {
        self.places = Some((now, places));
    }

    /// A sweep over all pairs begins. When the one before it began, if there was one: it came to
    /// its end.
    pub(crate) fn begin_sweep(
        &mut self,
        all: &[Pair],
        at: Timestamp,
        now: Instant,
    ) -> Option<Timestamp> {
        self.sweep.begin(all, now);
        self.swept_since.replace(at)
    }

    /// A walk came to its end.
    pub(crate) fn remember(&mut self, began: Timestamp, order: Order, found: Found, now: Instant) {
        let is_first = self.first_contact.is_none();
        self.first_contact.get_or_insert(began);
        self.looked = Some(began);
        if is_first {
            self.sweep.was_done(now);
            self.swept_since = Some(began);
        }
        if found.has_news
            || self.order.pairs().iter().take(KEPT).ne(order.pairs().iter().take(KEPT))
        {
            self.written = None;
        }
        if found.has_news {
            self.had_news = Some(now);
        }
        self.order = order;
        self.contracts.extend(found.contracts);
        self.troubled.retain(|pair| !found.mended.contains(pair));
        self.waiting.retain(|pair| !found.mended.contains(pair));
        self.waiting.extend(found.waiting);
        for pair in found.troubled {
            self.contracts.remove(&pair);
            self.troubled.retain(|known| *known != pair);
            self.troubled.push_back(pair);
        }
    }

    /// What is to be written down, if it is time.
    pub(crate) fn due_walk(&mut self, now: Instant) -> Option<BrokerWalk> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < WRITTEN_EVERY;
        if self.written.is_some_and(is_recent) {
            return None;
        }
        self.written = Some(now);
        let kept = self.order.pairs().iter().take(KEPT);
        Some(BrokerWalk {
            first_contact_at: self.first_contact?,
            began_at: self.looked?,
            changed_last: kept.map(|pair| (pair.consumer.clone(), pair.provider.clone())).collect(),
        })
    }
}
