//! What is remembered of a broker between two looks.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_broker::{Pair, Places, Version};
use postrider_domain::owed::{Counted, Debt, Looked, Sight};
use postrider_store::{BrokerWalk, MonitorLease};
use tokio::time::Instant;

use super::order::Order;
use super::stirred::Stirred;
use super::sweep::Sweep;

/// Pairs whose order outlives the process.
const KEPT: usize = 500;
/// What is deployed and supported is known for so many looks, and not for longer than this.
const PLACES_LOOKS: u32 = 60;
const PLACES_FOR: Duration = Duration::from_mins(5);
/// All pairs are read because some are gone once in so many looks, and not for longer than this.
const LIST_LOOKS: u32 = 12;
const LIST_EVERY: Duration = Duration::from_mins(1);
/// How long after something new a walk looks further.
const LIVELY: Duration = Duration::from_secs(30);
/// Pairs in a row without a change that end a walk, and as many when nothing has been new lately.
const UNTOUCHED: usize = 5;
const UNTOUCHED_AT_REST: usize = 3;
/// A broker's clock may be so much behind ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
/// How often it is written down that walks come to their end, while nothing else changes.
const WRITTEN_EVERY: Duration = Duration::from_mins(1);

/// What is remembered of a pair's contracts.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    /// Their consumer versions, with when each was published as far as that was read: one that is
    /// overwritten under its version is published later.
    pub(crate) published: BTreeMap<String, Option<Timestamp>>,
    /// A version of the provider that counted then.
    pub(crate) counting: Option<Counted>,
}

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
    contracts: HashMap<Pair, Contracts>,
    /// How many pairs more than it says the broker lists.
    excess: usize,
    /// Pairs that the broker could not tell of, longest waiting first.
    troubled: VecDeque<Pair>,
    /// When the look before their trouble began.
    unseen: HashMap<Pair, Timestamp>,
    /// Pairs that wait for a result, or for a better one, longest unseen first: the result of a
    /// pair that changed last moves it nowhere.
    waiting: VecDeque<Pair>,
    stirred: Stirred,
    had_news: Option<Instant>,
    places: Option<(Instant, Places)>,
    places_for: Duration,
    /// When all pairs were read last because some are gone, and how often they may be.
    listed: Option<Instant>,
    list_every: Duration,
    written: Option<Instant>,
    /// When the sweep under way began.
    swept_since: Option<Timestamp>,
    pub(crate) sweep: Sweep,
}

/// What a walk found, to be remembered at its end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest contracts of each pair that was looked at.
    pub(crate) contracts: Vec<(Pair, Contracts)>,
    /// The heads of providers, as each pair was judged by.
    pub(crate) heads: Vec<(Pair, Option<String>)>,
    /// The provider that was asked for its head alone, and what it answered, if it did.
    pub(crate) asked: Option<String>,
    pub(crate) head_asked: Option<(String, Option<String>)>,
    /// Whether all pairs were read because some are gone.
    pub(crate) has_listed: bool,
    /// What is deployed and supported, if it was read.
    pub(crate) places: Option<Places>,
    /// Whether all pairs were read.
    pub(crate) is_whole: bool,
    /// How many more than it says the broker lists, as far as it says.
    pub(crate) excess: Option<usize>,
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
    /// Of a broker that is looked at so often, and swept in so long.
    pub(crate) fn new(every: Duration, sweep: Duration) -> Self {
        Self {
            lease: None,
            first_contact: None,
            resumed: None,
            looked: None,
            order: Order::default(),
            contracts: HashMap::new(),
            troubled: VecDeque::new(),
            unseen: HashMap::new(),
            excess: 0,
            waiting: VecDeque::new(),
            stirred: Stirred::default(),
            had_news: None,
            places: None,
            places_for: PLACES_FOR.min(every.saturating_mul(PLACES_LOOKS)),
            listed: None,
            list_every: LIST_EVERY.min(every.saturating_mul(LIST_LOOKS)),
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
        (every, sweep): (Duration, Duration),
    ) {
        *self = Self { lease: Some(lease), ..Self::new(every, sweep) };
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
    pub(crate) fn sight(&self, pair: &Pair, debt: &Debt) -> Sight {
        let seen = self.contracts.get(pair);
        // Who met the broker has looked at all pairs; who goes on for another has not.
        let has_looked = seen.is_some() || self.resumed.is_none();
        let here = self.looked.filter(|_| has_looked).map(Looked::Here);
        Sight {
            first_contact: self.first_contact,
            looked_at: here.or(self.resumed.map(Looked::Elsewhere)),
            is_known: seen
                .and_then(|seen| seen.published.get(&debt.consumer_version).copied().flatten())
                .is_some_and(|at| debt.published_at <= at),
        }
    }

    /// What is remembered of a pair's newest contracts; nothing before it was looked at here.
    pub(crate) fn contracts(&self, pair: &Pair) -> Option<&Contracts> {
        self.contracts.get(pair)
    }

    /// Whether a version's contract is news although its pair did not move: of a pair that was
    /// looked at here one that was not there, of any other one that may have come after the last
    /// look elsewhere.
    pub(crate) fn is_news(&self, pair: &Pair, version: &Version) -> bool {
        match (self.contracts.get(pair), self.resumed) {
            (Some(known), _) => !known.published.contains_key(&version.number),
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

    /// Since when new versions of the consumer are to be looked for: since the look before this one
    /// began, here or elsewhere, or the last one that the broker could tell of all its pairs.
    pub(crate) fn looked_at(&self, consumer: &str) -> Option<Timestamp> {
        let unseen = self.unseen.iter().filter(|(pair, _)| pair.consumer == consumer);
        let since = unseen.map(|(_, since)| *since).chain(self.last_look()).min()?;
        Some(since.saturating_sub(CLOCKS).unwrap_or(Timestamp::MIN))
    }

    fn last_look(&self) -> Option<Timestamp> {
        self.looked.or(self.resumed)
    }

    /// Whether something was new lately.
    pub(crate) fn is_lively(&self, now: Instant) -> bool {
        self.had_news.is_some_and(|at| now.saturating_duration_since(at) < LIVELY)
    }

    /// Pairs in a row without a change that end a walk.
    pub(crate) fn untouched(&self, now: Instant) -> usize {
        if self.is_lively(now) { UNTOUCHED } else { UNTOUCHED_AT_REST }
    }

    /// The pairs in trouble that are looked at again, of many a few.
    pub(crate) fn troubled(&self, most: usize) -> Vec<Pair> {
        self.troubled.iter().take(most).cloned().collect()
    }

    /// The pairs that wait for a result and are looked at again, of many a few.
    pub(crate) fn waiting(&self, most: usize) -> Vec<Pair> {
        self.untroubled(&self.waiting, most)
    }

    /// The pairs of which something changed that moves no pair, of many a few.
    pub(crate) fn stirred(&self, most: usize) -> Vec<Pair> {
        self.untroubled(self.stirred.waiting(), most)
    }

    /// Those in trouble have a turn of their own.
    fn untroubled(&self, pairs: &VecDeque<Pair>, most: usize) -> Vec<Pair> {
        pairs.iter().filter(|pair| !self.is_troubled(pair)).take(most).cloned().collect()
    }

    /// The provider whose head is to be asked for now.
    pub(crate) fn next_provider(&self) -> Option<&String> {
        self.stirred.next_provider()
    }

    /// Whether the broker has fewer pairs than these, so that some of them are gone.
    pub(crate) fn lacks(&self, order: &Order, total: Option<usize>) -> bool {
        total.is_some_and(|total| order.pairs().len() > total.saturating_add(self.excess))
    }

    /// Whether all pairs may be read because some are gone: not again and again.
    pub(crate) fn may_list(&self, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < self.list_every;
        !self.listed.is_some_and(is_recent)
    }

    /// What is deployed and supported, while that is known.
    pub(crate) fn places(&self, now: Instant) -> Option<&Places> {
        let (since, places) = self.places.as_ref()?;
        (now.saturating_duration_since(*since) < self.places_for).then_some(places)
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
        let last_look = self.last_look();
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
        self.excess = found.excess.unwrap_or(self.excess);
        if found.has_listed {
            self.listed = Some(now);
        }
        self.note_stirred(&found);
        if let Some(places) = found.places {
            let before = self.places.replace((now, places.clone()));
            let moved = before.map(|(_, before)| places.changed_since(&before));
            self.stirred.note_moved(&moved.unwrap_or_default(), self.order.pairs());
        }
        self.contracts.extend(found.contracts);
        self.troubled.retain(|pair| !found.mended.contains(pair));
        self.waiting.retain(|pair| !found.mended.contains(pair));
        self.waiting.extend(found.waiting);
        self.unseen.retain(|pair, _| !found.mended.contains(pair));
        if found.is_whole {
            self.forget_gone();
        }
        for pair in found.troubled {
            self.contracts.remove(&pair);
            if let Some(since) = last_look {
                self.unseen.entry(pair.clone()).or_insert(since);
            }
            self.troubled.retain(|known| *known != pair);
            self.troubled.push_back(pair);
        }
    }

    /// Nobody waits for what the broker does not name any more.
    fn forget_gone(&mut self) {
        self.troubled.retain(|pair| self.order.has(pair));
        self.waiting.retain(|pair| self.order.has(pair));
        self.unseen.retain(|pair, _| self.order.has(pair));
        self.contracts.retain(|pair, _| self.order.has(pair));
        self.stirred.keep(self.order.pairs());
    }

    fn note_stirred(&mut self, found: &Found) {
        let pairs = self.order.pairs();
        for (pair, head) in &found.heads {
            self.stirred.note_head(&pair.provider, head.as_ref(), pairs);
        }
        if let Some((provider, head)) = &found.head_asked {
            self.stirred.note_head(provider, head.as_ref(), pairs);
        }
        if let Some(asked) = &found.asked {
            self.stirred.note_asked(asked.clone());
        }
        // What was judged by a head that is not the newest is to be judged once more.
        let heads = found.heads.iter();
        let late: BTreeSet<&Pair> = heads
            .filter(|(pair, head)| self.stirred.head(&pair.provider) != head.as_ref())
            .map(|(pair, _)| pair)
            .collect();
        self.stirred.note_seen(|pair| found.mended.contains(pair) && !late.contains(pair));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_what_is_gone() {
        let pair = |name: &str| Pair { consumer: name.to_owned(), provider: "p".to_owned() };
        let order = |names: &[&str]| Order::new(names.iter().map(|name| pair(name)).collect());
        let now = Instant::now();
        let mut memory = Memory::new(Duration::from_secs(5), Duration::from_hours(6));
        let found = Found {
            waiting: vec![pair("a"), pair("b")],
            troubled: vec![pair("c")],
            excess: Some(0),
            ..Found::default()
        };
        memory.remember(Timestamp::now(), order(&["a", "b", "c"]), found, now);
        assert_eq!(memory.waiting(9), [pair("a"), pair("b")]);
        assert_eq!(memory.troubled(9), [pair("c")]);
        assert!(memory.lacks(memory.order(), Some(2)) && !memory.lacks(memory.order(), Some(3)));
        assert!(!memory.lacks(memory.order(), None) && memory.may_list(now));
        let found = Found { is_whole: true, has_listed: true, ..Found::default() };
        memory.remember(Timestamp::now(), order(&["b"]), found, now);
        assert_eq!((memory.waiting(9), memory.troubled(9)), (vec![pair("b")], Vec::new()));
        assert!(!memory.may_list(now + Duration::from_secs(59)));
        assert!(memory.may_list(now + Duration::from_mins(1)));
    }
}
